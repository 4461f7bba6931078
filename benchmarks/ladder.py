"""The baseline ladder on the reference databases, against the published figures, and how long it takes.

    python -m benchmarks.ladder --reference-db ../shared/reference-db | --smoke

Prints the held-out mean cosine of every rung over 5 seeds, for constant and ridge beside the figures of
FACTS 4, then the seconds of the whole ladder, and of a synthetic projection of 535 heads with 2,400 queries.
FACTS 4 names neither its seeds nor its training share, and at tau = 0.1 the 30 to 50 test queries of one seed
move the constant by 0.02 (one standard deviation). So a figure agrees if some seed comes within 0.01 of it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distill_core.database import demo_database_path, open_database
from distill_core.evaluation import Baseline, LadderData, evaluate, ladder
from distill_core.teacher import MultiHeadLDA
from distill_core.teacher_data import Split, split_queries

Matrix = NDArray[np.float32]

PUBLISHED = {
    ("n18", 1.0): {"constant": (0.995, 0.995), "ridge": (0.9999, 0.9999)},
    ("n18", 0.1): {"constant": (0.53, 0.53), "ridge": (0.935, 0.954)},
    ("n30", 1.0): {"constant": (0.997, 0.997), "ridge": (1.0, 1.0)},
    ("n30", 0.1): {"constant": (0.60, 0.60), "ridge": (0.943, 0.943)},
}
SEEDS = range(5)
TOLERANCE = 0.01


def fit(
    teacher: MultiHeadLDA, queries: Matrix, targets: Matrix, split: Split, seed: int
) -> tuple[Baseline, ...]:
    """Climb the whole ladder."""
    train, validation = split.train, split.validation
    seen, watched = (queries[train], targets[train]), (queries[validation], targets[validation])
    return tuple(ladder(LadderData(teacher, *seen, *watched, seed=seed)))


def measure(
    teacher: MultiHeadLDA, queries: Matrix, seeds: Sequence[int]
) -> tuple[dict[str, list[float]], list[float]]:
    """Return each rung's held-out mean cosines and the seconds of each ladder, one a seed."""
    targets = teacher.project(queries)
    cosines: dict[str, list[float]] = {}
    seconds = []
    for seed in seeds:
        split = split_queries(len(queries), seed=seed)
        started = time.perf_counter()
        rungs = fit(teacher, queries, targets, split, seed)
        for rung in rungs:
            result = evaluate(rung.predict(queries[split.test]), targets[split.test])
            cosines.setdefault(rung.name, []).append(result.cosine.mean)
        seconds.append(time.perf_counter() - started)
    return cosines, seconds


def synthetic(num_heads: int = 535, num_queries: int = 2400) -> tuple[MultiHeadLDA, Matrix]:
    """Return a random teacher of d = 384 and queries about its centroids."""
    rng = np.random.default_rng(0)
    centroids = rng.standard_normal((num_heads, 384), dtype=np.float32)
    answers = 0.05 * rng.standard_normal((num_heads, 384), dtype=np.float32)
    queries = centroids[rng.integers(num_heads, size=num_queries)]
    queries = queries + 0.8 * rng.standard_normal(queries.shape, dtype=np.float32)
    return MultiHeadLDA(centroids, answers, 0.1), queries / np.linalg.norm(queries, axis=1, keepdims=True)


def report_reference(folder: Path) -> bool:
    """Print the ladder of each reference database; return whether constant and ridge agree."""
    agree = True
    for (name, temperature), published in PUBLISHED.items():
        print(f"\n{name}, ", end="")
        cosines = measure_database(folder / name / "lda.db", temperature, SEEDS)
        for rung, values in cosines.items():
            line = f"  {rung:17s} mean {np.mean(values):.4f}  (seeds {min(values):.4f} to {max(values):.4f})"
            if rung in published:
                low, high = published[rung]
                near = min(values) - TOLERANCE <= high and low <= max(values) + TOLERANCE
                agree &= near
                stated = f"{low:g}" if low == high else f"{low:g} to {high:g}"
                line += f"  FACTS 4: {stated}, {'agrees' if near else 'DIFFERS'}"
            print(line)
    return agree


def measure_database(path: Path, temperature: float, seeds: Sequence[int]) -> dict[str, list[float]]:
    """Return each rung's held-out mean cosines, one a seed, and print the seconds."""
    with open_database(path) as database:
        teacher = database.teacher(1, temperature=temperature)
        queries = database.queries(1)[1]
    cosines, seconds = measure(teacher, queries, seeds)
    print(f"tau {temperature:g}: {max(seconds):.2f} s for the slowest ladder of {len(seeds)}")
    return cosines


def report_synthetic(teacher: MultiHeadLDA, queries: Matrix) -> None:
    """Print the seconds of the large ladder."""
    cosines, seconds = measure(teacher, queries, (0,))
    print(f"\nsynthetic, {teacher.num_heads} heads, {len(queries):,} queries, d = 384: {seconds[0]:.2f} s")
    for rung, values in cosines.items():
        print(f"  {rung:17s} {values[0]:.4f}")


def main() -> None:
    """Run both parts; exit with 1 if a figure differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--reference-db", type=Path, help="folder with n18/ and n30/")
    source.add_argument(
        "--smoke", action="store_true", help="one seed on the demo, and a small synthetic one"
    )
    options = parser.parse_args()
    if options.smoke:
        measure_database(demo_database_path(), 0.1, (0,))
        report_synthetic(*synthetic(16, 80))
        return
    agree = report_reference(options.reference_db)
    report_synthetic(*synthetic())
    raise SystemExit(0 if agree else 1)


if __name__ == "__main__":
    main()
