"""What there is to know of the chosen projection, in a few lines."""

from __future__ import annotations

from rich.text import Text
from textual.reactive import var
from textual.widgets import Static

from distill_core.architecture import lda_cost
from distill_core.errors import told
from distill_core.foreign_text import visible
from distill_tui.teacher.desk import TeacherView


class TeacherFacts(Static):
    """Size, temperature and health of a teacher, where its vectors were found, and what is wrong."""

    view: var[TeacherView | None] = var(None)

    def watch_view(self, view: TeacherView | None) -> None:
        """Show another projection, or the same at another temperature."""
        self.update(_facts(view) if view else Text("No database is open: press o.", "dim"))


def _facts(view: TeacherView) -> Text:
    text = Text()
    text.append(f"{visible(view.projection.name) or f'projection {view.projection.id}'}\n", "bold")
    for problem in view.problems:
        if problem.severity == "warning":
            text.append(f"{problem.severity}: {told(problem.message, problem.hint)}\n", "bold")
    if not len(view.queries):
        text.append("No question has a vector: nothing can be trained or timed.\n", "bold")
    for warning in view.health.warnings:
        text.append(f"{visible(warning)}\n", "bold")
    for name, value in _rows(view):
        text.append(f"{name:19}", "dim").append(f"{value}\n")
    for problem in view.problems:
        if problem.severity == "warning":
            continue  # said on top
        style = "bold" if problem.severity == "error" else ""
        text.append(f"{problem.severity}: {told(problem.message, problem.hint)}\n", style)
    text.rstrip()
    return text


def _rows(view: TeacherView) -> list[tuple[str, str]]:
    health, teacher = view.health, view.teacher
    heads = health.effective_heads
    stored = f" (stored {view.projection.temperature:g})" if view.chosen_temperature else ""
    rows = [
        ("heads N", f"{teacher.num_heads:,}, d {teacher.dimension}"),
        ("temperature τ", f"{teacher.temperature:.3g}{stored}"),
        ("effective heads", f"{heads.median:.1f} of {teacher.num_heads} ({heads.p5:.1f} to {heads.p95:.1f})"),
        ("a constant scores", f"cosine {health.constant_cosine:.4f}"),
    ]
    if health.recall_at_1 is not None and health.mrr is not None:
        some = f" ({health.num_judged:,} judged)" if health.num_judged < health.num_queries else ""
        rows.append(("teacher itself", f"Recall@1 {health.recall_at_1:.3f}, MRR {health.mrr:.3f}{some}"))
    some_of = f" of {len(view.questions):,}" if health.num_queries < len(view.questions) else ""
    cost = lda_cost(teacher.num_heads, teacher.dimension)
    return [
        *rows,
        ("questions", f"{health.num_queries:,}{some_of}, {health.near_duplicates} near-duplicate pairs"),
        ("unused heads", f"{len(health.unused_heads)} that no question prefers"),
        ("output variance", f"{health.output_variance:.3g}, a constant's MSE"),
        ("parameters", f"{cost.parameters:,}"),
        ("model", visible(view.projection.model)),
    ]
