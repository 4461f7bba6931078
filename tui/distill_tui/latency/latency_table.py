"""LDA and student in columns side by side, and the bars beside them."""

from __future__ import annotations

from collections.abc import Callable

from rich.table import Table

from distill_core.latency.events import LatencyFinished, ModelLatency
from distill_tui.latency.bar_chart import Interval, LabelledValue
from distill_tui.text import OFFLINE, SINGLE_STREAM, contestant_names

METHOD = "MLPerf-like, shortened"

Cell = Callable[[ModelLatency], str]


def latency_table(result: LatencyFinished) -> Table:
    """Return a column a contestant, the LDA first; in bold what is the headline of each case."""
    models = list(contestant_names(result))
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    for _model in models:
        table.add_column(justify="right", no_wrap=True)
    table.add_row(METHOD, *(name for name, _model in models), style="dim")
    for title, cell, is_headline in _rows(result.batch_size):
        cells = [cell(model) for _name, model in models]
        table.add_row(title, *cells, style="bold" if is_headline else "")
    return table


def latency_bars(result: LatencyFinished) -> tuple[LabelledValue, ...]:
    """Return what the bars show: p90 of single queries, median in batches."""
    models = list(contestant_names(result))
    return (
        *((f"{name} {SINGLE_STREAM}", model.single_us.p90) for name, model in models),
        *((f"{name} {OFFLINE}", model.batch_us_per_query.p50) for name, model in models),
    )


def latency_intervals(result: LatencyFinished) -> tuple[Interval | None, ...]:
    """Return the 95 % intervals of the bars; None where an older version measured none."""
    models = [model for _name, model in contestant_names(result)]
    return (*(model.single_p90_interval for model in models), *(model.batch_interval for model in models))


def _rows(batch_size: int) -> tuple[tuple[str, Cell, bool], ...]:
    offline = f"{OFFLINE} ({batch_size})"
    return (
        (f"{SINGLE_STREAM} p50, µs", lambda model: f"{model.single_us.p50:,.1f}", False),
        (f"{SINGLE_STREAM} p90, µs", lambda model: f"{model.single_us.p90:,.1f}", True),
        (f"{SINGLE_STREAM} p99, µs", lambda model: f"{model.single_us.p99:,.1f}", False),
        (f"{SINGLE_STREAM}, queries/s", lambda model: f"{model.single_qps:,.0f}", False),
        (f"{offline}, µs a query", lambda model: f"{model.batch_us_per_query.p50:,.1f}", False),
        (f"{offline}, queries/s", lambda model: f"{model.batch_qps:,.0f}", True),
        ("outliers, kept", lambda model: f"{model.outliers:,}", False),
    )
