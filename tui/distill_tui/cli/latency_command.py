"""`distill-tui latency`: LDA and student, or every contestant, side by side without a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Unpack

import click

from distill_core.config import DataConfig, TrainingConfig
from distill_core.students.kinds import STUDENT_KINDS
from distill_core.wording import plural
from distill_tui.cli.measuring import TimedOptions, ToTime, measure, timed_options
from distill_tui.cli.options import (
    database_argument,
    json_option,
    setting,
    shape_options,
    timed_student_option,
)
from distill_tui.cli.output import table
from distill_tui.text import (
    COLUMNS,
    PARETO,
    UNSTEADY,
    UNTRAINED,
    contestant_names,
    faster_lines,
    machine_warnings,
    machine_words,
    row_cells,
)

if TYPE_CHECKING:
    from distill_core.latency import (
        ContestantsComparison,
        ContestantsEvent,
        ContestantsFinished,
        LatencyComparison,
        LatencyEvent,
        LatencyFinished,
        ModelLatency,
    )

OUTLIERS = "outliers (calls beyond three interquartile ranges, counted and kept)"


class LatencyOptions(TimedOptions):
    """The options of `latency`, as click passes them."""

    batch_size: int
    blocks: int
    device: str
    threads: int
    everyone: bool
    compiled: bool


@click.command()
@database_argument
@setting(DataConfig, "mh_id")
@timed_student_option
@shape_options
@timed_options
@click.option("--batch-size", type=click.IntRange(1), default=32, show_default=True, help="Queries a batch.")
@click.option(
    "--blocks",
    type=click.IntRange(2),
    default=20,
    show_default=True,
    help="Timed blocks of about 8 ms for each model and size.",
)
@setting(TrainingConfig, "device")
@setting(TrainingConfig, "threads")
@click.option("--all", "everyone", is_flag=True, help="Every contestant that is installed, in one table.")
@click.option(
    "--compile", "compiled", is_flag=True, help="With --all: torch.compile, too; half a minute more."
)
@json_option
def latency(**options: Unpack[LatencyOptions]) -> int:
    """Time LDA and student, with single queries and in batches, on this machine.

    A student that folds is timed folded, which is how one would run it, and as published beside it. Ctrl+C
    prints, and with --run keeps, what was measured.
    """
    if options["everyone"]:
        untrained = options["run"] is None and options["student"] in STUDENT_KINDS
        lines = partial(contestants_lines, untrained=untrained)
        return measure(options, lambda timed: _contestants(options, timed), lines)
    if options["compiled"]:
        raise click.UsageError("--compile needs --all.")
    return measure(options, lambda timed: _comparison(options, timed), latency_lines)


def _comparison(options: LatencyOptions, timed: ToTime) -> LatencyComparison:
    from distill_core.latency import LatencyComparison, LatencySettings

    settings = LatencySettings(
        batch_size=options["batch_size"],
        blocks=options["blocks"],
        device=options["device"],
        threads=options["threads"],
    )
    return LatencyComparison(*timed, settings)


def _contestants(options: LatencyOptions, timed: ToTime) -> ContestantsComparison:
    from distill_core.latency import ContestantsComparison, ContestantsSettings

    settings = ContestantsSettings(
        batch_size=options["batch_size"],
        blocks=options["blocks"],
        device=options["device"],
        threads=options["threads"],
        compiled=options["compiled"],
    )
    return ContestantsComparison(*timed, settings)


def latency_lines(event: LatencyEvent) -> Iterator[str]:
    """Yield what an event says to a reader; a block says nothing."""
    from distill_core.latency.events import LatencyFinished, LatencyStarted

    if isinstance(event, LatencyStarted):
        threads, heads = plural(event.threads, "thread"), plural(event.num_heads, "head")
        yield f"timing on {event.device} with {threads}, {heads}"
    elif isinstance(event, LatencyFinished):
        yield from _latency_finished(event)


def _latency_finished(event: LatencyFinished) -> Iterator[str]:
    rows: list[tuple[str, ...]] = [
        ("microseconds a query", "p50", "p90", "p99", "p90, 95 %", "queries/s", "95 %")
    ]
    for name, model in contestant_names(event):
        rows += _rows(name, model, event.batch_size)
    yield from table(rows)
    for case, words in faster_lines(event):
        yield f"{case}: {words}"
    outliers = (f"{name} {model.outliers:,}" for name, model in contestant_names(event))
    yield f"{OUTLIERS}: {', '.join(outliers)}"
    if not event.steady:
        yield UNSTEADY
    if event.machine is not None:
        yield f"machine: {machine_words(event.machine)}"
        yield from machine_warnings(event.machine)
    yield f"{event.method}{'' if event.ended == 'complete' else '; interrupted, this is what was measured'}"


def _rows(name: str, model: ModelLatency, batch_size: int) -> Iterator[tuple[str, ...]]:
    """Yield both cases, with the intervals of their headlines: single p90, and queries/s of batches."""
    p90, offline = (
        "" if ends is None else f"{ends[0]:,.{digits}f} to {ends[1]:,.{digits}f}"
        for ends, digits in ((model.single_p90_interval, 1), (model.offline_interval, 0))
    )
    for label, times, rate, first, second in (
        (f"{name} single", model.single_us, model.single_qps, p90, ""),
        (f"{name} batch of {batch_size}", model.batch_us_per_query, model.batch_qps, "", offline),
    ):
        figures = (f"{value:.1f}" for value in (times.p50, times.p90, times.p99))
        yield (label, *figures, first, f"{rate:,.0f}", second)


def contestants_lines(event: ContestantsEvent, *, untrained: bool) -> Iterator[str]:
    """Yield what an event says to a reader; a round says nothing."""
    from distill_core.latency.events import ContestantsFinished, ContestantsStarted

    if isinstance(event, ContestantsStarted):
        yield f"machine: {machine_words(event.machine)}"
        yield from machine_warnings(event.machine)
        yield (
            f"{event.num_heads} heads on {event.device}: {len(event.contestants)} contestants, "
            f"single queries and batches of {event.batch_size}"
        )
    elif isinstance(event, ContestantsFinished):
        yield from _contestants_finished(event, untrained=untrained)


def _contestants_finished(event: ContestantsFinished, *, untrained: bool) -> Iterator[str]:
    yield from table([COLUMNS, *(row_cells(row) for row in event.rows if not row.note)])
    for row in event.rows:
        if row.note:
            yield f"  {row.name}: {row.note}"
    yield f"x LDA: over {event.reference}; outliers: beyond three interquartile ranges, counted and kept"
    yield PARETO
    if untrained:
        yield UNTRAINED
    if not event.steady:
        yield UNSTEADY
    yield f"{event.method}{'' if event.ended == 'complete' else '; interrupted, this is what was measured'}"
