"""Whether the interval of a ratio of times holds what it says: the LDA is timed against itself.

    python -m benchmarks.aa_latency [--heads 30,535] [--times 100] [--once] [--planted 5,50,300] [--smoke]

In the blocks of `distill-tui latency` the LDA stands on both sides, so that the true ratio is 1. Printed are
the share of intervals that leave out 1, their width, and the spread of the ratios from one measurement to the
next. The exit code is 1 if more than 7 % leave it out. `--once` keeps one copy of each side for a whole
measurement, which shows what the place in memory makes of a ratio.

A planted cost is so many microseconds added to every call of one side, and what it takes to add them, which
is timed apart; it is found if the difference of the medians of the calls is within 5 % of it, else the
ratio's interval should hold it, or the measurement call itself unsteady.
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
import torch

from distill_core.latency import LatencyFinished, LatencySettings
from distill_core.latency.timing import comparison
from distill_core.latency.timing.calls import Form, Project, lda_call, lda_form
from distill_core.students import MemoryConfig, new_student
from distill_core.teacher import MultiHeadLDA

DIMENSION, QUERIES = 384, 1_024
MOST_LEFT_OUT = 0.07


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--heads", default="30,535")
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--blocks", type=int, default=LatencySettings().blocks)
    parser.add_argument("--once", action="store_true", help="one copy of each side")
    parser.add_argument("--planted", default="5,50,300", metavar="MICROSECONDS")
    parser.add_argument("--smoke", action="store_true", help="two of two blocks, not judged")
    asked = parser.parse_args()
    if asked.smoke:
        asked.heads, asked.times, asked.blocks, asked.planted = "30", 2, 2, "50"
    failed = False
    for heads in map(int, asked.heads.split(",")):
        one = Side(heads, asked.blocks, once=asked.once)
        found = [one.against_itself() for _ in range(asked.times)]
        failed |= told(heads, found)
        for added in map(float, asked.planted.split(",")):
            failed |= planted(one, added)
    sys.exit(failed and not asked.smoke)


class Side:
    """A teacher that is timed against itself."""

    def __init__(self, heads: int, blocks: int, *, once: bool) -> None:
        rng = np.random.default_rng(heads)

        def vectors(count: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
            return rng.standard_normal((count, DIMENSION), np.float32)

        self.teacher = MultiHeadLDA(vectors(heads), vectors(heads), 0.1)
        self.queries = vectors(QUERIES)
        self.settings = LatencySettings(blocks=blocks, device="cpu")
        self._student = new_student(MemoryConfig(slots=4, width=4), DIMENSION, heads)
        self._once = once

    def against_itself(self, added_us: float = 0.0) -> LatencyFinished:
        """Time it beside itself, one of the two with a cost in every call."""
        with self._planted(added_us):
            measured = comparison.LatencyComparison(self.teacher, self._student, self.queries, self.settings)
            for _event in measured:
                pass
        result = measured.result()
        assert result is not None
        return result

    @contextmanager
    def _planted(self, added_us: float) -> Iterator[None]:
        def runner(_student: object, device: torch.device) -> tuple[Project, Form]:
            teacher = self.teacher if self._once else copy.deepcopy(self.teacher)
            return slowed(lda_call(teacher, device), added_us), lda_form(device)

        largest = 0 if self._once else comparison.LARGEST_COPY
        with (
            patch.object(comparison, "runner_call", runner),
            patch.object(comparison, "LARGEST_COPY", largest),
        ):
            yield


def slowed(project: Project, added_us: float) -> Project:
    """Return a call that takes so much longer, or itself."""
    if not added_us:
        return project
    clock: Callable[[], int] = time.perf_counter_ns

    def call(queries: object) -> object:
        ends = clock() + int(added_us * 1e3)
        while clock() < ends:
            pass
        return project(queries)

    return call


def cost_of(added_us: float, calls: int = 10_000) -> float:
    """Return the microseconds by which a call of nothing takes longer with a planted cost."""

    def nothing(_queries: object) -> None:
        """Take no time."""

    medians = []
    for project in (nothing, slowed(nothing, added_us)):
        times = np.empty(calls)
        for number in range(calls):
            began = time.perf_counter_ns()
            project(None)
            times[number] = time.perf_counter_ns() - began
        medians.append(float(np.median(times)))
    return (medians[1] - medians[0]) / 1e3


def told(heads: int, found: list[LatencyFinished]) -> bool:
    """Print how often 1 is left out; return whether too often."""
    failed = False
    for name in ("single", "batch"):
        ratios = np.array([getattr(one, f"{name}_ratio") for one in found])
        ends = np.array([getattr(one, f"{name}_ratio_interval") for one in found])
        out = (ends[:, 0] > 1) | (ends[:, 1] < 1)
        width, spread = np.median(ends[:, 1] / ends[:, 0] - 1), np.std(np.log(ratios))
        print(
            f"{heads:5} heads, {name:6}: 1 is left out by {out.sum()} of {len(out)} intervals "
            f"({out.mean():.0%}), width {width:.1%}, ratio {np.median(ratios):.4f}, spread {spread:.1%}",
            flush=True,
        )
        failed |= bool(out.mean() > MOST_LEFT_OUT)
    return failed


def planted(one: Side, added_us: float) -> bool:
    """Print what is found of a planted cost; return whether it is neither found nor called doubtful."""
    result = one.against_itself(added_us)
    single = result.transformer.single_us.p50 - result.lda.single_us.p50
    batch = (
        result.transformer.batch_us_per_query.p50 - result.lda.batch_us_per_query.p50
    ) * result.batch_size
    failed, added_us = False, cost_of(added_us)
    without = {
        "single": result.lda.single_us.p50,
        "batch": result.lda.batch_us_per_query.p50 * result.batch_size,
    }
    for name, seen in (("single", single), ("batch", batch)):
        is_found = abs(seen - added_us) <= 0.05 * added_us
        low, high = getattr(result, f"{name}_ratio_interval")
        is_inside = low <= 1 + added_us / without[name] <= high
        words = "found" if is_found else "inside the interval" if is_inside else "doubtful"
        if words == "doubtful" and result.steady:
            words = "MISSED"
        print(f"  planted {added_us:6.2f} us, {name:6}: {seen:8.2f} us, {words}", flush=True)
        failed |= words == "MISSED"
    return failed


if __name__ == "__main__":
    main()
