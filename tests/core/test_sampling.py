from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from distill_core.devices import OwnRandomState
from distill_core.students.networks import torch_teacher
from distill_core.students.networks.torch_teacher import TorchTeacher
from distill_core.teacher import MultiHeadLDA
from distill_core.training.loop import batches
from distill_core.training.loop.batches import QuerySampler

CPU = torch.device("cpu")


def unit(rows: Tensor) -> Tensor:
    directions: Tensor = rows / rows.norm(dim=1, keepdim=True)
    return directions


def make_rows(count: int, dimension: int, seed: int) -> Tensor:
    return torch.randn(count, dimension, generator=torch.Generator().manual_seed(seed))


def make_sampler(lengths: float = 1.0) -> tuple[QuerySampler, Tensor, Tensor]:
    queries, centroids = unit(make_rows(7, 24, 0)) * lengths, unit(make_rows(4, 24, 1))
    return QuerySampler(queries, centroids), queries, centroids


def draw(sampler: QuerySampler, count: int, seed: int = 3) -> Tensor:
    with OwnRandomState(seed, CPU):
        return sampler.draw(count)


def test_half_are_mixtures_of_two_training_queries_or_centroids() -> None:
    sampler, queries, centroids = make_sampler()
    pool = torch.cat((queries, centroids)).double()
    for mixture in draw(sampler, 40)[:20].double():
        # 11 vectors in 24 dimensions are independent, so the shares are unique.
        shares = torch.linalg.lstsq(pool.T, mixture[:, None]).solution.squeeze()
        torch.testing.assert_close(pool.T @ shares, mixture, rtol=0, atol=1e-5)
        used = shares.abs() > 1e-4
        assert 1 <= int(used.sum()) <= 2
        assert (shares[used] > 0).all()


def test_the_other_half_lies_around_a_centroid_as_training_queries_do() -> None:
    sampler, queries, centroids = make_sampler()
    nearest = (queries @ centroids.T).max(dim=1)
    rests = unit(queries - nearest.values[:, None] * centroids[nearest.indices])
    heads = set()
    for new in draw(sampler, 200)[100:]:
        found = False
        for number, centroid in enumerate(centroids):
            cosine = new @ centroid
            known = (nearest.values - cosine).abs().min() < 1e-5
            across = new - cosine * centroid
            span = torch.stack([*rests, centroid]).T
            left = across - span @ torch.linalg.lstsq(span, across[:, None]).solution.squeeze()
            if known and left.norm() < 1e-4:
                heads.add(number)
                found = True
        assert found
    assert heads == {0, 1, 2, 3}


def test_all_have_the_length_of_a_training_query() -> None:
    sampler, _, _ = make_sampler(lengths=2.5)
    torch.testing.assert_close(draw(sampler, 50).norm(dim=1), torch.full((50,), 2.5), rtol=1e-5, atol=0)


def test_draws_repeat_with_the_random_state_and_only_then() -> None:
    sampler, _, _ = make_sampler()
    assert torch.equal(draw(sampler, 9), draw(sampler, 9))
    assert not torch.equal(draw(sampler, 9), draw(sampler, 9, seed=4))
    assert draw(sampler, 1).shape == (1, 24)


def test_the_nearest_centroid_is_found_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = draw(make_sampler()[0], 30)
    monkeypatch.setattr(batches, "_MAX_SCORES", 5)
    torch.testing.assert_close(draw(make_sampler()[0], 30), whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("temperature", [0.01, 0.1, 1.0])
def test_the_labeller_is_the_teacher(temperature: float, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    teacher = MultiHeadLDA(rng.normal(size=(5, 8)), rng.normal(size=(5, 8)), temperature)
    queries = rng.normal(size=(9, 8)).astype(np.float32)
    expected = teacher.project(queries)
    label = TorchTeacher(teacher, CPU).label
    np.testing.assert_allclose(label(torch.from_numpy(queries)).numpy(), expected, rtol=0, atol=2e-5)
    monkeypatch.setattr(torch_teacher, "_MAX_SCORES", 12)  # two queries at once
    label = TorchTeacher(teacher, CPU).label
    np.testing.assert_allclose(label(torch.from_numpy(queries)).numpy(), expected, rtol=0, atol=2e-5)


class Numbered(QuerySampler):
    """Draws the numbers of the rows."""

    def __init__(self) -> None:
        self.draws: list[int] = []

    def draw(self, count: int) -> Tensor:
        self.draws.append(count)
        return torch.arange(1.0, count + 1)[:, None].repeat(1, 3)


@pytest.mark.parametrize("size", [1, 6, 64, 300])
def test_what_is_drawn_at_once_is_cut_into_batches_with_both_kinds(size: int) -> None:
    random = np.random.default_rng(0)
    lda = MultiHeadLDA(random.normal(size=(4, 3)), random.normal(size=(4, 3)), 0.1)
    sampler = Numbered()
    drawn = batches.DrawnBatches(sampler, TorchTeacher(lda, CPU), size, 20)
    at_once = max(1, 256 // size)
    numbers: list[Tensor] = []
    for _ in range(at_once):
        batch = drawn.next()
        np.testing.assert_allclose(batch.targets, lda.project(batch.queries.numpy()), rtol=1e-5)
        numbers.append(batch.queries[:, 0])
        firsts = int((numbers[-1] <= size * at_once / 2).sum())
        assert abs(firsts - size / 2) <= 1  # the first half of what a sampler draws is of one kind
    assert sampler.draws == [size * at_once]
    assert sorted(torch.cat(numbers).tolist()) == list(range(1, size * at_once + 1))
    drawn.next()
    assert len(sampler.draws) == 2
