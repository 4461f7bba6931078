"""What there is to know of the chosen projection: its facts, and how a question is routed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.text import Text
from textual import events
from textual.geometry import Size
from textual.reactive import reactive, var
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from distill_core.architecture import lda_cost
from distill_core.errors import told
from distill_core.foreign_text import visible
from distill_tui.charts.axes import short_number
from distill_tui.teacher.desk import TeacherView
from distill_tui.text import finding_rows


class TeacherFacts(Static):
    """Size, temperature and health of a teacher, where its vectors were found, and what is wrong."""

    view: var[TeacherView | None] = var(None)
    reading: var[str] = var("")

    def watch_view(self) -> None:
        """Show another projection, or the same at another temperature."""
        self._show()

    def watch_reading(self) -> None:
        """Tell how far the first projection is read."""
        if self.view is None:
            self._show()

    def on_resize(self, _event: events.Resize) -> None:
        """Show intervals where there is room for them."""
        self._show()

    def _show(self) -> None:
        self.update(_facts(self.view, self.size.width) if self.view else self._nothing())

    def _nothing(self) -> Text:
        if self.reading:
            return Text(f"{visible(self.reading)}…\nesc cancels", "dim")
        return Text("No database is open: press o.", "dim")


def _facts(view: TeacherView, width: int) -> Text:
    text = Text()
    text.append(f"{visible(view.projection.name) or f'projection {view.projection.id}'}\n", "bold")
    for problem in view.problems:
        if problem.severity == "warning":
            text.append(f"{problem.severity}: {told(problem.message, problem.hint)}\n", "bold")
    if not len(view.queries):
        text.append("No question has a vector: nothing can be trained or timed.\n", "bold")
    for warning in view.health.warnings:
        text.append(f"{visible(warning)}\n", "bold")
    for name, value in _rows(view, width):
        text.append(f"{name:19}", "dim").append(f"{value}\n")
    for note in view.health.notes:
        text.append(f"note: {visible(note)}\n")
    for problem in view.problems:
        if problem.severity == "warning":
            continue  # said on top
        style = "bold" if problem.severity == "error" else ""
        text.append(f"{problem.severity}: {told(problem.message, problem.hint)}\n", style)
    text.rstrip()
    return text


def _rows(view: TeacherView, width: int) -> list[tuple[str, str]]:
    health, teacher = view.health, view.teacher
    heads = health.effective_heads
    stored = f" (stored {view.projection.temperature:g})" if view.chosen_temperature else ""
    rows = [
        ("heads N", f"{teacher.num_heads:,}, d {teacher.dimension}"),
        ("temperature τ", f"{teacher.temperature:.3g}{stored}"),
        *_finding_rows(view, width),
        ("effective heads", f"{heads.median:.1f} of {teacher.num_heads} ({heads.p5:.1f} to {heads.p95:.1f})"),
        ("a constant scores", f"cosine {health.constant_cosine:.4f}"),
    ]
    some_of = f" of {len(view.questions):,}" if health.num_queries < len(view.questions) else ""
    unused, among = [], f" among {health.num_looked_at:,}: A asks all"
    if health.unused_heads is not None:
        unused, among = [("unused heads", f"{len(health.unused_heads):,} that no question prefers")], ""
    cost = lda_cost(teacher.num_heads, teacher.dimension)
    return [
        *rows,
        (
            "questions",
            f"{health.num_queries:,}{some_of}, {health.near_duplicates} near-duplicate pairs{among}",
        ),
        *unused,
        ("output variance", f"{health.output_variance:.3g}, a constant's MSE"),
        ("parameters", f"{cost.parameters:,}"),
        ("model", visible(view.projection.model)),
    ]


ROOM_FOR_INTERVALS = 50
"""Cells of a row of figures with the interval of the last."""


def _finding_rows(view: TeacherView, width: int) -> Iterator[tuple[str, str]]:
    """Yield what finds true answers, the LDA first, and the temperature at which it finds most."""
    health, findings = view.health, view.health.findings
    if findings is None:
        return
    some = f" of {health.num_queries:,}" if findings.num_judged < health.num_queries else ""
    yield f"finds ({findings.num_judged:,}{some})", "R@1  R@10 MRR"
    for name, found in finding_rows(findings):
        recalls = (_two(estimate.value) for estimate in (found.recall_at_1, found.recall_at_10))
        interval = f" [{_two(found.mrr.low)}, {_two(found.mrr.high)}]" if width >= ROOM_FOR_INTERVALS else ""
        yield name, " ".join((*recalls, _two(found.mrr.value))) + interval
    best = findings.curve.best
    yield "finds most at τ", f"{best:g}" + ("" if best == findings.temperature else ": press m")


def _two(value: float | None) -> str:
    return "   -" if value is None else f"{value:.2f}"


EIGHTHS = " ▏▎▍▌▋▊▉█"
NARROWEST_BAR = 4
"""In cells; where there is less room, labels give way."""
DIGITS = 3

Weight = tuple[str, float]


class WeightBars(Widget):
    """Rows of label, bar and value in the order given. The longest bar stands for the largest value."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "weight-bars--label",
        "weight-bars--bar",
        "weight-bars--value",
    }
    DEFAULT_CSS = """
    WeightBars {
        width: 1fr;
        height: auto;
        & > .weight-bars--label { color: $foreground; }
        & > .weight-bars--bar { color: $text-primary; }
        & > .weight-bars--value { color: $text-muted; }
    }
    """
    ALLOW_SELECT = False

    rows: reactive[tuple[Weight, ...]] = reactive((), layout=True)
    full_scale: reactive[float | None] = reactive(None)
    """The value of a bar across the whole room; None takes the largest value shown."""
    ascii: reactive[bool] = reactive(False)

    def __init__(
        self,
        rows: Sequence[Weight] = (),
        *,
        full_scale: float | None = None,
        ascii: bool = False,  # noqa: A002
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.set_reactive(WeightBars.rows, tuple(rows))
        self.set_reactive(WeightBars.full_scale, full_scale)
        self.set_reactive(WeightBars.ascii, ascii)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return a row for each weight."""
        return len(self.rows)

    def render_line(self, y: int) -> Strip:
        """Return the row of one weight."""
        width = self.size.width
        if y >= len(self.rows):
            return Strip.blank(width)
        pieces = weight_row(self.rows, y, width, full_scale=self.full_scale, ascii=self.ascii)
        segments = [
            Segment(text, self.get_visual_style(f"weight-bars--{part}").rich_style)
            for part, text in zip(("label", "bar", "value"), pieces, strict=True)
        ]
        return Strip(segments).adjust_cell_length(width)


def weight_row(
    rows: Sequence[Weight],
    index: int,
    width: int,
    *,
    full_scale: float | None = None,
    ascii: bool = False,  # noqa: A002
) -> tuple[str, str, str]:
    """Return label, bar and value of one row, `width` cells together if they fit; columns line up."""
    values = [short_number(value, DIGITS) for _label, value in rows]
    value_width = max(len(value) for value in values)
    longest = max(cell_len(label) for label, _value in rows)
    room = width - value_width - 2
    label_width = max(0, min(longest, room - NARROWEST_BAR, max(room // 2, 1)))
    bar_width = max(0, room - label_width)
    scale = full_scale or max((v for _label, v in rows if math.isfinite(v)), default=0.0)
    label, value = rows[index]
    share = value / scale if scale > 0 and math.isfinite(value) else 0.0
    bar = bar_text(share, bar_width, ascii=ascii)
    return fit_label(label, label_width, ascii=ascii) + " ", bar + " ", values[index].rjust(value_width)


def bar_text(share: float, width: int, *, ascii: bool = False) -> str:  # noqa: A002
    """Return a bar over a share (0 to 1) of `width` cells, padded to `width`.

    A share above zero is never invisible: it has an eighth of a cell at least.
    """
    share = min(max(share, 0.0), 1.0)
    if ascii:
        return ("#" * max(round(share * width), 1 if share > 0 else 0)).ljust(width)[:width]
    eighths = max(round(share * width * 8), 1 if share > 0 else 0)
    full, rest = divmod(eighths, 8)
    return (EIGHTHS[8] * full + EIGHTHS[rest]).rstrip().ljust(width)[:width]


def fit_label(label: str, width: int, *, ascii: bool = False) -> str:  # noqa: A002
    """Pad or cut a label to `width` cells; a cut one ends in an ellipsis."""
    clean = " ".join(label.split())
    if cell_len(clean) <= width:
        return set_cell_size(clean, width)
    return set_cell_size(clean, max(width - 1, 0)) + ("." if ascii else "…")[: max(width, 0)]
