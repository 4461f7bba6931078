"""The rows of many runs kept between processes: never wrong, never needed."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from distill_core.runs import RunFolder, RunStore, RunSummary, listing, liveness
from distill_core.runs.summary import summarise
from tests.core.test_runs_folder import Clock, make_run

COUNT = 4


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs whose files are some time old."""
    monkeypatch.setattr(listing, "MIN_RUNS", COUNT)
    monkeypatch.setattr(listing, "MIN_NEW", 1)
    for _ in range(COUNT):
        age(make_run(tmp_path / "runs"))
    return tmp_path / "runs"


def age(run: RunFolder) -> None:
    for file in run.path.rglob("*"):
        os.utime(file, ns=(1, file.stat().st_mtime_ns - 10_000_000_000))


def looked_at(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], tuple[RunSummary, ...]]:
    """List the runs as a new process does; return which of them were read, and the rows."""
    read: list[str] = []

    def counted(run: RunFolder) -> object:
        read.append(run.name)
        return summarise(run)

    with monkeypatch.context() as patch:
        patch.setattr(listing, "summarise", counted)
        return read, RunStore(root, Clock()).list()


def test_only_what_has_changed_is_read_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, rows = looked_at(root, monkeypatch)
    assert len(read) == COUNT
    assert looked_at(root, monkeypatch) == ([], rows)
    changed = RunFolder(rows[1].path)
    with (changed.path / "metrics.jsonl").open("ab") as file:
        file.write(b"x\n")
    read, now = looked_at(root, monkeypatch)
    assert read == [changed.name]
    assert "metrics.jsonl" in now[1].problem
    assert now[0] == rows[0]


def test_a_file_that_was_just_written_is_looked_at_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may change once more within the same tick of the clock of the file system."""
    new = make_run(root)
    looked_at(root, monkeypatch)
    assert looked_at(root, monkeypatch)[0] == [new.name]


@pytest.mark.parametrize("content", [b"", b"\x81", b"[" * 90_000, b"\x00" * 40])
def test_a_damaged_cache_is_as_none(root: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    _, rows = looked_at(root, monkeypatch)
    (file,) = Path(os.environ["DISTILL_TUI_CACHE"]).glob("*.runs")
    file.write_bytes(content)
    read, again = looked_at(root, monkeypatch)
    assert (len(read), again) == (COUNT, rows)


def test_rows_of_another_version_are_not_taken(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at(root, monkeypatch)
    monkeypatch.setattr(listing, "_LAYOUT", "another")
    assert len(looked_at(root, monkeypatch)[0]) == COUNT


def test_few_runs_and_a_cache_that_cannot_be_written_are_read(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(listing, "MIN_RUNS", COUNT + 1)
    assert [len(looked_at(root, monkeypatch)[0]) for _ in range(2)] == [COUNT, COUNT]
    monkeypatch.setattr(listing, "MIN_RUNS", COUNT)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DISTILL_TUI_CACHE", str(tmp_path / "file"))
    assert [len(looked_at(root, monkeypatch)[0]) for _ in range(2)] == [COUNT, COUNT]


def test_a_run_whose_process_is_gone_shows_so_from_the_cache(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(RunStore(root).list()[0].path)
    state = run.mark("running")
    here = liveness.process_start(os.getpid()).rpartition(":")[0]
    run.write_state(msgspec.structs.replace(state, pid=2**22 + 1, process_start=f"{here}:1"))
    age(run)
    looked_at(root, monkeypatch)
    read, rows = looked_at(root, monkeypatch)
    assert read == []
    assert next(row for row in rows if row.path == str(run.path)).state == "interrupted"
