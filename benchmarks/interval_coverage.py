"""How often a 95 % interval holds the truth, beside the plain percentile bootstrap.

    python benchmarks/interval_coverage.py [--sets 200] [--smoke]

Each simulated data set has G clusters of 1 to 3 test queries. A query's loss 1 - cos is log-normal, with a
part that its cluster shares; the spreads are those of a ridge regression on the reference databases (0.45
between clusters, 0.65 within), and once, as a harder case, larger ones. The truth is the statistic of 400,000
clusters. Recall@1 is a count, and agreements near 1 and losses that are mostly ties show no spread in many
samples: their intervals are exact bounds on an effective number, which cover more than 95 %. Of the giant
cluster's data sets three quarters of the queries are of one cluster. Weighted queries are asked once and
more, with a Pareto tail of exponent 2.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from distill_core.evaluation import ClusterBootstrap, Estimate

Values = NDArray[np.float64]
Kind = Literal["loss", "signed", "share", "agreement"]

CLUSTER_COUNTS = (5, 8, 15, 25, 36)


class DataSet(NamedTuple):
    """Per-query numerators and denominators of a ratio, the clusters, and how often each query is asked."""

    above: Values
    below: Values
    clusters: NDArray[np.int64]
    weights: Values | None = None


Simulation = Callable[[int, np.random.Generator], DataSet]


def effects(clusters: NDArray[np.int64], between: float, within: float, rng: np.random.Generator) -> Values:
    """Return normal numbers (n,) with a part that is common to each cluster."""
    shared = rng.standard_normal(int(clusters[-1]) + 1)[clusters]
    own = rng.standard_normal(len(clusters))
    return between * shared + within * own


def draw_clusters(count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the clusters (n,) of 1 to 3 queries each."""
    return np.repeat(np.arange(count), rng.integers(1, 4, count))


def losses_of(
    clusters: NDArray[np.int64], level: float, rng: np.random.Generator, *, heavy: bool = False
) -> Values:
    """Return 1 - cos (n,) about a median `level`."""
    spread = (0.65, 0.8) if heavy else (0.45, 0.65)
    return np.minimum(level * np.exp(effects(clusters, *spread, rng)), 1.5)


def constant_of(clusters: NDArray[np.int64], rng: np.random.Generator) -> Values:
    """Return the constant's 1 - cos (n,), as it is at tau = 0.1."""
    return np.clip(0.45 + effects(clusters, 0.1, 0.06, rng), 0.05, 1.0)


def mean_cosine(count: int, rng: np.random.Generator) -> DataSet:
    """Losses of a good student."""
    clusters = draw_clusters(count, rng)
    return DataSet(losses_of(clusters, 0.05, rng), np.ones(len(clusters)), clusters)


def heavy_cosine(count: int, rng: np.random.Generator) -> DataSet:
    """Losses with a few much worse queries: harder than what was seen."""
    clusters = draw_clusters(count, rng)
    return DataSet(losses_of(clusters, 0.05, rng, heavy=True), np.ones(len(clusters)), clusters)


def skill(count: int, rng: np.random.Generator) -> DataSet:
    """1 - skill of a good student."""
    clusters = draw_clusters(count, rng)
    return DataSet(losses_of(clusters, 0.05, rng), constant_of(clusters, rng), clusters)


def low_skill(count: int, rng: np.random.Generator) -> DataSet:
    """1 - skill of a student little better than a constant."""
    clusters = draw_clusters(count, rng)
    return DataSet(losses_of(clusters, 0.3, rng), constant_of(clusters, rng), clusters)


def paired_difference(count: int, rng: np.random.Generator) -> DataSet:
    """Skill of a student minus that of a baseline which errs on the same queries."""
    clusters = draw_clusters(count, rng)
    student = losses_of(clusters, 0.067, rng)
    baseline = student * np.exp(-0.3 + effects(clusters, 0.5, 0.5, rng))
    return DataSet(baseline - student, constant_of(clusters, rng), clusters)


def relative_norm(count: int, rng: np.random.Generator) -> DataSet:
    """Lengths of a student's projections over the teacher's."""
    clusters = draw_clusters(count, rng)
    student = np.exp(0.1 + effects(clusters, 0.2, 0.2, rng))
    return DataSet(student, np.exp(-1.0 + effects(clusters, 0.1, 0.1, rng)), clusters)


def recall(count: int, rng: np.random.Generator) -> DataSet:
    """Recall@1 of 0.9, misses clustered."""
    clusters = draw_clusters(count, rng)
    chances = rng.beta(2.7, 0.3, size=count)[clusters]
    return DataSet((rng.random(len(clusters)) < chances).astype(np.float64), np.ones(len(clusters)), clusters)


def agreement(count: int, rng: np.random.Generator) -> DataSet:
    """Agreement of 0.944: one cluster of eight misses some of the answers, the others none."""
    clusters = np.repeat(np.arange(count), 3)
    missed = (rng.random(count) < 1 / 8)[clusters]
    shares = np.where(missed, 1 - rng.integers(1, 9, len(clusters)) / 10, 1.0).astype(np.float64)
    return DataSet(shares, np.ones(len(clusters)), clusters)


def soft_agreement(count: int, rng: np.random.Generator) -> DataSet:
    """Agreement whose misses are spread over all queries, in tenths."""
    clusters = draw_clusters(count, rng)
    shares: Values = np.round(10 * (1 - np.minimum(losses_of(clusters, 0.05, rng), 0.9))) / 10
    return DataSet(shares, np.ones(len(clusters)), clusters)


def whole_agreement(count: int, rng: np.random.Generator) -> DataSet:
    """Agreement of 0.945: a cluster is missed as a whole, or not at all."""
    clusters = np.repeat(np.arange(count), 3)
    hit: Values = np.where((rng.random(count) < 0.055)[clusters], 0.0, 1.0)
    return DataSet(hit, np.ones(len(clusters)), clusters)


def tied_skill(count: int, rng: np.random.Generator) -> DataSet:
    """1 - skill of a student that equals the teacher but on one cluster of ten."""
    clusters = draw_clusters(count, rng)
    missed = (rng.random(count) < 0.1)[clusters]
    return DataSet(
        np.where(missed, losses_of(clusters, 0.25, rng), 0.0), constant_of(clusters, rng), clusters
    )


def tied_difference(count: int, rng: np.random.Generator) -> DataSet:
    """Skill of a student minus that of a rival, the same but on two clusters of five."""
    clusters = draw_clusters(count, rng)
    differ = (rng.random(count) < 0.4)[clusters]
    return DataSet(
        np.where(differ, effects(clusters, 0.05, 0.05, rng), 0.0), constant_of(clusters, rng), clusters
    )


def weighed(simulate: Simulation) -> Simulation:
    """Return a simulation whose queries are asked now and then, or very often, with a Pareto tail."""

    def asked(count: int, rng: np.random.Generator) -> DataSet:
        data = simulate(count, rng)
        return data._replace(weights=1.0 + rng.pareto(2.0, len(data.clusters)))

    return asked


def with_giant(count: int) -> NDArray[np.int64]:
    """Return clusters (n,) of 2 queries each, and a first one of three times as many as these together."""
    small = np.repeat(np.arange(1, count), 2)
    return np.concatenate([np.zeros(3 * len(small), np.int64), small])


def giant_skill(count: int, rng: np.random.Generator) -> DataSet:
    """1 - skill of a good student, three quarters of the queries from one cluster."""
    clusters = with_giant(count)
    return DataSet(losses_of(clusters, 0.05, rng), constant_of(clusters, rng), clusters)


def giant_difference(count: int, rng: np.random.Generator) -> DataSet:
    """A paired difference, likewise."""
    return giant_difference_of(with_giant(count), rng)


def giant_difference_of(clusters: NDArray[np.int64], rng: np.random.Generator) -> DataSet:
    """Return a paired difference of these clusters."""
    return DataSet(0.03 + effects(clusters, 0.1, 0.1, rng), constant_of(clusters, rng), clusters)


SIMULATIONS: tuple[tuple[str, Simulation, Kind], ...] = (
    ("mean cosine", mean_cosine, "loss"),
    ("skill, good student", skill, "loss"),
    ("skill, poor student", low_skill, "loss"),
    ("paired skill difference", paired_difference, "signed"),
    ("relative norm", relative_norm, "loss"),
    ("Recall@1", recall, "share"),
    ("mean cosine, heavy tail", heavy_cosine, "loss"),
    ("agreement, few miss", agreement, "agreement"),
    ("agreement, all miss a little", soft_agreement, "agreement"),
    ("agreement, whole clusters", whole_agreement, "agreement"),
    ("skill with ties", tied_skill, "loss"),
    ("difference with ties", tied_difference, "signed"),
    ("skill, a giant cluster", giant_skill, "loss"),
    ("difference, a giant cluster", giant_difference, "signed"),
    ("mean cosine, weighted", weighed_cosine := weighed(mean_cosine), "loss"),
    ("skill difference, weighted", weighed_difference := weighed(paired_difference), "signed"),
    ("Recall@1, weighted", weighed_recall := weighed(recall), "share"),
)

EVEN: dict[Simulation, Simulation] = {
    giant_skill: skill,
    giant_difference: lambda count, rng: giant_difference_of(draw_clusters(count, rng), rng),
    weighed_cosine: mean_cosine,
    weighed_difference: paired_difference,
    weighed_recall: recall,
}
"""Where the truth is that of clusters of like size, and of queries that count alike: a cluster's size, and
how often a query is asked, have nothing to do with its effect."""


def interval(data: DataSet, kind: Kind, seed: int) -> Estimate:
    """Return the evaluation's own interval."""
    bootstrap = ClusterBootstrap(data.clusters, seed=seed, weights=data.weights)
    if kind in ("share", "agreement"):
        return bootstrap.share(data.above, answers=10 if kind == "agreement" else 1)
    return (bootstrap.loss if kind == "loss" else bootstrap.ratio)(data.above, data.below)


def percentile_interval(data: DataSet, rng: np.random.Generator, draws: int = 2000) -> tuple[float, float]:
    """Return the plain percentile interval of the cluster bootstrap."""
    asked = np.ones(len(data.clusters)) if data.weights is None else data.weights
    above, below = (np.bincount(data.clusters, values * asked) for values in (data.above, data.below))
    counts = rng.multinomial(len(above), np.full(len(above), 1 / len(above)), size=draws)
    low, high = np.quantile((counts @ above) / (counts @ below), (0.025, 0.975))
    return float(low), float(high)


def coverage(simulate: Simulation, kind: Kind, count: int, sets: int) -> tuple[float, float]:
    """Return the shares of data sets whose interval holds the truth: the evaluation's, the percentile's."""
    big = EVEN.get(simulate, simulate)(400_000, np.random.default_rng(99))
    truth = float(big.above.sum() / big.below.sum())
    rng = np.random.default_rng(count)
    hits = [0, 0]
    for seed in range(sets):
        data = simulate(count, rng)
        own = interval(data, kind, seed)
        assert own.low is not None
        assert own.high is not None
        low, high = percentile_interval(data, rng)
        hits[0] += own.low <= truth <= own.high
        hits[1] += low <= truth <= high
    return hits[0] / sets, hits[1] / sets


def table(sets: int) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    """Yield each statistic with its coverages, one pair for each number of clusters."""
    for name, simulate, kind in SIMULATIONS:
        yield name, [coverage(simulate, kind, count, sets) for count in CLUSTER_COUNTS]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sets", type=int, default=200, help="simulated data sets a cell (default 200)")
    parser.add_argument("--smoke", action="store_true", help="two data sets a cell")
    options = parser.parse_args()
    sets = 2 if options.smoke else options.sets
    started = time.perf_counter()
    print(f"coverage of 95 % intervals in {sets} data sets: ours / plain percentile bootstrap")
    print(f"{'':30}" + "".join(f"{f'{count} clusters':>14}" for count in CLUSTER_COUNTS))
    lowest = 1.0
    for name, cells in table(sets):
        lowest = min([lowest, *(own for own, _ in cells)])
        print(f"{name:30}" + "".join(f"{f'{own:.0%} / {plain:.0%}':>14}" for own, plain in cells), flush=True)
    print(f"the lowest of ours {lowest:.0%}; {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
