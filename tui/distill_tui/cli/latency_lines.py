"""The comparison of LDA and student as plain lines on stdout."""

from __future__ import annotations

from collections.abc import Iterator

from distill_core.latency.events import LatencyEvent, LatencyFinished, LatencyStarted, ModelLatency
from distill_core.wording import plural
from distill_tui.cli.output import table
from distill_tui.text.latency import contestant_names, faster_lines
from distill_tui.text.machine import UNSTEADY, machine_warnings, machine_words

OUTLIERS = "outliers (calls beyond three interquartile ranges, counted and kept)"


def latency_lines(event: LatencyEvent) -> Iterator[str]:
    """Yield what an event says to a reader; a block says nothing."""
    if isinstance(event, LatencyStarted):
        threads, heads = plural(event.threads, "thread"), plural(event.num_heads, "head")
        yield f"timing on {event.device} with {threads}, {heads}"
    elif isinstance(event, LatencyFinished):
        yield from _finished_lines(event)


def _finished_lines(event: LatencyFinished) -> Iterator[str]:
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
