from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from textual.widgets import DirectoryTree, Input, Label, OptionList

from distill_core.config import DataConfig, RunConfig
from distill_core.database import demo_database_path
from distill_tui import places
from distill_tui.jobs import JobState
from distill_tui.training.desk import TrainingView
from distill_tui.ui.database_picker import DatabasePicker, PathCompletion
from distill_tui.ui.dialogs import SaveDialog
from tests.core.database_factory import write_vector_folder
from tests.tui.stage import PromptJobs, Stage, staged


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of its own, for the tree of files and for what is saved."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


async def submit_path(stage: Stage, text: str) -> None:
    await stage.fill("#path", text)
    await stage.press("enter")
    if isinstance(stage.screen, DatabasePicker) and not path_error(stage):
        await stage.press("enter")  # the first one took a completion


def path_error(stage: Stage) -> str:
    label = stage.find("#path-error", Label)
    return str(label.content) if label.has_class("-shown") else ""


def tree_labels(stage: Stage) -> set[str]:
    tree = stage.find("#files", DirectoryTree)
    return {str(node.label) for node in tree.root.children}


async def tree_is_read(stage: Stage) -> None:
    """Wait until the tree's own thread has read the working directory."""
    for _ in range(500):
        tree = stage.find("#files", DirectoryTree)
        if tree.root.children:
            return
        await stage.pilot.pause(0.02)
    raise AssertionError("the tree was not read")


async def test_a_typed_path_is_opened(database: Path, folder: Path) -> None:
    async with staged(database, picker=True) as stage:
        await submit_path(stage, str(database))
        assert not isinstance(stage.screen, DatabasePicker)
        assert stage.app.busy_with.view == "opening lda.db"
        assert stage.jobs.groups == ["ask"]


async def test_the_whole_path_of_a_file_needs_one_enter(database: Path, folder: Path) -> None:
    """What would complete it is gone by then; it is there while the path is not whole."""
    async with staged(database, picker=True) as stage:
        field = stage.find("#path", Input)
        field.focus()
        field.value = str(database)[:-2]
        await stage.press("end", str(database)[-2])
        completion = stage.screen.query_one(PathCompletion)
        assert await stage.reach(lambda: completion.display)
        await stage.press(str(database)[-1])
        assert field.value == str(database)
        await stage.press("enter")
        assert not isinstance(stage.screen, DatabasePicker)
        assert stage.opened == [database]


async def test_a_wrong_path_is_said_and_the_dialog_stays(
    database: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder))
    (folder / "[bold]").mkdir()
    async with staged(database, picker=True) as stage:
        for typed, complaint in (
            ("absent.db", "There is no file or folder absent.db."),
            ("absent[/red].db", "There is no file or folder absent[/red].db."),
            (
                str(folder / "[bold]"),
                f"{folder}/[bold] is a folder with neither an lda.db nor a centroids.npy in it.",
            ),
            ("~", f"{folder} is a folder with neither an lda.db nor a centroids.npy in it."),
            ("~nobody-of-this-name/lda.db", "There is no file or folder ~nobody-of-this-name/lda.db."),
            ("x" * 250, f"There is no file or folder {'x' * 250}."),
            (
                "x" * 300,
                f"There is no file or folder {'x' * 173}…{'x' * 98}.",
            ),  # 300 characters, both ends kept
            (f"{database}/lda.db", f"There is no file or folder {database}/lda.db."),
        ):
            await submit_path(stage, typed)
            assert isinstance(stage.screen, DatabasePicker)
            assert path_error(stage) == complaint
            assert "".join(complaint[:30].split()) in "".join(stage.visible("#path-error").split())
        await stage.press("x")
        assert path_error(stage) == "", "typing on takes the complaint away"
        await submit_path(stage, str(database))
        assert stage.jobs.groups == ["ask"], "only the right path was opened"


async def test_recent_databases_and_the_demo_can_be_chosen(database: Path, folder: Path) -> None:
    odd = folder / "[i]odd[" / "red]" / "lda.db"
    odd.parent.mkdir(parents=True)
    shutil.copy(database, odd)
    for path in (odd, database):
        places.remember(path)
    async with staged(database, picker=True) as stage:
        options = stage.find("#recent", OptionList)
        prompts = [str(options.get_option_at_index(row).prompt) for row in range(options.option_count)]
        assert prompts == [str(database), str(odd), "the bundled demo: 36 topics, 432 questions"]
        assert "[i]odd[/red]/lda.db" in stage.visible("#recent").replace("\n", "")
        assert stage.screen.focused is stage.find("#path", Input), "an empty path is the first one"
        for keys in (("enter",), ("tab", "down", "enter"), ("tab", "end", "enter")):
            await stage.press(*keys)
            assert not isinstance(stage.screen, DatabasePicker)
            await stage.press("o")
        assert stage.opened == [database, odd, demo_database_path()]


async def test_a_recent_database_that_is_gone_is_not_offered(database: Path, folder: Path) -> None:
    places.remember(folder / "gone.db")
    async with staged(database, picker=True) as stage:
        assert "gone.db" not in stage.visible("#recent")


async def test_the_tree_offers_folders_and_sqlite_files_only(database: Path, folder: Path) -> None:
    (folder / "text.db").write_text("I am no database")
    (folder / "notes.txt").write_bytes(b"SQLite format 3\x00")
    (folder / ".hidden.db").write_bytes(database.read_bytes())
    (folder / "empty.sqlite").touch()
    for name in ("lda.db", "other.SQLITE3", "[b]raw[@x].sqlite"):
        shutil.copy(database, folder / name)
    (folder / "data").mkdir()
    (folder / "loop.db").symlink_to(folder / "loop.db")
    async with staged(database, picker=True) as stage:
        await tree_is_read(stage)
        assert tree_labels(stage) == {"data", "lda.db", "other.SQLITE3", "[b]raw[@x].sqlite"}


async def test_a_file_of_the_tree_is_opened(database: Path, folder: Path) -> None:
    shutil.copy(database, folder / "only.db")
    async with staged(database, picker=True) as stage:
        await tree_is_read(stage)
        stage.find("#files", DirectoryTree).focus()
        await stage.press("down", "enter")
        assert not isinstance(stage.screen, DatabasePicker)
        assert stage.app.busy_with.view == "opening only.db"


async def test_the_path_is_completed(database: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(database.parent.parent))
    shutil.copy(database, folder / "wonderful.db")
    top = f"/{folder.parts[1]}"
    async with staged(database, picker=True) as stage:
        field = stage.find("#path", Input)
        for typed, completed in (
            ("won", "wonderful.db"),
            ("../d", "../db/"),
            (top[:-1], f"{top}/"),
            (f"{folder}/won", f"{folder}/wonderful.db"),
            ("~/d", "~/db/"),
        ):
            await stage.fill("#path", "")
            await stage.fill("#path", typed)
            await stage.press("enter")
            assert field.value == completed
        await stage.fill("#path", "~/db/ld")
        await stage.press("enter", "enter")
        assert stage.app.busy_with.view == "opening lda.db"


async def test_escape_leaves_the_picker_and_changes_nothing(database: Path, folder: Path) -> None:
    async with staged(database) as stage:
        view = await stage.show_teacher()
        before = list(stage.jobs.groups)
        await stage.press("o")
        assert isinstance(stage.screen, DatabasePicker)
        await stage.press("escape")
        assert not isinstance(stage.screen, DatabasePicker)
        assert stage.app.teacher.view is view
        assert stage.jobs.groups == before


async def test_saving_is_offered_once_there_is_a_student(database: Path, folder: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.press("ctrl+s")
        assert not isinstance(stage.screen, SaveDialog)
        await stage.start_training()
        await stage.press("ctrl+s")
        assert not isinstance(stage.screen, SaveDialog)


async def test_the_save_dialog_confirms_before_it_replaces(
    database: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    existing = folder / "[b]old.pt"
    existing.write_text("precious")
    saved: list[Path] = []
    async with staged(database) as stage:
        monkeypatch.setattr(stage.app.training, "save_student", saved.append)
        await stage.show_teacher()
        await stage.train_to_the_end()
        await stage.press("ctrl+s")
        assert isinstance(stage.screen, SaveDialog)

        for name in ("", str(folder)):
            await stage.fill("#file", name)
            await stage.press("enter")
            assert "Name a file." in stage.text("#save-note")
        await stage.fill("#file", existing.name)
        await stage.press("enter")
        assert isinstance(stage.screen, SaveDialog)
        assert "[b]old.pt exists; enter again to replace it." in stage.text("#save-note")
        await stage.fill("#file", "x" * 300)
        await stage.fill("#file", existing.name)
        await stage.press("enter")
        assert saved == [existing.absolute()]

        await stage.press("ctrl+s")
        await stage.fill("#file", "~nobody-of-this-name/new.safetensors")
        await stage.press("enter")
        assert saved[1:] == [folder / "~nobody-of-this-name" / "new.safetensors"]

        await stage.press("ctrl+s", "escape")
        assert len(saved) == 2
        assert existing.read_text() == "precious"


async def test_the_trained_student_is_written_or_it_is_said_why_not(
    database: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distill_core.runs import RecordedRun, RunFolder
    from distill_core.students import ProjectionTransformer, load_student
    from distill_core.training import TrainingSession

    (folder / "file").touch()
    async with staged(database, jobs=PromptJobs) as stage:
        student = ProjectionTransformer(8, 4, 1, 16)
        monkeypatch.setattr(TrainingSession, "student", student)
        recorded = RecordedRun(RunFolder("nowhere"))
        recorded.session = TrainingSession(RunConfig(data=DataConfig(database=str(database))))
        stage.app.training.run = recorded
        stage.app.training.publish(TrainingView(JobState.FINISHED))
        stage.app.refresh_bindings()
        for name, title in (
            ("student.safetensors", "Student saved"),
            ("student.pt", "Student saved"),
        ):
            await stage.press("ctrl+s")
            await stage.fill("#file", name)
            await stage.press("enter")
            toast = stage.toasts()[-1]
            assert toast.startswith(title)
            assert str(folder / name) in "".join(toast.split())
        await stage.press("ctrl+s")
        for name, why in (("file/student.pt", "cannot be written"), (str(database), "belongs to a database")):
            await stage.fill("#file", name)
            await stage.press("enter")
            assert why in stage.text("#save-note")
    for name in ("student.safetensors", "student.pt"):
        assert load_student(folder / name, dimension=8).ff_dim == 16


async def test_a_folder_of_vectors_is_offered_and_opens(database: Path, folder: Path) -> None:
    vectors = write_vector_folder(folder / "vectors")
    places.remember(vectors)
    async with staged(database, picker=True) as stage:
        await tree_is_read(stage)
        assert "vectors  vectors" in stage.visible("#files")
        await stage.press("enter")  # the one opened last
        await stage.press("o")
        await submit_path(stage, str(vectors))
        await stage.press("o")
        await tree_is_read(stage)
        stage.find("#files", DirectoryTree).focus()
        await stage.press("down", "enter")
        assert stage.opened == [vectors] * 3
        assert not isinstance(stage.screen, DatabasePicker)


async def test_the_teacher_of_a_folder_of_vectors_is_shown(database: Path, folder: Path) -> None:
    vectors = write_vector_folder(folder / "vectors", temperatures=(0.1, 0.05))
    async with staged(database) as stage:
        await stage.show_teacher(2, vectors)
        assert "0.05" in stage.visible("#facts")
        assert "question 0 about topic 0" in stage.visible("#questions")
        assert "true cluster: topic 0" in stage.visible("#routing-caption")
