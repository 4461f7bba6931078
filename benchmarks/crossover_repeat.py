"""Whether the crossover is reproducible: several runs, their brackets, and whether all of them overlap.

    python -m benchmarks.crossover_repeat [--db DB] [--runs 5] [--budget 60] [--smoke]

The student is untrained: 4 heads, 2 layers, which takes the time of a trained one. Brackets overlap if one N
lies in all of them; where a run reached none, all must have reached none, up to N that differ by one doubling
at most. The exit code is 1 if some do not overlap.

    python -m benchmarks.crossover_repeat --delay 100 [--budget 60]

instead searches once with the LDA as it is and once with a delay of so many microseconds in every call of it,
and compares where the crossover of single queries lies with where arithmetic on the first curve puts it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from distill_core.database import demo_database_path, open_database
from distill_core.latency import Bracket, CrossoverFinished, CrossoverSettings, find_crossover
from distill_core.latency.timing import crossover_contestants as lineup
from distill_core.latency.timing.calls import Project, lda_call
from distill_core.students import ProjectionTransformer
from distill_core.teacher import MultiHeadLDA


def main() -> None:
    """Run the search again and again and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--db", type=Path, default=demo_database_path())
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--budget", type=float, default=60.0)
    parser.add_argument("--delay", type=float, default=0.0, metavar="MICROSECONDS")
    parser.add_argument(
        "--smoke", action="store_true", help="two short searches and two with a delay, not judged"
    )
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.runs, arguments.budget = 2, 4.0
        delayed_as_expected(arguments.db, arguments.budget, 100.0)
    if arguments.delay:
        sys.exit(not delayed_as_expected(arguments.db, arguments.budget, arguments.delay))
    found: dict[str, list[Bracket]] = {}
    for run in range(arguments.runs):
        result = search(arguments.db, arguments.budget)
        for curve, by_case in (("fixed", result.fixed), ("grown", result.grown)):
            for case, bracket in by_case.items():
                found.setdefault(f"{curve} {case}", []).append(bracket)
        print(f"run {run + 1}: {len(result.curve)} points in {result.elapsed_seconds:.0f} s", flush=True)
    for name, brackets in found.items():
        shown = "  ".join(words(bracket) for bracket in brackets)
        print(f"{name:17}{'overlap' if overlap(brackets) else 'NO OVERLAP':12}{shown}")
    sys.exit(not (arguments.smoke or all(overlap(brackets) for brackets in found.values())))


def search(database: Path, budget_seconds: float) -> CrossoverFinished:
    """Return the result of one search."""
    with open_database(database) as opened:
        teacher = opened.teacher(1)
        _, queries = opened.queries(1)
    torch.manual_seed(0)
    student = ProjectionTransformer(teacher.dimension)
    *_, last = find_crossover(teacher, student, queries, CrossoverSettings(budget_seconds=budget_seconds))
    assert isinstance(last, CrossoverFinished)
    return last


def words(bracket: Bracket) -> str:
    """Return `5,793-9,742`, or up to where there is none."""
    if not bracket.reached:
        return f"none to {bracket.measured_to:,}"
    return f"{bracket.low or 0:,}-{bracket.high:,}"


def overlap(brackets: list[Bracket]) -> bool:
    """Return whether one N lies in every bracket, or none was reached by any, and up to about the same N."""
    reached = [bracket.high for bracket in brackets if bracket.high is not None]
    if not reached:
        measured = [bracket.measured_to for bracket in brackets]
        return 0 < max(measured) <= 2 * min(measured)
    return len(reached) == len(brackets) and max(bracket.low or 0 for bracket in brackets) <= min(reached)


def delayed_as_expected(database: Path, budget_seconds: float, delay_us: float) -> bool:
    """Search without and with a planted delay of the LDA; return whether the bracket moved as it should."""
    plain = search(database, budget_seconds)
    with delayed_lda(delay_us):
        delayed = search(database, budget_seconds)
    expected = expected_heads(plain, delay_us)
    bracket = delayed.fixed["single"]
    print(f"without the delay: {words(plain.fixed['single'])}")
    print(f"with {delay_us:g} us: {words(bracket)}; arithmetic says {expected:,.0f}")
    low, high = bracket.low or 0, bracket.high or 0
    return bracket.reached and low <= expected <= high


@contextmanager
def delayed_lda(delay_us: float) -> Iterator[None]:
    """Make every call of the LDA, at every N, wait first."""

    def slow(teacher: MultiHeadLDA, device: torch.device) -> Project:
        project = lda_call(teacher, device)

        def call(queries: object) -> object:
            until = time.perf_counter_ns() + 1_000 * delay_us
            while time.perf_counter_ns() < until:
                pass
            return project(queries)

        return call

    with patch.object(lineup, "lda_call", slow):
        yield


def expected_heads(plain: CrossoverFinished, delay_us: float) -> float:
    """Return the N at which the LDA's measured time and the delay make the student's, between its points."""
    points = [point for point in plain.curve if point.batch_size == 1]
    lda_us = np.array([point.lda_us for point in points]) + delay_us
    student_us = np.median([point.fixed.us for point in points])
    heads = np.log2([point.num_heads for point in points])
    return float(2 ** np.interp(student_us, np.maximum.accumulate(lda_us), heads))


if __name__ == "__main__":
    main()
