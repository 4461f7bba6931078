"""Screen 3: the run, live."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.reactive import reactive

from distill_tui.charts.plot import Baseline
from distill_tui.jobs import JobState
from distill_tui.training.curves import CurveLegend, RunCurve, curve_history, last_step, seeds_together
from distill_tui.training.desk import TrainingView
from distill_tui.training.metric_chart import MetricChart
from distill_tui.training.status import RunStatus
from distill_tui.ui.screen import WorkbenchScreen

_LEFT_OUT = (
    " regression",
    " mean output",
    " routing",
    "'s output",
    "'s answer",
    "training ",
    "LDA ",
    " heads",
)
CHARTS = {"cosine": "cosine", "loss": "loss", "mse": "MSE"}
WINDOWS = (1, 5, 20, 100)
"""Over about how many points one can smooth."""


class TrainScreen(WorkbenchScreen):
    """Status and progress on top, three charts below; `z` gives one of them all the room."""

    MODE = "train"
    HELP = """
    # The run
    *train* is the mean over an epoch with dropout on, while the weights still moved; *validation* is the
    same student on queries it never trains on, dropout off. So validation may well look better than train.
    With the recipe *strong* an epoch is a round of newly drawn queries, *validation* is of averaged weights,
    and a run ends early when it gains no more.

    The first chart shows 1-cos on a log axis, lower is better: 0.1 is a cosine of 0.9, 1e-4 one of 0.9999;
    `c` shows the cosine itself.

    Left and right move a cursor, whose values stand on top of each chart (`y` copies them); `+` and `-` show
    less or more of the epochs around it, and the y axis then fits what is seen. `m` smooths: an exponential
    mean without a bias at the start, over about as many points as the title says; the raw values stay, faint.
    ◆ marks the best validation. `S` saves the screen as SVG, or the chart that `z` has given all the room.

    With the curves of several runs (`v` on screen 6) those that differ only in their seed are one mean with
    a band from the lowest to the highest; `g` draws each by itself.

    The dashed lines are the ladder: what simple things score on the validation queries. A student that
    does not get past them has learnt nothing that they have not; the ridge's strength was chosen on these
    very queries.
    """
    BINDINGS = [
        Binding("space", "pause", "Pause / go on", id="train.pause"),
        Binding("s", "stop", "Stop", id="train.stop", tooltip="Stop, and evaluate what was learnt"),
        Binding("L", "toggle_log_y", "Log y", key_display="L", id="train.log_y", show=False),
        Binding("X", "toggle_log_x", "Log x", key_display="X", id="train.log_x", show=False),
        Binding("c", "toggle_error", "1-cos / cosine", id="train.error", tooltip="1 - cosine, or the cosine"),
        Binding("z", "zoom", "Zoom", id="train.zoom", tooltip="All charts, or one after another"),
        Binding("left,h", "read(-1)", "Read values", key_display="← →", id="train.before", show=False),
        Binding("right,l", "read(1)", "Read later values", id="train.after", show=False),
        Binding("left_square_bracket", "read(-10)", "Ten columns back", id="train.far_before", show=False),
        Binding("right_square_bracket", "read(10)", "Ten columns on", id="train.far_after", show=False),
        Binding("plus,equals_sign", "magnify(0.5)", "Show less", key_display="+", id="train.in", show=False),
        Binding("minus", "magnify(2)", "Show more", key_display="-", id="train.out", show=False),
        Binding("m", "smooth", "Smooth", id="train.smooth", show=False, tooltip="Over 5, 20 or 100 points"),
        Binding("g", "group", "Seeds apart / together", id="train.group", show=False),
        Binding("escape", "let_go", "No cursor", id="train.let_go", show=False),
        Binding("v,escape", "leave_curves", "Back to the run", key_display="v", id="train.curves"),
        Binding("enter", "app.start_training", "Train", id="train.start", show=False),
    ]

    zoomed: reactive[str] = reactive("")
    shows_error: reactive[bool] = reactive(True, init=False)
    """Whether the first chart shows 1 - cosine on a log axis, where 0.997 and 0.9999 are far apart."""

    puts_seeds_together: reactive[bool] = reactive(True, init=False)
    """Whether runs that differ only in their seed are one curve."""

    def compose_body(self) -> ComposeResult:
        """Lay out the status over the charts."""
        yield RunStatus(id="run-status")
        yield CurveLegend(id="curve-legend")
        with Horizontal(id="charts"):
            yield self._new_chart("cosine")
            with Vertical(id="side-charts"):
                yield self._new_chart("loss")
                yield self._new_chart("mse")

    def on_mount(self) -> None:
        """Give the charts their histories and follow the run."""
        for metric in CHARTS:
            self._chart(metric).history = self.workbench.training.histories.by_metric[metric]
            self._chart(metric).best = "low"
        self.watch_shows_error()
        self.workbench.training.follow(self, self._show_run)
        self.workbench.training.curves.follow(self, self._show_curves)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Pausing and stopping need a run; starting needs none."""
        jobs = self.workbench.jobs
        if action in ("pause", "stop"):
            return jobs.is_active(self.workbench.training) and jobs.state is not JobState.STOPPING
        if action == "app.start_training":
            return not jobs.is_busy
        if action in ("leave_curves", "zoom", "toggle_log_y"):
            return bool(self._curves) is (action == "leave_curves")
        if action == "group":
            return bool(self._curves)
        if action == "let_go":
            return self.is_mounted and self._leader.cursor is not None
        return True

    def action_pause(self) -> None:
        """Pause a running run, or go on with a paused one."""
        jobs = self.workbench.jobs
        (jobs.resume if jobs.state is JobState.PAUSED else jobs.pause)()

    def action_stop(self) -> None:
        """Stop; what was learnt so far is evaluated."""
        self.workbench.jobs.stop()

    def action_toggle_log_y(self) -> None:
        """Switch between a linear and a logarithmic axis; only a cosine, which may be negative, has none."""
        for metric in ("cosine", "loss", "mse") if self.shows_error else ("loss", "mse"):
            chart = self._chart(metric)
            chart.log_y = not chart.log_y

    def action_toggle_error(self) -> None:
        """Show the distance to the teacher in place of the cosine, or the other way round."""
        self.shows_error = not self.shows_error

    def watch_shows_error(self) -> None:
        """Draw the first chart anew, on the axis that suits it."""
        chart = self._chart("cosine")
        chart.log_y, chart.best = self.shows_error, "low" if self.shows_error else "high"
        self._show_curves(self._curves)
        self._show_baselines()

    def action_read(self, cells: int) -> None:
        """Move the cursor over the charts by columns with points in them."""
        position = self._leader.cursor_moved(cells)
        for chart in self._charts:
            chart.cursor = position
        self._show_part(self._leader.part(1))
        self.refresh_bindings()

    def action_let_go(self) -> None:
        """Read the last values again."""
        for chart in self._charts:
            chart.cursor = None
        self.refresh_bindings()

    def action_magnify(self, factor: float) -> None:
        """Show another share of the epochs: around the cursor, or else the last ones."""
        self._show_part(self._leader.part(factor))

    def action_smooth(self) -> None:
        """Smooth over the next number of points."""
        for chart in self._charts:
            chart.window = WINDOWS[(WINDOWS.index(chart.window) + 1) % len(WINDOWS)]

    def action_group(self) -> None:
        """Draw runs that differ only in their seed as one curve, or each by itself."""
        self.puts_seeds_together = not self.puts_seeds_together

    def watch_puts_seeds_together(self) -> None:
        """Draw the curves of several runs anew."""
        self._show_curves(self._curves)

    def picture(self) -> str:
        """Return the chart that has all the room, or else the screen, as SVG."""
        return self._leader.svg() if self.zoomed else super().picture()

    def in_hand(self) -> str:
        """Return the values at the cursor, or the last ones."""
        lines = []
        for chart in self._charts:
            values = chart.values_at_cursor()
            if values and chart.display:
                at = "" if chart.cursor is None else f" at {chart.x_label} {chart.cursor:g}"
                told = "\t".join(f"{name} {value:.6g}" for name, value in values.items())
                lines.append(f"{chart.title}{at}\t{told}")
        return "\n".join(lines)

    def _show_part(self, part: tuple[float, float] | None) -> None:
        for chart in self._charts:
            chart.x_range = part

    def action_toggle_log_x(self) -> None:
        """Switch every chart's epochs between a linear and a logarithmic axis."""
        for metric in CHARTS:
            chart = self._chart(metric)
            chart.log_x = not chart.log_x

    def action_leave_curves(self) -> None:
        """Show the run itself again, in place of the curves of several."""
        self.workbench.training.curves.publish(())

    def action_zoom(self) -> None:
        """Show all charts, then each of them alone."""
        order = ["", *CHARTS]
        self.zoomed = order[(order.index(self.zoomed) + 1) % len(order)]

    def watch_zoomed(self, zoomed: str) -> None:
        """Hide the charts that are not zoomed."""
        for metric in CHARTS:
            self._chart(metric).display = zoomed in ("", metric)
        self.query_one("#side-charts").display = zoomed != "cosine"

    def _new_chart(self, metric: str) -> MetricChart:
        return MetricChart(CHARTS[metric], x_label="epoch", id=f"chart-{metric}")

    @property
    def _curves(self) -> tuple[RunCurve, ...]:
        return self.workbench.training.curves.view

    @property
    def _charts(self) -> list[MetricChart]:
        return [self._chart(metric) for metric in CHARTS]

    @property
    def _leader(self) -> MetricChart:
        """The chart whose columns the cursor moves by: the one that is zoomed, or else the first."""
        return self._chart(self.zoomed or "cosine")

    def _chart(self, metric: str) -> MetricChart:
        return self.query_one(f"#chart-{metric}", MetricChart)

    def _show_curves(self, curves: tuple[RunCurve, ...]) -> None:
        """Draw the curves of several runs where the run's cosine is, or that again."""
        curves = seeds_together(curves) if self.puts_seeds_together else curves
        self.query_one(CurveLegend).curves = curves
        self.query_one(RunStatus).display = not curves
        self.action_let_go()
        self._show_part(None)
        chart = self._chart("cosine")
        if curves:
            chart.history = curve_history(curves, of_errors=self.shows_error)
            chart.x_total, chart.x_label, chart.baselines = last_step(curves), "step", ()
            chart.title = f"validation {self._title}"
            self.zoomed = "cosine"
        else:
            name = "error" if self.shows_error else "cosine"
            chart.history, chart.title = self.workbench.training.histories.by_metric[name], self._title
            if chart.x_label == "step":
                chart.x_label, self.zoomed = "epoch", ""
                self._show_run(self.workbench.training.view)
        self.refresh_bindings()

    @property
    def _title(self) -> str:
        return "1-cos" if self.shows_error else CHARTS["cosine"]

    def _show_baselines(self) -> None:
        if self._curves:
            return
        self._chart("cosine").baselines = tuple(
            Baseline(
                line_name(rung.label),
                1 - rung.validation_cosine if self.shows_error else rung.validation_cosine,
            )
            for rung in self.workbench.training.view.baselines
        )

    def _show_run(self, view: TrainingView) -> None:
        self.query_one(RunStatus).view = view
        for metric in CHARTS:
            if metric == "cosine" and self._curves:
                continue
            chart = self._chart(metric)
            chart.x_total = None if view.planned_epochs is None else float(view.planned_epochs)
            chart.refresh_data()
        if len(self._chart("cosine").baselines) != len(view.baselines):
            self._show_baselines()


def line_name(label: str) -> str:
    """Return a baseline's label in the ladder without what a chart has no room for: `top-2`."""
    for words in _LEFT_OUT:
        label = label.replace(words, "")
    return label
