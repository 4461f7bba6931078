"""What happened to runs and sweeps while the app was closed, in a few lines for its start."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from distill_core.errors import SweepError
from distill_tui.places import LastSeen, keep_last_seen, read_last_seen

if TYPE_CHECKING:
    from distill_core.runs import RunSummary

_MOST_NAMES = 4
_MOST_SWEEPS = 5


def read_news(runs: Sequence[RunSummary], root: Path) -> str:
    """Return what a user should know who comes back, empty for nothing; the next start begins from here.

    Args:
        runs: As they were listed.
        root: The folder that they are in.
    """
    from distill_core.runs.detached import sweep_of

    seen, now = read_last_seen(), time.time()
    changed = {run.path for run in runs if seen is not None and _written(run) > seen.seconds}
    told = set(seen.told) if seen is not None else set()
    single = [run for run in runs if not sweep_of(Path(run.path).name)]
    interrupted = [run for run in single if run.state == "interrupted"]
    new = [run for run in interrupted if run.path not in told] if seen is not None else []
    keep_last_seen(LastSeen(now, tuple(run.path for run in interrupted)))
    ended = [r for r in single if r.path in changed and r.state in ("finished", "failed", "stopped")]
    lines = [
        *_line("Still being trained", [run for run in single if run.state == "running"], "enter shows it"),
        *_line("Ended", ended, "enter shows it"),
        *_line("Lost its process", new, "r goes on"),
        *_of_sweeps({sweep_of(Path(path).name) for path in changed}, root),
    ]
    return "\n".join(lines)


def keep_seen() -> None:
    """Note that the app is left now."""
    seen = read_last_seen()
    keep_last_seen(LastSeen(time.time(), seen.told if seen is not None else ()))


def _line(title: str, runs: Sequence[RunSummary], key: str) -> Iterator[str]:
    if runs:
        names = ", ".join(
            f"{run.id} ({run.state})" if title == "Ended" else run.id for run in runs[:_MOST_NAMES]
        )
        more = f" and {len(runs) - _MOST_NAMES} more" if len(runs) > _MOST_NAMES else ""
        yield f"{title}: {names}{more}. Screen 6, {key}."


def _of_sweeps(changed: set[str], root: Path) -> Iterator[str]:
    """Yield the sweeps whose runs have changed, and those of this machine that are not over."""
    from distill_core.sweeps.storage import storage_place

    place = storage_place(None, root)
    if not place.is_there:
        return
    from distill_core.sweeps.ledger import SweepLedger
    from distill_core.sweeps.queue import queue_of
    from distill_core.sweeps.studies import sweep_names

    with contextlib.suppress(SweepError):  # a server that is away is told of where sweeps are looked at
        for name in sweep_names(place)[-_MOST_SWEEPS:]:
            ledger = SweepLedger(place, name)
            trials = ledger.current().values()
            left = sum(trial.is_open for trial in trials)
            is_mine = ledger.plan.queue == queue_of(root)
            if name not in changed and not (left and is_mine):
                continue
            is_worked_at = any(trial.state == "running" for trial in trials)
            if not left:
                state = "has ended"
            elif is_worked_at:
                state = "is being worked at"
            else:
                state = "waits, and nobody works at it: w starts a worker"
            yield f"{name}: {len(trials) - left} of {len(trials)} runs are done; it {state}. Screen 7."


def _written(run: RunSummary) -> float:
    """Return when a run's process wrote its state last, in seconds since 1970."""
    with contextlib.suppress(OSError):
        return (Path(run.path) / "state.json").stat().st_mtime
    return 0.0
