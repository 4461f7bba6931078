from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from distill_core.database import demo_database_path, open_database
from distill_core.runs import RunStore
from distill_core.sweeps.ledger import SweepLedger
from distill_core.sweeps.plan import SweepRequest, plan_sweep
from distill_core.sweeps.queue import queue_of
from distill_core.sweeps.storage import ENVIRONMENT_VARIABLE, storage_place
from distill_tui.jobs import JobState
from distill_tui.runs.desk import RunsView
from distill_tui.runs.table import RunTable
from distill_tui.sweeps.crew import Crew
from distill_tui.sweeps.desk import SweepsView
from distill_tui.sweeps.heat_map import FIGURES, HeatMap
from tests.core.database_factory import write_lda_db
from tests.tui.runs_on_disk import made_up_runs
from tests.tui.stage import NARROW, WIDE, PromptJobs, staged
from tests.tui.sweeps.shown import view


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return write_lda_db(tmp_path / "db", questions_per_head=10)


@pytest.fixture(autouse=True)
def _runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILL_TUI_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)


async def test_before_the_first_sweep_it_says_how_to_begin(database: Path) -> None:
    async with staged(database) as stage:
        await stage.go("sweep")
        stage.app.sweeps.publish(SweepsView((), None, view("a").place))
        await stage.settle()
        assert "ctrl+g" in stage.text("#sweep-head")
        assert not stage.offers("sweep.pause")


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_cells_frontier_and_workers_are_shown(database: Path, size: tuple[int, int]) -> None:
    async with staged(database, size=size) as stage:
        await stage.go("sweep")
        stage.app.sweeps.publish(view("sweep-1", "sweep-2"))
        await stage.settle()
        head = stage.text("#sweep-head")
        assert "sweep-2  (2 of 2): running, 10 of 12 runs done, 1 worker, about 5 min left" in head
        assert "heads 1, 2, 4 of encoder" in head
        grid = stage.text("#heat-map").splitlines()
        assert grid[0].startswith("1 - cosine: heads across, layers down")
        assert grid[1].split() == ["1", "2", "4"]
        assert grid[2].split() == ["1", "›0.01000‹", "0.03000", "0.00500"]
        assert grid[3].split() == ["2", "0.02000", "0.04000", "…"]
        assert "cell 0: memory H 1 L 1  finished, 2 of 2 seeds" in stage.text("#sweep-cell")
        front = stage.text("#sweep-front")
        assert "0.00500" in front
        assert "*0.01000" in front
        assert "box cuda process 7, cell 5 seed 0, seen 3 s ago" in front


async def test_the_cursor_the_figure_and_the_axes(database: Path) -> None:
    async with staged(database) as stage:
        await stage.go("sweep")
        stage.app.sweeps.publish(view("a"))
        await stage.settle()
        heat_map = stage.find("#heat-map", HeatMap)
        await stage.press("l", "right", "right", "j", "down")
        assert heat_map.chosen is not None
        assert heat_map.chosen.number == 5
        await stage.press("h", "k")
        assert "cell 2: memory H 2 L 1" in stage.text("#sweep-cell")
        for figure in (*FIGURES[1:], FIGURES[0]):
            await stage.press("v")
            assert stage.text("#heat-map").startswith(figure.title)
        await stage.press("x")
        assert stage.text("#heat-map").startswith("1 - cosine: layers across, heads down")


async def test_the_frontier_is_drawn_with_the_ladder_and_the_teacher_in_it(database: Path) -> None:
    """Cells 0, 4 are not beaten; the others have more error at more microseconds and bytes than cell 0."""
    async with staged(database) as stage:
        await stage.go("sweep")
        stage.app.sweeps.publish(view("a"))
        await stage.settle()
        await stage.press("f")
        chart = stage.text("#frontier-chart")
        picture = chart.partition("\n")[2]
        assert "ridge 0.06, mean_output 0.4" in chart
        assert (picture.count("@"), picture.count("*"), picture.count("o")) == (1, 1, 3)
        assert "┊" in picture
        assert "·" in picture
        assert "cell 0: memory H 1 L 1" in stage.text("#sweep-cell"), "the one to take"
        await stage.press("right", "l", "right", "right", "right")
        assert "cell 4: memory H 4 L 1" in stage.text("#sweep-cell"), "the slowest"
        await stage.press("left", "h")
        assert "cell 2: memory H 2 L 1" in stage.text("#sweep-cell")
        await stage.press("f")
        assert stage.text("#heat-map").startswith("1 - cosine")


async def test_marginals_are_means_over_all_other_settings(database: Path) -> None:
    """H 1 has errors 0.01 and 0.02, H 2 0.03 and 0.04, H 4 0.005; L 1 0.01, 0.03 and 0.005, L 2 the rest."""
    async with staged(database) as stage:
        await stage.go("sweep")
        stage.app.sweeps.publish(view("a"))
        await stage.settle()
        told = stage.text("#sweep-front")
        assert "heads: 1 0.01500  2 0.03500  4 0.00500" in told
        assert "layers: 1 0.01500  2 0.03000" in told


async def test_the_runs_of_a_cell_are_listed_alone_and_drawn_together(database: Path) -> None:
    names = [f"2026-11-26T065244-a-c{cell:03d}-s{seed}" for cell in range(2) for seed in range(2)]
    runs = tuple(msgspec.structs.replace(made_up_runs()[0], name=name, path=f"runs/{name}") for name in names)
    shown = view("a")
    assert shown.shown is not None
    first = msgspec.structs.replace(shown.shown.cells[0], runs=(names[0], names[1]))
    sweep = msgspec.structs.replace(shown.shown, cells=(first, *shown.shown.cells[1:]))
    async with staged(database) as stage:
        await stage.go("sweep")
        stage.app.runs.publish(RunsView(runs))
        stage.app.sweeps.publish(replace(shown, shown=sweep))
        await stage.settle()
        stage.jobs.wanted.clear()
        await stage.press("c")
        assert stage.jobs.groups == ["curves"]
        await stage.press("a")
        assert stage.app.current_mode == "runs"
        table = stage.find("#run-table", RunTable)
        assert {key.value for key in table.rows} == {f"runs/{name}" for name in names[:2]}


async def test_the_command_for_another_box_is_copied(database: Path) -> None:
    async with staged(database) as stage:
        await stage.go("sweep")
        stage.app.sweeps.publish(view("a"))
        await stage.settle()
        await stage.press("y")
        assert stage.app.clipboard == ("distill-tui sweep work a --storage sqlite:////home/me/runs/sweeps.db")


async def test_nothing_is_read_while_something_is_timed(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        stage.app.latency.comparison.start()
        await stage.go("sweep")
        assert "sweeps" not in stage.jobs.groups


async def test_a_grid_of_the_form_takes_at_most_twenty_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H 2, 4, 8 and L 1, 2, 3 with two seeds on the demo database; afterwards nothing is asked any more."""
    monkeypatch.setattr(Crew, "start", lambda crew: None)
    demo = demo_database_path()
    keys = ["2", "s", "right", "h", *"2,4,8", "down", *"1,2,3", "ctrl+g", *"x2", "enter"]
    assert len(keys) <= 20
    async with staged(demo, jobs=PromptJobs) as stage:
        await stage.show_teacher()
        await stage.press(*keys)
        await stage.settle()
        plan = SweepLedger(storage_place(None, RunStore().root), "sweep-1").plan
    asked = SweepRequest(
        name="sweep-1",
        axes={"student": ("memory",), "heads": (2, 4, 8), "layers": (1, 2, 3)},
        num_seeds=2,
    )
    with open_database(demo) as database:
        typed = plan_sweep(asked, database)
    assert (plan.cells, plan.seeds, plan.num_trials) == (typed.cells, (0, 1), 18)


async def test_a_line_starts_a_sweep_and_a_process_that_works_at_it(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    monkeypatch.setattr(Crew, "start", lambda crew: started.append(crew._name))
    async with staged(database, jobs=PromptJobs) as stage:
        await stage.show_teacher()
        await stage.press("ctrl+g")
        await stage.press(*"H1,2", "space", *"L1,2", "space", *"x2", "enter")
        await stage.settle()
        assert stage.app.current_mode == "sweep"
        assert started == [""], "the queue's"
        ledger = SweepLedger(storage_place(None, RunStore().root), "sweep-1")
        assert ledger.plan.seeds == (0, 1)
        assert [cell.settings["layers"] for cell in ledger.plan.cells] == [
            1,
            2,
        ]  # H does nothing in the encoder
        assert "heads 1, 2 of encoder" in stage.text("#sweep-head")

        await stage.press("d")
        states = {key: trial.state for key, trial in ledger.current().items()}
        assert [states[0, 0], states[0, 1], states[1, 0]] == ["dropped", "dropped", "waiting"]
        await stage.press("r")
        assert ledger.current()[0, 0].state == "waiting"
        await stage.press("p")
        assert ledger.is_stopped
        assert "stopped" in stage.text("#sweep-head")
        await stage.press("p")
        assert not ledger.is_stopped
        await stage.press("w")
        assert started == ["", "", "", "sweep-1"], "the queue's to begin, to retry, to go on; and one by name"


async def test_a_run_that_is_queued_begins_after_the_one_that_trains(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Crew, "start", lambda crew: None)
    async with staged(database, jobs=PromptJobs) as stage:
        await stage.show_teacher()
        present = RunStore().create(stage.run_config())
        stage.app.jobs.desk, stage.app.jobs.state = stage.app.training, JobState.RUNNING
        monkeypatch.setattr(stage.app.training, "present_run", lambda: lambda: present.path)
        await stage.go("student")
        await stage.fill("#seed", "5")
        await stage.press("ctrl+t")
        assert "A run is being trained here" in stage.text("Label")
        await stage.press("y")
        plan = SweepLedger(storage_place(None, RunStore().root), "sweep-1").plan
    assert (plan.num_trials, plan.seeds, plan.after) == (1, (5,), str(present.path))
    assert plan.queue == queue_of(RunStore().root)


async def test_a_run_beside_others_is_announced_with_its_cost(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three runs of a thread each on two cores: each takes 3 / 2 times as long."""
    running = msgspec.structs.replace(made_up_runs()[1], state="running")
    async with staged(database) as stage:
        await stage.show_teacher()
        stage.app.runs.publish(RunsView((running, running)))
        assert "2 runs are being trained" in stage.app.runs.cost_beside(1, cores=2)
        assert "about 1.5 times as long" in stage.app.runs.cost_beside(1, cores=2)
        assert stage.app.runs.cost_beside(1, cores=3) == ""
        monkeypatch.setattr(os, "cpu_count", lambda: 2)
        await stage.press("ctrl+t")
        assert stage.training_state() is JobState.IDLE
        await stage.press("y")
        assert stage.training_state() is JobState.RUNNING


@pytest.mark.parametrize("line", ["bogus 3", "H2,,4", "H", "x0"])
async def test_a_line_that_cannot_be_read_is_told(line: str, database: Path) -> None:
    async with staged(database, jobs=PromptJobs) as stage:
        await stage.show_teacher()
        await stage.press("ctrl+g")
        await stage.fill("Input", line)
        await stage.press("enter")
        assert stage.screen.is_modal
        assert stage.text("#text-note").strip() != "enter takes it, esc cancels"
