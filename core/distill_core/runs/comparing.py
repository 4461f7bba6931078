"""Runs side by side: which settings differ, and who does better on the test queries they share. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import msgspec
import numpy as np

from distill_core.latency.crossover import Bracket
from distill_core.latency.events import MachineRecord
from distill_core.runs.folder import RunFolder
from distill_core.runs.records import DataRecord

_DRAWS = 2000


class PairedDifference(msgspec.Struct, frozen=True, kw_only=True):
    """The cosine of one run minus that of another, query by query.

    Attributes:
        mean: Over the common test queries; above 0 the first is nearer to the teacher.
        low: Of the 95 % interval, a percentile bootstrap over queries; None for one query.
        high: Likewise.
        num_queries: Test queries that both were judged on.
    """

    mean: float
    low: float | None
    high: float | None
    num_queries: int


class RunSpeed(msgspec.Struct, frozen=True, kw_only=True):
    """How fast the student of a run was beside the LDA, and from how many heads on it is the faster one.

    Attributes:
        lda_p90_us: Single-stream, microseconds a query; None before it was measured.
        student_p90_us: Of the student, folded where it folds.
        single: The crossover of single queries; None before it was measured.
        batch_32: Of batches of 32.
        machine: Where the latency was measured, or else the crossover.
    """

    lda_p90_us: float | None = None
    student_p90_us: float | None = None
    single: Bracket | None = None
    batch_32: Bracket | None = None
    machine: MachineRecord | None = None


class RunComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Runs beside the first of them.

    Attributes:
        names: Of the runs.
        settings: By its place in the settings, the values of each that is not the same in all of the runs.
        differences: Of each run but the first, from the first; None without common test queries.
        speeds: Of each run; None where nothing was timed.
    """

    names: tuple[str, ...]
    settings: dict[str, tuple[str, ...]]
    differences: tuple[PairedDifference | None, ...]
    speeds: tuple[RunSpeed | None, ...] = ()


def compare_runs(folders: Sequence[RunFolder]) -> RunComparison:
    """Compare runs with the first of them.

    Two runs share test queries only if they are of the same database, projection and temperature: another
    teacher asks for other answers.

    Raises:
        RunError: The settings or the evaluation of a run cannot be read.
    """
    settings = [_settings_of(folder) for folder in folders]
    names = tuple(folder.read_notes().name or folder.name for folder in folders)
    differing = {
        place: tuple(str(values.get(place, "")) for values in settings)
        for place in dict.fromkeys(chain.from_iterable(settings))
        if len({str(values.get(place, "")) for values in settings}) > 1
    }
    first, *others = folders
    return RunComparison(
        names=names,
        settings=differing,
        differences=tuple(_difference(first, other) for other in others),
        speeds=tuple(_speed(folder) for folder in folders),
    )


def _settings_of(folder: RunFolder) -> dict[str, object]:
    return dict(_flat(msgspec.to_builtins(folder.read_config())))


def _speed(folder: RunFolder) -> RunSpeed | None:
    latency, crossover = folder.read_latency(), folder.read_crossover()
    if latency is None and crossover is None:
        return None
    machines = [measured.machine for measured in (latency, crossover) if measured is not None]
    brackets = {} if crossover is None else crossover.fixed
    return RunSpeed(
        lda_p90_us=None if latency is None else latency.lda.single_us.p90,
        student_p90_us=None if latency is None else latency.transformer.single_us.p90,
        single=brackets.get("single"),
        batch_32=brackets.get("batch_32"),
        machine=next((machine for machine in machines if machine is not None), None),
    )


def _difference(first: RunFolder, other: RunFolder) -> PairedDifference | None:
    if not _same_teacher(first.read_data(), other.read_data()):
        return None
    base, mine = (_cosines(folder) for folder in (first, other))
    common = sorted(base.keys() & mine.keys())
    return paired_difference([mine[number] - base[number] for number in common])


def paired_difference(differences: Sequence[float]) -> PairedDifference | None:
    """Return the mean with its interval; None of nothing."""
    values = np.asarray(differences, np.float64)
    if len(values) == 0:
        return None
    low = high = None
    if len(values) > 1:
        draws = np.random.default_rng(0).choice(values, size=(_DRAWS, len(values))).mean(axis=1)
        low, high = (float(value) for value in np.percentile(draws, [2.5, 97.5]))
    return PairedDifference(mean=float(values.mean()), low=low, high=high, num_queries=len(values))


def _same_teacher(one: DataRecord | None, other: DataRecord | None) -> bool:
    """Tell by what both runs recorded of the content; the bytes of a database change with its journal."""
    if one is None or other is None or one.mh_id != other.mh_id or one.temperature != other.temperature:
        return False
    if one.content_sha256 and other.content_sha256:
        return one.content_sha256 == other.content_sha256
    if one.vectors_sha256 and other.vectors_sha256:
        return one.vectors_sha256 == other.vectors_sha256
    return one.database_sha256 == other.database_sha256


def _cosines(folder: RunFolder) -> dict[int, float]:
    record = folder.read_evaluation()
    if record is None or record.tested is None:
        return {}
    return dict(zip(record.tested.question_ids, record.tested.cosines, strict=True))


def _flat(settings: dict[str, object], place: str = "") -> Iterator[tuple[str, object]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{place}{name}.")
        else:
            yield f"{place}{name}", value
