"""Means over many batches without waiting for the device."""

from __future__ import annotations

import torch
from torch import Tensor

from distill_core.training.events import Terms


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
