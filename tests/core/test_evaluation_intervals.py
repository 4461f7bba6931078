from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from distill_core.evaluation import ClusterBootstrap, Estimate
from distill_core.evaluation.intervals import binomial_interval

DRAWS = 200


def weights_of(num_clusters: int, draws: int, seed: int) -> list[list[float]]:
    """The same Beta(1/2, 3/2) weights, one row a draw."""
    drawn = np.random.default_rng(seed).beta(0.5, 1.5, size=(draws, num_clusters))
    return [[float(value) for value in row] for row in drawn]


def ratio_and_error(weights: list[float], above: list[float], below: list[float]) -> tuple[float, float]:
    """A weighted ratio and its linearised standard error, term by term."""
    mean = sum(weights) / len(weights)
    weights = [weight / mean for weight in weights]
    total = sum(w * b for w, b in zip(weights, below, strict=True))
    ratio = sum(w * a for w, a in zip(weights, above, strict=True)) / total
    squares = sum(w * (a - ratio * b) ** 2 for w, a, b in zip(weights, above, below, strict=True))
    units = len(above)
    return ratio, math.sqrt(squares * units / (units - 1)) / total


def expected_interval(
    above: list[float], below: list[float], *, logarithmic: bool, seed: int
) -> tuple[float, float, float]:
    """The studentised bootstrap over cluster sums, one draw after the other."""
    units = len(above)
    value, error = ratio_and_error([1.0] * units, above, below)
    drawn = []
    for weights in weights_of(units, DRAWS, seed):
        ratio, its_error = ratio_and_error(weights, above, below)
        distance = math.log(ratio / value) * ratio if logarithmic else ratio - value
        drawn.append(distance / its_error)
    low, high = (float(end) for end in np.quantile(drawn, [0.025, 0.975]))
    left_out = [(sum(above) - one) / (sum(below) - its) for one, its in zip(above, below, strict=True)]
    middle = sum(left_out) / units
    jackknife = math.sqrt((units - 1) / units * sum((ratio - middle) ** 2 for ratio in left_out))
    effective = sum(below) ** 2 / sum(its**2 for its in below)
    floor = stats.t.ppf(0.975, effective - 1) * jackknife / error
    low, high = min(low, -floor), max(high, floor)
    if logarithmic:
        return value, value * math.exp(-high * error / value), value * math.exp(-low * error / value)
    return value, value - high * error, value - low * error


SPREAD = [0.1, 0.4, 0.2, 0.9, 0.3, 0.5, 0.05, 0.6, 0.2]
ONE_LOW = [0.9, 1.0, 1.1, 1.0, 0.9, 0.95, 0.2, 1.05, 1.0]
"""Skewed to the left: the resampled upper quantile is nearer than Student's, which then stands in."""


@pytest.mark.parametrize("numerators", [SPREAD, ONE_LOW])
@pytest.mark.parametrize("logarithmic", [False, True])
def test_the_interval_is_the_one_computed_draw_by_draw(numerators: list[float], *, logarithmic: bool) -> None:
    clusters = np.array([7, 7, 2, 9, 9, 9, 4, 2, 5])
    denominators = np.array([1.0, 0.8, 1.1, 0.9, 1.2, 1.0, 0.7, 1.3, 0.6])
    above, below = (
        [float(sum(values[clusters == cluster])) for cluster in (2, 4, 5, 7, 9)]
        for values in (np.array(numerators), denominators)
    )
    bootstrap = ClusterBootstrap(clusters, draws=DRAWS, seed=3)
    method = bootstrap.loss if logarithmic else bootstrap.ratio
    estimate = method(numerators, denominators)
    expected = expected_interval(above, below, logarithmic=logarithmic, seed=3)
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx(expected, rel=1e-9)


def test_intervals_cover_the_truth() -> None:
    rng = np.random.default_rng(5)
    hits = 0
    for seed in range(150):
        clusters = np.repeat(np.arange(15), rng.integers(1, 4, 15))
        effects = 0.45 * rng.normal(size=15)[clusters] + 0.65 * rng.normal(size=len(clusters))
        estimate = ClusterBootstrap(clusters, seed=seed).loss(0.05 * np.exp(effects))
        assert estimate.low is not None
        assert estimate.high is not None
        truth = 0.05 * math.exp((0.45**2 + 0.65**2) / 2)
        hits += estimate.low <= truth <= estimate.high
    assert 0.90 <= hits / 150 <= 0.98


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.floats(0.01, 2.0)), min_size=4, max_size=20),
    st.integers(2, 4),
)
def test_paraphrases_are_no_evidence(rows: list[tuple[int, float]], copies: int) -> None:
    """Every query repeated in its own cluster changes nothing; the clusters are what counts."""
    clusters, losses = (np.array(column) for column in zip(*rows, strict=True))
    once = ClusterBootstrap(clusters, draws=100).loss(losses)
    again = ClusterBootstrap(np.repeat(clusters, copies), draws=100).loss(np.repeat(losses, copies))
    assert again.value == pytest.approx(once.value)
    assert (again.low is None) == (len(set(clusters.tolist())) < 2)
    if once.low is not None and once.high is not None and once.value is not None:
        assert (again.low, again.high) == pytest.approx((once.low, once.high), rel=1e-6)
        assert once.low <= once.value <= once.high


@settings(max_examples=40)
@given(st.lists(st.floats(-1, 1), min_size=6, max_size=6), st.floats(0.1, 10))
def test_scaling_the_values_scales_the_interval(values: list[float], scale: float) -> None:
    bootstrap = ClusterBootstrap([0, 0, 1, 1, 2, 3], draws=100)
    one, other = bootstrap.ratio(values), bootstrap.ratio(scale * np.array(values))
    assert one.value is not None
    assert one.low is not None
    assert one.high is not None
    assert (other.value, other.low, other.high) == pytest.approx(
        (scale * one.value, scale * one.low, scale * one.high), rel=1e-6, abs=1e-9
    )


def test_one_cluster_gives_no_interval() -> None:
    assert ClusterBootstrap([3, 3, 3]).ratio([1.0, 2.0, 3.0]) == Estimate(2.0)
    assert ClusterBootstrap([3, 3, 3]).share([1.0, 1.0, 1.0]) == Estimate(1.0)


def test_what_is_not_a_number_gives_no_estimate() -> None:
    bootstrap = ClusterBootstrap([1, 2, 3])
    assert bootstrap.ratio([1.0, math.nan, 2.0]) == Estimate(None)
    assert bootstrap.loss([1.0, math.inf, 2.0]) == Estimate(None)
    assert bootstrap.loss([1.0, 2.0, 3.0], [0.0, 0.0, 0.0]) == Estimate(None)


def test_equal_values_give_an_interval_without_width() -> None:
    assert ClusterBootstrap([1, 2, 3]).loss([0.0, 0.0, 0.0]) == Estimate(0.0, 0.0, 0.0)
    assert ClusterBootstrap([1, 2, 3]).ratio([0.5, 0.5, 0.5]) == Estimate(0.5, 0.5, 0.5)


def test_a_share_without_a_miss_gets_the_exact_bound() -> None:
    """As many of as many, 5^2 / 7 effective ones: the smallest chance of this with probability 2.5 %."""
    perfect = ClusterBootstrap([1, 2, 3, 4, 4]).share([1.0] * 5)
    assert (perfect.value, perfect.high) == (1.0, 1.0)
    assert perfect.low is not None
    assert perfect.low ** (25 / 7) == pytest.approx(0.025)
    hopeless = ClusterBootstrap([1, 2, 3, 4, 4]).share([0.0] * 5)
    assert (hopeless.low, hopeless.high) == pytest.approx((0.0, 1 - perfect.low))


def test_a_share_counts_only_what_is_counted() -> None:
    bootstrap = ClusterBootstrap([1, 2, 3, 4, 5])
    counted = [True, True, False, True, True]
    estimate = bootstrap.share([1.0, 0.0, math.nan, 1.0, 1.0], counted)
    assert estimate.value == pytest.approx(0.75)
    perfect = bootstrap.share([1.0, 1.0, 0.0, 1.0, 1.0], counted)
    assert perfect.low is not None
    assert perfect.low**4 == pytest.approx(0.025), "the cluster without a counted query is no trial"


def test_more_than_a_thousand_clusters_are_pooled() -> None:
    losses = np.random.default_rng(0).exponential(size=3000)
    estimate = ClusterBootstrap(np.arange(3000)).loss(losses)
    assert estimate.low is not None
    assert estimate.high is not None
    half_width = 1.96 * losses.std() / math.sqrt(3000)
    assert estimate.value == pytest.approx(losses.mean())
    assert (estimate.high - estimate.low) / 2 == pytest.approx(half_width, rel=0.15)


def test_the_seed_fixes_it_and_no_other_random_state_is_touched() -> None:
    clusters, values = np.arange(8), np.arange(8.0)
    before = np.random.get_state()[1].copy()  # type: ignore[index]
    first = ClusterBootstrap(clusters, seed=1).ratio(values)
    assert first == ClusterBootstrap(clusters, seed=1).ratio(values)
    assert first != ClusterBootstrap(clusters, seed=2).ratio(values)
    assert (np.random.get_state()[1] == before).all()  # type: ignore[index]


def test_turned_round_and_kept_in_range() -> None:
    assert Estimate(0.2, 0.1, 0.4).subtracted_from(1.0) == Estimate(0.8, 0.6, 0.9)
    assert Estimate(None).subtracted_from(1.0) == Estimate(None)
    assert Estimate(0.9, 0.8, 1.2).clipped(0.0, 1.0) == Estimate(0.9, 0.8, 1.0)


# What resampling does not show


def agreements(count: int, rng: np.random.Generator) -> tuple[list[int], list[float]]:
    """Of every eighth cluster, three queries each, half of the answers are missed: 0.944 in truth."""
    clusters = np.repeat(np.arange(count), 3)
    missed = rng.random(count) < 1 / 8
    return clusters.tolist(), np.where(missed[clusters], rng.integers(1, 9, len(clusters)) / 10, 0.0).tolist()


@pytest.mark.parametrize("count", [5, 15, 30])
def test_an_agreement_of_which_few_clusters_show_a_miss_is_covered(count: int) -> None:
    """Of 5 clusters half the samples have no miss at all."""
    rng = np.random.default_rng(count)
    hits = near = 0
    for seed in range(100):
        clusters, missed = agreements(count, rng)
        estimate = ClusterBootstrap(clusters, draws=100, seed=seed).share(1 - np.array(missed), answers=10)
        assert estimate.low is not None
        assert estimate.high is not None
        hits += estimate.low <= 1 - 0.45 / 8 <= estimate.high
        near += estimate.low >= 0.95
    assert hits >= 92
    assert near <= 3


def test_more_answers_tell_more() -> None:
    values = [0.9, 1.0, 0.8, 0.9, 1.0, 0.9, 0.9, 1.0]
    one, ten = (ClusterBootstrap(range(8)).share(values, answers=answers) for answers in (1, 10))
    assert one.low is not None
    assert ten.low is not None
    assert one.low < ten.low < 0.925


@pytest.mark.parametrize(("share", "trials"), [(0.9, 20), (0.0, 8), (1.0, 8), (0.5, 4)])
def test_the_binomial_interval_is_that_of_scipy(share: float, trials: int) -> None:
    exact = stats.binomtest(round(share * trials), trials).proportion_ci(0.95, "exact")
    assert binomial_interval(share, trials) == pytest.approx((exact.low, exact.high))


def test_losses_that_most_clusters_do_not_have_leave_room_for_as_many_more() -> None:
    """One of 10 clusters has one: up to 44.5 % of them may, by the exact interval, of 0.4 each."""
    losses = [0.4] + [0.0] * 9
    estimate = ClusterBootstrap(range(10)).loss(losses, [1.0] * 10)
    exact = stats.binomtest(1, 10).proportion_ci(0.95, "exact")
    assert estimate.high is not None
    assert estimate.high >= 0.4 * exact.high
    none = ClusterBootstrap(range(10)).loss([0.0] * 10, [0.5] * 10)
    assert none.high == pytest.approx(stats.binomtest(0, 10).proportion_ci(0.95, "exact").high)


def test_effective_clusters() -> None:
    assert ClusterBootstrap([1, 1, 2, 2, 3, 3]).effective_clusters == pytest.approx(3.0)
    giant = ClusterBootstrap([0] * 30 + list(range(1, 11)))
    assert giant.num_clusters == 11
    assert giant.effective_clusters == pytest.approx(40**2 / (30**2 + 10))


def test_a_giant_cluster_is_nearly_all_there_is() -> None:
    """Three quarters of the queries are of one cluster, whose effect they share."""
    rng = np.random.default_rng(0)
    clusters = np.concatenate([np.zeros(60, int), np.repeat(np.arange(1, 11), 2)])
    hits = 0
    for seed in range(100):
        values = 0.3 + 0.1 * rng.normal(size=11)[clusters] + 0.1 * rng.normal(size=len(clusters))
        estimate = ClusterBootstrap(clusters, draws=100, seed=seed).ratio(values)
        assert estimate.low is not None
        assert estimate.high is not None
        hits += estimate.low <= 0.3 <= estimate.high
    assert hits >= 92
