"""Axes that move in steps, their ticks, and numbers as they stand beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from distill_tui.charts.history import Extent, FloatArray

THOUSANDS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
DIGITS = 4
INTEGER_DIGITS = 3
"""Below a thousand of its unit a number has up to three digits before the point, and they all count."""
SMALLEST_PLAIN = 1e-3
"""Below this a label is written with an exponent."""


def short_number(value: float, digits: int = DIGITS) -> str:
    """Write a number with up to `digits` digits: 0.05, 1e-4, 2.5k; NaN and infinities by name."""
    if not math.isfinite(value):
        return {math.inf: "inf", -math.inf: "-inf"}.get(value, "NaN")
    size = abs(value)
    if size >= 1e12 or 0 < size < SMALLEST_PLAIN:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}e{int(exponent)}"
    scale, unit = next(((s, u) for s, u in THOUSANDS if size >= s), (1.0, ""))
    return f"{value / scale:.{max(digits, INTEGER_DIGITS)}g}{unit}"


def share_number(value: float) -> str:
    """Write a number in few cells: one below 1 with three decimals and no zero before them, `.858`."""
    plain = f"{value:.3f}"
    is_share = abs(value) >= SMALLEST_PLAIN and plain.removeprefix("-").startswith("0.")
    return plain.replace("0.", ".", 1) if is_share else short_number(value)


LINEAR_MANTISSAS = (1.0, 2.0, 2.5, 5.0, 10.0)
LOG_MANTISSAS = (1.0, 2.0, 5.0, 10.0)
INTERVALS = 5
"""About how many steps a linear range is rounded to."""
SHRINK_FACTOR = 3.0
"""A range that is this many times wider than its data is taken in."""
ROUNDING = 1e-9
"""What a value may lie beyond a step through floating point alone."""
FLAT = 1e-9
"""A relative span below this is a constant: it is shown inside of a range of its own size."""
FIRST_REACH = 10.0
"""Where an x axis without a known end starts doubling."""
TINY, HUGE = 1e-300, 1e300
"""What an axis can span; farther out, tick steps would overflow."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A range of values on a linear or a true log10 scale."""

    low: float
    high: float
    log: bool = False

    def fractions(self, values: FloatArray, *, clip: bool = True) -> FloatArray:
        """Return where `values` lie, 0 at `low` and 1 at `high`; NaN where the axis cannot show one.

        Args:
            values: On the axis, or off it.
            clip: Whether what is off the axis lies at its ends.
        """
        if self.log:
            positive = np.where(values > 0, values, np.nan)
            low, high = math.log10(self.low), math.log10(self.high)
            found = (np.log10(positive) - low) / (high - low)
        else:
            with np.errstate(over="ignore"):
                found = (values - self.low) / (self.high - self.low)
        return np.where(np.isfinite(found), np.clip(found, 0.0, 1.0) if clip else found, np.nan)

    def holds(self, low: float, high: float) -> bool:
        """Tell whether `low` to `high` lies inside and is not lost in it."""
        if low < self.low or high > self.high:
            return False
        if self.log:
            return math.log(self.high) - math.log(self.low) <= SHRINK_FACTOR * (
                math.log(high) - math.log(low)
            )
        return self.high - self.low <= SHRINK_FACTOR * (high - low)


def nice_step(span: float, intervals: float = INTERVALS) -> float:
    """Return the smallest of 1, 2, 2.5, 5 times a power of ten that cuts `span` into at most `intervals`."""
    raw = span / intervals
    power = 10.0 ** math.floor(math.log10(raw))
    return next((m * power for m in LINEAR_MANTISSAS if m * power >= raw), 10.0 * power)


def linear_axis(low: float, high: float) -> Axis:
    """Return an axis around `low` to `high` with both ends rounded outward to a step."""
    low, high = _clamped(low, -HUGE), _clamped(high, -HUGE)
    size = max(abs(low), abs(high))
    if high - low <= max(FLAT * size, TINY):
        margin = size / 10 if size > TINY else 1.0
        low, high = low - margin, high + margin
    step = nice_step(high - low)
    bottom, top = math.floor(low / step + ROUNDING) * step, math.ceil(high / step - ROUNDING) * step
    return Axis(min(bottom, low), max(top, high))


def log_axis(low: float, high: float) -> Axis:
    """Return a log10 axis around `low` to `high` with both ends rounded outward to 1, 2 or 5 in a decade."""
    low, high = _clamped(low, TINY), _clamped(high, TINY)
    bottom, top = _log_step_down(low), _log_step_up(high)
    if top / bottom < 1 + FLAT:
        bottom, top = _log_step_down(bottom * 0.99), _log_step_up(top * 1.01)
    return Axis(min(bottom, low), max(top, high), log=True)


def _clamped(value: float, least: float) -> float:
    return min(max(value, least), HUGE)


def _log_step_down(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return max((m * power for m in LOG_MANTISSAS if m * power <= value), default=power)


def _log_step_up(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return min((m * power for m in LOG_MANTISSAS if m * power >= value), default=10.0 * power)


def value_axis(previous: Axis | None, extent: Extent, *, log: bool) -> Axis:
    """Return `previous` while it still fits the data, else a new rounded range; no data gives 0 to 1."""
    low, high = (extent.low_positive if log else extent.low), extent.high
    if low > high:
        return Axis(0.1, 1.0, log=True) if log else Axis(0.0, 1.0)
    if previous is not None and previous.log == log and previous.holds(low, high):
        return previous
    return log_axis(low, high) if log else linear_axis(low, high)


def step_axis(extent: Extent, total: float | None, *, log: bool) -> Axis:
    """Return the axis of steps: 0 (log: the first step) to `total`, doubled until the data fit.

    Without a known total it doubles from 10, so that a column never splits: old columns merge in pairs.
    """
    reach = total if total is not None and 0 < total < HUGE else FIRST_REACH
    while reach < min(extent.high, HUGE):
        reach *= 2
    if not log:
        start = 0.0 if extent.is_empty or extent.low >= 0 else linear_axis(extent.low, reach).low
        return Axis(start, reach)
    if extent.low_positive > reach:
        return Axis(reach / 10, reach, log=True)
    start = _log_step_down(max(extent.low_positive, TINY))
    return Axis(start if start < reach else reach / 10, reach, log=True)


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
