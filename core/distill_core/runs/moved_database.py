"""The database of a run, also when it was moved: what it holds tells it, its place does not."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from distill_core.config import RunConfig
from distill_core.database import LdaDatabase
from distill_core.errors import DistillError, RunError
from distill_core.runs.folder import RunFolder, absolute
from distill_core.runs.provenance import what_differs
from distill_core.runs.records import DataRecord
from distill_core.teacher_data import read_questions

_MAX_FOLDERS = 500
"""Folders beside the old place that are looked into."""


def locate_database(folder: RunFolder, given: str | os.PathLike[str] | None = None) -> tuple[RunConfig, str]:
    """Return a run's settings with the place where its database is now, and a sentence if that is another.

    A new place is written into the run, unless it is being trained by another process.

    Args:
        folder: The run.
        given: Where the user says that it is; otherwise it is searched for beside its old place, beside the
            run, and below the working directory.

    Raises:
        RunError: It is not there, or what is there holds something else.
    """
    config, data = folder.read_config(), folder.read_data()
    old = Path(config.data.database)
    if given is None and old.exists():
        return config, ""  # whether it still holds the same is asked by whoever reads it
    new = absolute(given) if given is not None else _found(folder, config, data)
    if new is None:
        raise RunError(
            f"{old} is missing, and no database that {folder.name} was trained on was found nearby.",
            "Say where it is now with --db, or put it back.",
        )
    moved = config.with_values(data=config.data.with_values(database=str(new)))
    if given is not None and data is not None and (difference := _difference(moved, data)):
        raise changed(new, folder, difference)
    if new == old:
        return config, ""
    with contextlib.suppress(RunError):  # a run that can only be read is still of use
        if folder.is_ours or folder.shown_state() != "running":
            folder.write_config(moved)
    return moved, f"The database of {folder.name} was {old} and is {new} now; it holds the same."


def changed(database: str | os.PathLike[str], folder: RunFolder, difference: str) -> RunError:
    """Return the error for a database that holds something else than what a run was trained on."""
    return RunError(
        f"{database} has changed since {folder.name} was started: {difference}.",
        "Restore it, name another place with --db, or clone the settings into a new run.",
    )


def _difference(config: RunConfig, data: DataRecord) -> str:
    with LdaDatabase(config.data.database) as database:
        labelled = read_questions(database, config.data.mh_id, config.data.temperature)
    return what_differs(data, labelled, config.data.database)


def _found(folder: RunFolder, config: RunConfig, data: DataRecord | None) -> Path | None:
    """Return the first file nearby that holds the same; without a record of that nothing is taken."""
    if data is None:
        return None
    for candidate in dict.fromkeys(_candidates(folder, Path(config.data.database))):
        with contextlib.suppress(DistillError, OSError):
            there = config.with_values(data=config.data.with_values(database=str(candidate)))
            if candidate.is_file() and not _difference(there, data):
                return candidate
    return None


def _candidates(folder: RunFolder, old: Path) -> Iterator[Path]:
    """Yield where a database may be that was moved: the end of its old path below what is still there."""
    kept = next((parent for parent in old.parents if parent.is_dir()), None)
    roots = [*folder.path.parents, Path.cwd(), *([] if kept is None else [kept])]
    ends = [Path(*old.parts[-length:]) for length in range(min(len(old.parts) - 1, 3), 0, -1)]
    for root in roots:
        yield from (root / end for end in ends)
    runs = folder.path.parent
    for beside in dict.fromkeys((*([] if kept is None else [kept]), runs, runs.parent, Path.cwd())):
        with contextlib.suppress(OSError):
            folders = (entry for entry in os.scandir(beside) if entry.is_dir(follow_symlinks=False))
            yield from (Path(entry.path, old.name) for entry in islice(folders, _MAX_FOLDERS))
