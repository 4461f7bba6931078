"""A dozen pictures of the screens. `pytest tests/tui/test_snapshots.py --snapshot-update` draws them anew.

Nothing in them moves: made-up data, posted messages, no thread, no clock, no path of this machine.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import DirectoryTree, TabbedContent

from distill_core.runs import PairedDifference, RunComparison
from distill_core.training.events import EpochFinished
from distill_tui.app import DistillApp
from distill_tui.jobs import (
    Answered,
    JobEnded,
    JobState,
    Progressed,
)
from distill_tui.runs.desk import ComparedRuns, RunRemarks, RunsView
from distill_tui.teacher.loading import load_teacher, read_database
from tests.core.database_factory import write_lda_db
from tests.core.test_database_schema import execute
from tests.tui import events
from tests.tui.judged import judged_run
from tests.tui.runs_on_disk import made_up_runs
from tests.tui.stage import NARROW, WIDE, IdleJobs, Stage
from tests.tui.sweeps.shown import view as sweeps_view

Compare = Callable[..., bool]
Scene = Callable[[Stage], Awaitable[None]]

TOPICS = ("git", "sql", "networks", "statistics", "linux", "python")
HUGE = (200, 60)
SIZES = pytest.mark.parametrize("size", [WIDE, NARROW], ids=["120x36", "80x24"])
ALL_SIZES = pytest.mark.parametrize("size", [WIDE, NARROW, HUGE], ids=["120x36", "80x24", "200x60"])


@pytest.fixture
def playbooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database with topics that can be read, beside its vectors."""
    monkeypatch.chdir(tmp_path)
    database = write_lda_db(
        tmp_path / "playbooks", num_heads=6, dimension=12, questions_per_head=8, path_style="absolute", seed=7
    )
    execute(
        database,
        *(
            f"UPDATE qa_clusters SET name = '{name}' WHERE cluster_id = {row}"
            for row, name in enumerate(TOPICS, 1)
        ),
    )
    return database


@pytest.fixture
def picture(snap_compare: Compare, playbooks: Path) -> Callable[[Scene, tuple[int, int]], bool]:
    """Play a scene in the app and compare it with the picture on file."""

    def compare(scene: Scene, size: tuple[int, int]) -> bool:
        app = DistillApp(playbooks)
        app.jobs = controller = IdleJobs(app)

        async def play(pilot: Pilot[int]) -> None:
            stage = Stage(app, pilot, playbooks, controller)
            await stage.settle()
            await open_fixed(stage)
            await scene(stage)
            app.clear_notifications()  # they go by the clock
            await stage.settle()

        return snap_compare(app, terminal_size=size, run_before=play)

    return compare


async def open_fixed(stage: Stage) -> None:
    """Show the database as if it lay in a folder that every machine has."""
    here = Path("playbooks/lda.db")
    view = replace(load_teacher(stage.database, 1), path=here, problems=())
    opened = replace(read_database(stage.database), path=here)
    await stage.tell(
        Answered(stage.app.teacher.show_database, opened), Answered(stage.app.teacher.show_teacher, view)
    )


async def teacher(stage: Stage) -> None:
    await stage.press("tab", "tab", "tab", "down", "down")


async def student(stage: Stage) -> None:
    await stage.go("student")


async def train_running(stage: Stage) -> None:
    begun = [event for event in judged_run(stage.database) if not isinstance(event, EpochFinished)]
    epochs = [events.epoch_finished(epoch, loss=1 / epoch, cosine=1 - 0.8 / epoch) for epoch in range(1, 7)]
    await stage.start_training()
    await stage.tell(Progressed(stage.app.training, (*begun[:-3], *epochs)))
    await stage.go("train")


async def train_failed(stage: Stage) -> None:
    await stage.train(
        events.run_started(),
        *(events.epoch_finished(epoch, loss=0.5 * epoch, cosine=0.6 - 0.1 * epoch) for epoch in (1, 2, 3)),
        events.epoch_finished(4, loss=float("nan"), cosine=float("nan")),
        outcome=JobState.FAILED,
        error="The loss is not a number any more after step 8. Lower the learning rate.",
    )
    await stage.go("train")


async def judged(stage: Stage) -> None:
    await stage.train(*judged_run(stage.database))
    await stage.go("validate")


async def cosines(stage: Stage) -> None:
    await judged(stage)
    stage.find("#validate-tabs", TabbedContent).active = "tab-cosines"


async def latency(stage: Stage) -> None:
    stage.app.latency.comparison.start()
    told = (events.latency_started(), events.block_timed(80), events.latency_finished())
    await stage.tell(
        Progressed(stage.app.latency.comparison, told),
        JobEnded(stage.app.latency.comparison, JobState.FINISHED),
    )
    await stage.go("latency")


async def crossover(stage: Stage) -> None:
    await latency(stage)
    await stage.press("x")
    told = (events.crossover_started(), events.crossover_finished())
    await stage.tell(
        Progressed(stage.app.latency.crossover, told),
        JobEnded(stage.app.latency.crossover, JobState.FINISHED),
    )


async def contestants(stage: Stage) -> None:
    await latency(stage)
    await stage.press("a")
    told = (events.contestants_started(), events.contestants_finished())
    await stage.tell(
        Progressed(stage.app.latency.contestants, told),
        JobEnded(stage.app.latency.contestants, JobState.FINISHED),
    )


async def picker(stage: Stage) -> None:
    await stage.press("o")
    tree = stage.find("#files", DirectoryTree)
    while not tree.root.children:
        await stage.pilot.pause(0.02)


async def quit_dialog(stage: Stage) -> None:
    await stage.start_training()
    await stage.press("q")


LIGHT = "textual-light"
SEEN = [teacher, student, train_running, judged, latency]


@pytest.mark.parametrize("scene", SEEN, ids=lambda scene: scene.__name__)
def test_a_huge_terminal(picture: Callable[[Scene, tuple[int, int]], bool], scene: Scene) -> None:
    assert picture(scene, HUGE)


@pytest.mark.parametrize("scene", SEEN, ids=lambda scene: scene.__name__)
def test_a_light_theme(picture: Callable[[Scene, tuple[int, int]], bool], scene: Scene) -> None:
    async def lit(stage: Stage) -> None:
        stage.app.theme = LIGHT
        await scene(stage)

    assert picture(lit, WIDE)


@SIZES
@pytest.mark.parametrize(
    "scene",
    [teacher, student, train_running, judged, latency, crossover, contestants],
    ids=lambda scene: scene.__name__,
)
def test_screen(
    picture: Callable[[Scene, tuple[int, int]], bool], scene: Scene, size: tuple[int, int]
) -> None:
    assert picture(scene, size)


async def runs(stage: Stage) -> None:
    await stage.go("runs")
    await stage.tell(Answered(stage.app.runs.publish, RunsView(made_up_runs(), "runs")))
    await stage.press("space", "space", "up")
    paths = tuple(f"runs/{name}" for name in ("2026-07-11T0900-n18-0a0a", "2026-07-11T0700-n18-2c2c"))
    difference = PairedDifference(mean=-0.0123, low=-0.0204, high=-0.0041, num_queries=86)
    compared = RunComparison(
        names=("baseline", "one layer"), settings={"student.layers": ("2", "1")}, differences=(difference,)
    )
    await stage.tell(
        Answered(stage.app.runs.remarks.publish, RunRemarks(paths[1], "Shallow, for the thesis."))
    )
    await stage.tell(Answered(stage.app.runs.compared.publish, ComparedRuns(paths, compared)))


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Show times as in Greenwich."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@ALL_SIZES
@pytest.mark.usefixtures("utc")
def test_runs(picture: Callable[[Scene, tuple[int, int]], bool], size: tuple[int, int]) -> None:
    assert picture(runs, size)


@pytest.mark.parametrize("scene", [train_failed, cosines], ids=lambda scene: scene.__name__)
def test_special_state(picture: Callable[[Scene, tuple[int, int]], bool], scene: Scene) -> None:
    assert picture(scene, WIDE)


def test_quit_dialog(picture: Callable[[Scene, tuple[int, int]], bool]) -> None:
    assert picture(quit_dialog, NARROW)


def test_picker(
    picture: Callable[[Scene, tuple[int, int]], bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the working directory and the recent databases named as seen from it."""
    (tmp_path / "state").mkdir(exist_ok=True)
    (tmp_path / "state" / "recent.txt").write_text("playbooks/lda.db\n")
    monkeypatch.setattr("distill_tui.ui.database_picker.Path.cwd", lambda: Path("playbooks"))
    assert picture(picker, NARROW)


@ALL_SIZES
def test_sweep_with_its_heat_map(
    picture: Callable[[Scene, tuple[int, int]], bool], size: tuple[int, int]
) -> None:
    async def scene(stage: Stage) -> None:
        await stage.show_teacher()
        await stage.go("sweep")
        await stage.tell(Answered(stage.app.sweeps.publish, sweeps_view("sweep-1", "sweep-2")))
        await stage.press("right")

    assert picture(scene, size)
