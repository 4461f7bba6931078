"""The form of a run: one row a setting, checked while typing, all texts from the settings themselves."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.reactive import reactive
from textual.suggester import SuggestFromList
from textual.widgets import Input, Label, Static

from distill_core.config import SplitConfig, TrainingConfig
from distill_core.errors import SettingsError
from distill_core.settings import AUTO, FieldDescription, check_field, describe
from distill_core.students.kinds import (
    STUDENT_KINDS,
    default_student,
    describe_kind,
    student_fields,
    student_kind,
    student_settings,
)
from distill_core.students.spec import StudentConfig
from distill_tui.student.desk import RunSettings

GROUPS: tuple[type[msgspec.Struct], ...] = (TrainingConfig, SplitConfig)
"""The settings below those of the student, in the order in which they are declared."""

Values = dict[str, object]
"""The values of the fields by name; the names are all different."""


class SettingRow(Horizontal):
    """Title, field, and beside it what the setting means or what is wrong with the value."""

    def __init__(self, field: str, settings: type[msgspec.Struct], value: object = None) -> None:
        super().__init__()
        self.field = field
        self.settings = settings
        """Where the setting is declared: in the group that has it, or in the chosen kind of student."""
        self._value = value
        self.hint = self.description.description
        """What the setting means, or what is wrong with its value; beside the field it may be cut."""

    @property
    def description(self) -> FieldDescription:
        """How the setting presents itself."""
        return describe(self.settings, self.field)

    def compose(self) -> ComposeResult:
        """Lay out the three parts in a row."""
        choices = self.description.choices
        yield Label(self.description.title, classes="title")
        yield Input(
            _text(self._value),
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
        self._show(str(error).removeprefix(f"{self.description.title}: "), failed=True)

    def explain(self, value: object) -> None:
        """Show beside the field what its value means."""
        self._show(choice_hint(self.description, value), failed=False)

    def declare(self, settings: type[msgspec.Struct]) -> None:
        """Take the setting as another kind of student declares it; a value that was the default stays one."""
        was_default = _says(self, _default(self.settings, self.field))
        self.settings = settings
        if was_default:
            self.input.value = _text(_default(settings, self.field))
        self.query_one(Label).update(self.description.title)

    def _show(self, text: str, *, failed: bool) -> None:
        self.hint = text
        self.query_one(".hint", Static).update(text)
        self.set_class(failed, "-failed")


class KindRow(SettingRow):
    """The choice of a kind of student."""

    def __init__(self) -> None:
        super().__init__("kind", StudentConfig, default_student().kind)

    @property
    def description(self) -> FieldDescription:
        """The kinds, each in a few words."""
        return describe_kind()

    def value(self) -> str:
        """Return the name of the kind."""
        name = self.input.value.strip()
        student_kind(name)
        return name


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
        self._kind = self.values.student.kind
        """The kind that the rows are shown for."""

    def compose(self) -> ComposeResult:
        """One row for each setting, of every kind of student."""
        yield KindRow()
        for field, kinds in student_fields().items():
            yield SettingRow(field, kinds[0], _default(kinds[0], field))
        for settings in GROUPS:
            for field in settings.__struct_fields__:
                if describe(settings, field).extra.get("form", True):
                    yield SettingRow(field, settings)

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
        self._kind = values.student.kind  # what is filled in stays as it is
        self._take_kind(self._kind)
        parts = (values.split, values.student, values.training)
        for row in self.query(SettingRow):
            part = next((part for part in parts if isinstance(part, row.settings)), None)
            if part is None:
                continue  # of another kind of student
            value = getattr(part, row.field)
            if not _says(row, value):
                row.input.value = _text(value)

    def watch_teacher_shape(self) -> None:
        """Check again whether the student fits."""
        self._check()

    @on(Input.Changed)
    def _check(self) -> None:
        values, complete = self._read()
        if not self._check_student(values) or not complete:
            self.post_message(self.Changed(None))
            return
        old = self.values
        settings = RunSettings(
            old.split.with_values(**_of(old.split, values)),
            student_settings(self._kind, values),
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
            if isinstance(row, KindRow):  # the first: by it the others are shown
                self._take_kind(str(value))
            row.explain(value)
        return values, complete

    def _check_student(self, values: Values) -> bool:
        """Tell whether the student fits the teacher's dimension; say it beside its field if it does not."""
        own = STUDENT_KINDS[self._kind].__struct_fields__
        if self.teacher_shape is None or not all(name in values for name in own):
            return True
        try:
            student_settings(self._kind, values).check(self.teacher_shape[1])
        except SettingsError as error:
            self._row(error.field or "kind").complain(error)
            return False
        return True

    def _take_kind(self, kind: str) -> None:
        """Show the settings of this kind; its defaults in place of those of another."""
        settings = STUDENT_KINDS[kind]
        following = {} if self.teacher_shape is None else self._following(kind, self.teacher_shape)
        with self.prevent(Input.Changed):
            for row in self.query(SettingRow):
                if isinstance(row, KindRow) or not issubclass(row.settings, StudentConfig):
                    continue
                row.display = row.field in settings.__struct_fields__
                if row.display and row.settings is not settings:
                    row.declare(settings)
            for field, value in following.items():
                self._row(field).input.value = _text(value)
        self._kind = kind

    def _following(self, kind: str, shape: tuple[int, int]) -> dict[str, int]:
        """Return what follows from the teacher for a new kind, unless the user set that of the old one."""
        if kind == self._kind:
            return {}
        old, new = (STUDENT_KINDS[name].defaults(*shape) for name in (self._kind, kind))
        all_defaults = [known.defaults(*shape) for known in STUDENT_KINDS.values()]
        is_untouched = all(_says(self._row(field), value) for field, value in old.items()) and all(
            any(_says(self._row(field), defaults.get(field)) for defaults in all_defaults)
            for field in new
            if field not in old
        )
        return new if is_untouched else {}

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


def _default(settings: type[msgspec.Struct], field: str) -> object:
    return next(item for item in msgspec.structs.fields(settings) if item.name == field).default
