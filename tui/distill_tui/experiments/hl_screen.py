"""The result of an experiment on H^L = N: its chart, and what explains the error, in a sentence."""

from __future__ import annotations

from itertools import product

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Footer, Static

from distill_core.experiments.hl_events import HlFinished
from distill_core.foreign_text import visible
from distill_tui.experiments.hl_chart import Against, HlChart


class HlResultScreen(ModalScreen[None]):
    """One chart at a time: a kind of student and an N, against H, L, H^L or parameters."""

    BINDINGS = [
        Binding("escape", "dismiss", "Close", id="hl.close"),
        Binding("h", "against('H')", "Against H", id="hl.heads"),
        Binding("l", "against('L')", "Against L", id="hl.layers"),
        Binding("p", "against('H^L')", "Against H^L", id="hl.power"),
        Binding("m", "against('parameters')", "Against parameters", id="hl.parameters"),
        Binding("n", "next", "Next student and N", id="hl.next"),
    ]

    def __init__(self, result: HlFinished) -> None:
        super().__init__()
        students = [finding.student for finding in result.findings]
        numbers = sorted({row.teacher_heads for row in result.table}, reverse=True)
        self._result = result
        self._views = list(product(students, numbers))
        self._shown = 0

    def compose(self) -> ComposeResult:
        """Lay out the chart above the sentence."""
        with Vertical(classes="dialog large") as dialog:
            dialog.border_title = "Does H^L = N explain the error?"
            yield HlChart(self._result, id="hl-chart")
            yield Static("", id="hl-sentence", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        """Begin with the first student at the largest N."""
        self._show()

    def action_against(self, quantity: Against) -> None:
        """Draw against another quantity."""
        self.query_one(HlChart).against = quantity

    def action_next(self) -> None:
        """Go to the next student or N."""
        self._shown = (self._shown + 1) % max(len(self._views), 1)
        self._show()

    def _show(self) -> None:
        if not self._views:
            self.query_one("#hl-sentence", Static).update("No student was trained to the end.")
            return
        student, teacher_heads = self._views[self._shown]
        chart = self.query_one(HlChart)
        chart.student, chart.teacher_heads = student, teacher_heads
        finding = next(finding for finding in self._result.findings if finding.student == student)
        self.query_one("#hl-sentence", Static).update(visible(finding.sentence, 1000))
