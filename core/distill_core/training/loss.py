"""The published distillation loss, with both of its terms visible."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor

from distill_core.config import MseReduction


class LossTerms(NamedTuple):
    """The loss of a batch, and its terms for every sample.

    Attributes:
        loss: Scalar, the mean over the batch of (1 - lambda) * mse + lambda * (1 - cosine).
        mse: (batch,), mean over d of the squared difference.
        cosine: (batch,), cosine similarity of prediction and target.
    """

    loss: Tensor
    mse: Tensor
    cosine: Tensor


def distillation_loss(
    predicted: Tensor, target: Tensor, cosine_weight: float = 0.7, mse_reduction: MseReduction = "mean"
) -> LossTerms:
    """Return `(1 - lambda) * MSE + lambda * (1 - cos)` of predictions (batch, d) and targets (batch, d).

    The MSE is the mean over d. For unit vectors it is 2 (1 - cos) / d, so at d = 384 it says 192 times
    less about direction than the cosine term: lambda is not a balanced mix. `mse_reduction="sum"` puts the
    sum over d into the loss instead; `mse` of the result stays the mean.
    """
    mse = (predicted - target).square().mean(dim=-1)
    cosine = F.cosine_similarity(predicted, target, dim=-1)
    scale = _mse_scale(predicted, cosine_weight, mse_reduction)
    return LossTerms((scale * mse + cosine_weight * (1.0 - cosine)).mean(), mse, cosine)


def mse_gradient_share(
    predicted: Tensor, target: Tensor, cosine_weight: float = 0.7, mse_reduction: MseReduction = "mean"
) -> Tensor:
    """Return the share of the MSE term in the length of the loss's two gradients at the student's output.

    Both gradients have a closed form there: 2 (p - t) / d, and (cos p / |p| - t / |t|) / |p|.

    Returns:
        Scalar, the mean over the batch; the cosine term has the rest.
    """
    lengths = predicted.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    own, wanted = predicted / lengths, F.normalize(target, dim=-1)
    cosine = (own * wanted).sum(dim=-1, keepdim=True)
    by_mse = 2.0 / predicted.shape[-1] * (predicted - target).norm(dim=-1)
    by_mse = _mse_scale(predicted, cosine_weight, mse_reduction) * by_mse
    by_cosine = cosine_weight * ((cosine * own - wanted) / lengths).norm(dim=-1)
    share: Tensor = (by_mse / (by_mse + by_cosine).clamp_min(1e-30)).mean()
    return share


def _mse_scale(predicted: Tensor, cosine_weight: float, mse_reduction: MseReduction) -> float:
    return (1.0 - cosine_weight) * (predicted.shape[-1] if mse_reduction == "sum" else 1)
