"""The list of questions: hundreds of thousands of them, of which only the rows in view are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import set_cell_size
from rich.segment import Segment
from textual import on
from textual.binding import Binding
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive, var
from textual.scroll_view import ScrollView
from textual.strip import Strip

from distill_core.foreign_text import beginning
from distill_tui.teacher.desk import TeacherView

SHOWN_CHARACTERS = 240
"""Of a question: wider than any terminal."""


class QuestionList(ScrollView, can_focus=True):
    """One row for each question that matches the pattern, and a cursor on one of them."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"question-list--row", "question-list--cursor"}
    DEFAULT_CSS = """
    QuestionList {
        height: 1fr;
        & > .question-list--row { color: $foreground; }
        & > .question-list--cursor { color: $block-cursor-blurred-foreground;
            background: $block-cursor-blurred-background; text-style: $block-cursor-blurred-text-style; }
        &:focus > .question-list--cursor { color: $block-cursor-foreground;
            background: $block-cursor-background; text-style: $block-cursor-text-style; }
    }
    """
    BINDINGS = [
        Binding("down,j", "move(1)", "Down", show=False, id="questions.down"),
        Binding("up,k", "move(-1)", "Up", show=False, id="questions.up"),
        Binding("pagedown", "page(1)", "Page down", show=False, id="questions.page_down"),
        Binding("pageup", "page(-1)", "Page up", show=False, id="questions.page_up"),
        Binding("g,home", "first", "First", show=False, id="questions.first"),
        Binding("G,end", "last", "Last", show=False, id="questions.last"),
    ]
    ALLOW_SELECT = False

    view: reactive[TeacherView | None] = reactive(None)
    pattern: var[str] = var("")
    highlighted: reactive[int | None] = reactive(None)
    """Of the matching questions, the one under the cursor."""

    @dataclass
    class Highlighted(Message):
        """A question is under the cursor; `row` counts in the view's questions, None for no question."""

        question_list: QuestionList
        row: int | None

    def __init__(self, id: str | None = None) -> None:  # noqa: A002 - Textual's own parameter
        super().__init__(id=id)
        self._matching: Sequence[int] = ()
        self._matched = ""

    @property
    def matching(self) -> Sequence[int]:
        """The rows of the questions that match, in the view's order."""
        return self._matching

    def text_of(self, place: int) -> str:
        """Return a matching question as it is shown."""
        assert self.view is not None
        question_id = self.view.question_ids[self._matching[place]]
        return beginning(self.view.question_text(question_id), SHOWN_CHARACTERS)

    def watch_view(self, view: TeacherView | None) -> None:
        """List the questions of another projection."""
        self._matching = range(0 if view is None else len(view.question_ids))
        self._matched = ""
        self._match()

    def watch_pattern(self) -> None:
        """List the questions that match."""
        self._match()

    def _match(self) -> None:
        """Keep the questions in which every word stands; what is typed on narrows those that matched."""
        view, pattern = self.view, self.pattern.lower()
        if view is not None and pattern != self._matched:
            words, rows = pattern.split(), self._matching
            if not pattern.startswith(self._matched):
                rows = range(len(view.question_ids))
            if words:
                searched = view.searched
                for word in words:
                    rows = [row for row in rows if word in searched[row]]
            self._matching = rows
        self._matched = pattern
        self.virtual_size = Size(0, len(self._matching))
        self.scroll_to(0, 0, animate=False)
        self.set_reactive(QuestionList.highlighted, 0 if self._matching else None)
        self.refresh()
        self._tell()

    def validate_highlighted(self, place: int | None) -> int | None:
        """Keep the cursor on a question."""
        if place is None or not self._matching:
            return None
        return min(max(place, 0), len(self._matching) - 1)

    def watch_highlighted(self, place: int | None) -> None:
        """Bring the question under the cursor into view, and tell which it is."""
        if place is not None:
            self.scroll_to_region(Region(0, place, 1, 1), animate=False, force=True)
        self._tell()

    def _tell(self) -> None:
        place = self.highlighted
        self.post_message(self.Highlighted(self, None if place is None else self._matching[place]))

    def render_line(self, y: int) -> Strip:
        """Return the row of one question."""
        place, width = self.scroll_offset.y + y, self.scrollable_content_region.width
        if self.view is None or place >= len(self._matching):
            return Strip.blank(width, self.rich_style)
        part = "cursor" if place == self.highlighted else "row"
        style = self.get_visual_style(f"question-list--{part}").rich_style
        text = self.text_of(place)
        cut = set_cell_size(text, width)
        if cut.rstrip() != text.rstrip() and width:
            cut = f"{set_cell_size(text, width - 1)}…"
        return Strip([Segment(cut, style)], width)

    @on(Click)
    def _move_to(self, event: Click) -> None:
        self.highlighted = self.scroll_offset.y + event.y

    def action_move(self, step: int) -> None:
        """Go to the next question, or to the one before."""
        self.highlighted = (self.highlighted or 0) + step

    def action_page(self, step: int) -> None:
        """Go a page on, or back."""
        self.action_move(step * max(1, self.scrollable_content_region.height - 1))

    def action_first(self) -> None:
        """Go to the first question."""
        self.highlighted = 0

    def action_last(self) -> None:
        """Go to the last question."""
        self.highlighted = len(self._matching) - 1
