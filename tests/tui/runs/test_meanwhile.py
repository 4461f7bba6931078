from __future__ import annotations

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from distill_core.runs import RunSummary
from distill_tui.places import LastSeen, keep_last_seen, read_last_seen
from distill_tui.runs.meanwhile import read_news
from tests.tui.runs_on_disk import Made, answer, made_up_runs, make_run, store
from tests.tui.stage import staged

NOW = 1_700_000_000.0


def known(tmp_path: Path, name: str, state: str, written: float) -> RunSummary:
    """Return a run whose process wrote its state at a time."""
    folder = tmp_path / "runs" / f"2026-07-11T090000-n18-{name}"
    folder.mkdir(parents=True)
    (folder / "state.json").touch()
    os.utime(folder / "state.json", (written, written))
    return replace(made_up_runs()[0], path=str(folder), state=state)


def test_what_went_on_ended_and_was_interrupted_is_told_with_its_key(tmp_path: Path) -> None:
    keep_last_seen(LastSeen(NOW))
    runs = [
        known(tmp_path, "0001", "running", NOW - 9),
        known(tmp_path, "0002", "finished", NOW + 5),
        known(tmp_path, "0003", "failed", NOW + 6),
        known(tmp_path, "0004", "interrupted", NOW - 5),
        known(tmp_path, "0005", "finished", NOW - 5),
    ]
    news = read_news(runs, tmp_path / "runs")
    assert news.splitlines() == [
        "Still being trained: 0001. Screen 6, enter shows it.",
        "Ended: 0002 (finished), 0003 (failed). Screen 6, enter shows it.",
        "Lost its process: 0004. Screen 6, r goes on.",
    ]
    assert read_news(runs[1:], tmp_path / "runs") == "", "told once"


def test_the_first_start_of_all_tells_only_what_goes_on(tmp_path: Path) -> None:
    runs = [known(tmp_path, "0001", "running", 1.0), known(tmp_path, "0002", "finished", 2.0)]
    assert read_news(runs, tmp_path / "runs") == "Still being trained: 0001. Screen 6, enter shows it."


@pytest.mark.parametrize("seconds", [0.0, 4e9])
async def test_the_start_tells_it_in_a_toast(database: Path, seconds: float) -> None:
    make_run(Made("done", cosines={1: 0.9}))
    keep_last_seen(LastSeen(seconds))
    (run,) = store().list()
    async with staged(database) as stage:
        await stage.show_teacher()
        await answer(stage)
        told = [toast for toast in stage.toasts() if "While you were away" in toast]
        assert bool(told) is (seconds == 0.0)
        assert all(f"Ended: {run.id} (finished)" in toast for toast in told)
    seen = read_last_seen()
    assert seen is not None
    assert seen.seconds > seconds or seconds > 2e9
