"""Screen 6: a run is watched on the train screen, and curves of several are drawn there."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from distill_core.config import DataConfig, RunConfig, TrainingConfig
from distill_core.runs import RecordedRun, RunFolder, Seen
from distill_core.students import MlpConfig
from distill_core.training.events import EpochFinished, RunStarted
from distill_tui.charts.history import MetricHistory
from distill_tui.jobs import JobState, Progressed
from distill_tui.training.histories import with_past
from distill_tui.training.metric_chart import MetricChart
from distill_tui.training.watching import Watching
from tests.tui import events
from tests.tui.runs.table import mark, put_cursor
from tests.tui.runs_on_disk import Made, answer, make_run, root, show_runs
from tests.tui.stage import Stage, staged


async def watch(stage: Stage, name: str) -> Watching:
    """Show a run on the train screen, and return what looks at it."""
    await put_cursor(stage, name)
    await stage.press("enter")
    watching = stage.app.training.watching
    assert watching is not None
    assert stage.app.current_mode == "train"
    return watching


def look(stage: Stage, watching: Watching) -> bool:
    """Look at the run once, and return whether it goes on."""
    return watching.look(partial(stage.app.training.show_seen, watching))


async def test_a_run_of_another_process_is_shown_live(database: Path) -> None:
    run = make_run(Made("far away", epochs=[events.epoch_finished(1, cosine=0.3)]))
    run.mark("running")
    async with staged(database) as stage:
        await show_runs(stage)
        watching = await watch(stage, "far away")
        assert look(stage, watching)
        await stage.settle()
        assert "Watching far away: another process trains it" in stage.text("#run-headline")
        assert stage.app.training.view.state is JobState.RUNNING
        cosine = stage.find("#chart-cosine", MetricChart).history["validation"]
        assert cosine.y.tolist() == pytest.approx([1 - (0.3 - 0.1)])
        assert not stage.offers("train.stop"), "watching cannot stop it"
        with run.open_metrics() as metrics:
            metrics.append(events.epoch_finished(2, cosine=0.5))
        assert look(stage, watching)
        await stage.settle()
        assert stage.find("#chart-cosine", MetricChart).history["validation"].x.tolist() == [1, 2]
        assert "epoch 2" in stage.text("#run-numbers")
        run.mark("finished")
        assert not look(stage, watching), "a run that has ended is not looked at any more"
        await stage.settle()
        assert "Looking at far away, which is finished" in stage.text("#run-headline")
        assert not stage.offers("app.save"), "its weights are not here to save"


async def test_a_watched_run_that_begins_again_is_drawn_anew(database: Path) -> None:
    run = make_run(Made("again", epochs=[events.epoch_finished(epoch) for epoch in (1, 2, 3)]))
    run.mark("running")
    async with staged(database) as stage:
        await show_runs(stage)
        watching = await watch(stage, "again")
        look(stage, watching)
        await stage.settle()
        lines = run.metrics_path.read_bytes().splitlines(keepends=True)
        run.metrics_path.write_bytes(b"".join(lines[:2]))
        look(stage, watching)
        await stage.settle()
        assert stage.app.training.histories.by_metric["cosine"]["train"].x.tolist() == [1]


async def test_a_run_of_another_day_is_shown_as_it_ended(database: Path) -> None:
    make_run(Made("failed")).mark("failed", "The memory does not suffice.")
    make_run(Made("left", hour=1))
    async with staged(database) as stage:
        await show_runs(stage)
        assert not look(stage, await watch(stage, "failed"))
        await stage.settle()
        assert "Looking at failed, which failed: The memory does not suffice." in stage.text("#run-headline")
        await stage.go("runs")
        assert not look(stage, await watch(stage, "left"))
        await stage.settle()
        assert "which was stopped: r on screen 6" in stage.text("#run-headline")


async def test_a_watched_folder_that_vanishes_is_told(database: Path) -> None:
    run = make_run(Made("volatile"))
    run.mark("running")
    async with staged(database) as stage:
        await show_runs(stage)
        await watch(stage, "volatile")
        store_root = run.path.rename(run.path.with_name("moved"))
        (look,) = [work for group, work in stage.jobs.wanted if group == "watch"]
        look()
        await stage.settle()
        assert "volatile cannot be watched any more: There is no run in" in stage.text("#run-headline")
        assert store_root.exists()


async def test_training_here_ends_the_watching_and_its_late_word_is_not_heard(database: Path) -> None:
    run = make_run(Made("elsewhere", epochs=[events.epoch_finished(1)]))
    run.mark("running")
    async with staged(database) as stage:
        await stage.show_teacher()
        await show_runs(stage)
        watching = await watch(stage, "elsewhere")
        look(stage, watching)
        await stage.settle()
        await stage.start_training()
        assert stage.app.training.watching is None
        assert stage.app.training.view.watched is None
        stage.app.training.show_seen(watching, Seen((events.epoch_finished(9),), "running", False, ""))
        assert stage.app.training.histories.by_metric["cosine"]["train"].count == 0
        assert run.read_state().state == "running"


async def test_while_a_run_is_trained_here_no_other_takes_its_screen(database: Path) -> None:
    make_run(Made("other"))
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.start_training()
        await stage.tell(Progressed(stage.app.training, (events.epoch_finished(1),)))
        await show_runs(stage)
        await stage.press("enter")
        assert stage.app.training.watching is None
        assert stage.app.current_mode == "runs"
        assert any("Another run is trained here" in toast for toast in stage.toasts())
        await stage.press("r")
        assert stage.app.current_mode == "runs"
        assert any("The training is still going" in toast for toast in stage.toasts())


def test_watching_ends_when_it_is_left(tmp_path: Path) -> None:
    run = make_run(Made("endless"))
    run.mark("running")
    told: list[str] = []

    watching = Watching(str(run.path))

    def leave(seen: Seen) -> None:
        told.append(seen.state)
        watching.leave()

    watching.run(leave)
    assert told == ["running"]


async def test_the_curves_of_marked_runs_are_drawn_over_each_other(database: Path) -> None:
    for hour, (name, cosine) in enumerate([("up", 0.8), ("down", 0.4)]):
        epochs = [events.epoch_finished(epoch, cosine=cosine + 0.1 * epoch) for epoch in (1, 2)]
        make_run(Made(name, hour=hour, heads=4 - 2 * hour, epochs=epochs))
    async with staged(database) as stage:
        await show_runs(stage)
        await mark(stage, "up", "down")
        await stage.press("v")
        await answer(stage)
        assert stage.app.current_mode == "train"
        chart = stage.find("#chart-cosine", MetricChart)
        assert isinstance(chart.history, MetricHistory)
        # An epoch of these events has two steps, and validation is 0.1 below training.
        assert chart.history["1"].x.tolist() == [2, 4]
        assert chart.history["1"].y.tolist() == pytest.approx([1 - 0.8, 1 - 0.9])
        assert chart.history["2"].y.tolist() == pytest.approx([1 - 0.4, 1 - 0.5])
        legend = stage.text("#curve-legend").split("\n")
        assert "1 up  0.9000 at step 4" in legend[0]
        assert "2 down  0.5000 at step 4" in legend[1]
        assert chart.title == "validation 1-cos"
        assert stage.offers("train.curves")
        await stage.press("v")
        assert chart.history is stage.app.training.histories.by_metric["error"]
        assert chart.x_label == "epoch"
        assert not stage.offers("train.curves")
        assert stage.find("#chart-loss", MetricChart).display


async def test_curves_of_runs_without_epochs_are_no_chart(database: Path) -> None:
    make_run(Made("fresh"))
    async with staged(database) as stage:
        await show_runs(stage)
        await stage.press("v")
        await answer(stage)
        assert stage.app.current_mode == "runs"
        assert any("validated an epoch" in toast for toast in stage.toasts())


def test_a_resumed_training_tells_the_epochs_before_once_and_closes_what_it_reads(database: Path) -> None:
    config = RunConfig(
        data=DataConfig(database=str(database)),
        student=MlpConfig(ff_dim=8, layers=1),
        training=TrainingConfig(epochs=5, device="cpu"),
    )
    run = RecordedRun.new(str(root()), config)
    events_told = with_past(run)
    for event in events_told:
        if isinstance(event, EpochFinished) and event.epoch == 2:
            break
    events_told.close()
    assert run.folder.read_state().state == "stopped", "saved when it is closed, not when it is collected"
    told = list(with_past(RecordedRun(RunFolder.open(run.folder.path))))
    assert isinstance(told[0], RunStarted)
    assert [event.epoch for event in told if isinstance(event, EpochFinished)] == [1, 2, 3, 4, 5]
