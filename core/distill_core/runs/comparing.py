"""Runs side by side: which settings differ, and who does better on the test queries they share. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from operator import itemgetter
from typing import NamedTuple

import msgspec
import numpy as np

from distill_core.evaluation.intervals import ClusterBootstrap
from distill_core.latency.crossover import Bracket
from distill_core.latency.events import MachineRecord
from distill_core.runs.folder import RunFolder
from distill_core.runs.records import DataRecord
from distill_core.training.events import TestEvaluated

_DRAWS = 2000


class PairedQuery(NamedTuple):
    """A query that two runs were judged on: the second's cosine minus the first's, and its known cluster."""

    difference: float
    cluster: int | None
    weight: float = 1.0


class PairedDifference(msgspec.Struct, frozen=True, kw_only=True):
    """The cosine of one run minus that of another, query by query.

    Attributes:
        mean: Over the common test queries; above 0 the first is nearer to the teacher.
        low: Of the interval, from a bootstrap over clusters of queries; None for one cluster. Where several
            runs are compared, all their intervals hold at once in 95 % of cases.
        high: Likewise.
        num_queries: Test queries that both were judged on.
        num_clusters: Of these; None where an older version wrote no clusters, and queries are resampled.
    """

    mean: float
    low: float | None
    high: float | None
    num_queries: int
    num_clusters: int | None = None


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
        num_compared: Runs whose difference from the first has an interval, for which all are corrected.
    """

    names: tuple[str, ...]
    settings: dict[str, tuple[str, ...]]
    differences: tuple[PairedDifference | None, ...]
    speeds: tuple[RunSpeed | None, ...] = ()
    num_compared: int = 1


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
    tested = [_tested_alike(first, other) for other in others]
    num_compared = max(sum(bool(pairs) for pairs in tested), 1)
    return RunComparison(
        names=names,
        settings=differing,
        differences=tuple(paired_difference(pairs, num_compared) for pairs in tested),
        speeds=tuple(_speed(folder) for folder in folders),
        num_compared=num_compared,
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


def _tested_alike(first: RunFolder, other: RunFolder) -> list[PairedQuery]:
    if not _same_teacher(first.read_data(), other.read_data()):
        return []
    base, mine = _tested(first), _tested(other)
    if base is None or mine is None:
        return []
    known = dict(zip(base.question_ids, base.cosines, strict=True))
    clusters: Iterable[int | None] = mine.clusters or base.clusters or (None,) * len(mine.question_ids)
    if not mine.clusters and base.clusters:
        of_question = dict(zip(base.question_ids, base.clusters, strict=True))
        clusters = (of_question.get(number) for number in mine.question_ids)
    weights = mine.weights or (1.0,) * len(mine.question_ids)
    rows = sorted(zip(mine.question_ids, mine.cosines, clusters, weights, strict=True), key=itemgetter(0))
    return [
        PairedQuery(cosine - known[number], cluster, weight)
        for number, cosine, cluster, weight in rows
        if number in known
    ]


def paired_difference(pairs: Sequence[PairedQuery], num_compared: int = 1) -> PairedDifference | None:
    """Return the mean with its interval, of clusters where they are known; None of nothing.

    Args:
        pairs: The common test queries.
        num_compared: Runs that are compared, whose intervals are to hold together.
    """
    if not pairs:
        return None
    values = np.array([pair.difference for pair in pairs], np.float64)
    known = all(pair.cluster is not None for pair in pairs)
    clusters = [row if pair.cluster is None or not known else pair.cluster for row, pair in enumerate(pairs)]
    weights = [pair.weight for pair in pairs]
    bootstrap = ClusterBootstrap(
        clusters, intervals=num_compared, draws=_DRAWS * num_compared, weights=weights
    )
    estimate = bootstrap.ratio(values)
    return PairedDifference(
        mean=bootstrap.mean(values),
        low=estimate.low,
        high=estimate.high,
        num_queries=len(values),
        num_clusters=bootstrap.num_clusters if known else None,
    )


def _same_teacher(one: DataRecord | None, other: DataRecord | None) -> bool:
    """Tell by what both runs recorded of the content; the bytes of a database change with its journal."""
    if one is None or other is None or one.mh_id != other.mh_id or one.temperature != other.temperature:
        return False
    if one.content_sha256 and other.content_sha256:
        return one.content_sha256 == other.content_sha256
    if one.vectors_sha256 and other.vectors_sha256:
        return one.vectors_sha256 == other.vectors_sha256
    return one.database_sha256 == other.database_sha256


def _tested(folder: RunFolder) -> TestEvaluated | None:
    record = folder.read_evaluation()
    return None if record is None else record.tested


def _flat(settings: dict[str, object], place: str = "") -> Iterator[tuple[str, object]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{place}{name}.")
        else:
            yield f"{place}{name}", value
