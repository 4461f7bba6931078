"""Screen 7: sweeps. A heat map of their cells, the frontier, the workers, and what can be done with them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import Static

from distill_core.foreign_text import visible
from distill_core.sweeps.events import CellShown, Spread, SweepShown
from distill_core.sweeps.exporting import heat_axes, settings_words
from distill_core.sweeps.forecast import duration_words
from distill_core.wording import plural
from distill_tui.cli.sweep_lines import merged_words, work_command
from distill_tui.sweeps.desk import SweepsView
from distill_tui.sweeps.heat_map import FIGURES, HeatMap
from distill_tui.ui.screen import WorkbenchScreen

READ_SECONDS = 2.0
HINTS = "v value  x axes  w worker  p pause  d drop  r retry  y copy  n next"
NONE_YET = (
    "No sweeps yet. ctrl+g tries several values of the settings on screen 2 at once: type such as "
    "H2,4,8 L1,2,3 x2, and a process of its own trains them all, whatever becomes of this app."
)


class SweepScreen(WorkbenchScreen):
    """One sweep of the ledger, read anew every two seconds while it is shown and nothing is timed."""

    MODE = "sweep"
    HELP = """
    # Sweeps
    `ctrl+g` on any screen trains many settings at once: those of screen 2, with lists and ranges in place
    of single values, such as `H2,4,8 L1,2,3 lambda=0.1..0.9/5 x2` (two seeds). Processes of their own do
    the work: they go on when this app ends, or the line drops, and other boxes join in (`y` copies their
    command).

    The heat map shows the best over all other settings; `v` shows another figure, `x` other settings.
    *behind the best* is the difference in cosine on the test queries that all runs share, with a 95 %
    interval for all cells together. The frontier holds what no other cell beats in error, latency and bytes
    at once; latencies of two machines are never compared.
    """
    BINDINGS = [
        Binding("v", "figure", "Value", show=False, id="sweep.figure", tooltip="Show another figure"),
        Binding("x", "axes", "Axes", show=False, id="sweep.axes", tooltip="Show other settings"),
        Binding("n", "next", "Next sweep", show=False, id="sweep.next"),
        Binding("w", "work", "Add worker", id="sweep.work", tooltip="Start one more worker on this machine"),
        Binding("p", "pause", "Pause", id="sweep.pause", tooltip="Ask its workers to leave; again to go on"),
        Binding("d", "drop", "Drop", show=False, id="sweep.drop", tooltip="Take what waits of the cell out"),
        Binding("r", "retry", "Retry", show=False, id="sweep.retry", tooltip="Run what failed once more"),
        Binding("y", "copy", "Copy command", show=False, id="sweep.copy", tooltip="For another box"),
    ]
    AUTO_FOCUS = "#heat-map"

    def compose_body(self) -> ComposeResult:
        """Lay out the heat map over the details."""
        with VerticalScroll(id="sweep-pane", can_focus=False):
            yield Static("", id="sweep-head", markup=False)
            yield HeatMap(id="heat-map")
        with VerticalScroll(id="sweep-detail"):
            yield Static("", id="sweep-cell", markup=False)
            yield Static("", id="sweep-front", markup=False)

    def on_mount(self) -> None:
        """Follow the ledger while the screen is shown."""
        self.query_one("#sweep-pane").border_subtitle = HINTS
        self._reader = self.set_interval(READ_SECONDS, self._read, pause=True)
        self.workbench.sweeps.follow(self, self._show)

    def on_screen_resume(self) -> None:
        """Read at once, and from now on."""
        self._read()
        self._reader.resume()

    def on_screen_suspend(self) -> None:
        """Read nothing while nobody looks."""
        self._reader.pause()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what there is a sweep, or a cell, for."""
        if action in ("figure", "axes", "next", "work", "pause", "copy"):
            return self._sweep is not None
        if action in ("drop", "retry"):
            return self.query_one(HeatMap).chosen is not None
        return True

    def action_figure(self) -> None:
        """Show the next figure."""
        heat_map = self.query_one(HeatMap)
        heat_map.figure = FIGURES[(FIGURES.index(heat_map.figure) + 1) % len(FIGURES)]
        self._show_cell()

    def action_axes(self) -> None:
        """Show the next two of the settings that vary."""
        heat_map = self.query_one(HeatMap)
        pairs = list(permutations(self._varying(), 2))
        if len(pairs) > 1:
            present = heat_map.axes if heat_map.axes in pairs else pairs[-1]
            heat_map.axes = pairs[(pairs.index(present) + 1) % len(pairs)]
            heat_map.cursor = (0, 0)

    def action_next(self) -> None:
        """Look at the next sweep."""
        self.workbench.sweeps.look_at_next()

    def action_work(self) -> None:
        """Start one more worker here."""
        self.workbench.sweeps.add_worker()

    def action_pause(self) -> None:
        """Ask the workers to leave, or go on."""
        self.workbench.sweeps.pause()

    def action_drop(self) -> None:
        """Take what waits of the cell out."""
        if (cell := self.query_one(HeatMap).chosen) is not None:
            self.workbench.sweeps.drop(cell.number)

    def action_retry(self) -> None:
        """Let what failed of the cell wait again."""
        if (cell := self.query_one(HeatMap).chosen) is not None:
            self.workbench.sweeps.retry(cell.number)

    def action_copy(self) -> None:
        """Copy what another box has to type."""
        place = self.workbench.sweeps.view.place
        if self._sweep is not None and place is not None:
            command = work_command(self._sweep.name, place)
            self.app.copy_to_clipboard(command)
            self.app.notify(command, title="Copied")

    @on(HeatMap.Moved)
    def _show_cell(self) -> None:
        cell = self.query_one(HeatMap).chosen
        self.query_one("#sweep-cell", Static).update(Text("\n".join(cell_lines(cell)) if cell else ""))
        self.refresh_bindings()

    @on(HeatMap.Selected)
    def _open(self) -> None:
        cell, desk = self.query_one(HeatMap).chosen, self.workbench.runs
        runs = {Path(run.path).name: run for run in (desk.view.runs if desk.view else ())}
        found = next((runs[name] for name in cell.runs if name in runs), None) if cell else None
        if found is None:
            self.notify("No run of this cell is on this machine yet.", severity="warning")
        elif self.workbench.training.open(found):
            self.app.switch_mode("train")

    @property
    def _sweep(self) -> SweepShown | None:
        return self.workbench.sweeps.view.shown

    def _read(self) -> None:
        """Read the ledger, unless something is timed: that would be in the times."""
        if not self.workbench.jobs.is_timing:
            self.workbench.sweeps.read()
            self.workbench.runs.list()

    def _varying(self) -> list[str]:
        sweep = self._sweep
        if sweep is None:
            return []
        names = dict.fromkeys(name for cell in sweep.cells for name in cell.settings)
        values = {name: {cell.settings.get(name) for cell in sweep.cells} for name in names}
        varying = [name for name in names if len(values[name]) > 1]
        return varying if len(varying) > 1 else [*varying, *[n for n in names if n not in varying]][:2]

    def _show(self, view: SweepsView) -> None:
        sweep, heat_map = view.shown, self.query_one(HeatMap)
        self.query_one("#sweep-detail").display = heat_map.display = sweep is not None
        if sweep is None:
            words = NONE_YET if view.place is not None else "Reading the sweeps…"
            self.query_one("#sweep-head", Static).update(words)
            return
        if heat_map.sweep is None or heat_map.sweep.name != sweep.name:
            heat_map.axes, heat_map.cursor = heat_axes(sweep), (0, 0)
        heat_map.sweep = sweep
        number = f"  ({view.names.index(sweep.name) + 1} of {len(view.names)})" if len(view.names) > 1 else ""
        head = [*head_lines(sweep, number), *queue_lines(view)]
        self.query_one("#sweep-head", Static).update(Text("\n".join(head)))
        self.query_one("#sweep-front", Static).update(Text("\n".join(front_lines(sweep))))
        self._show_cell()


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
        yield f"behind the best by {behind.mean:.5f} ({behind.low:.5f} to {behind.high:.5f})"
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
        words = (
            f"{star}{point.error:.5f} {p90:>12} {point.size_bytes:>12,}  {settings_words(cells[point.cell])}"
        )
        yield visible(words)
    for worker in sweep.workers:
        age = f"seen {worker.age_seconds:.0f} s ago"
        place = f"{worker.host} {worker.device} process {worker.pid}"
        yield visible(f"at work: {place}, cell {worker.cell} seed {worker.seed}, {age}")


def _spread(spread: Spread) -> str:
    return f"{spread.mean:.5f} (seeds {spread.low:.5f} to {spread.high:.5f})"
