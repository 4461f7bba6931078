"""Screen 6: the runs on disk are listed, compared, named, thrown away, watched and taken as a pattern."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from textual.widgets import Input, Label

from distill_core.config import DataConfig, RunConfig, SplitConfig, TrainingConfig
from distill_core.errors import DistillError, ExportError
from distill_core.export import ExportFinished, ExportReport, PartLeftOut, PartWritten
from distill_core.runs import RecordedRun, RunFolder, RunStore, Seen
from distill_core.students import EncoderConfig, MemoryConfig, MlpConfig
from distill_core.training.events import EpochFinished, RunStarted
from distill_tui.charts.history import MetricHistory
from distill_tui.jobs import Answered, JobState, OnlyTheLast, Progressed
from distill_tui.runs.rows import COLUMNS, SORTS, RunRow, in_order, matching
from distill_tui.runs.table import RunTable
from distill_tui.teacher.loading import load_teacher, open_database
from distill_tui.training.histories import with_past
from distill_tui.training.metric_chart import MetricChart
from distill_tui.training.watching import Watching
from tests.core.database_factory import write_lda_db
from tests.tui import events
from tests.tui.runs_on_disk import NOON, Made, answer, make_run, root, show_runs, store
from tests.tui.stage import PromptJobs, Stage, staged

NAMES = [column.name for column in COLUMNS]


def names(stage: Stage) -> list[str]:
    """Return the names in the table, from the top."""
    return [cell.text for cell in stage.find("#run-table", RunTable).get_column("name")]


def marks(stage: Stage) -> list[str]:
    return [cell.text for cell in stage.find("#run-table", RunTable).get_column("mark")]


def row(stage: Stage, name: str) -> dict[str, str]:
    """Return what the row of a run says, by column."""
    table = stage.find("#run-table", RunTable)
    cells = [cell.text for cell in table.get_row_at(names(stage).index(name))]
    return dict(zip(NAMES, cells[1:], strict=True))


async def put_cursor(stage: Stage, name: str) -> None:
    table = stage.find("#run-table", RunTable)
    table.focus()
    table.move_cursor(row=names(stage).index(name))
    await stage.settle()
    await answer(stage)


async def mark(stage: Stage, *wanted: str) -> None:
    for name in wanted:
        await put_cursor(stage, name)
        await stage.press("space")
    await answer(stage)


def header(stage: Stage) -> list[str]:
    return [column.label.plain for column in stage.find("#run-table", RunTable).ordered_columns]


async def test_runs_are_listed_newest_first_with_what_they_are_and_are_worth(database: Path) -> None:
    make_run(Made("old", hour=0, heads=2, seed=7, cosines={1: 0.9}, mean=0.93125))
    new = make_run(Made("new", hour=1))
    async with staged(database) as stage:
        await show_runs(stage)
        assert names(stage) == ["new", "old"]
        local = NOON.astimezone()
        assert row(stage, "old") == {
            "name": "old",
            "state": "finished",
            "cosine": "0.9313",
            "skill": "",
            "when": f"{local.month:02}-{local.day:02} {local.hour:02}:{local.minute:02}",
            "p90 µs": "",
            "student": "encoder",
            "H": "2",
            "L": "2",
            "λ": "0.7",
            "recipe": "book",
            "seed": "7",
            "τ": "0.1",
            "projection": "1",
            "database": "n18/lda.db",
        }
        assert row(stage, "new")["state"] == "stopped"
        new.write_result("latency", events.latency_finished())
        stage.app.runs.list()
        await answer(stage)
        assert row(stage, "new")["p90 µs"] == f"{22 * 61.0:,.1f}"


async def test_without_runs_the_screen_says_how_to_make_one(database: Path) -> None:
    async with staged(database, size=(80, 24)) as stage:
        await stage.go("runs")
        assert stage.text("#runs-empty").strip() == "Reading the runs"
        await answer(stage)
        shown = stage.visible("#runs-empty")
        assert "ctrl+t" in shown
        assert "distill-tui train lda.db" in shown
        assert not stage.find("#run-table", RunTable).display


async def test_a_folder_that_cannot_be_listed_says_why(database: Path) -> None:
    root().parent.mkdir(parents=True, exist_ok=True)
    root().write_text("no folder")
    async with staged(database) as stage:
        await show_runs(stage)
        assert "cannot be listed" in stage.visible("#runs-empty")


async def test_a_damaged_run_is_listed_with_its_problem_and_a_failed_one_with_its_error(
    database: Path,
) -> None:
    damaged = make_run(Made("damaged one", hour=1, cosines={1: 0.9}))
    (damaged.path / "evaluation.json").write_text("{")
    make_run(Made("failed one")).mark("failed", "The loss is not a number any more after step 8.")
    async with staged(database) as stage:
        await show_runs(stage)
        await put_cursor(stage, "damaged one")
        assert row(stage, "damaged one")["state"] == "damaged"
        assert "evaluation.json is damaged" in stage.text("#run-facts").replace("\n", "")
        await put_cursor(stage, "failed one")
        assert row(stage, "failed one")["state"] == "failed"
        assert "Failed: The loss is not a number any more after step 8." in stage.text("#run-facts")


async def test_the_filter_is_live_looks_through_every_column_and_esc_clears_it(database: Path) -> None:
    make_run(Made("wide", hour=2, heads=8))
    make_run(Made("narrow", hour=1, database="/data/other.db"))
    store().tag(make_run(Made("third", cosines={1: 0.9})).path, "thesis")
    async with staged(database) as stage:
        await show_runs(stage)
        await stage.press("slash", *"other.DB".lower())
        assert names(stage) == ["narrow"]
        await stage.fill("#run-filter", "thesis finished")
        assert names(stage) == ["third"]
        await stage.press("enter")
        assert stage.screen.focused is stage.find("#run-table", RunTable)
        assert names(stage) == ["third"], "enter keeps the filter"
        await stage.press("slash")
        await stage.fill("#run-filter", "nothing like it")
        assert "No run matches 'nothing like it'" in stage.visible("#runs-empty")
        await stage.press("escape")
        assert names(stage) == ["wide", "narrow", "third"]
        assert stage.find("#run-filter", Input).value == ""
        assert stage.screen.focused is stage.find("#run-table", RunTable)


async def test_a_key_sorts_by_the_next_column_and_the_header_says_which(database: Path) -> None:
    for hour, (name, mean) in enumerate([("b", 0.5), ("a", 0.9), ("c", 0.7)]):
        make_run(Made(name, hour=hour, cosines={1: mean}, mean=mean))
    make_run(Made("d", hour=5))
    async with staged(database) as stage:
        await show_runs(stage)
        assert "when ▼" in header(stage)
        await put_cursor(stage, "c")
        await stage.press("s")
        assert names(stage) == ["a", "c", "b", "d"], "the best first, the unknown last"
        assert [title for title in header(stage) if title[-1:] in "▼▲" and title] == ["cosine ▼"]
        assert stage.find("#run-table", RunTable).cursor_row == 1, "the cursor stays on its run"
        await stage.press("S")
        assert names(stage) == ["b", "c", "a", "d"], "the unknown stays last"
        assert "cosine ▲" in header(stage)


def test_sorting_goes_once_through_every_column(database: Path) -> None:
    assert sorted(SORTS) == sorted(NAMES)
    make_run(Made("B"))
    make_run(Made("a", hour=1))
    rows = [RunRow(run) for run in store().list()]
    assert [r.run.name for r in in_order(rows, "name", reverse=False)] == ["a", "B"]
    assert [r.run.name for r in in_order(rows, "when", reverse=True)] == ["B", "a"]
    for name in NAMES:
        assert len(in_order(rows, name, reverse=False)) == 2
    assert matching(rows, "  ") == rows


async def test_marked_runs_are_compared_on_common_queries_with_the_first_of_them(database: Path) -> None:
    make_run(Made("first", hour=2, heads=4, cosines={1: 0.5, 2: 0.6, 3: 0.7}))
    make_run(Made("second", hour=1, heads=8, seed=3, cosines={2: 0.7, 3: 1.0, 4: 0.2}))
    async with staged(database) as stage:
        await show_runs(stage)
        await mark(stage, "first")
        assert not stage.screen.query_one("#run-comparison").display
        await mark(stage, "second")
        assert marks(stage) == ["1", "2"]
        shown = stage.text("#run-comparison").split("\n")
        table = {line[:10].strip(): line.split()[-2:] for line in shown}
        assert shown[0].split() == ["1", "first", "2", "second"]
        # Queries 2 and 3: 0.7 - 0.6 and 1.0 - 0.7. Of two, the means of all draws are 0.1, 0.2, 0.2, 0.3.
        assert table["Δ cosine"][-1] == "+0.2000"
        assert table["95 %"] == ["+0.1000", "+0.3000"]
        assert table["queries"][-1] == "2"
        assert table["Heads H"] == ["4", "8"]
        assert table["Seed"] == ["0", "3"]
        assert not any(line.startswith("Layers") for line in shown), "what is the same is left out"


async def test_marked_runs_are_compared_with_the_pinned_one_if_there_is_one(database: Path) -> None:
    make_run(Made("other", hour=1, cosines={1: 0.5, 2: 0.5}))
    store().pin(make_run(Made("baseline", cosines={1: 0.25, 2: 0.25})).path)
    async with staged(database) as stage:
        await show_runs(stage)
        assert marks(stage) == ["", "*"]
        await mark(stage, "other")
        shown = stage.text("#run-comparison").split("\n")
        assert shown[0].split() == ["*", "baseline", "1", "other"]
        assert shown[1].split()[-1] == "+0.2500"
        await mark(stage, "other")
        assert marks(stage) == ["", "*"], "space takes a mark away again"
        assert not stage.screen.query_one("#run-comparison").display


async def test_runs_without_common_queries_say_so(database: Path) -> None:
    make_run(Made("one", hour=1, cosines={1: 0.5}))
    make_run(Made("two", cosines={2: 0.5}))
    async with staged(database) as stage:
        await show_runs(stage)
        await mark(stage, "one", "two")
        assert "none" in stage.text("#run-comparison")
        assert "No queries on which both were judged" in stage.text("#run-comparison")


async def test_naming_tagging_annotating_and_pinning_change_the_notes(database: Path) -> None:
    run = make_run(Made("plain"))
    store().tag(run.path, "gone", "kept")
    async with staged(database) as stage:
        await show_runs(stage)
        for key, text in (("n", "better"), ("t", "kept, new"), ("a", "for [bold]chapter 3")):
            await stage.press(key)
            await stage.fill("#text", text)
            await stage.press("enter")
            await answer(stage)
        await stage.press("b")
        await answer(stage)
        notes = run.read_notes()
        assert (notes.name, notes.tags, notes.annotation) == (
            "better",
            ("kept", "new"),
            "for [bold]chapter 3",
        )
        assert notes.pinned
        assert names(stage) == ["better"]
        assert "Tags: kept, new" in stage.text("#run-facts")
        assert "for [bold]chapter 3" in stage.text("#run-facts")
        assert marks(stage) == ["*"]
        await stage.press("b")
        await answer(stage)
        assert not run.read_notes().pinned


async def test_a_name_that_is_taken_is_refused_in_the_dialog(database: Path) -> None:
    make_run(Made("taken"))
    run = make_run(Made("free", hour=1))
    async with staged(database) as stage:
        await show_runs(stage)
        await stage.press("n")
        await stage.fill("#text", "taken")
        await stage.press("enter")
        assert "Another run has the name taken." in str(stage.find("#text-note", Label).render())
        await stage.press("escape")
        await answer(stage)
        assert run.read_notes().name == "free"


async def test_what_cannot_be_changed_is_told(database: Path) -> None:
    run = make_run(Made("gone"))
    async with staged(database) as stage:
        await show_runs(stage)
        (run.path / "notes.json").write_text("{")
        await stage.press("b")
        await answer(stage)
        assert any("Not pinned" in toast and "notes.json" in toast for toast in stage.toasts())


async def test_deleting_asks_first_and_goes_to_the_trash(database: Path) -> None:
    run = make_run(Made("precious"))
    async with staged(database) as stage:
        await show_runs(stage)
        for leave in ("c", "escape"):
            await stage.press("d")
            await answer(stage)
            assert run.path.exists(), "no single key destroys"
            await stage.press(leave)
            await answer(stage)
            assert run.path.exists()
        await stage.press("d", "d", "y")
        await answer(stage)
        assert not run.path.exists()
        assert [summary.name for summary in store().trashed()] == ["precious"]
        assert "No runs yet" in stage.visible("#runs-empty")
        await stage.press("T", "c")
        await answer(stage)
        assert len(store().trashed()) == 1
        await stage.press("T", "y")
        await answer(stage)
        assert store().trashed() == ()
        assert any("Deleted 1 run for good." in toast for toast in stage.toasts())


async def test_a_run_that_is_gone_loses_its_mark(database: Path) -> None:
    store().move_to_trash(make_run(Made("first", hour=1)).path)
    kept, gone = make_run(Made("kept")), make_run(Made("gone", hour=1))
    async with staged(database) as stage:
        await show_runs(stage)
        await mark(stage, "gone", "kept")
        assert marks(stage) == ["1", "2"]
        store().move_to_trash(gone.path)
        stage.app.runs.list()
        await answer(stage)
        assert names(stage) == ["kept"]
        assert marks(stage) == ["1"]
        assert kept.path.exists()


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
        assert cosine.y.tolist() == pytest.approx([0.3 - 0.1])
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


async def test_resuming_trains_from_the_folder(database: Path) -> None:
    run = make_run(Made("half way", database=str(database)))
    make_run(Made("done", hour=1, cosines={1: 0.9}))
    async with staged(database) as stage:
        view = await stage.show_teacher()
        await show_runs(stage)
        await put_cursor(stage, "done")
        await stage.press("r")
        assert any("done has reached its end" in toast for toast in stage.toasts())
        assert stage.app.current_mode == "runs"
        await put_cursor(stage, "half way")
        await stage.press("r")
        assert stage.app.current_mode == "train"
        assert stage.app.training.view.state is JobState.RUNNING
        assert stage.app.training.view.watched is None
        assert stage.app.training.view.teacher is view, "the texts of its queries are known"
        assert stage.jobs.groups.count("engine") == 1
        assert run.path.exists()


async def test_cloning_takes_over_settings_and_temperature(database: Path) -> None:
    config = RunConfig(
        data=DataConfig(database=str(database), mh_id=1, temperature=0.25),
        split=SplitConfig(split="cluster", test_fraction=0.3),
        student=MemoryConfig(heads=2, layers=1, width=4),
        training=TrainingConfig(seed=9, cosine_weight=0.5),
    )
    RunFolder.create(root(), config)
    async with staged(database) as stage:
        await stage.show_teacher()
        await show_runs(stage)
        await stage.press("c")
        await answer(stage)
        assert stage.app.current_mode == "student"
        assert stage.run_config() == config
        assert stage.find("#seed", Input).value == "9"
        assert stage.find("#kind", Input).value == "memory"


async def test_cloning_opens_the_database_of_the_run_if_it_is_another(database: Path, tmp_path: Path) -> None:
    other = write_lda_db(tmp_path / "other", num_heads=6, dimension=8, questions_per_head=6)
    config = RunConfig(
        data=DataConfig(database=str(other), mh_id=2), student=EncoderConfig(heads=8, layers=1)
    )
    RunFolder.create(root(), config)
    async with staged(database) as stage:
        await stage.show_teacher()
        await show_runs(stage)
        await stage.press("c")
        await answer(stage)
        assert stage.opened[-1] == other
        await stage.tell(Answered(stage.app.teacher.show_database, open_database(other)))
        assert stage.app.busy_with.view == "reading projection 2", "its projection, not the first"
        await stage.tell(Answered(stage.app.teacher.show_teacher, load_teacher(other, 2)))
        assert stage.run_config() == config
        await stage.tell(Answered(stage.app.teacher.show_teacher, load_teacher(other, 1)))
        assert stage.run_config() != config, "taken over once"


async def test_settings_whose_database_is_gone_are_forgotten(database: Path) -> None:
    RunFolder.create(root(), RunConfig(data=DataConfig(database="/gone.db"), training=TrainingConfig(seed=5)))
    async with staged(database) as stage:
        view = await stage.show_teacher()
        await show_runs(stage)
        await stage.press("c")
        await answer(stage)
        await stage.tell(
            Answered(stage.app.teacher.say_not_opened, DistillError("There is no file /gone.db.", "")),
            Answered(stage.app.teacher.show_teacher, view),
        )
        assert stage.app.student.view.training.seed == 0


async def test_the_curves_of_marked_runs_are_drawn_over_each_other(database: Path) -> None:
    for hour, (name, cosine) in enumerate([("up", 0.8), ("down", 0.4)]):
        epochs = [events.epoch_finished(epoch, cosine=cosine + 0.1 * epoch) for epoch in (1, 2)]
        make_run(Made(name, hour=hour, epochs=epochs))
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
        assert chart.history["1"].y.tolist() == pytest.approx([0.8, 0.9])
        assert chart.history["2"].y.tolist() == pytest.approx([0.4, 0.5])
        legend = stage.text("#curve-legend").split("\n")
        assert "1 up  0.9000 at step 4" in legend[0]
        assert "2 down  0.5000 at step 4" in legend[1]
        assert chart.title == "validation cosine"
        assert stage.offers("train.curves")
        await stage.press("v")
        assert chart.history is stage.app.training.histories.by_metric["cosine"]
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


async def test_a_run_is_exported_to_the_folder_asked_for(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(Made("public"))
    asked: list[tuple[Path, Path]] = []

    def export(folder: RunFolder, directory: Path) -> Iterator[object]:
        asked.append((folder.path, directory))
        yield PartWritten(part="card", file="README.md")
        yield PartLeftOut(part="onnx", reason="onnx is not installed.")
        report = ExportReport(run=folder.name, complete=True)
        yield ExportFinished(directory=str(directory), report=report)

    monkeypatch.setattr("distill_core.export.export_run", export, raising=False)
    async with staged(database) as stage:
        await show_runs(stage)
        await stage.press("e")
        await stage.fill("#text", str(tmp_path / "out"))
        await stage.press("enter")
        assert stage.app.busy_with.view == "exporting to out"
        await answer(stage)
        assert asked == [(run.path, tmp_path / "out")]
        assert stage.app.busy_with.view == ""
        (toast,) = stage.toasts()
        assert str(tmp_path / "out") in toast.replace("\n", "")
        assert "Without onnx: onnx is not installed." in toast


async def test_an_export_that_fails_is_told(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def export(folder: RunFolder, directory: Path) -> Iterator[object]:
        raise ExportError("The folder holds something else.", "Take another one.")

    make_run(Made("public"))
    monkeypatch.setattr("distill_core.export.export_run", export, raising=False)
    async with staged(database) as stage:
        await show_runs(stage)
        await stage.press("e")
        await stage.press("enter")
        await answer(stage)
        assert stage.app.busy_with.view == ""
        assert any("The folder holds something else. Take another one." in toast for toast in stage.toasts())


async def test_the_path_is_copied(database: Path) -> None:
    run = make_run(Made("here"))
    async with staged(database) as stage:
        await show_runs(stage)
        await stage.press("y")
        assert stage.app.clipboard == str(run.path)


async def test_listing_again_moves_nothing_and_shows_what_is_new(database: Path) -> None:
    runs = [make_run(Made(f"run {number:02}", hour=number)) for number in range(40)]
    async with staged(database) as stage:
        await show_runs(stage)
        await put_cursor(stage, "run 05")
        table = stage.find("#run-table", RunTable)
        before = (table.cursor_row, table.scroll_offset)
        runs[5].mark("failed", "Broken.")
        stage.app.runs.list()
        await answer(stage)
        assert (table.cursor_row, table.scroll_offset) == before
        assert row(stage, "run 05")["state"] == "failed"
        make_run(Made("newest", hour=99))
        stage.app.runs.list()
        await answer(stage)
        assert names(stage)[0] == "newest"
        assert names(stage)[table.cursor_row] == "run 05"


def test_of_what_is_asked_for_meanwhile_only_the_last_is_done() -> None:
    done: list[int] = []
    queue = OnlyTheLast()

    def first() -> None:
        done.append(1)
        assert [queue.put(partial(done.append, number)) for number in (2, 3, 4)] == [False] * 3

    assert queue.put(first)
    queue.run()
    assert done == [1, 4]
    assert queue.put(first), "and the next time a thread is needed again"


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


async def test_a_run_that_cannot_be_gone_on_with_is_not_thrown_away(database: Path) -> None:
    config = RunConfig(data=DataConfig(database="/nothing.db"), training=TrainingConfig(device="cpu"))
    run = RunFolder.create(root(), config)
    RunStore(root()).annotate(run, "to look at later")
    async with staged(database, jobs=PromptJobs) as stage:
        await stage.show_teacher()
        await stage.go("runs")
        await stage.settle()
        await stage.press("r")
        assert stage.jobs.state is JobState.FAILED
        assert run.read_notes().annotation == "to look at later"
        stage.app.student.run_config = lambda teacher: config  # type: ignore[method-assign]
        assert stage.app.training.start()
        await stage.settle()
        assert stage.jobs.state is JobState.FAILED
    assert [Path(kept.path) for kept in RunStore(root()).list()] == [run.path]
