from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import ShuffleSplit

from distill_core.errors import SettingsError, TooFewQueriesError
from distill_core.splits import Split, split_queries

SEEDS = st.integers(0, 2**32 - 1)
SHARES = st.floats(0.01, 0.45)


def parts(split: Split) -> list[list[int]]:
    return [split.train.tolist(), split.validation.tolist(), split.test.tolist()]


@settings(deadline=None)
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


@settings(deadline=None)
@given(st.integers(10, 400), SEEDS)
def test_the_same_seed_gives_the_same_split(num_queries: int, seed: int) -> None:
    assert parts(split_queries(num_queries, seed=seed)) == parts(split_queries(num_queries, seed=seed))


def test_another_seed_gives_another_split() -> None:
    assert parts(split_queries(100, seed=1)) != parts(split_queries(100, seed=2))


@settings(deadline=None)
@given(st.integers(10, 400), SHARES, SEEDS)
def test_the_test_part_is_the_one_scikit_learn_draws(num_queries: int, share: float, seed: int) -> None:
    split = split_queries(num_queries, test_fraction=share, seed=seed)
    drawing = ShuffleSplit(n_splits=1, test_size=len(split.test), random_state=seed)
    _, test = next(drawing.split(np.zeros(num_queries)))
    assert split.test.tolist() == sorted(test.tolist())


@settings(deadline=None)
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
    before = np.random.get_state(legacy=False)
    split_queries(50, seed=3)
    after = np.random.get_state(legacy=False)
    assert str(before) == str(after)


@pytest.mark.parametrize("num_queries", [0, 1, 9])
def test_fewer_than_ten_queries_are_too_few(num_queries: int) -> None:
    with pytest.raises(TooFewQueriesError, match=f"has {num_queries} queries"):
        split_queries(num_queries)


def test_ten_queries_are_enough() -> None:
    assert [len(part) for part in parts(split_queries(10))] == [7, 1, 2]


@pytest.mark.parametrize(("validation", "test"), [(0.5, 0.5), (0.9, 0.2), (0.05, 0.95)])
def test_shares_that_leave_nothing_to_train_on_are_refused(validation: float, test: float) -> None:
    with pytest.raises(SettingsError, match="leave no query to train on"):
        split_queries(10, validation_fraction=validation, test_fraction=test)
