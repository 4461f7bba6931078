"""A system that allows few threads."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from distill_tui import threads
from distill_tui.app import DistillApp
from distill_tui.cli import run
from distill_tui.jobs import JobState

FAILURE = "can't start new thread"


def allow(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Let so many threads be alive at once beside those that are."""
    start, there = threading.Thread.start, threading.active_count()

    def start_or_fail(thread: threading.Thread) -> None:
        if threading.active_count() >= there + count:
            raise RuntimeError(FAILURE)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_or_fail)


def test_as_many_threads_as_allowed_can_be_started_and_none_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = threading.active_count()
    allow(monkeypatch, 3)
    assert threads.can_start_threads(3)
    assert not threads.can_start_threads(4)
    assert threads.can_start_threads(3)
    assert threading.active_count() == before


@pytest.mark.parametrize(("allowed", "set_to"), [(200, None), (2, "1")])
def test_native_libraries_get_one_thread_where_few_are_allowed(
    monkeypatch: pytest.MonkeyPatch, allowed: int, set_to: str | None
) -> None:
    monkeypatch.setattr(os, "environ", {})
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    allow(monkeypatch, allowed)
    threads.fit_to_thread_limit()
    assert {os.environ.get(f"{name}_NUM_THREADS") for name in ("OPENBLAS", "OMP", "MKL")} == {set_to}


def test_the_app_is_not_begun_where_its_threads_are_not_allowed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", os.fdopen(os.openpty()[1]))
    monkeypatch.setattr("sys.__stderr__", os.fdopen(os.openpty()[1], "w"))
    allow(monkeypatch, threads.APP_THREADS - 1)
    assert run(["demo"]) == 1
    said = capsys.readouterr().err
    assert "allows no more threads" in said
    assert "ulimit -u" in said


async def test_what_cannot_be_begun_for_want_of_a_thread_ends_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, database: Path
) -> None:
    app = DistillApp(database)
    async with app.run_test(size=(120, 36)) as pilot:
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert app.teacher.view is not None
        monkeypatch.setattr("distill_tui.jobs.can_start_threads", lambda count: False)
        await pilot.press("ctrl+t")
        await pilot.pause()
        assert app.training.view.state is JobState.FAILED
        assert "allows no more threads" in app.training.view.error
        assert not app.jobs.is_busy
