"""The routed student on a folder of vectors: how near it comes to the LDA, and how many times faster it is.

    python -m benchmarks.routed_figures FOLDER [--temperatures 0.1,0.05] [--heads N] | --smoke

FOLDER has `centroids.npy`, `answers.npy` (N, d) and `queries.npy` (M, d), and in `queries.jsonl` the `head`
of each query, if there is one: whole heads are then kept for the test. For each temperature it prints cosine,
agreement@10 and recall@1 of the routing on up to 1,500 test queries; the time of single queries and batches
of 32 as ratios LDA over student, in alternating blocks on one thread, every query another one; the seconds of
the fit with its labels, and the peak memory of the process.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from distill_core.arrays import Ids, Matrix
from distill_core.config import DataConfig, RunConfig, TrainingConfig
from distill_core.devices import OwnRandomState, cpu_threads, resolve_device
from distill_core.latency.measurement import TimeRatio, ratio_interval
from distill_core.students.networks.routed import RoutedStudent
from distill_core.students.routed import RoutedConfig
from distill_core.teacher import MultiHeadLDA
from distill_core.teacher_data import LabelledQuestions, Split, TeacherData
from distill_core.training.loop.routed import RoutedTraining
from distill_core.training.loop.routed_labels import Figures, Labeller, figures_of
from distill_core.training.recipes import resolve

TRAIN, VALIDATION, TEST = 12_000, 800, 1_500
BATCH, BLOCKS, SINGLES = 32, 20, 50
"""Blocks of so many single queries, 1,000 different ones in all, and of 320 in batches."""


def read(folder: Path, heads: int | None) -> tuple[Matrix, Matrix, Matrix, Ids]:
    """Return centroids, answers, queries and the head of each query, of the first heads."""
    centroids, answers, queries = (
        np.load(folder / f"{name}.npy") for name in ("centroids", "answers", "queries")
    )
    listed = folder / "queries.jsonl"
    of_head = np.arange(len(queries))
    if listed.is_file():
        of_head = np.array([json.loads(line)["head"] for line in listed.open(encoding="utf-8")])
    count = heads or len(centroids)
    kept = of_head < count if listed.is_file() else np.full(len(queries), fill_value=True)
    return centroids[:count], answers[:count], queries[kept], of_head[kept]


def made_up(heads: int = 4_000, dimension: int = 384) -> tuple[Matrix, Matrix, Matrix, Ids]:
    """Return heads in topics, for a run of a moment; the figures mean nothing."""
    rng = np.random.default_rng(0)
    centroids = rng.standard_normal((40, dimension))[rng.integers(40, size=heads)]
    centroids += rng.standard_normal((heads, dimension))
    answers = centroids + rng.standard_normal((heads, dimension))
    of_head = np.arange(heads)
    queries = centroids + 0.5 * rng.standard_normal((heads, dimension))
    return centroids.astype(np.float32), answers.astype(np.float32), queries.astype(np.float32), of_head


def sampled(teacher: MultiHeadLDA, queries: Matrix, of_head: Ids, seed: int = 0) -> TeacherData:
    """Return a sample whose heads stand in one part each; the targets of the test part alone are true."""
    rng = np.random.default_rng(seed)
    part_of_head = rng.choice(3, size=int(of_head.max()) + 1, p=(0.7, 0.1, 0.2))
    part = part_of_head[of_head]
    rows = [
        rng.permutation(np.flatnonzero(part == number))[:most]
        for number, most in enumerate((TRAIN, VALIDATION, TEST))
    ]
    ends = np.cumsum([0, *map(len, rows)])
    chosen = np.concatenate(rows)
    own = queries[chosen]
    labelled = LabelledQuestions(
        teacher=teacher,
        question_ids=np.arange(len(own)),
        queries=own,
        clusters=of_head[chosen],
        answers=None,
        true_answers=tuple(frozenset[int]() for _ in own),
    )
    split = Split(*(np.arange(*ends[number : number + 2]) for number in range(3)))
    return TeacherData(labelled=labelled, targets=np.zeros_like(own), split=split)


def fitted(data: TeacherData, settings: RoutedConfig) -> tuple[RoutedStudent, float]:
    """Return the student and the seconds that labels and fit took."""
    config = RunConfig(data=DataConfig(database=""), student=settings, training=TrainingConfig())
    config = resolve(config, len(data.split.train))
    started = time.perf_counter()
    training = RoutedTraining(config, data, OwnRandomState(0, resolve_device("cpu")))
    for _ in training:
        pass
    student = training.student
    assert isinstance(student, RoutedStudent)
    return student, time.perf_counter() - started


def judged(student: RoutedStudent, teacher: MultiHeadLDA, queries: Matrix) -> Figures:
    """Return the figures on test queries; the recall is that of the heads that are found near."""
    labeller = Labeller(teacher.unit_centroids(), teacher.answers)
    fields = student.fields
    labels = labeller.label(fields.scaled(queries))
    recall = 1.0
    if fields.index is not None:
        recall = float((fields.near_heads(labels.queries).heads == labels.best[:, None]).any(axis=1).mean())
    nearest = labeller.nearest_answers(labels.targets)
    return figures_of(student.project(queries), labels, nearest, labeller, recall)


def alternated(
    lda: Callable[[Matrix], object], student: Callable[[Matrix], object], calls: list[Matrix]
) -> TimeRatio:
    """Return the LDA's time over the student's: blocks of both in turn, each call with other queries."""
    times: dict[str, list[float]] = {"lda": [], "student": []}
    for number, block in enumerate(np.array_split(np.arange(len(calls)), BLOCKS)):
        both = [("lda", lda), ("student", student)]
        for name, project in both if number % 2 else reversed(both):
            project(calls[block[0] - 1])
            took = []
            for place in block.tolist():
                began = time.perf_counter()
                project(calls[place])
                took.append(time.perf_counter() - began)
            times[name].append(float(np.median(took)))
    return ratio_interval(times["lda"], times["student"], built_once=True)


def report(heads: tuple[Matrix, Matrix, Matrix, Ids], temperature: float, settings: RoutedConfig) -> None:
    """Fit, judge and time at one temperature; print a line of each."""
    centroids, answers, queries, of_head = heads
    teacher = MultiHeadLDA(centroids, answers, temperature)
    data = sampled(teacher, queries, of_head)
    student, seconds = fitted(data, settings)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    test = data.queries[data.split.test]
    figures = judged(student, teacher, test)
    different = np.concatenate((test, data.queries[data.split.train]))
    singles = list(different[: SINGLES * BLOCKS])
    starts = range(0, min(len(different), 2 * BLOCKS * BATCH) - BATCH + 1, BATCH)
    batches = [different[start : start + BATCH] for start in starts]
    single = alternated(teacher.project, student.project, singles)
    batch = alternated(teacher.project, student.project, batches)
    print(
        f"{teacher.num_heads:,} heads, tau {temperature:g}, {len(test):,} test queries: "
        f"{student.rung.words}, "
        f"{student.num_heads**student.num_layers:,} cells"
    )
    print(
        f"  mean {figures.cosine:.5f}  min {figures.worst:.4f}  agreement@10 {figures.agreement:.3f}  "
        f"recall@1 {figures.recall:.3f}"
    )
    print(f"  LDA over student: single {_words(single)}, batch of {BATCH} {_words(batch)}")
    print(f"  fit {seconds:.0f} s, peak memory {peak:.1f} GiB", flush=True)


def _words(ratio: TimeRatio) -> str:
    return f"{ratio.value:.1f} ({ratio.low:.1f} to {ratio.high:.1f})"


def main() -> None:
    """Print the figures of a folder, a temperature after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--temperatures", default="0.1,0.05,0.03")
    parser.add_argument("--heads", type=int, help="take the first N only")
    parser.add_argument("--wanted", default="0.9995,0.985,0.95,0.95", help="mean, worst, agreement, recall")
    parser.add_argument("--smoke", action="store_true", help="a made-up folder, one temperature")
    options = parser.parse_args()
    if options.folder is None and not options.smoke:
        parser.error("name a folder, or --smoke")
    heads = made_up() if options.smoke else read(options.folder, options.heads)
    names = ("wanted_cosine", "wanted_worst", "wanted_agreement", "wanted_recall")
    wanted = dict(zip(names, map(float, options.wanted.split(",")), strict=True))
    temperatures = "0.1" if options.smoke else options.temperatures
    with cpu_threads(1):
        for temperature in map(float, temperatures.split(",")):
            settings = RoutedConfig().with_values(**wanted)
            defaults = settings.with_defaults(len(heads[0]), heads[0].shape[1])
            report(heads, temperature, defaults)


if __name__ == "__main__":
    main()
