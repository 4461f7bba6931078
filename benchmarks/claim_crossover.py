"""The claim about speed: from how many heads on the student is faster."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.claim_training import Extent, Matrix, sources
from distill_core.architecture import default_architecture, lda_cost
from distill_core.latency import LatencyFinished, LatencySettings, compare_latency
from distill_core.students import ProjectionTransformer
from distill_core.students.encoder import encoder_cost
from distill_core.teacher import MultiHeadLDA
from distill_core.teacher_data import TeacherData

TIMED_HEADS = tuple(16 * 2**power for power in range(13))
LOOP_HEADS = (16, 128, 1024)
FIXED_LAYERS = 2


def claim_crossover(folder: Path | None, extent: Extent) -> None:
    """Print the ratio of student to LDA over N, for a student of fixed size and for one that grows."""
    data = sources(folder)[0].load(0.1, 0)
    print_break_even(data.teacher.dimension)
    print_loop(data)
    print("\nVectorised LDA against the student, 1 thread. Ratio: student over LDA; below 1 the student wins")
    print(f"  {'N':>7}{'L':>3}{'LDA us, 1':>11}{'ratio, 1':>24}{'LDA us, 32':>12}{'ratio, batch of 32':>24}")
    for grows in (False, True):
        ratios: dict[str, list[tuple[int, float, float]]] = {"single": [], "batch of 32": []}
        for count in TIMED_HEADS[:: 2 if grows else 1]:
            if count > extent.heads:
                break
            layers = default_architecture(count, data.teacher.dimension)[1] if grows else FIXED_LAYERS
            result = timed(larger_teacher(data.teacher, count), layers, data.queries, extent.blocks)
            print_ratio(count, layers, result)
            ratios["single"].append((count, *result.single_ratio_interval))
            ratios["batch of 32"].append((count, *result.batch_ratio_interval))
        for name, intervals in ratios.items():
            print(
                f"  {name}, {'L by the book rule' if grows else f'L = {FIXED_LAYERS}'}: {bracket(intervals)}"
            )


def larger_teacher(teacher: MultiHeadLDA, count: int) -> MultiHeadLDA:
    """Return N heads drawn around the real ones, at 0.8 of their length away."""
    rng = np.random.default_rng(count)
    chosen = rng.integers(teacher.num_heads, size=count)

    def around(rows: Matrix) -> Matrix:
        noise = rng.standard_normal((count, rows.shape[1]), dtype=np.float32)
        length = np.linalg.norm(rows[chosen], axis=1, keepdims=True) / np.sqrt(rows.shape[1])
        drawn: Matrix = rows[chosen] + 0.8 * length * noise
        return drawn

    return MultiHeadLDA(around(teacher.centroids), around(teacher.answers), teacher.temperature)


def timed(teacher: MultiHeadLDA, layers: int, queries: Matrix, blocks: int) -> LatencyFinished:
    """Return the comparison of alternating blocks."""
    student = ProjectionTransformer(teacher.dimension, num_layers=layers)
    settings = LatencySettings(blocks=blocks, device="cpu", threads=1)
    *_, last = compare_latency(teacher, student, queries, settings)
    assert isinstance(last, LatencyFinished)
    return last


def print_ratio(count: int, layers: int, result: LatencyFinished) -> None:
    """Print one line of the table."""
    line = f"  {count:7,}{layers:3}"
    for us, width, ratio, (low, high) in (
        (result.lda.single_us.p50, 11, result.single_ratio, result.single_ratio_interval),
        (result.lda.batch_us_per_query.p50, 12, result.batch_ratio, result.batch_ratio_interval),
    ):
        line += f"{us:{width}.1f}{f'{ratio:.2f} ({low:.2f} to {high:.2f})':>24}"
    print(line + ("" if result.steady else "  unsteady"), flush=True)


def bracket(intervals: Sequence[tuple[int, float, float]]) -> str:
    """Return between which N the ratio passes 1, from the intervals (N, low, high) at ascending N."""
    slower = [count for count, low, _ in intervals if low > 1]
    faster = [count for count, _, high in intervals if high < 1]
    if not faster:
        return f"no crossover up to N = {intervals[-1][0]:,}"
    if not slower:
        return f"the student is faster from N = {faster[0]:,} on, the smallest"
    return f"the LDA is faster up to N = {max(slower):,}, the student from N = {min(faster):,} on"


def print_loop(data: TeacherData) -> None:
    """Print what a Python loop over the heads takes for one query."""
    for count in LOOP_HEADS:
        teacher, query = larger_teacher(data.teacher, count), data.queries[0]
        vectorised, looped = (
            1e6 * median_seconds(project, query)
            for project in (teacher.project, lambda row, teacher=teacher: loop_over_heads(teacher, row))
        )
        print(f"one query, N = {count:5,}: loop over heads {looped:8.0f} us, vectorised {vectorised:6.0f} us")


def loop_over_heads(teacher: MultiHeadLDA, query: Matrix) -> Matrix:
    """Return the projection as a plain loop computes it, a cosine and a term of the sum at a time."""
    cosines = [float(query @ c / (np.linalg.norm(query) * np.linalg.norm(c))) for c in teacher.centroids]
    scores = np.array(cosines) / teacher.temperature
    weights = np.exp(scores - scores.max())
    output = np.zeros_like(query)
    for weight, answer in zip(weights / weights.sum(), teacher.answers, strict=True):
        output += np.float32(weight) * answer
    return output


def median_seconds(project: Callable[[Matrix], Matrix], query: Matrix, calls: int = 51) -> float:
    """Return the median time of a call."""
    times = []
    for _ in range(calls):
        started = time.perf_counter()
        project(query)
        times.append(time.perf_counter() - started)
    return float(np.median(times))


def print_break_even(dimension: int) -> None:
    """Print the smallest N at which the LDA needs as many operations as the student."""
    fixed = encoder_cost(dimension, FIXED_LAYERS, 512).flops
    folded = 2 * (3 * dimension**2 + 4 * dimension * 512)
    print("\nOperations, by arithmetic: the LDA needs as many as the student from this N on")
    for label, flops in (("L = 2, as published", fixed), ("L = 2, folded", folded)):
        count = next(n for n in itertools.count(1) if lda_cost(n, dimension).flops >= flops)
        print(f"  {label:22}{flops:11,} operations, N = {count:,}")
    grown = next(n for n in itertools.count(4) if lda_cost(n, dimension).flops >= book_flops(n, dimension))
    print(f"  {'L by the book rule':22}{book_flops(grown, dimension):11,} operations, N = {grown:,}")


def book_flops(count: int, dimension: int) -> int:
    """Return the operations of the book rule's student for N heads."""
    return encoder_cost(dimension, default_architecture(count, dimension)[1], 512).flops
