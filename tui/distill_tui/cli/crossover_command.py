"""`distill-tui crossover`: from how many heads on the student is faster, measured on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Unpack

import click

from distill_core.config import DataConfig, TrainingConfig
from distill_core.latency.crossover import (
    Bracket,
    CrossoverEvent,
    CrossoverFinished,
    CrossoverPoint,
    CrossoverStarted,
    finished_object,
    summarised,
)
from distill_core.latency.measurement import BATCH_SIZES, INTERRUPTED
from distill_core.wording import plural
from distill_tui.cli.measuring import TimedOptions, ToTime, measure, timed_options
from distill_tui.cli.options import (
    database_argument,
    json_option,
    setting,
    shape_options,
    timed_student_option,
)
from distill_tui.cli.output import table_row
from distill_tui.text import (
    UNSTEADY,
    bracket_words,
    ended_words,
    machine_warnings,
    machine_words,
    ratio_words,
)

if TYPE_CHECKING:
    from distill_core.latency import Crossover


_WIDTHS = (9, 5, 9, 26, 2, 26)
"""In cells; the points are printed as they are measured."""


class CrossoverOptions(TimedOptions):
    """The options of `crossover`, as click passes them."""

    max_heads: int | None
    budget: float
    device: str
    threads: int
    seed: int


@click.command()
@database_argument
@setting(DataConfig, "mh_id")
@timed_student_option
@shape_options
@timed_options
@click.option(
    "--max-heads",
    type=click.IntRange(1),
    metavar="N",
    help="The largest teacher.  [default: 1,048,576, or as many as fit in memory]",
)
@click.option(
    "--budget",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="The search ends by then, with what it has.",
)
@setting(TrainingConfig, "device")
@setting(TrainingConfig, "threads")
@setting(TrainingConfig, "seed")
@json_option
def crossover(**options: Unpack[CrossoverOptions]) -> int:
    """Search the number of heads from which a student is faster than the LDA.

    The teacher grows from 16 heads on, the real ones first, then drawn ones. Ctrl+C prints, and with --run
    keeps, what is there.
    """
    return measure(
        options,
        lambda timed: _search(options, timed),
        crossover_lines,
        as_object=_as_object,
        nothing=summarised((), ended=INTERRUPTED, batch_sizes=BATCH_SIZES),
    )


def _search(options: CrossoverOptions, timed: ToTime) -> Crossover:
    from distill_core.latency import Crossover, CrossoverSettings

    settings = CrossoverSettings(
        max_heads=options["max_heads"],
        budget_seconds=options["budget"],
        device=options["device"],
        threads=options["threads"],
        seed=options["seed"],
    )
    return Crossover(*timed, settings)


def _as_object(event: CrossoverEvent) -> object:
    return finished_object(event) if isinstance(event, CrossoverFinished) else event


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
    yield _heads_line(event)
    yield (
        f"fixed: the student{', folded' if event.folded else ''}; grown: untrained encoders, "
        f"folded, of H = {event.grown_heads} with H^L >= N"
    )
    yield from machine_warnings(event.machine)
    even = event.break_even
    for name, flops, parameters in (
        ("fixed", even.fixed_flops, even.fixed_parameters),
        ("grown", even.grown_flops, even.grown_parameters),
    ):
        yield (
            f"by arithmetic, {name}: as many operations from {_from(flops)} on, "
            f"as many parameters from {_from(parameters)} on"
        )
    yield (
        f"published: faster above {event.published_single_heads} heads with single queries, from about "
        f"{event.published_batch_heads} in batches"
    )
    yield ""
    yield table_row(
        ("N", "batch", "LDA us", "fixed / LDA (95 %)", "L", "grown / LDA (95 %)"), _WIDTHS, left=()
    )


def _heads_line(event: CrossoverStarted) -> str:
    """Say which heads are real; the largest N may be smaller than the projection."""
    if event.max_heads <= event.real_heads:
        return f"all heads are real ones: the projection has {event.real_heads:,}"
    return (
        f"{plural(event.real_heads, 'head')} of the projection come first, the others are drawn from their "
        "distribution"
    )


def _from(heads: int | None) -> str:
    return "an unknown N" if heads is None else f"N = {heads:,}"


def _point_line(point: CrossoverPoint) -> str:
    cells = (
        f"{point.num_heads:,}",
        str(point.batch_size),
        f"{point.lda_us:,.1f}",
        ratio_words(point.fixed),
        str(point.grown.layers or "-"),
        ratio_words(point.grown),
    )
    return table_row(cells, _WIDTHS, left=()) + ("  unsteady" if point.unsteady else "")


def _finished_lines(event: CrossoverFinished) -> Iterator[str]:
    yield ""
    for title, brackets in (("student of fixed size", event.fixed), ("student that grows", event.grown)):
        yield f"crossover, {title}:"
        for case, bracket in brackets.items():
            yield table_row((f"  {_case_words(case)}", _found_words(bracket)), (16, 0), left=(0, 1))
    yield f"outliers: {sum(point.outliers for point in event.curve):,}, counted and kept"
    if event.unsteady:
        yield UNSTEADY
    yield ended_words(event)


def _case_words(case: str) -> str:
    """Return the name of a case as `case_name` gives it, in words."""
    return "single queries" if case == "single" else f"batches of {case.removeprefix('batch_')}"


def _found_words(bracket: Bracket) -> str:
    """Say where the crossover is, or up to where it was sought, or what ended the search before that."""
    if bracket.measured_to or not bracket.limited_by:
        return bracket_words(bracket)
    return f"not measured {'within the budget' if bracket.limited_by == 'budget' else 'before the stop'}"
