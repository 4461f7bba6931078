"""The table of all contestants as cells, the same on the screen and on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distill_core.latency.events import ContestantRow
    from distill_core.latency.measurement import TimeRatio

COLUMNS = (
    "contestant",
    "single p90 µs",
    "p50 µs",
    "x LDA (95 %)",
    "offline 1/s",
    "outliers",
    "parameters",
    "bytes",
    "cosine",
)
UNTRAINED = "The student is untrained: its times are those of a trained one, its cosine says nothing."
COSINE = (
    "The cosine is over the database's questions, those of the training included; screen 4 has the test's."
)
PARETO = (
    "* Pareto-best: no other is at least as good in single-stream p90, cosine and bytes, and better in one."
)


def row_cells(row: ContestantRow) -> tuple[str, ...]:
    """Return one contestant's cells; a dash for what was not measured."""
    times = row.single_us
    return (
        f"{'* ' if row.pareto_best else '  '}{row.name}",
        "-" if times is None else f"{times.p90:,.1f}",
        "-" if times is None else f"{times.p50:,.1f}",
        "-" if row.single_over_lda is None else ratio_cell(row.single_over_lda),
        "-" if row.offline_per_second is None else f"{row.offline_per_second:,.0f}",
        "-" if row.outliers is None else f"{row.outliers:,}",
        "-" if row.parameters is None else f"{row.parameters:,}",
        "-" if row.size_bytes is None else f"{row.size_bytes:,}",
        "-" if row.cosine is None else f"{row.cosine:.4f}",
    )


def ratio_cell(ratio: TimeRatio) -> str:
    """Return a time over the LDA's with its interval."""
    return f"{ratio.value:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"
