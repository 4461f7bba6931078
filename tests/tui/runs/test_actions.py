"""Screen 6: a run is named, thrown away, gone on with, taken as a pattern and handed on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.widgets import Input, Label

from distill_core.config import DataConfig, RunConfig, SplitConfig, TrainingConfig
from distill_core.errors import DistillError, ExportError
from distill_core.export import ExportFinished, ExportReport, PartLeftOut, PartWritten
from distill_core.runs import RunFolder, RunStore
from distill_core.students import EncoderConfig, MemoryConfig
from distill_tui.jobs import Answered, JobState
from distill_tui.teacher.loading import load_teacher, read_database
from tests.core.database_factory import write_lda_db
from tests.tui.runs.table import marks, names, put_cursor
from tests.tui.runs_on_disk import Made, answer, make_run, root, show_runs, store
from tests.tui.stage import PromptJobs, staged


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
        await stage.tell(Answered(stage.app.teacher.show_database, read_database(other)))
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
