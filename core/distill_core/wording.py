"""Measured numbers in words, the same on every screen and in every command."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distill_core.evaluation.intervals import Estimate


def faster_sentence(ratio: float, interval: tuple[float, float]) -> str:
    """Say who is faster, from transformer time over LDA time and its 95 % interval."""
    low, high = interval
    if low <= 1.0 <= high:
        return f"no difference shown (transformer / LDA {ratio:.2f}, 95 % {low:.2f} to {high:.2f})"
    if ratio > 1.0:
        return f"LDA {_times(ratio)} faster (95 % {_times(low)} to {_times(high)})"
    return f"transformer {_times(1 / ratio)} faster (95 % {_times(1 / high)} to {_times(1 / low)})"


def estimate_words(estimate: Estimate, digits: int) -> str:
    """Return `0.9004 [0.87, 0.93]`, with what is not defined as a dash."""
    if estimate.value is None:
        return "-"
    value = _fixed(estimate.value, digits)
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value} [{_fixed(estimate.low, digits)}, {_fixed(estimate.high, digits)}]"


def _fixed(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:.{digits}f}"


def cosine_error(error: float) -> str:
    """Return 1 - cosine with five digits, `0.02160`; below 0.001 with two figures, `9.2e-4`."""
    if 0 < abs(error) < SMALLEST_PLAIN:
        return f"{error:.1e}".replace("e-0", "e-")
    return f"{error:.5f}"


SMALLEST_PLAIN = 1e-3


def error_range(mean: float, low: float, high: float) -> str:
    """Return `0.02160 (9.2e-4 to 0.03000)`."""
    return f"{cosine_error(mean)} ({cosine_error(low)} to {cosine_error(high)})"


def plural(count: int, noun: str) -> str:
    """Return `1 thread` or `2 threads`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def several_words(count: int) -> str:
    """Say that the intervals of so many runs are corrected for there being many."""
    return f"{count} runs are compared: each interval is so wide that all hold at once in 95 % of cases."


def _times(ratio: float) -> str:
    return f"{ratio:.0f}x" if ratio >= 10 else f"{ratio:.1f}x" if ratio >= 2 else f"{ratio:.2f}x"


def signed(value: float, digits: int) -> str:
    """Return a number with its sign, "+0.0120"; what rounds to nothing is "+0.0000", never a minus zero."""
    return f"{round(value, digits) + 0.0:+.{digits}f}"
