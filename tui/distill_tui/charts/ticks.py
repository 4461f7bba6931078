"""Tick values of an axis, with labels that tell them apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from distill_tui.charts.axes import ROUNDING, Axis, nice_step
from distill_tui.charts.numbers import DIGITS, short_number

LOG_TICK_MANTISSAS = ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,))
MOST_HALVINGS = 4
"""How often a step is halved to get two ticks onto an axis."""
MOST_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Tick:
    """A value on an axis, where it lies (0 to 1), and its label."""

    fraction: float
    label: str


def axis_ticks(axis: Axis, count: int) -> tuple[Tick, ...]:
    """Return at most about `count` ticks at round values."""
    values = _log_values(axis, count) if axis.log else _linear_values(axis, count)
    fractions = axis.fractions(np.asarray(values, dtype=np.float64))
    digits = _digits_to_tell_apart(values)
    return tuple(Tick(float(f), short_number(v, digits)) for f, v in zip(fractions, values, strict=True))


def _digits_to_tell_apart(values: list[float]) -> int:
    """Return how many digits the labels need: 0.99991 to 0.99995 takes five."""
    step = min((b - a for a, b in pairwise(values)), default=0.0)
    size = max((abs(v) for v in values), default=0.0)
    if not step > 0 or not size:
        return DIGITS
    return min(MOST_DIGITS, max(1, math.floor(math.log10(size)) - math.floor(math.log10(step)) + 2))


def _linear_values(axis: Axis, count: int) -> list[float]:
    step = nice_step(axis.high - axis.low, max(count - 1, 1))
    for _halving in range(MOST_HALVINGS):
        first, last = _multiples_inside(axis, step)
        if first < last:
            return [number * step if number else 0.0 for number in range(first, last + 1)]
        step /= 2
    return [axis.low, axis.high]


def _multiples_inside(axis: Axis, step: float) -> tuple[int, int]:
    return math.ceil(axis.low / step - ROUNDING), math.floor(axis.high / step + ROUNDING)


def _log_values(axis: Axis, count: int) -> list[float]:
    """Return powers of ten, every n-th where there are many, with values between where there are few."""
    first, last = math.floor(math.log10(axis.low)), math.ceil(math.log10(axis.high))
    decades = range(first, last + 1)
    for mantissas in LOG_TICK_MANTISSAS:
        values = _inside(axis, [m * 10.0**power for power in decades for m in mantissas])
        if 1 < len(values) <= count:
            return values
    stride = max(1, math.ceil(len(decades) / max(count, 1)))
    values = _inside(axis, [10.0**power for power in decades if power % stride == 0])
    return values or [axis.low, axis.high]


def _inside(axis: Axis, values: list[float]) -> list[float]:
    return [v for v in values if axis.low * (1 - ROUNDING) <= v <= axis.high * (1 + ROUNDING)]
