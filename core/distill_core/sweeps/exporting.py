"""A sweep as a file."""

from __future__ import annotations

from distill_core.sweeps.events import SweepShown


def sweep_content(sweep: SweepShown, suffix: str) -> bytes:
    raise NotImplementedError
