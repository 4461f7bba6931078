"""Whether the crossover is reproducible: several runs, their brackets, and whether all of them overlap.

    python -m benchmarks.crossover_repeat [--db DB] [--runs 5] [--budget 60]

The student is untrained: 4 heads, 2 layers, which takes the time of a trained one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from distill_core.database import LdaDatabase, demo_database_path
from distill_core.latency import Bracket, CrossoverFinished, CrossoverSettings, find_crossover
from distill_core.students import ProjectionTransformer


def main() -> None:
    """Run the search again and again and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--db", type=Path, default=demo_database_path())
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--budget", type=float, default=60.0)
    arguments = parser.parse_args()
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


def search(database: Path, budget_seconds: float) -> CrossoverFinished:
    """Return the result of one search."""
    with LdaDatabase(database) as opened:
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
    """Return whether one N lies in every bracket; a bracket that is not reached is open above."""
    lowest = max(bracket.low or 0 for bracket in brackets)
    return lowest <= min(bracket.high or lowest for bracket in brackets)


if __name__ == "__main__":
    main()
