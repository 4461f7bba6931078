"""Input that cannot be used: one sentence in the app and on the command line, and nothing is written."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from distill_core.students import kinds
from distill_core.students.spec import StudentConfig
from distill_tui.cli import run, train_command
from distill_tui.jobs import JobState
from tests.core.database_factory import write_lda_db
from tests.core.test_database_schema import execute
from tests.tui.stage import PromptJobs, Stage, staged

CENTROID, QUERY = "mh_1_cluster_2_centroid.npy", "question_3_model_1.npy"


@dataclass(frozen=True)
class Damage:
    """What to do to a good database, and what the sentence must name.

    Attributes:
        spoil: Receives the path of the database.
        names: Parts of the sentence; `{folder}` stands for the folder of the database.
        commands: On the command line; the others do not need what is spoilt.
    """

    spoil: Callable[[Path], object]
    names: tuple[str, ...]
    commands: tuple[str, ...] = ("train", "latency")


def vector(name: str, content: bytes | None) -> Callable[[Path], object]:
    """Return what replaces a vector file, or removes it."""

    def spoil(database: Path) -> None:
        file = database.parent / "embeddings" / name
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content)

    return spoil


def numbers(name: str, values: list[float]) -> Callable[[Path], object]:
    return lambda database: np.save(database.parent / "embeddings" / name, np.array(values, np.float32))


def sql(*statements: str) -> Callable[[Path], object]:
    return lambda database: execute(database, *statements)


def replaced_by_pipe(database: Path) -> None:
    database.unlink()
    os.mkfifo(database)


def replaced_by_folder(database: Path) -> None:
    database.unlink()
    database.mkdir()


def other_schema(database: Path) -> None:
    database.unlink()
    execute(database, "CREATE TABLE recipes (name TEXT)")


EVERYWHERE = ("train", "latency", "inspect")
DAMAGES = {
    "not SQLite": Damage(lambda path: path.write_text("I am a text."), ("{folder}/lda.db",), EVERYWHERE),
    "empty file": Damage(lambda path: path.write_bytes(b""), ("{folder}/lda.db",), EVERYWHERE),
    "garbage": Damage(
        lambda path: path.write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000),
        ("{folder}/lda.db",),
        EVERYWHERE,
    ),
    "gone": Damage(lambda path: path.unlink(), ("{folder}/lda.db",), EVERYWHERE),
    "folder": Damage(replaced_by_folder, ("{folder}/lda.db", "folder"), EVERYWHERE),
    "pipe": Damage(replaced_by_pipe, ("{folder}/lda.db", "pipe"), EVERYWHERE),
    "other schema": Damage(other_schema, ("{folder}/lda.db", "table"), EVERYWHERE),
    "no projections": Damage(
        sql("DELETE FROM multi_head_projections"), ("{folder}/lda.db", "no multi-head projection")
    ),
    "no heads": Damage(sql("DELETE FROM cluster_heads"), ("heads",)),
    "no query vectors": Damage(sql("DELETE FROM embeddings WHERE entity_type = 'question'"), ("question",)),
    "no models": Damage(sql("DELETE FROM embedding_models"), ("multi_head_projections", "embedding_models")),
    "missing centroid": Damage(vector(CENTROID, None), (CENTROID,)),
    "missing query": Damage(vector(QUERY, None), (QUERY,)),
    "truncated": Damage(vector(QUERY, b"\x93NUMPY\x01\x00"), (f"{{folder}}/embeddings/{QUERY}", "truncated")),
    "pickled": Damage(vector(CENTROID, pickle.dumps([1.0])), (f"{{folder}}/embeddings/{CENTROID}", "pickle")),
    "wrong dimension": Damage(numbers(QUERY, [1, 2, 3]), (f"{{folder}}/embeddings/{QUERY}", "(3,)", "(8,)")),
    "NaN": Damage(numbers(CENTROID, [1, float("nan"), *[0] * 6]), (CENTROID, "NaN")),
    "all zero": Damage(numbers(QUERY, [0] * 8), (QUERY, "zero")),
    "tau zero": Damage(
        sql("UPDATE multi_head_projections SET temperature = 0 WHERE mh_projection_id = 1"),
        ("multi_head_projections row 1", "temperature"),
    ),
    "tau negative": Damage(
        sql("UPDATE multi_head_projections SET temperature = -0.1 WHERE mh_projection_id = 1"),
        ("multi_head_projections row 1", "-0.1"),
    ),
}


def contents(folder: Path) -> dict[str, tuple[int, int]]:
    """Return every file below a folder with its size and the time it was last written to."""
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in folder.rglob("*")}


def one_sentence(text: str, names: tuple[str, ...], folder: Path) -> None:
    """Check that a text is one line, names what it should, and is no traceback."""
    assert "\n" not in text.strip()
    assert "Traceback" not in text
    assert "Error: " not in text.removeprefix("Error: "), "foreseen, so not by the name of its exception"
    for name in names:
        assert name.format(folder=folder).lower() in text.lower()


def on_the_command_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str], names: tuple[str, ...], folder: Path
) -> None:
    before = contents(folder)
    code = run(arguments)
    out, err = capsys.readouterr()
    assert code == 2, err
    assert out == ""
    assert err.startswith("distill-tui: ")
    assert err.endswith("\n")
    one_sentence(err, names, folder)
    assert contents(folder) == before, "something was written beside the database"


@pytest.mark.parametrize("which", DAMAGES)
def test_the_command_line_says_one_sentence_and_leaves_with_2(
    tmp_path: Path, which: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    damage = DAMAGES[which]
    folder = tmp_path / "data"
    database = write_lda_db(folder, questions_per_head=6)
    damage.spoil(database)
    for command in damage.commands:
        on_the_command_line([command, str(database)], capsys, damage.names, folder)


async def says(stage: Stage, names: tuple[str, ...], folder: Path) -> None:
    """Check that the newest notification is an error of one sentence, then take all of them away."""
    await stage.settle()
    notification = list(stage.app._notifications)[-1]
    assert notification.severity == "error"
    one_sentence(notification.message, names, folder)
    shown = "".join(stage.toasts()[-1].split())
    assert "".join(notification.message.split()) in shown
    stage.app.clear_notifications()


async def test_the_app_says_one_sentence_and_stays_usable(tmp_path: Path, database: Path) -> None:
    """Every damage in one app, one after the other, with a good database opened after each."""
    async with staged(database, jobs=PromptJobs) as stage:
        for number, (which, damage) in enumerate(DAMAGES.items()):
            folder = tmp_path / f"bad-{number}"
            bad = write_lda_db(folder, questions_per_head=6)
            damage.spoil(bad)
            before = contents(folder)
            stage.app.teacher.open(bad)
            await says(stage, damage.names, folder)
            assert stage.app.busy_with.view == "", which
            assert contents(folder) == before, which

            stage.app.teacher.open(database)
            await stage.settle()
            assert stage.app.teacher.view is not None, which
            assert stage.app.teacher.view.path == database, which
            assert not stage.toasts(), which


async def test_a_file_that_vanishes_under_the_app(tmp_path: Path, database: Path) -> None:
    other = write_lda_db(tmp_path / "other", questions_per_head=6)
    async with staged(other, jobs=PromptJobs) as stage:
        view = stage.app.teacher.view
        assert view is not None
        other.unlink()
        stage.app.teacher.choose_projection(2)
        await says(stage, ("{folder}/lda.db",), other.parent)
        assert stage.app.teacher.view is view

        assert stage.app.training.start()
        await stage.settle()
        assert stage.app.training.view.state is JobState.FAILED
        one_sentence(stage.app.training.view.error, ("{folder}/lda.db",), other.parent)
        assert stage.app.training.view.trace == ""
        await stage.go("train")
        assert stage.text("#run-headline").strip().startswith("Failed: ")

        stage.app.teacher.open(database)
        await stage.settle()
        assert stage.app.teacher.view is not None
        assert stage.app.teacher.view.path == database


async def test_fewer_than_ten_queries_in_the_app(tmp_path: Path) -> None:
    database = write_lda_db(tmp_path / "db", num_heads=3, questions_per_head=3)
    async with staged(database, jobs=PromptJobs) as stage:
        assert stage.app.teacher.view is not None
        assert "only 9 queries" in " ".join(stage.text("#facts").split())
        assert stage.app.training.start()
        await stage.settle()
        assert stage.app.training.view.state is JobState.FAILED
        one_sentence(stage.app.training.view.error, ("9 queries", "10"), database.parent)


def test_fewer_than_ten_queries_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = write_lda_db(tmp_path / "db", num_heads=3, questions_per_head=3)
    on_the_command_line(["train", str(database)], capsys, ("9 queries", "10"), database.parent)


def test_a_file_that_vanishes_under_the_command_line(
    database: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shaped = kinds.shaped_student

    def vanish(kind: str, given: dict[str, object], num_heads: int, dimension: int) -> StudentConfig:
        database.unlink()
        return shaped(kind, given, num_heads, dimension)

    monkeypatch.setattr(train_command, "shaped_student", vanish)
    code = run(["train", str(database)])
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    one_sentence(err, (str(database),), database.parent)


@pytest.mark.parametrize("command", ["train", "latency"])
def test_a_projection_that_is_not_there(
    database: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("{folder}/lda.db", "no projection 7", "1, 2")
    on_the_command_line([command, str(database), "--mh-id", "7"], capsys, names, database.parent)


@pytest.mark.parametrize("command", ["train", "latency"])
def test_heads_that_do_not_divide_the_dimension(
    database: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("H = 3", "dimension 8", "1, 2, 4")
    on_the_command_line([command, str(database), "--heads", "3"], capsys, names, database.parent)


def test_a_device_that_is_not_there(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    missing = next(
        device
        for device, there in (("mps", torch.backends.mps.is_available()), ("cuda", torch.cuda.is_available()))
        if not there
    )
    arguments = ["train", str(database), "--device", missing]
    on_the_command_line(arguments, capsys, (missing,), database.parent)


@pytest.mark.parametrize(
    "content", [None, b"", b"{}", pickle.dumps([1])], ids=["missing", "empty", "text", "pickle"]
)
def test_a_student_that_cannot_be_read(
    database: Path, tmp_path: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "student.pt"
    if content is not None:
        file.write_bytes(content)
    arguments = ["latency", str(database), "--student", str(file)]
    on_the_command_line(arguments, capsys, (str(file),), database.parent)
    on_the_command_line(["evaluate", str(file), "--db", str(database)], capsys, (str(file),), database.parent)


@pytest.mark.parametrize(
    "name",
    ["x" * 300, "no-such-word", "sub/absent.db", "~nobody-of-this-name/lda.db"],
    ids=["too long", "word", "path", "nobody"],
)
def test_a_first_word_that_is_neither_command_nor_database(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run([name]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    one_sentence(err, (name[:50],), tmp_path)
