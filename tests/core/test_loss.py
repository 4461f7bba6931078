from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distill_core.config import MseReduction
from distill_core.training import distillation_loss
from distill_core.training.loop.loss import mse_gradient_share

# Rows: mse (1 + 1) / 2 = 1, cosine 24 / 25; mse (1 + 4) / 2 = 2.5, cosine 0; mse (4 + 0) / 2 = 2, cosine -1.
PREDICTED = torch.tensor([[3.0, 4.0], [1.0, 0.0], [1.0, 0.0]])
TARGET = torch.tensor([[4.0, 3.0], [0.0, 2.0], [-1.0, 0.0]])


def test_the_terms_of_every_sample() -> None:
    terms = distillation_loss(PREDICTED, TARGET)
    assert terms.mse.tolist() == pytest.approx([1.0, 2.5, 2.0])
    assert terms.cosine.tolist() == pytest.approx([0.96, 0.0, -1.0])


@pytest.mark.parametrize(
    ("cosine_weight", "loss"),
    [
        (0.0, (1.0 + 2.5 + 2.0) / 3),
        (1.0, (0.04 + 1.0 + 2.0) / 3),
        (0.7, (0.3 * 1.0 + 0.7 * 0.04 + 0.3 * 2.5 + 0.7 * 1.0 + 0.3 * 2.0 + 0.7 * 2.0) / 3),
    ],
)
def test_the_loss_mixes_them(cosine_weight: float, loss: float) -> None:
    assert distillation_loss(PREDICTED, TARGET, cosine_weight).loss.item() == pytest.approx(loss, rel=1e-6)


def test_the_published_weight_is_the_default() -> None:
    default, published = distillation_loss(PREDICTED, TARGET), distillation_loss(PREDICTED, TARGET, 0.7)
    assert default.loss.item() == published.loss.item()


@given(st.integers(0, 2**16), st.integers(1, 6), st.integers(2, 16), st.floats(0, 1))
def test_the_loss_equals_its_formula(seed: int, batch: int, dimension: int, cosine_weight: float) -> None:
    rng = np.random.default_rng(seed)
    predicted, target = rng.normal(size=(2, batch, dimension))
    mse = ((predicted - target) ** 2).sum(axis=1) / dimension
    lengths = np.sqrt((predicted**2).sum(axis=1) * (target**2).sum(axis=1))
    cosine = (predicted * target).sum(axis=1) / lengths
    expected = np.mean((1 - cosine_weight) * mse + cosine_weight * (1 - cosine))
    terms = distillation_loss(torch.from_numpy(predicted), torch.from_numpy(target), cosine_weight)
    np.testing.assert_allclose(terms.mse.numpy(), mse, rtol=1e-9)
    np.testing.assert_allclose(terms.cosine.numpy(), cosine, rtol=1e-9, atol=1e-9)
    assert terms.loss.item() == pytest.approx(expected, rel=1e-9)


@given(st.integers(0, 2**16), st.integers(2, 16))
def test_on_unit_vectors_the_mse_repeats_the_cosine(seed: int, dimension: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(2, 5, dimension))
    predicted, target = torch.from_numpy(rows / np.linalg.norm(rows, axis=-1, keepdims=True))
    terms = distillation_loss(predicted, target)
    np.testing.assert_allclose(terms.mse, 2 * (1 - terms.cosine) / dimension, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("cosine_weight", [0.0, 0.7, 1.0])
def test_the_gradient_is_the_slope_of_the_loss(cosine_weight: float) -> None:
    predicted = PREDICTED.double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda rows: distillation_loss(rows, TARGET.double(), cosine_weight).loss, (predicted,)
    )


def test_a_perfect_prediction_costs_nothing() -> None:
    assert distillation_loss(TARGET, TARGET, 0.7).loss.item() == pytest.approx(0.0, abs=1e-7)


def test_cosine_alone_does_not_see_the_length() -> None:
    assert distillation_loss(9 * TARGET, TARGET, 1.0).loss.item() == pytest.approx(0.0, abs=1e-6)


# The sum over d in place of the mean


@given(st.integers(0, 2**16), st.integers(1, 6), st.integers(2, 16), st.floats(0, 1))
def test_the_sum_puts_all_dimensions_into_the_loss_and_tells_the_mean(
    seed: int, batch: int, dimension: int, cosine_weight: float
) -> None:
    rng = np.random.default_rng(seed)
    predicted, target = rng.normal(size=(2, batch, dimension))
    squares = ((predicted - target) ** 2).sum(axis=1)
    lengths = np.sqrt((predicted**2).sum(axis=1) * (target**2).sum(axis=1))
    cosine = (predicted * target).sum(axis=1) / lengths
    expected = np.mean((1 - cosine_weight) * squares + cosine_weight * (1 - cosine))
    terms = distillation_loss(torch.from_numpy(predicted), torch.from_numpy(target), cosine_weight, "sum")
    assert terms.loss.item() == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose(terms.mse.numpy(), squares / dimension, rtol=1e-9)
    np.testing.assert_allclose(terms.cosine.numpy(), cosine, rtol=1e-9, atol=1e-9)


def test_the_published_reduction_is_the_default() -> None:
    assert distillation_loss(PREDICTED, TARGET).loss == distillation_loss(PREDICTED, TARGET, 0.7, "mean").loss


# Which term moves the student


def share_by_autograd(
    predicted: torch.Tensor, target: torch.Tensor, cosine_weight: float, reduction: MseReduction
) -> float:
    """Differentiate each term by itself, sample by sample."""
    shares: list[float] = []
    for row, wanted in zip(predicted, target, strict=True):
        output = row.clone().requires_grad_()
        squares = (output - wanted).square()
        mse = (1 - cosine_weight) * (squares.sum() if reduction == "sum" else squares.mean())
        cosine = output @ wanted / (output.norm() * wanted.norm())
        (by_mse,) = torch.autograd.grad(mse, output)
        (by_cosine,) = torch.autograd.grad(cosine_weight * (1 - cosine), output)
        shares.append((by_mse.norm() / (by_mse.norm() + by_cosine.norm())).item())
    return sum(shares) / len(shares)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("cosine_weight", [0.0, 0.3, 0.7, 1.0])
@given(st.integers(0, 2**16), st.integers(1, 6), st.integers(2, 16), st.floats(0.1, 10))
def test_the_share_in_the_gradient_is_that_of_autograd(
    reduction: MseReduction, cosine_weight: float, seed: int, batch: int, dimension: int, length: float
) -> None:
    rng = np.random.default_rng(seed)
    predicted, target = torch.from_numpy(rng.normal(size=(2, batch, dimension)))
    predicted = length * predicted
    expected = share_by_autograd(predicted, target, cosine_weight, reduction)
    share = mse_gradient_share(predicted, target, cosine_weight, reduction)
    assert share.shape == ()
    assert share.item() == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(("cosine_weight", "share"), [(0.0, 1.0), (1.0, 0.0)])
def test_a_term_alone_has_the_whole_gradient(
    reduction: MseReduction, cosine_weight: float, share: float
) -> None:
    assert mse_gradient_share(PREDICTED[:2], TARGET[:2], cosine_weight, reduction).item() == share


def test_the_published_loss_hardly_listens_to_the_mse() -> None:
    """Unit vectors at a right angle: 0.3 * 2 / d * sqrt(2) against 0.7."""
    predicted, target = torch.eye(384, dtype=torch.float64)[:2, None]
    by_mse = 0.3 * 2 / 384 * 2**0.5
    assert mse_gradient_share(predicted, target).item() == pytest.approx(by_mse / (by_mse + 0.7))
    assert mse_gradient_share(predicted, target, 0.7, "sum").item() == pytest.approx(
        384 * by_mse / (384 * by_mse + 0.7)
    )


def test_the_share_is_a_number_where_there_is_no_gradient() -> None:
    for rows in (TARGET, torch.zeros_like(TARGET)):
        for cosine_weight in (0.0, 0.7, 1.0):
            assert 0.0 <= mse_gradient_share(rows, rows, cosine_weight).item() <= 1.0
