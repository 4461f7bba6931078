"""The crossover in words, the same on the screen and on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from distill_core.wording import plural

if TYPE_CHECKING:
    from distill_core.latency.crossover import (
        Bracket,
        CrossoverFinished,
        CrossoverPoint,
        CrossoverStarted,
        StudentTime,
    )

LIMITED = {
    "budget": "not reached within the budget, measured up to {heads}",
    "interrupted": "not reached before the stop, measured up to {heads}",
}
ENDED = {
    "complete": "The search is complete.",
    "budget": "The time budget ended the search; a larger one narrows the brackets.",
    "interrupted": "Interrupted; this is what was measured.",
}


def bracket_words(bracket: Bracket) -> str:
    """Say between which N the student becomes the faster one."""
    if not bracket.measured_to:
        return "not measured"
    if not bracket.reached:
        words = LIMITED.get(bracket.limited_by, "none up to {heads}")
        return words.format(heads=plural(bracket.measured_to, "head"))
    if bracket.low is None:
        return f"the student is faster from the first measured N on, {bracket.high:,}"
    return f"from {bracket.low:,} to {bracket.high:,} heads"


def case_words(batch_size: int) -> str:
    """Return "single queries" or "batches of 32"."""
    return "single queries" if batch_size == 1 else f"batches of {batch_size}"


def ended_words(result: CrossoverFinished) -> str:
    """Say how the search ended, and how much it measured."""
    return f"{ENDED[result.ended]} {plural(len(result.curve), 'point')} in {result.elapsed_seconds:.0f} s."


def ratio_words(student: StudentTime) -> str:
    """Return a student's time over the LDA's with its interval."""
    interval = student.over_lda
    return f"{_figures(interval.value)} ({_figures(interval.low)} to {_figures(interval.high)})"


def expectations(started: CrossoverStarted) -> Iterator[tuple[str, str]]:
    """Yield what arithmetic and the published claims say, and which heads are real."""
    even = started.break_even
    fixed = [_heads(even.fixed_flops), _heads(even.fixed_parameters)]
    grown = [_heads(even.grown_flops), _heads(even.grown_parameters)]
    yield "by FLOPs", f"F from {fixed[0]}, G from {grown[0]}"
    yield "by parameters", f"F from {fixed[1]}, G from {grown[1]}"
    yield (
        "published",
        f"> {started.published_single_heads} (single), ~ {started.published_batch_heads} (batches)",
    )
    yield "heads", f"{plural(started.real_heads, 'real one')}, the others drawn from their distribution"


def point_words(point: CrossoverPoint) -> str:
    """Return the values at one N, F and G for the fixed student and the one that grows."""
    drawn = point.num_heads - point.real_heads
    heads = f"N {point.num_heads:,} ({point.real_heads:,} real, {drawn:,} drawn)"
    fixed, grown = (f"{_microseconds(time.us)}, {ratio_words(time)}" for time in (point.fixed, point.grown))
    return (
        f"{heads}  LDA {_microseconds(point.lda_us)}  F {fixed}  G (L {point.grown.layers}) {grown}"
        f"{'  unsteady' if point.unsteady else ''}"
    )


def _heads(heads: int | None) -> str:
    return "an unknown number of heads" if heads is None else plural(heads, "head")


def _microseconds(value: float) -> str:
    return f"{value:,.0f} µs" if value >= 100 else f"{value:,.1f} µs"


def _figures(ratio: float) -> str:
    """Return three figures, or all of those before the point."""
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"
