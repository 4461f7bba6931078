"""What a run was made from: the content of the database and the versions of the packages."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from distill_core.runs.file_errors import reading_error
from distill_core.runs.records import Attempt, DataRecord
from distill_core.teacher_data import LabelledQuestions, arrays_sha256, content_sha256

_DECIDING = ("torch", "numpy", "scipy")
"""Packages whose version may change a bit of the weights."""

_PACKAGES = ("distill-tui", "torch", "numpy", "scipy", "safetensors", "msgspec")


def database_sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal.

    Raises:
        RunError: The file is missing or cannot be read.
    """
    file = Path(path)
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
