"""Screen 7: sweeps. A heat map of their cells, the frontier, the workers, and what can be done with them."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import Input, Static

from distill_core.sweeps.events import CellShown, SweepShown
from distill_core.sweeps.exporting import heat_axes
from distill_tui.cli.sweep_lines import work_command
from distill_tui.sweeps.desk import SweepsView
from distill_tui.sweeps.heat_map import FIGURES, HeatMap, marginal_lines
from distill_tui.sweeps.lines import cell_lines, front_lines, head_lines, queue_lines
from distill_tui.sweeps.scatter import FrontierChart
from distill_tui.ui.screen import WorkbenchScreen

if TYPE_CHECKING:
    from distill_core.runs import RunSummary

READ_SECONDS = 2.0
HINTS = "f frontier  v value  x axes  w worker  p pause  d drop  r retry  a runs  c curves  n next"
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
    interval for all cells together. `a` lists the runs of the cell, `c` draws them. `f` draws all cells by
    error and latency, with the simple baselines as dotted lines; the frontier holds what no other cell beats
    in error, latency and bytes at once. Latencies of two machines are never compared.
    """
    BINDINGS = [
        Binding("v", "figure", "Value", show=False, id="sweep.figure", tooltip="Show another figure"),
        Binding("x", "axes", "Axes", show=False, id="sweep.axes", tooltip="Show other settings"),
        Binding("f", "frontier", "Frontier", show=False, id="sweep.frontier", tooltip="Error over latency"),
        Binding("a", "runs", "Its runs", show=False, id="sweep.runs", tooltip="The cell's runs, on screen 6"),
        Binding("c", "curves", "Curves", show=False, id="sweep.curves", tooltip="Draw the cell's runs"),
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
        with VerticalScroll(id="sweep-pane", classes="pane", can_focus=False):
            yield Static("", id="sweep-head", markup=False)
            yield HeatMap(id="heat-map")
            yield FrontierChart(id="frontier-chart")
        with VerticalScroll(id="sweep-detail"):
            yield Static("", id="sweep-cell", markup=False)
            yield Static("", id="sweep-front", markup=False)

    def on_mount(self) -> None:
        """Follow the ledger while the screen is shown."""
        self.query_one("#sweep-pane").border_subtitle = HINTS
        self.query_one(FrontierChart).display = False
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
        if not self.is_mounted:
            return False
        if action in ("figure", "axes", "next", "work", "pause", "copy", "frontier"):
            return self._sweep is not None
        if action in ("drop", "retry", "runs", "curves"):
            return self.chosen is not None
        return True

    @property
    def chosen(self) -> CellShown | None:
        """The cell under the cursor."""
        chart = self.query_one(FrontierChart)
        return chart.chosen if chart.display else self.query_one(HeatMap).chosen

    def action_frontier(self) -> None:
        """Show the frontier in place of the heat map, or the other way round."""
        chart, heat_map = self.query_one(FrontierChart), self.query_one(HeatMap)
        chart.display, heat_map.display = not chart.display, chart.display
        (chart if chart.display else heat_map).focus()
        self._show_cell()

    def action_runs(self) -> None:
        """Show the runs of the cell, and no others, on screen 6."""
        if (cell := self.chosen) is not None and cell.runs:
            self.app.switch_mode("runs")
            self.app.call_after_refresh(self._filter_runs, cell.runs[0].rpartition("-s")[0])

    def _filter_runs(self, pattern: str) -> None:
        field = self.app.screen.query_one("#run-filter", Input)
        field.display, field.value = True, pattern

    def action_curves(self) -> None:
        """Draw the validation cosines of the cell's runs into one chart."""
        if (cell := self.chosen) is not None:
            self.workbench.runs.show_curves(self._runs_of(cell))

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
        if (cell := self.chosen) is not None:
            self.workbench.sweeps.drop(cell.number)

    def action_retry(self) -> None:
        """Let what failed of the cell wait again."""
        if (cell := self.chosen) is not None:
            self.workbench.sweeps.retry(cell.number)

    def action_copy(self) -> None:
        """Copy what another box has to type."""
        place = self.workbench.sweeps.view.place
        if self._sweep is not None and place is not None:
            command = work_command(self._sweep.name, place)
            self.app.copy_to_clipboard(command)
            self.app.notify(command, title="Copied")

    @on(HeatMap.Moved)
    @on(FrontierChart.Moved)
    def _show_cell(self) -> None:
        cell = self.chosen
        self.query_one("#sweep-cell", Static).update(Text("\n".join(cell_lines(cell)) if cell else ""))
        if self._sweep is not None:
            figure = self.query_one(HeatMap).figure
            told = [*front_lines(self._sweep), f"Marginals ({figure.title}, mean over all else)"]
            told += marginal_lines(self._sweep, figure)
            self.query_one("#sweep-front", Static).update(Text("\n".join(told)))
        self.refresh_bindings()

    @on(HeatMap.Selected)
    @on(FrontierChart.Selected)
    def _open(self) -> None:
        cell = self.chosen
        found = next(iter(self._runs_of(cell)), None) if cell is not None else None
        if found is None:
            self.notify("No run of this cell is on this machine yet.", severity="warning")
        elif self.workbench.training.open(found):
            self.app.switch_mode("train")

    def _runs_of(self, cell: CellShown) -> list[RunSummary]:
        """Return the runs of a cell that are on this machine."""
        listed = self.workbench.runs.view
        runs = {Path(run.path).name: run for run in (listed.runs if listed else ())}
        return [runs[name] for name in cell.runs if name in runs]

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
        chart = self.query_one(FrontierChart)
        self.query_one("#sweep-detail").display = sweep is not None
        heat_map.display, chart.display = (
            sweep is not None and not chart.display,
            sweep is not None and chart.display,
        )
        if sweep is None:
            words = NONE_YET if view.place is not None else "Reading the sweeps…"
            self.query_one("#sweep-head", Static).update(words)
            return
        if heat_map.sweep is None or heat_map.sweep.name != sweep.name:
            heat_map.axes, heat_map.cursor = heat_axes(sweep), (0, 0)
        heat_map.sweep = chart.sweep = sweep
        number = f"  ({view.names.index(sweep.name) + 1} of {len(view.names)})" if len(view.names) > 1 else ""
        head = [*head_lines(sweep, number), *queue_lines(view)]
        self.query_one("#sweep-head", Static).update(Text("\n".join(head)))
        self._show_cell()
