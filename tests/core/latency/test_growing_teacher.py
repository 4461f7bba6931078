from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from distill_core.errors import SettingsError
from distill_core.latency import growing_teacher
from distill_core.latency.growing_teacher import (
    GrowingTeacher,
    heads_that_fit,
    require_fitting,
)
from distill_core.teacher import MultiHeadLDA


def real_teacher(num_heads: int = 12, dimension: int = 6) -> MultiHeadLDA:
    rng = np.random.default_rng(5)
    mix = rng.normal(size=(dimension, dimension))
    centroids = 2 + rng.normal(size=(num_heads, dimension)) @ mix
    return MultiHeadLDA(centroids, centroids + 0.1 * rng.normal(size=centroids.shape), 0.1)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing_teacher, "_CHUNK", 50)


@pytest.mark.parametrize("num_heads", [1, 5, 12, 13, 500])
def test_the_real_heads_come_first(num_heads: int) -> None:
    real = real_teacher()
    growing = GrowingTeacher(real, 500)
    teacher = growing.grown(num_heads)
    kept = min(num_heads, 12)
    assert teacher.num_heads == num_heads
    assert teacher.temperature == real.temperature
    assert growing.num_real_of(num_heads) == kept
    np.testing.assert_array_equal(teacher.centroids[:kept], real.centroids[:kept])
    np.testing.assert_array_equal(teacher.answers[:kept], real.answers[:kept])


@pytest.mark.usefixtures("small_chunks")
def test_a_larger_teacher_begins_with_the_smaller_one_whatever_was_asked_before() -> None:
    at_once = GrowingTeacher(real_teacher(), 400, seed=3).grown(400)
    growing = GrowingTeacher(real_teacher(), 260, seed=3)
    for num_heads in (13, 120, 49, 260):
        teacher = growing.grown(num_heads)
        np.testing.assert_array_equal(teacher.centroids, at_once.centroids[:num_heads])
        np.testing.assert_array_equal(teacher.answers, at_once.answers[:num_heads])


@pytest.mark.usefixtures("small_chunks")
def test_chunks_and_seeds_differ() -> None:
    one, other = (GrowingTeacher(real_teacher(), 200, seed=seed).grown(200) for seed in (0, 1))
    assert len(np.unique(one.centroids, axis=0)) == 200
    assert not np.isclose(one.centroids[12:], other.centroids[12:]).all(axis=1).any()


def test_heads_are_shared_and_not_copied() -> None:
    growing = GrowingTeacher(real_teacher(), 300)
    small, large = growing.grown(100), growing.grown(300)
    assert np.shares_memory(small.centroids, large.centroids)
    assert np.shares_memory(small.answers, large.answers)


def test_drawn_heads_have_the_mean_and_the_covariance_of_the_real_ones() -> None:
    real = real_teacher(num_heads=40)
    drawn = GrowingTeacher(real, 60_000).grown(60_000)
    pairs = np.hstack((real.centroids, real.answers)).astype(np.float64)
    found = np.hstack((drawn.centroids, drawn.answers)).astype(np.float64)[40:]
    deviations = pairs.std(axis=0)
    assert np.abs(found.mean(axis=0) - pairs.mean(axis=0)).max() < 0.03 * deviations.max()
    # the jitter of 5 % of the root mean square adds little beside the spread of these heads
    expected = np.cov(pairs.T)
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert (np.abs(np.cov(found.T) - expected) / scale).max() < 0.04


def test_heads_of_few_real_ones_leave_their_plane_by_the_jitter() -> None:
    """Two real heads span one direction about their mean; the jitter has 5 % of their root mean square."""
    real = real_teacher(num_heads=2)
    drawn = GrowingTeacher(real, 20_000).grown(20_000).centroids[2:]
    along = real.centroids[1] - real.centroids[0]
    apart = drawn - real.centroids.mean(axis=0)
    apart -= np.outer(apart @ along, along) / (along @ along)
    jitter = np.sqrt(np.square(apart).mean()) / np.sqrt(np.square(real.centroids).mean())
    assert 0.02 < jitter < 0.08


def test_one_real_head_is_enough() -> None:
    teacher = GrowingTeacher(real_teacher(num_heads=1), 64).grown(64)
    assert len(np.unique(teacher.centroids, axis=0)) == 64
    assert np.isfinite(teacher.project(np.ones((2, 6)))).all()


@pytest.mark.parametrize("num_heads", [0, 101])
def test_heads_outside_what_was_said_are_refused(num_heads: int) -> None:
    with pytest.raises(SettingsError, match="outside 1 to 100"):
        GrowingTeacher(real_teacher(), 100).grown(num_heads)


# Memory


def test_what_fits_is_counted_at_the_peak() -> None:
    # 80 % of 1 GB over 4 arrays of 384 float32, a mask of 384 bytes and 32 bytes
    assert heads_that_fit(384, 1_000_000_000) == 800_000_000 // (4 * 4 * 384 + 384 + 32)
    assert heads_that_fit(384, 1_000_000_000, spare_arrays=2) < heads_that_fit(384, 1_000_000_000)


def test_too_many_heads_are_refused_before_any_memory_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    real = real_teacher()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1_000_000))
    monkeypatch.setattr(np, "empty", lambda *_: pytest.fail("memory was taken"))
    fitting = heads_that_fit(6, 1_000_000)
    require_fitting(fitting, 6)
    with pytest.raises(SettingsError, match=f"do not fit in the free memory; {fitting:,} do") as caught:
        GrowingTeacher(real, fitting + 1)
    assert caught.value.field == "max_heads"
