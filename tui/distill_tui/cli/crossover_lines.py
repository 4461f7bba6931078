"""The search for the crossover as plain lines on stdout."""

from __future__ import annotations

from collections.abc import Iterator

from distill_core.latency import (
    CrossoverEvent,
    CrossoverFinished,
    CrossoverPoint,
    CrossoverStarted,
    case_name,
)
from distill_core.wording import plural
from distill_tui.crossover_words import bracket_words, ended_words, ratio_words
from distill_tui.machine_words import machine_warnings, machine_words


def crossover_lines(event: CrossoverEvent) -> Iterator[str]:
    """Yield what an event says to a reader."""
    match event:
        case CrossoverStarted():
            yield from _started_lines(event)
        case CrossoverPoint():
            yield _point_line(event)
        case CrossoverFinished():
            yield from _finished_lines(event)


def _started_lines(event: CrossoverStarted) -> Iterator[str]:
    yield f"machine: {machine_words(event.machine)}"
    yield (
        f"timing on {event.device} with {plural(event.machine.threads, 'thread')}, "
        f"up to {plural(event.max_heads, 'head')} ({event.heads_that_fit:,} fit in memory), "
        f"for at most {event.budget_seconds:g} s"
    )
    yield (
        f"{plural(event.real_heads, 'head')} of the projection come first, the others are drawn from their "
        "distribution"
    )
    yield (
        f"fixed: the student{', folded' if event.folded else ''}; grown: untrained encoders, "
        f"folded, of H = {event.grown_heads} with H^L >= N"
    )
    yield from machine_warnings(event.machine)
    flops, parameters = (
        "unknown" if heads is None else f"N = {heads:,}"
        for heads in (event.break_even.fixed_flops, event.break_even.fixed_parameters)
    )
    yield f"by arithmetic: as many operations from {flops} on, as many parameters from {parameters} on"
    yield (
        f"published: faster above {event.published_single_heads} heads with single queries, from about "
        f"{event.published_batch_heads} in batches"
    )
    yield ""
    yield f"{'N':>9}{'batch':>6}{'LDA us':>11}{'fixed / LDA (95 %)':>28}{'L':>4}{'grown / LDA (95 %)':>28}"


def _point_line(point: CrossoverPoint) -> str:
    line = f"{point.num_heads:9,}{point.batch_size:6}{point.lda_us:11,.1f}{ratio_words(point.fixed):>28}"
    line += f"{point.grown.layers or '-':>4}{ratio_words(point.grown):>28}"
    return line + ("  unsteady" if point.unsteady else "")


def _finished_lines(event: CrossoverFinished) -> Iterator[str]:
    yield ""
    for title, brackets in (("student of fixed size", event.fixed), ("student that grows", event.grown)):
        yield f"crossover, {title}:"
        sizes = sorted({point.batch_size for point in event.curve})
        for size in sizes:
            name = "single queries" if size == 1 else f"batches of {size}"
            yield f"  {name:16}{bracket_words(brackets[case_name(size)])}"
    if event.unsteady:
        yield "The machine was unsteady: blocks of one model disagree. Repeat on a quiet machine."
    yield ended_words(event)
