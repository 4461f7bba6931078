"""The published distillation loss, with both of its terms visible."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor


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


def distillation_loss(predicted: Tensor, target: Tensor, cosine_weight: float = 0.7) -> LossTerms:
    """Return `(1 - lambda) * MSE + lambda * (1 - cos)` of predictions (batch, d) and targets (batch, d).

    The MSE is the mean over d. For unit vectors it is 2 (1 - cos) / d, so at d = 384 it says 192 times
    less about direction than the cosine term: lambda is not a balanced mix.
    """
    mse = (predicted - target).square().mean(dim=-1)
    cosine = F.cosine_similarity(predicted, target, dim=-1)
    loss = ((1.0 - cosine_weight) * mse + cosine_weight * (1.0 - cosine)).mean()
    return LossTerms(loss, mse, cosine)
