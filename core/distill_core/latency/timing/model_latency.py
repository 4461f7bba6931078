"""The figures of a comparison, from the blocks of its contestants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from distill_core.latency.events import LatencyFinished, ModelLatency, Percentiles, UnfoldedLatency
from distill_core.latency.statistics import (
    is_unsteady,
    percentile_interval,
    queries_per_second,
    rate_interval,
    ratio_interval,
)
from distill_core.latency.timing.blocks import TimedCalls


class Pair(NamedTuple):
    """One contestant, with single queries and in batches."""

    single: TimedCalls
    batch: TimedCalls

    def first(self, rounds: int) -> Pair:
        """Return the same with the first rounds only, so that a stop leaves all with as many."""
        return Pair(*(replace(timed, call_us=timed.call_us[:rounds]) for timed in self))


def finished_of(pairs: Mapping[str, Pair], *, seed: int, batch_size: int, **others: Any) -> LatencyFinished:  # noqa: ANN401 - fields of the event that are known elsewhere
    """Return the result of contestants called lda, transformer and, if the student folds, unfolded.

    Args:
        pairs: All with as many blocks, paired by round.
        seed: Of the bootstrap.
        batch_size: Queries a call in batches.
        others: Further fields of `LatencyFinished`.
    """
    lda, student = pairs["lda"], pairs["transformer"]
    blocks = [timed.block_medians_us() for pair in pairs.values() for timed in pair]
    return LatencyFinished(
        lda=_model_latency(lda, batch_size, seed),
        transformer=_model_latency(student, batch_size, seed),
        unfolded=_unfolded_latency(pairs, batch_size, seed),
        **_ratios(student, lda, seed),
        batch_size=batch_size,
        threads=torch.get_num_threads(),
        steady=not any(is_unsteady(medians) for medians in blocks),
        **others,
    )


def percentiles(times_us: NDArray[np.float64]) -> Percentiles:
    """Return p50, p90 and p99."""
    p50, p90, p99 = (float(value) for value in np.percentile(times_us, [50, 90, 99]))
    return Percentiles(p50=p50, p90=p90, p99=p99)


def _unfolded_latency(pairs: Mapping[str, Pair], batch_size: int, seed: int) -> UnfoldedLatency | None:
    """Return the times of the student as it was trained, and over those of its folded form."""
    unfolded = pairs.get("unfolded")
    if unfolded is None:
        return None
    times = msgspec.structs.asdict(_model_latency(unfolded, batch_size, seed))
    return UnfoldedLatency(**times, **_ratios(unfolded, pairs["transformer"], seed))


def _model_latency(pair: Pair, batch_size: int, seed: int) -> ModelLatency:
    single, batch = pair
    low, high = percentile_interval(batch.call_us, 50, seed=seed)
    return ModelLatency(
        single_us=percentiles(single.all_us()),
        batch_us_per_query=percentiles(batch.all_us() / batch_size),
        single_qps=queries_per_second(single.call_us, 1),
        batch_qps=queries_per_second(batch.call_us, batch_size),
        outliers=single.outliers() + batch.outliers(),
        single_p50_interval=percentile_interval(single.call_us, 50, seed=seed),
        single_p90_interval=percentile_interval(single.call_us, 90, seed=seed),
        batch_interval=(low / batch_size, high / batch_size),
        offline_interval=rate_interval(batch.call_us, batch_size, seed=seed),
    )


def _ratios(upper: Pair, lower: Pair, seed: int) -> dict[str, Any]:
    single, batch = (
        ratio_interval(over.block_medians_us(), under.block_medians_us(), seed=seed)
        for over, under in zip(upper, lower, strict=True)
    )
    return {
        "single_ratio": single.ratio,
        "single_ratio_interval": (single.low, single.high),
        "batch_ratio": batch.ratio,
        "batch_ratio_interval": (batch.low, batch.high),
    }
