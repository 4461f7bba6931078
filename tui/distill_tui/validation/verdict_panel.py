"""The verdict: one sentence, three reasons, and what would change it."""

from __future__ import annotations

from rich.text import Text
from textual.reactive import var
from textual.widgets import Static

from distill_core.evaluation.verdict import Verdict
from distill_core.foreign_text import visible


class VerdictPanel(Static):
    """Says what to do in bold, and why below."""

    verdict: var[Verdict | None] = var(None)
    placeholder: var[str] = var("")

    def watch_verdict(self) -> None:
        """Show another verdict."""
        self._show()

    def watch_placeholder(self) -> None:
        """Say something else while there is no verdict."""
        self._show()

    def _show(self) -> None:
        if self.verdict is None:
            self.update(Text(self.placeholder, "dim"))
            return
        text = Text(visible(self.verdict.sentence, 600), "bold")
        for reason in self.verdict.reasons:
            text.append(f"\n· {visible(reason, 600)}", "not bold")
        text.append(f"\nWhat would change it: {self.verdict.would_change}", "not bold dim")
        self.update(text)
