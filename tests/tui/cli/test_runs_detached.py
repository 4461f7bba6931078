"""A run without a terminal: paused, gone on with, stopped and judged, by commands of other processes."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from distill_core.errors import RunError
from distill_core.runs import RunFolder, RunStore
from distill_core.runs.detached import ask_to_leave, sweep_of
from distill_tui.cli import run


def test_a_detached_run_is_paused_gone_on_with_and_stopped(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["--recipe", "book", "--epochs", "1000000", "--device", "cpu"]
    assert run(["train", str(database), *settings, "--detach"]) == 0
    (row,) = RunStore().list()
    folder = RunFolder.open(row.path)
    try:
        first = folder.read_state().pid
        assert run(["runs", "pause", folder.id]) == 0
        assert f"runs resume {folder.id}" in capsys.readouterr().err
        assert folder.shown_state() == "stopped"
        assert run(["runs", "resume", folder.id]) == 0
        assert folder.shown_state() == "running"
        assert folder.read_state().pid not in (first, os.getpid())
        assert run(["runs", "stop", folder.id]) == 0
        assert "cosine" in capsys.readouterr().out
        evaluation = folder.read_evaluation()
        assert evaluation is not None
        assert evaluation.finished.epochs < 1000000
        assert folder.shown_state() == "stopped"
        assert run(["runs", "pause", folder.id]) == 2
        assert "is not being trained. It is stopped." in capsys.readouterr().err
    finally:
        if folder.shown_state() == "running":
            os.kill(folder.read_state().pid, signal.SIGKILL)


def test_what_is_not_detached_is_left_alone(database: Path) -> None:
    from tests.tui.runs_on_disk import Made, make_run

    folder = make_run(Made("here", database=str(database)))
    with folder.lock():
        folder.mark("running")
        with pytest.raises(RunError, match="in a terminal"):
            ask_to_leave(folder)
        of_sweep = folder.path.rename(folder.path.with_name("2026-11-26T065244-wide-2-c003-s1"))
        with pytest.raises(RunError, match="the sweep wide-2"):
            ask_to_leave(RunFolder.open(of_sweep))


@pytest.mark.parametrize(
    ("folder", "sweep"),
    [
        ("2026-11-26T065244-one-c000-s0", "one"),
        ("2026-11-26T065244-a-c1-c1234-s17", "a-c1"),
        ("2026-11-26T065244-n18-3d3d", ""),
        ("my-c000-s0", ""),
    ],
)
def test_the_name_of_a_folder_tells_its_sweep(folder: str, sweep: str) -> None:
    assert sweep_of(folder) == sweep
