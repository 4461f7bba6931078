"""What a run was trained on, whether it is the same still, and where its database is now."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
from collections.abc import Iterable, Iterator
from importlib import metadata
from itertools import islice
from pathlib import Path

from distill_core.config import RunConfig
from distill_core.database import is_database, is_vector_folder, open_database
from distill_core.errors import DistillError, RunError
from distill_core.runs.atomic_files import reading_error
from distill_core.runs.folder import RunFolder, absolute
from distill_core.runs.records import Attempt, DataRecord
from distill_core.teacher_data import LabelledQuestions, arrays_sha256, content_sha256, read_questions

_DECIDING = ("torch", "numpy", "scipy")
"""Packages whose version may change a bit of the weights."""

_PACKAGES = ("distill-tui", "torch", "numpy", "scipy", "safetensors", "msgspec")


def database_sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes, or of the content of a folder of vectors, in hexadecimal.

    Raises:
        DistillError: It is missing or cannot be read.
    """
    file = Path(path)
    if is_vector_folder(file):
        with open_database(file) as folder:
            return folder.sha256
    try:
        with file.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise reading_error(file, error) from error


def vectors_sha256(labelled: LabelledQuestions) -> str:
    """Return the SHA-256 of centroids, answers and queries, in hexadecimal."""
    return arrays_sha256(labelled.teacher.centroids, labelled.teacher.answers, labelled.queries)


def what_differs(record: DataRecord, labelled: LabelledQuestions, database: str | os.PathLike[str]) -> str:
    """Return what is not as a run recorded it, as the end of a sentence; empty if all that it reads is.

    An older version recorded no identity of the content, but the vectors' or, before that, the file's alone.

    Args:
        record: Of the run.
        labelled: What was read of the database that may be the run's, wherever it lies now.
        database: Its path, for records that know nothing but the hash of the file.
    """
    tau = labelled.teacher.temperature
    if record.temperature != tau:
        return f"its temperature is {tau:g}, it was {record.temperature:g}"
    if record.content_sha256:
        same = record.content_sha256 == content_sha256(labelled)
    elif record.vectors_sha256:
        same = record.vectors_sha256 == vectors_sha256(labelled)
    else:
        same = record.database_sha256 == database_sha256(database)
    return "" if same else "its heads, questions or answers are not what they were"


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a run's figures, by name."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return versions


def differing_words(attempts: Iterable[Attempt], data: DataRecord | None) -> str:
    """Say what differs between the machines and packages that a run was trained with; empty if nothing does.

    Args:
        attempts: All goings at the run, the present one last; those that never trained say nothing.
        data: What the run was started with; knows the packages also where there were no attempts yet.
    """
    known: dict[str, list[str]] = {}
    first = () if data is None else (_packages(data.packages),)
    for facts in (*first, *(_facts(attempt) for attempt in attempts)):
        for name, value in facts.items():
            known.setdefault(name, []).append(value)
    differing = {name: values for name, values in known.items() if len(set(values)) > 1}
    if not differing.keys() - {"machine"}:
        return ""
    told = "; ".join(
        f"{name} {values[-1]}, before {' and '.join(dict.fromkeys(v for v in values if v != values[-1]))}"
        for name, values in differing.items()
    )
    return (
        f"The run was resumed elsewhere or otherwise ({told}): its weights may differ in their last bits "
        "from those of a run that was never interrupted."
    )


def _facts(attempt: Attempt) -> dict[str, str]:
    """Return what decides on the bits, in words, by name."""
    machine = attempt.machine
    if machine is None:
        return {}
    return {
        "machine": attempt.host,
        "CPU": machine.cpu,
        "CPU capability": machine.torch_cpu_capability,
        "threads": str(machine.threads),
        "BLAS": machine.blas or "unknown",
        "GPU": machine.gpu or "none",
        "device": attempt.device,
        "system": machine.system,
        **_packages(attempt.packages),
    }


def _packages(versions: dict[str, str]) -> dict[str, str]:
    return {name: versions[name] for name in _DECIDING if name in versions}


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
    with open_database(config.data.database) as database:
        labelled = read_questions(database, config.data.mh_id, config.data.temperature)
    return what_differs(data, labelled, config.data.database)


def _found(folder: RunFolder, config: RunConfig, data: DataRecord | None) -> Path | None:
    """Return the first database nearby that holds the same; without a record of that nothing is taken."""
    if data is None:
        return None
    for candidate in dict.fromkeys(_candidates(folder, Path(config.data.database))):
        with contextlib.suppress(DistillError, OSError):
            there = config.with_values(data=config.data.with_values(database=str(candidate)))
            if is_database(candidate) and not _difference(there, data):
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
            for entry in islice(folders, _MAX_FOLDERS):
                yield from (Path(entry.path, old.name), Path(entry.path))
