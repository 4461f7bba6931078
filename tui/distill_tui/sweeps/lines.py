"""A sweep in lines of text for its screen."""

from __future__ import annotations

from collections.abc import Iterator

from distill_core.foreign_text import visible
from distill_core.sweeps.events import CellShown, Spread, SweepShown
from distill_core.sweeps.exporting import settings_words
from distill_core.sweeps.forecast import duration_words
from distill_core.wording import cosine_error, error_range, plural
from distill_tui.cli.sweep_lines import merged_words
from distill_tui.sweeps.desk import SweepsView


def head_lines(sweep: SweepShown, number: str = "") -> Iterator[str]:
    """Yield how far a sweep is, and what was merged and left out."""
    left = ""
    if sweep.seconds_left and sweep.state in ("running", "waiting", "stopped"):
        left = f", about {duration_words(sweep.seconds_left)} left"
    workers = f", {plural(len(sweep.workers), 'worker')}" if sweep.workers else ""
    done = f"{sweep.done} of {plural(sweep.trials, 'run')} done"
    yield visible(f"{sweep.name}{number}: {sweep.state}, {done}{workers}{left}")
    yield from (visible(merged_words(merged)) for merged in sweep.merged_axes)
    yield from (visible(f"left out: {words}") for words in sweep.left_out)


def queue_lines(view: SweepsView) -> Iterator[str]:
    """Yield what the sweep waits for, and whose turn it is on this machine."""
    if view.waits_for:
        yield visible(f"begins after {view.waits_for}, which is being trained")
    if len(view.queue) > 1:
        yield visible(f"queue: ▶{'  ·'.join(view.queue)}")


def cell_lines(cell: CellShown) -> Iterator[str]:
    """Yield what is known of a cell."""
    yield visible(
        f"cell {cell.number}: {settings_words(cell)}  {cell.state}, {cell.done} of {cell.seeds} seeds"
    )
    for name, spread in (("cosine", cell.cosine), ("skill", cell.skill), ("agreement", cell.agreement)):
        if spread is not None:
            yield f"{name} {_spread(spread)}"
    if cell.behind_best is not None:
        behind = cell.behind_best
        yield f"behind the best by {error_range(behind.mean, behind.low, behind.high)}"
    if cell.p90_us is not None:
        yield visible(f"p90 {cell.p90_us:,.1f} µs, the LDA {cell.lda_p90_us or 0:,.1f} µs ({cell.machine})")
    if cell.parameters is not None:
        yield f"{cell.parameters:,} parameters, {cell.size_bytes or 0:,} bytes"
    if cell.why:
        yield visible(cell.why)


def front_lines(sweep: SweepShown) -> Iterator[str]:
    """Yield the frontier, the fastest first, and the workers."""
    if sweep.frontier:
        yield "Frontier (error, p90, bytes)"
    cells = {cell.number: cell for cell in sweep.cells}
    for point in sweep.frontier:
        p90 = "" if point.p90_us is None else f"{point.p90_us:,.1f} µs"
        star = "*" if sweep.take == point else " "
        figures = f"{star}{cosine_error(point.error)} {p90:>12} {point.size_bytes:>12,}"
        yield visible(f"{figures}  {settings_words(cells[point.cell])}")
    for worker in sweep.workers:
        age = f"seen {worker.age_seconds:.0f} s ago"
        place = f"{worker.host} {worker.device} process {worker.pid}"
        yield visible(f"at work: {place}, cell {worker.cell} seed {worker.seed}, {age}")


def _spread(spread: Spread) -> str:
    return f"{spread.mean:.5f} (seeds {spread.low:.5f} to {spread.high:.5f})"
