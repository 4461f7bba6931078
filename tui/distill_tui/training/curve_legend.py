"""Which curve is whose, above the chart of several runs."""

from __future__ import annotations

from rich.text import Text
from textual.reactive import reactive
from textual.widgets import Static

from distill_core.foreign_text import visible
from distill_tui.charts.figure import PENS
from distill_tui.charts.history import RUN_NAMES, MetricHistory
from distill_tui.runs.desk import RunCurve


class CurveLegend(Static):
    """A line a run: how its curve is drawn, its number, its name, and where it has come to."""

    COMPONENT_CLASSES = {f"curve-legend--run_{number}" for number in RUN_NAMES}
    DEFAULT_CSS = """
    CurveLegend {
        height: auto;
        display: none;
        & > .curve-legend--run_1 { color: $text-primary; }
        & > .curve-legend--run_2 { color: $text-warning; }
        & > .curve-legend--run_3 { color: $text-success; }
        & > .curve-legend--run_4 { color: $text-error; }
        & > .curve-legend--run_5 { color: $text-accent; }
        & > .curve-legend--run_6 { color: $foreground; }
    }
    """

    curves: reactive[tuple[RunCurve, ...]] = reactive(())

    def watch_curves(self, curves: tuple[RunCurve, ...]) -> None:
        """Name other curves."""
        self.display = bool(curves)
        text = Text(no_wrap=True, overflow="ellipsis")
        for name, curve in zip(RUN_NAMES, curves, strict=False):
            style = self.get_visual_style(f"curve-legend--run_{name}").rich_style
            text.append(f"{PENS[name].marker:<4}{name} ", style)
            text.append(f"{visible(curve.name)}  {_end(curve)}\n")
        text.rstrip()
        self.update(text)


def curve_history(curves: tuple[RunCurve, ...]) -> MetricHistory:
    """Return the curves as what a chart draws, by number."""
    history = MetricHistory(RUN_NAMES[: len(curves)])
    for name, curve in zip(RUN_NAMES, curves, strict=False):
        history.extend(name, curve.steps, curve.cosines)
    return history


def last_step(curves: tuple[RunCurve, ...]) -> float:
    """Return the step at which the longest curve ends."""
    return float(max((step for curve in curves for step in curve.steps), default=1))


def _end(curve: RunCurve) -> str:
    if not curve.steps:
        return "no validated epoch yet"
    return f"{curve.cosines[-1]:.4f} at step {curve.steps[-1]:,}, best {max(curve.cosines):.4f}"
