"""The app on a stage: it runs without a terminal and without threads, and is fed by posted messages.

async with staged(database) as stage:
    await stage.show_teacher()
    await stage.start_training()
    await stage.tell(Progressed(stage.app.training, ...))
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from textual.events import Key
from textual.geometry import Region
from textual.keys import key_to_character
from textual.message import Message
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input
from textual.widgets._toast import Toast

from distill_core.config import RunConfig
from distill_core.errors import DistillError
from distill_core.training.events import TrainEvent
from distill_tui.app import DistillApp
from distill_tui.jobs import Answered, JobEnded, Jobs, JobState, Progressed
from distill_tui.teacher.desk import TeacherView
from distill_tui.teacher.loading import load_teacher, read_database
from tests.tui import events

WIDE, NARROW = (120, 36), (80, 24)

AnyWidget = TypeVar("AnyWidget", bound=Widget)


class IdleJobs(Jobs):
    """Notes what it would start threads for, and starts none."""

    def __init__(self, app: DistillApp) -> None:
        super().__init__(app)
        self.wanted: list[tuple[str, Callable[[], object]]] = []

    def _in_thread(
        self, work: Callable[[], object], failed: Callable[[DistillError], object], group: str
    ) -> None:
        self.wanted.append((group, work))

    @property
    def groups(self) -> list[str]:
        """Return what kinds of thread would have been started, in order."""
        return [group for group, _work in self.wanted]


class PromptJobs(IdleJobs):
    """Does the work where it stands, in place of in a thread."""

    def _in_thread(
        self, work: Callable[[], object], failed: Callable[[DistillError], object], group: str
    ) -> None:
        super()._in_thread(work, failed, group)
        work()


_MORE_ROUNDS = 3


class Stage:
    """A running app, its pilot, and short words for what tests do with them."""

    def __init__(self, app: DistillApp, pilot: Pilot[int], database: Path, jobs: IdleJobs) -> None:
        self.app, self.pilot, self.database, self.jobs = app, pilot, database, jobs
        self.opened: list[Path] = []
        """The databases that were asked for."""

    @property
    def screen(self) -> Screen[object]:
        """Return the screen on top."""
        return self.app.screen

    async def tell(self, *messages: Message) -> None:
        """Post messages to the app and wait until they have had their effect."""
        for message in messages:
            self.app.post_message(message)
        await self.settle()

    async def settle(self) -> None:
        """Wait until the messages, and those that they caused, have had their effect."""
        await self.pilot.pause(0)
        await self.app.typed.settled()
        await self.pilot.pause(0)
        for _ in range(_MORE_ROUNDS):
            if not self._is_something_told():
                return
            await self.pilot.pause(0)

    def _is_something_told(self) -> bool:
        """Whether a message is on its way; a round of the pilot asks every widget, and takes the time."""
        pumps = (self.app, *self.screen.walk_children(with_self=True))
        return any(pump.message_queue_size for pump in pumps)

    async def reach(self, condition: Callable[[], bool]) -> bool:
        """Wait until a condition holds, for as many rounds as any effect may take; say whether it does."""
        for _ in range(500):
            if condition():
                return True
            await asyncio.sleep(0.005)  # not the pilot: the app may be on its way out
        return condition()

    async def press(self, *keys: str) -> None:
        """Press keys and wait until each has had its effect; the pilot would wait for a lull."""
        for key in keys:
            name = "space" if key == " " else key
            self.app.post_message(Key(name, key_to_character(name)))
            await self.settle()

    async def fill(self, selector: str, text: str) -> None:
        """Put a text into a field in one go, in place of what stands there, and leave the focus in it."""
        field = self.find(selector, Input)
        field.focus()
        field.value = text
        field.cursor_position = len(text)
        await self.settle()

    async def go(self, mode: str) -> None:
        """Switch to one of the screens."""
        self.app.action_show(mode)
        await self.settle()

    async def show_teacher(self, mh_id: int = 1, database: Path | None = None) -> TeacherView:
        """Open a database and one of its projections, as if a thread had read them."""
        path = database or self.database
        view = load_teacher(path, mh_id)
        await self.tell(
            Answered(self.app.teacher.show_database, read_database(path)),
            Answered(self.app.teacher.show_teacher, view),
        )
        return view

    async def start_training(self) -> None:
        """Start a run; no thread does any of it."""
        assert self.app.training.start()
        await self.settle()

    async def train(self, *told: TrainEvent, outcome: JobState = JobState.FINISHED, error: str = "") -> None:
        """Start a run, tell its events, and end it."""
        await self.start_training()
        await self.tell(Progressed(self.app.training, told), JobEnded(self.app.training, outcome, error))

    async def train_to_the_end(self) -> None:
        """Run through a made-up run of ten epochs with an evaluation on three questions."""
        await self.train(*full_run())

    def run_config(self) -> RunConfig:
        """Return the settings of a run as the screens have them."""
        teacher = self.app.teacher.view
        assert teacher is not None
        return self.app.student.run_config(teacher)

    async def end_job(self, outcome: JobState = JobState.FINISHED) -> None:
        """End the active job, as if its thread had."""
        assert self.jobs.desk is not None
        await self.tell(JobEnded(self.jobs.desk, outcome))

    def training_state(self) -> JobState:
        """Return how the run stands."""
        return self.app.training.view.state

    def find(self, selector: str, kind: type[AnyWidget]) -> AnyWidget:
        """Return a widget of the screen on top."""
        return self.screen.query_one(selector, kind)

    def text(self, selector: str) -> str:
        """Return what a widget of the screen on top shows, as it stands on the screen."""
        return text_of(self.screen.query_one(selector))

    def visible(self, selector: str) -> str:
        """Return the part of the screen that a widget covers, its children and what lies over it included."""
        region = self.screen.query_one(selector).region
        rows = self.screen._compositor.render_strips()[region.y : region.bottom]
        return "\n".join(row.crop(region.x, region.right).text.rstrip() for row in rows)

    def toasts(self) -> list[str]:
        """Return the texts of the notifications that are shown."""
        return [toast.render().plain for toast in self.screen.query(Toast)]

    def footer(self) -> dict[str, str]:
        """Return what the footer offers: descriptions of the keys that work now."""
        return {
            active.binding.id or "": active.binding.description
            for active in self.screen.active_bindings.values()
            if active.enabled and active.binding.show
        }

    def offers(self, binding_id: str) -> bool:
        """Tell whether a key works now, shown in the footer or not."""
        return any(
            active.enabled and active.binding.id == binding_id
            for active in self.screen.active_bindings.values()
        )


def full_run(question_ids: tuple[int, ...] = (2, 9, 20)) -> tuple[TrainEvent, ...]:
    """Return the events of a run of ten epochs, tested on three questions: 0.95, 0.61 and 0.88."""
    epochs = [events.epoch_finished(epoch, loss=1 / epoch, cosine=1 - 1 / epoch) for epoch in range(1, 11)]
    return (
        events.run_started(),
        *epochs,
        events.tested(question_ids, (0.95, 0.61, 0.88)),
        events.run_finished(),
    )


def text_of(widget: Widget) -> str:
    """Return the cells of a widget without their colours, row by row."""
    strips = widget.render_lines(Region(0, 0, *widget.outer_size))
    return "\n".join(strip.text.rstrip() for strip in strips)


@asynccontextmanager
async def staged(
    database: Path,
    *,
    size: tuple[int, int] = WIDE,
    jobs: type[IdleJobs] = IdleJobs,
    picker: bool = False,
) -> AsyncIterator[Stage]:
    """Run the app on a database that is not read yet, or with the picker open."""
    app = DistillApp(None if picker else database)
    app.jobs = idle = jobs(app)
    opened: list[Path] = []
    read = app.teacher.open

    def read_database(path: Path) -> None:
        opened.append(path)
        read(path)

    app.teacher.open = read_database  # type: ignore[method-assign]
    async with app.run_test(size=size, notifications=True) as pilot:
        stage = Stage(app, pilot, database, idle)
        stage.opened = opened
        await stage.settle()
        yield stage
