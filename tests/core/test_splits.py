from __future__ import annotations

import pickle
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.model_selection import ShuffleSplit

from distill_core.errors import SettingsError, TooFewQueriesError
from distill_core.teacher_data import Split, split_clusters, split_queries

SEEDS = st.integers(0, 2**32 - 1)
SHARES = st.floats(0.01, 0.45)


def parts(split: Split) -> list[list[int]]:
    return [split.train.tolist(), split.validation.tolist(), split.test.tolist()]


@given(st.integers(10, 400), SHARES, SHARES, SEEDS)
def test_the_parts_are_disjoint_ascending_and_cover_every_query(
    num_queries: int, validation: float, test: float, seed: int
) -> None:
    split = split_queries(num_queries, validation_fraction=validation, test_fraction=test, seed=seed)
    rows = parts(split)
    assert sorted(chain.from_iterable(rows)) == list(range(num_queries))
    assert all(rows)
    assert all(part == sorted(part) for part in rows)
    assert abs(len(split.test) - num_queries * test) <= 1
    assert abs(len(split.validation) - num_queries * validation) <= 1


@given(st.integers(10, 400), SEEDS)
def test_the_same_seed_gives_the_same_split(num_queries: int, seed: int) -> None:
    assert parts(split_queries(num_queries, seed=seed)) == parts(split_queries(num_queries, seed=seed))


def test_another_seed_gives_another_split() -> None:
    assert parts(split_queries(100, seed=1)) != parts(split_queries(100, seed=2))


@given(st.integers(10, 400), SHARES, SEEDS)
def test_the_test_part_is_the_one_scikit_learn_draws(num_queries: int, share: float, seed: int) -> None:
    split = split_queries(num_queries, test_fraction=share, seed=seed)
    drawing = ShuffleSplit(n_splits=1, test_size=len(split.test), random_state=seed)
    _, test = next(drawing.split(np.zeros(num_queries)))
    assert split.test.tolist() == sorted(test.tolist())


@given(st.integers(10, 400), SHARES, SHARES, SEEDS)
def test_the_validation_share_leaves_the_test_part_alone(
    num_queries: int, one: float, other: float, seed: int
) -> None:
    first = split_queries(num_queries, validation_fraction=one, seed=seed)
    second = split_queries(num_queries, validation_fraction=other, seed=seed)
    assert first.test.tolist() == second.test.tolist()


def test_the_published_shares_of_the_published_database() -> None:
    split = split_queries(144)
    assert [len(part) for part in parts(split)] == [101, 14, 29]


def test_numpys_own_random_state_is_left_alone() -> None:
    np.random.random()  # away from where a seed begins
    before = pickle.dumps(np.random.get_state())
    split_queries(50, seed=3)
    split_clusters(np.arange(50), seed=3)
    assert pickle.dumps(np.random.get_state()) == before


@pytest.mark.parametrize("num_queries", [0, 1, 9])
def test_fewer_than_ten_queries_are_too_few(num_queries: int) -> None:
    with pytest.raises(TooFewQueriesError, match=f"has {num_queries} queries"):
        split_queries(num_queries)


def test_ten_queries_are_enough() -> None:
    assert [len(part) for part in parts(split_queries(10))] == [7, 1, 2]


@pytest.mark.parametrize(("validation", "test"), [(0.5, 0.5), (0.9, 0.2), (0.05, 0.95)])
def test_shares_that_leave_nothing_to_train_on_are_refused(validation: float, test: float) -> None:
    with pytest.raises(SettingsError, match="leave nothing to train on") as caught:
        split_queries(10, validation_fraction=validation, test_fraction=test)
    assert caught.value.field == "test_fraction"


# By cluster


def labels_of(num_clusters: int, num_queries: int, seed: int) -> NDArray[np.int64]:
    """Queries of clusters of any size and any labels, in any order; no cluster is empty."""
    rng = np.random.default_rng(seed)
    members = np.concatenate((np.arange(num_clusters), rng.integers(num_clusters, size=num_queries)))
    names: NDArray[np.int64] = rng.permutation(4 * num_clusters)[:num_clusters] - 2 * num_clusters
    labels: NDArray[np.int64] = names[rng.permutation(members)]
    return labels


@given(st.integers(3, 60), st.integers(10, 200), st.floats(0.01, 0.3), st.floats(0.01, 0.3), SEEDS)
def test_no_cluster_is_in_two_parts_and_every_query_is_in_one(
    num_clusters: int, num_queries: int, validation: float, test: float, seed: int
) -> None:
    labels = labels_of(num_clusters, num_queries, seed)
    split = split_clusters(labels, validation_fraction=validation, test_fraction=test, seed=seed)
    rows = parts(split)
    assert sorted(chain.from_iterable(rows)) == list(range(len(labels)))
    assert all(rows)
    assert all(part == sorted(part) for part in rows)
    train, watched, judged = (set(labels[part].tolist()) for part in rows)
    assert train.isdisjoint(watched | judged)
    assert watched.isdisjoint(judged)
    assert len(judged) == max(1, round(num_clusters * test))
    assert len(watched) == max(1, round(num_clusters * validation))


@given(st.integers(3, 40), SEEDS, SEEDS)
def test_which_clusters_judge_depends_on_their_order_and_the_seed_alone(
    num_clusters: int, data_seed: int, seed: int
) -> None:
    labels = labels_of(num_clusters, 50, data_seed)
    split = split_clusters(labels, seed=seed)
    assert parts(split_clusters(labels, seed=seed)) == parts(split)
    assert parts(split_clusters(3 * labels - 7, seed=seed)) == parts(split)  # other names, the same order
    shuffled = np.random.default_rng(data_seed).permutation(labels)
    moved = split_clusters(shuffled, seed=seed)
    for part, other in zip(parts(split), parts(moved), strict=True):
        assert set(labels[part].tolist()) == set(shuffled[other].tolist())


@given(st.integers(3, 40), st.floats(0.01, 0.3), SEEDS)
def test_the_validation_share_leaves_the_test_clusters_alone(
    num_clusters: int, share: float, seed: int
) -> None:
    labels = labels_of(num_clusters, 50, seed)
    first, second = (split_clusters(labels, validation_fraction=v, seed=seed) for v in (0.1, share))
    assert first.test.tolist() == second.test.tolist()


def test_another_seed_judges_by_other_clusters() -> None:
    labels = np.repeat(np.arange(30), 4)
    assert parts(split_clusters(labels, seed=1)) != parts(split_clusters(labels, seed=2))


def test_twelve_clusters_of_twelve_queries_each_give_whole_clusters() -> None:
    split = split_clusters(np.repeat(np.arange(12), 12))
    assert [len(part) for part in parts(split)] == [9 * 12, 1 * 12, 2 * 12]  # a tenth and a fifth of 12


@pytest.mark.parametrize("num_clusters", [1, 2])
def test_fewer_than_three_clusters_are_too_few(num_clusters: int) -> None:
    labels = np.arange(20) % num_clusters
    with pytest.raises(TooFewQueriesError, match=f"belong to {num_clusters} clusters") as caught:
        split_clusters(labels)
    assert caught.value.hint == "Split by query."


def test_three_clusters_are_enough_for_one_each() -> None:
    labels = np.arange(12) % 3
    assert [len(part) for part in parts(split_clusters(labels))] == [4, 4, 4]


def test_ten_queries_are_asked_of_clusters_too() -> None:
    with pytest.raises(TooFewQueriesError, match="has 9 queries"):
        split_clusters(np.arange(9))


def test_shares_that_leave_no_cluster_to_train_on_are_refused() -> None:
    with pytest.raises(SettingsError, match="leave nothing to train on"):
        split_clusters(np.arange(40) % 4, validation_fraction=0.45, test_fraction=0.45)
