"""What a chart shows besides its data."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Baseline:
    """A value that the curve is to be compared with, drawn as a line across."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Options:
    """Texts, scales, baselines and the character set of a chart."""

    title: str = ""
    x_label: str = ""
    x_total: float | None = None
    """Where the x axis ends; None doubles it as the data grow."""
    log_x: bool = False
    log_y: bool = False
    baselines: tuple[Baseline, ...] = ()
    ascii: bool = False
    """Whether to do without braille and line-drawing characters."""

    @property
    def shown_baselines(self) -> tuple[Baseline, ...]:
        """The baselines that the y axis can show."""
        return tuple(b for b in self.baselines if math.isfinite(b.value) and (b.value > 0 or not self.log_y))
