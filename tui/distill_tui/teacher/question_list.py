"""The questions of a projection, filtered by a pattern."""

from __future__ import annotations

from dataclasses import dataclass

from textual import on
from textual.binding import Binding
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from distill_core.foreign_text import beginning
from distill_tui.teacher.desk import TeacherView

MAX_SHOWN = 2000
SHOWN_CHARACTERS = 240
"""Of a question: a few rows. Textual measures every character at every key."""


class QuestionList(OptionList):
    """Shows at most 2,000 of the matching questions; the filter reaches the rest."""

    DEFAULT_CSS = "QuestionList { height: 1fr; border: none; padding: 0; }"
    BINDINGS = [
        Binding("j", "cursor_down", "Down", show=False, id="questions.down"),
        Binding("k", "cursor_up", "Up", show=False, id="questions.up"),
        Binding("g", "first", "First", show=False, id="questions.first"),
        Binding("G", "last", "Last", show=False, id="questions.last"),
    ]

    view: reactive[TeacherView | None] = reactive(None)
    pattern: reactive[str] = reactive("")

    @dataclass
    class Highlighted(Message):
        """A question is under the cursor; `row` counts in the view's questions, None for no question."""

        question_list: QuestionList
        row: int | None

    def __init__(self, id: str | None = None) -> None:  # noqa: A002 - Textual's own parameter
        super().__init__(id=id, compact=True, markup=False)

    def watch_view(self) -> None:
        """List the questions of another projection."""
        self._fill()

    def watch_pattern(self) -> None:
        """List the questions that match."""
        self._fill()

    def _fill(self) -> None:
        self.clear_options()
        if self.view is None:
            self.post_message(self.Highlighted(self, None))
            return
        words = self.pattern.lower().split()
        texts = [self.view.question_text(question_id) for question_id in self.view.question_ids]
        matching = [
            Option(beginning(text, SHOWN_CHARACTERS), id=str(row))
            for row, text in enumerate(texts)
            if all(word in text.lower() for word in words)
        ]
        self.add_options(matching[:MAX_SHOWN])
        if matching:
            self.highlighted = 0
        else:
            self.post_message(self.Highlighted(self, None))

    @on(OptionList.OptionHighlighted)
    def _tell_row(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        self.post_message(self.Highlighted(self, int(event.option.id or 0)))
