"""What the chosen teacher finds over its temperature: a bar for each, with its interval."""

from __future__ import annotations

from rich.text import Text
from textual import events
from textual.reactive import var
from textual.widgets import Static

from distill_core.evaluation.intervals import Estimate
from distill_core.evaluation.teacher_findings import Findings, TemperaturePoint
from distill_tui.teacher.desk import TeacherView

_TEXT_WIDTH = 29
"""Cells of a row beside its bar."""


class TemperatureBars(Static):
    """A row for each temperature: MRR as bar and figure, effective heads, what a constant scores."""

    DEFAULT_CSS = "TemperatureBars { height: auto; }"
    ALLOW_SELECT = False

    view: var[TeacherView | None] = var(None)

    def watch_view(self) -> None:
        """Show another projection, or the same at another temperature."""
        self._draw()

    def on_resize(self, _event: events.Resize) -> None:
        """Draw the bars as wide as there is room."""
        self._draw()

    def _draw(self) -> None:
        findings = self.view.health.findings if self.view else None
        if self.view is None or findings is None:
            self.update(Text("No question's true answer is known." if self.view else "", "dim"))
            return
        health = self.view.health
        here = TemperaturePoint(
            temperature=health.temperature,
            effective_heads=health.effective_heads.median,
            constant_cosine=health.constant_cosine,
            mrr=findings.lda.mrr,
            left_out_mrr=findings.left_out.lda.mrr if findings.left_out else None,
        )
        self.update(temperature_rows(findings, here, self.size.width))


def temperature_rows(findings: Findings, here: TemperaturePoint, width: int) -> Text:
    """Return the curve as rows of at most `width` cells, the present temperature among them.

    Args:
        findings: With the curve.
        here: The teacher at the temperature that is looked at.
        width: In cells.
    """
    curve, room = findings.curve, max(4, width - _TEXT_WIDTH)
    points = {point.temperature: point for point in (*curve.points, here)}
    text = Text(no_wrap=True, overflow="crop")
    text.append(f"{'τ':6}{'finds':{room}} {'MRR':>5} {'heads':>5} {'const':>5}\n", "dim")
    for tau in sorted(points):
        point = points[tau]
        mark = " best" if tau == curve.best else " now" if tau == here.temperature else ""
        style = "bold" if tau == here.temperature else ""
        text.append(f"{tau:<6.3g}", style)
        text.append(interval_bar(point.held_out_mrr, room))
        text.append(f" {_figure(point.held_out_mrr.value)} {_heads(point.effective_heads):>5}", style)
        text.append(f" {point.constant_cosine:5.3f}{mark}\n", style)
    text.append(f"{'bare':6}", "dim")
    text.append(interval_bar(findings.query.mrr, room))
    text.append(f" {_figure(findings.query.mrr.value)}\n", "dim")
    how = "each left out of its centroids" if curve.is_left_out else "which are in the centroids, too"
    text.append(
        f"MRR of {curve.num_judged:,} questions, {how}; bare: the query without any projection", "dim"
    )
    return text


def interval_bar(share: Estimate, width: int) -> str:
    """Return a bar over a share (0 to 1) of `width` cells: surely reached, the value, the interval's end."""
    value = share.value or 0.0
    low, high = (value if end is None else end for end in (share.low, share.high))
    sure, middle, end = (round(min(max(cells, 0.0), 1.0) * width) for cells in (low, value, high))
    return ("█" * sure + "▓" * (middle - sure) + "░" * (end - middle)).ljust(width)


def _figure(value: float | None) -> str:
    return "    -" if value is None else f"{value:5.3f}"


def _heads(number: float) -> str:
    return f"{number:.1f}" if number < 1000 else f"{number:,.0f}"[:5]
