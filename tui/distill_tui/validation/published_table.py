"""The student's figures beside what was published."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text
from textual.reactive import reactive
from textual.widgets import Static

from distill_core.evaluation.metrics import Evaluation


class PublishedTable(Static):
    """Mean, sd, min and max of the cosine, and the MSE, against the published figures and expectations."""

    evaluation: reactive[Evaluation | None] = reactive(None)

    def watch_evaluation(self, evaluation: Evaluation | None) -> None:
        """Show another evaluation."""
        self.update(_table(evaluation) if evaluation else Text(""))


def _table(evaluation: Evaluation) -> Table:
    cosine = evaluation.cosine
    table = Table.grid(padding=(0, 1))
    for justify in ("left", "right", "right", "right", "left"):
        table.add_column(justify=justify, no_wrap=True)
    table.add_row("cosine", "here", "published", "expected", "", style="bold")
    table.add_row("mean", f"{cosine.mean:.4f}", "0.9928", "> 0.99", _met(met=cosine.mean > 0.99))
    table.add_row("min", f"{cosine.min:.4f}", "0.9827", "> 0.98", _met(met=cosine.min > 0.98))
    table.add_row("sd", f"{cosine.sd:.4f}", "0.0027", "< 0.01", _met(met=cosine.sd < 0.01))
    table.add_row("max", f"{cosine.max:.4f}", "0.9954", "", "")
    table.add_row("5th percentile", f"{cosine.p5:.4f}", "", "", "")
    table.add_row("MSE", f"{evaluation.mse:.2e}", "", "", "")
    return table


def _met(*, met: bool) -> str:
    return "met" if met else "not met"
