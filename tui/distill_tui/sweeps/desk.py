"""What the app knows of sweeps: the ledger, the one that is looked at, and the workers it started."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from distill_core.config import RunConfig, SplitConfig, TrainingConfig
from distill_core.errors import SettingsError
from distill_core.sweeps.axes import Axes, TypedSweep, axes_line, parse_axes
from distill_core.sweeps.storage import StoragePlace, storage_place
from distill_core.wording import plural
from distill_tui.sweeps.crew import Crew
from distill_tui.teacher.desk import is_same
from distill_tui.ui.desk import Desk
from distill_tui.ui.dialogs import Question

if TYPE_CHECKING:
    from distill_core.sweeps.events import SweepShown
    from distill_core.sweeps.ledger import SweepLedger
    from distill_core.sweeps.plan import SweepPlan, SweepRequest
    from distill_core.sweeps.queue import Queue
    from distill_tui.app import DistillApp


_MAKING_SECONDS, _MAKING_TRIES = 0.1, 300


@dataclass(frozen=True, slots=True)
class SweepsView:
    """The sweeps of the ledger as they were read last.

    Attributes:
        names: The newest last.
        shown: The one that is looked at; None where there is none.
        place: Where the ledger lies; None before the first reading.
        queue: Names of the sweeps that wait for their turn on this machine, or have it, in order.
        waits_for: Name of the run after which the one that is looked at begins; empty for none.
    """

    names: tuple[str, ...] = ()
    shown: SweepShown | None = None
    place: StoragePlace | None = None
    queue: tuple[str, ...] = ()
    waits_for: str = ""


class SweepsDesk(Desk[SweepsView]):
    """Reads the ledger in threads; sweeps are worked at by processes, which outlive the app.

    Attributes:
        wanted: Name of the sweep to look at; empty for the newest.
    """

    def __init__(self, app: DistillApp) -> None:
        super().__init__(SweepsView())
        self._app = app
        self._lock = threading.RLock()
        self._ledgers: dict[str, SweepLedger] = {}
        self._crews: dict[str, Crew] = {}
        self._queue: Queue | None = None
        self.wanted = ""

    def read(self) -> None:
        """Read the ledger; what is shown stays until it is read."""
        failed = self._app.complain("Sweeps not read")
        self._app.jobs.ask(partial(self._read, self.wanted), self.publish, failed, "sweeps")

    def look_at_next(self) -> None:
        """Look at the next sweep, the one after the last being the first."""
        names = self.view.names
        if names:
            shown = self.view.shown.name if self.view.shown else names[-1]
            self.wanted = names[(names.index(shown) + 1) % len(names)]
            self.read()

    def question(self) -> Question:
        """Return what is asked before a sweep is entered: the lists of screen 2, and what to add to them."""
        axes = self._app.student.view.axes

        def tell(line: str) -> str:
            return self.forecast(parse_axes(line))

        caption = "What to try, all else as on screen 2: H2,4,8 tau=0.05,0.1; x2 for two seeds; name=NAME"
        line = f"{axes_line(axes)} " if axes else ""
        return Question("Queue", caption, line, parse_axes, tell, is_added_to=True)

    def forecast(self, typed: TypedSweep) -> str:
        """Say what a sweep over the settings on screen 2 would be: its runs, their time, and what merges."""
        from distill_core.sweeps.forecast import forecast, forecast_words
        from distill_tui.cli.sweep_lines import merged_words

        teacher = self._app.teacher.view
        if teacher is None:
            return ""
        shape = teacher.projection.num_heads, teacher.projection.dimension
        request = sweep_request(typed, self._app.student.run_config(teacher), shape)
        listed = self._app.runs.view
        known = [run for run in listed.runs if is_same(teacher.path, Path(run.database))] if listed else []
        try:
            found = forecast(request, lambda _mh_id: shape, known)
        except SettingsError as error:
            return str(error)
        return ". ".join([forecast_words(found), *map(merged_words, found.merged_axes)])

    def start(self, typed: TypedSweep, config: RunConfig) -> None:
        """Put a sweep over the settings of a run into the queue; it begins after the run that trains here."""
        after = self._app.training.present_run()
        self._ask(partial(self._start, typed, config, after), self._started, "sweep start")

    def add_worker(self) -> None:
        """Start one more worker on this machine."""
        if (shown := self.view.shown) is not None:
            self._ask(partial(self._work, shown.name), self._told("A worker was started."), "sweep work")

    def pause(self) -> None:
        """Ask the workers to leave; of a sweep that is paused, go on with one here."""
        shown = self.view.shown
        if shown is None:
            return
        if shown.state == "stopped":
            self._ask(partial(self._go_on, shown.name), self._told("It goes on."), "sweep work")
        else:
            told = self._told("Its workers save, give their trials back, and leave.")
            self._ask(lambda: self._change(shown.name, lambda ledger: ledger.stop()), told, "sweep stop")

    def drop(self, cell: int) -> None:
        """Take what waits of a cell out."""
        self._on_trials(cell, "drop", "What waited of the cell is dropped.")

    def retry(self, cell: int) -> None:
        """Let what failed of a cell, or was dropped, wait again."""
        self._on_trials(cell, "retry", "What failed of the cell waits again.")

    # In threads.

    def _read(self, wanted: str) -> SweepsView:
        from distill_core.sweeps.queue import Queue, has_to_wait
        from distill_core.sweeps.results import shown_sweep
        from distill_core.sweeps.studies import sweep_names

        with self._lock:
            for crew in self._crews.values():
                crew.tend()
            place = self._place()
            names = sweep_names(place)
            name = wanted if wanted in names else names[-1] if names else ""
            if not name:
                return SweepsView(names, None, place)
            ledger = self._ledger(name)
            self._queue = self._queue or Queue(place, _root())
            queue = tuple(waiting.plan.name for waiting in self._queue.waiting())
            waits_for = Path(ledger.plan.after).name if has_to_wait(ledger.plan) else ""
            return SweepsView(names, shown_sweep(ledger, compared=True), place, queue, waits_for)

    def _start(self, typed: TypedSweep, config: RunConfig, after: Callable[[], Path | None]) -> SweepPlan:
        from distill_core.database import open_database
        from distill_core.sweeps.ledger import SweepLedger
        from distill_core.sweeps.plan import free_name, plan_sweep
        from distill_core.sweeps.queue import queue_of
        from distill_core.sweeps.studies import sweep_names

        with self._lock:
            place = self._place()
            name = typed.name or free_name(sweep_names(place))
            with open_database(config.data.database) as database:
                projection = database.projection(config.data.mh_id)
                shape = projection.num_heads, projection.dimension
                request = sweep_request(typed._replace(name=name), config, shape)
                plan = plan_sweep(request, database)
            waited = str(self._when_made(after) or "")
            plan = msgspec.structs.replace(plan, queue=queue_of(_root()), after=waited)
            SweepLedger.create(place, plan)
            self._work("")
        return plan

    def _when_made(self, path: Callable[[], Path | None]) -> Path | None:
        """Return the folder of the run that trains here; it is made once torch is loaded."""
        tries = 0
        while path() is None and self._app.jobs.is_active(self._app.training) and tries < _MAKING_TRIES:
            time.sleep(_MAKING_SECONDS)
            tries += 1
        return path()

    def _work(self, name: str) -> None:
        """Start a worker of a sweep, or, without a name, one of the queue, which may be at work already."""
        with self._lock:
            crew = self._crews.setdefault(name, Crew(self._place(), name, _root()))
            crew.start()

    def _go_on(self, name: str) -> None:
        self._change(name, lambda ledger: ledger.stop(stopped=False))
        self._work_again(name)

    def _work_again(self, name: str) -> None:
        """Have a sweep worked at whose workers may have left: by the queue, if it came from there."""
        self._work("" if self._ledger(name).plan.queue else name)

    def _change(self, name: str, change: Callable[[SweepLedger], object]) -> None:
        with self._lock:
            change(self._ledger(name))

    def _ledger(self, name: str) -> SweepLedger:
        from distill_core.sweeps.ledger import SweepLedger

        if name not in self._ledgers:
            self._ledgers[name] = SweepLedger(self._place(), name)
        return self._ledgers[name]

    def _place(self) -> StoragePlace:
        return storage_place(None, _root())

    # On the UI thread.

    def _on_trials(self, cell: int, change: str, words: str) -> None:
        shown = self.view.shown
        if shown is None:
            return

        def work() -> None:
            with self._lock:
                ledger = self._ledger(shown.name)
                for trial in ledger.current().values():
                    if trial.cell == cell:
                        getattr(ledger, change)(trial)
                if change == "retry" and not shown.workers:
                    self._work_again(shown.name)

        self._ask(work, self._told(words), f"sweep {change}")

    def _started(self, plan: SweepPlan) -> None:
        self.wanted = plan.name
        merged = "".join(f" {axis.axis} does nothing for {axis.student}." for axis in plan.merged_axes)
        runs = plural(plan.num_trials, "run")
        when = "begins after the run that trains here" if plan.after else "has its turn in the queue"
        words = (
            f"{plan.name}: {runs}.{merged} A process of its own works at it; it {when}. Screen 7 shows it."
        )
        self._app.notify(words, title="Sweep")
        self.read()

    def _told(self, words: str) -> Callable[[object], None]:
        def tell(_answer: object) -> None:
            self._app.notify(words, title="Sweep")
            self.read()

        return tell

    def _ask(self, work: Callable[[], Any], then: Callable[[Any], object], group: str) -> None:
        self._app.jobs.ask(work, then, self._app.complain("Sweep"), group=group)


def _root() -> Path:
    from distill_core.runs.store import default_root

    return default_root()


def sweep_request(typed: TypedSweep, config: RunConfig, shape: tuple[int, int]) -> SweepRequest:
    """Return a sweep over typed values, with all else as in the settings of a run.

    Args:
        typed: What varies, and the sweep's name.
        config: Of a run; what is not as by default is kept.
        shape: N and d of its projection.
    """
    from distill_core.sweeps.plan import SweepRequest

    student = type(config.student)().with_defaults(*shape)
    axes: Axes = {"student": (config.student.kind,)}
    if config.data.mh_id != 1:
        axes["mh_id"] = (config.data.mh_id,)
    if config.data.temperature is not None:
        axes["temperature"] = (config.data.temperature,)
    for mine, default in (
        (config.student, student),
        (config.training, TrainingConfig()),
        (config.split, SplitConfig()),
    ):
        values = msgspec.structs.asdict(mine)
        axes |= {n: (v,) for n, v in values.items() if v != getattr(default, n)}
    return SweepRequest(name=typed.name, axes=axes | typed.axes, num_seeds=typed.seeds)
