"""The loss, and its terms summed over the steps of an epoch."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor

from distill_core.config import MseReduction
from distill_core.training.events import Terms


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


class TermSums:
    """Sums of loss, mse and cosine over queries, kept on the device so that a step never waits for it.

    Batches are added one by one, so that a sum does not depend on when it was looked at.
    """

    def __init__(self, device: torch.device) -> None:
        kind = torch.float32 if device.type == "mps" else torch.float64
        self._sums = torch.zeros(3, device=device, dtype=kind)
        self._count = 0

    def clear(self) -> None:
        """Start again."""
        self._sums.zero_()
        self._count = 0

    def add(self, loss: Tensor, mse: Tensor, cosine: Tensor) -> None:
        """Add a batch: its mean loss, and mse and cosine (batch,)."""
        self._sums += torch.stack((loss.detach() * len(mse), mse.detach().sum(), cosine.detach().sum()))
        self._count += len(mse)

    def copy(self) -> TermSums:
        """Return the sums as they are now."""
        other = TermSums(self._sums.device)
        other.load_state_dict(self.state_dict())
        return other

    def means(self) -> Terms:
        """Return the means over all queries that were added; waits for the device."""
        return self._means(self._sums, self._count)

    def means_since(self, before: TermSums) -> Terms:
        """Return the means over the queries that were added since a copy was taken."""
        return self._means(self._sums - before._sums, self._count - before._count)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the sums and the count."""
        return {"sums": self._sums, "count": torch.tensor(self._count)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from sums and count."""
        self._sums.copy_(state["sums"])
        self._count = int(state["count"])

    @staticmethod
    def _means(sums: Tensor, count: int) -> Terms:
        loss, mse, cosine = (sums / max(count, 1)).tolist()
        return Terms(loss=loss, mse=mse, cosine=cosine)
