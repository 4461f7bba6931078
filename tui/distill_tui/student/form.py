"""The form of a run: one row a setting, checked while typing, all texts from the settings themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.reactive import reactive
from textual.suggester import SuggestFromList
from textual.widgets import Input, Label, Static

from distill_core.architecture import default_shape
from distill_core.config import (
    AUTO,
    FieldDescription,
    SplitConfig,
    StudentConfig,
    StudentKind,
    TrainingConfig,
    check_field,
    describe,
    require_fitting_heads,
)
from distill_core.errors import SettingsError
from distill_tui.shapes import uses
from distill_tui.student.desk import RunSettings

FIELDS: tuple[tuple[type[msgspec.Struct], str], ...] = (
    (StudentConfig, "kind"),
    (StudentConfig, "heads"),
    (StudentConfig, "layers"),
    (StudentConfig, "slots"),
    (StudentConfig, "width"),
    (StudentConfig, "ff_dim"),
    (TrainingConfig, "recipe"),
    (TrainingConfig, "cosine_weight"),
    (TrainingConfig, "epochs"),
    (TrainingConfig, "learning_rate"),
    (TrainingConfig, "batch_size"),
    (StudentConfig, "dropout"),
    (TrainingConfig, "mse_reduction"),
    (SplitConfig, "split"),
    (SplitConfig, "exclude_near_duplicates"),
    (TrainingConfig, "seed"),
    (TrainingConfig, "device"),
    (TrainingConfig, "threads"),
    (TrainingConfig, "compiled"),
)

HINTS: dict[tuple[StudentKind, str], str] = {
    ("encoder", "heads"): "Attention heads; must divide d.",
    ("encoder", "ff_dim"): "Hidden width of each feed-forward block.",
    ("encoder", "dropout"): "Share dropped while training; auto: strong 0, book 0.1.",
    ("memory", "heads"): "Attention heads over the slots; must divide the width r.",
    ("memory", "layers"): "Layers of heads; the claim is H^L ≈ N.",
    ("memory", "slots"): "Keys and values of each head, never more than N.",
    ("memory", "width"): "Dimensions the heads share, at most d.",
    ("mlp", "layers"): "Hidden layers.",
    (
        "mlp",
        "ff_dim",
    ): "Makes the hidden layers so wide that parameters are those of an encoder of this width.",
    ("mlp", "dropout"): "Share dropped while training; auto: strong 0, book 0.1.",
}
"""What settings mean for one kind of student, where that says more than their common descriptions."""

Values = dict[str, object]
"""The values of the fields by name; the names are all different."""


class SettingRow(Horizontal):
    """Title, field, and beside it what the setting means or what is wrong with the value."""

    def __init__(self, settings: type[msgspec.Struct], field: str) -> None:
        super().__init__()
        self.settings = settings
        self.field = field
        self._description = describe(settings, field)
        self.hint = self._description.description
        """What the setting means, or what is wrong with its value; beside the field it may be cut."""

    def compose(self) -> ComposeResult:
        """Lay out the three parts in a row."""
        choices = self._description.choices
        yield Label(self._description.title, classes="title")
        yield Input(
            compact=True,
            id=self.field,
            select_on_focus=True,
            suggester=SuggestFromList(choices) if choices else None,
        )
        yield Static(self.hint, classes="hint", markup=False)

    @property
    def input(self) -> Input:
        """The field."""
        return self.query_one(Input)

    def value(self) -> object:
        """Return the value of the field.

        Raises:
            SettingsError: It cannot be used.
        """
        return check_field(self.settings, self.field, self.input.value.strip())

    def complain(self, error: SettingsError) -> None:
        """Show beside the field why its value cannot be used."""
        self._show(str(error).removeprefix(f"{self._description.title}: "), failed=True)

    def explain(self, value: object, kind: StudentKind) -> None:
        """Show beside the field what its value means for a kind of student."""
        of_kind = HINTS.get((kind, self.field))
        self._show(of_kind or choice_hint(self._description, value), failed=False)

    def _show(self, text: str, *, failed: bool) -> None:
        self.hint = text
        self.query_one(".hint", Static).update(text)
        self.set_class(failed, "-failed")


class SettingsForm(VerticalScroll):
    """All settings of a run. Give it `values`; it answers with `Changed` once every field is right."""

    # First, because a field takes enter for itself, and a form that is too high would scroll.
    BINDINGS = [
        Binding("down,enter", "app.focus_next", "Next field", show=False, priority=True, id="form.next"),
        Binding("up", "app.focus_previous", "Previous field", show=False, priority=True, id="form.previous"),
    ]

    values: reactive[RunSettings] = reactive(RunSettings(), init=False)
    teacher_shape: reactive[tuple[int, int] | None] = reactive(None, init=False)
    """N and d of the teacher."""

    @dataclass
    class Changed(Message):
        """The fields changed; `settings` is None while one of them is wrong."""

        settings: RunSettings | None

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id, can_focus=False)
        self._kind: StudentKind = self.values.student.kind
        """The kind that the rows are shown for."""

    def compose(self) -> ComposeResult:
        """One row for each setting."""
        for settings, field in FIELDS:
            yield SettingRow(settings, field)

    def on_mount(self) -> None:
        """Fill the fields, and say nothing: these are not yet the values that the app has."""
        with self.prevent(Input.Changed):
            self.fill(self.values)
        self._read()

    @property
    def hint(self) -> str:
        """All that there is to say of the field with the focus; empty if none of them has it."""
        focused = self.screen.focused
        return focused.parent.hint if focused is not None and isinstance(focused.parent, SettingRow) else ""

    def watch_values(self, values: RunSettings) -> None:
        """Show other values."""
        self.fill(values)

    def fill(self, values: RunSettings) -> None:
        """Write values into the fields that say something else, wrong ones included."""
        for row in self.query(SettingRow):
            value = getattr(_part(values, row.settings), row.field)
            if not _says(row, value):
                row.input.value = _text(value)
        self._kind = values.student.kind  # what is filled in stays as it is
        self._take_kind(self._kind)

    def watch_teacher_shape(self) -> None:
        """Check again whether H divides what the heads share."""
        self._check()

    @on(Input.Changed)
    def _check(self) -> None:
        values, complete = self._read()
        if not self._check_heads(values) or not complete:
            self.post_message(self.Changed(None))
            return
        old = self.values
        settings = RunSettings(
            old.split.with_values(**_of(old.split, values)),
            old.student.with_values(**_of(old.student, values)),
            old.training.with_values(**_of(old.training, values)),
        )
        self.set_reactive(SettingsForm.values, settings)
        self.post_message(self.Changed(settings))

    def _read(self) -> tuple[Values, bool]:
        """Return what the shown fields hold, and whether it can be used; say beside each what it is."""
        values: Values = {}
        complete = True
        for row in self.query(SettingRow):
            if not row.display:
                continue
            try:
                values[row.field] = value = row.value()
            except SettingsError as error:
                row.complain(error)
                complete = False
                continue
            if row.field == "kind":  # the first: by it the others are shown, and what they hold by default
                self._take_kind(cast(StudentKind, value))
            row.explain(value, self._kind)
        return values, complete

    def _check_heads(self, values: Values) -> bool:
        """Tell whether H divides what the heads share; say it beside H if it does not."""
        if self.teacher_shape is None or "heads" not in values:
            return True
        student = self.values.student.with_values(**_of(self.values.student, values))
        try:
            require_fitting_heads(student, self.teacher_shape[1])
        except SettingsError as error:
            self._row("heads").complain(error)
            return False
        return True

    def _take_kind(self, kind: StudentKind) -> None:
        """Show what means something for this kind; its default H and L in place of the default of another."""
        if kind != self._kind and self.teacher_shape is not None:
            shapes = {name: default_shape(name, *self.teacher_shape) for name in (self._kind, kind)}
            rows = [self._row(name) for name in ("heads", "layers")]
            if all(_says(row, value) for row, value in zip(rows, shapes[self._kind], strict=True)):
                with self.prevent(Input.Changed):
                    for row, value in zip(rows, shapes[kind], strict=True):
                        row.input.value = _text(value)
        self._kind = kind
        for row in self.query(SettingRow):
            row.display = row.settings is not StudentConfig or uses(kind, row.field)

    def _row(self, field: str) -> SettingRow:
        return next(row for row in self.query(SettingRow) if row.field == field)


def choice_hint(description: FieldDescription, value: object) -> str:
    """Return what a setting means; where it explains its choices (`a: ...; b: ...`), what this one means."""
    parts = [part.partition(": ") for part in description.description.removesuffix(".").split("; ")]
    meanings = {name: words for name, _, words in parts}
    if tuple(meanings) != description.choices:
        return description.description
    others = ", ".join(name for name in meanings if name != value)
    return f"{meanings[str(value)]} (or {others})"


def _says(row: SettingRow, value: object) -> bool:
    try:
        return row.value() == value
    except SettingsError:
        return False


def _text(value: object) -> str:
    """Return a value as it is typed."""
    return AUTO if value is None else f"{value:g}" if isinstance(value, float) else str(value).lower()


def _of(settings: msgspec.Struct, values: Values) -> Values:
    """Return the values that are settings of this group."""
    return {name: values[name] for name in settings.__struct_fields__ if name in values}


def _part(values: RunSettings, settings: type[msgspec.Struct]) -> msgspec.Struct:
    return next(part for part in (values.split, values.student, values.training) if type(part) is settings)
