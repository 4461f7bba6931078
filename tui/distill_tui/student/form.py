"""The form of a run: one row a setting, checked while typing, all texts from the settings themselves."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Input

from distill_core.config import SplitConfig, TrainingConfig
from distill_core.errors import SettingsError
from distill_core.settings import describe
from distill_core.students.kinds import STUDENT_KINDS, student_fields, student_settings
from distill_core.students.spec import StudentConfig
from distill_core.training.recipes import RECIPES
from distill_tui.student.desk import RunSettings
from distill_tui.student.rows import KindRow, SettingRow, as_typed, default_of, says

GROUPS: tuple[type[msgspec.Struct], ...] = (TrainingConfig, SplitConfig)
"""The settings below those of the student, in the order in which they are declared."""

Values = dict[str, object]
"""The values of the fields by name; the names are all different."""


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
            yield SettingRow(field, kinds[0], default_of(kinds[0], field))
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
        """All that there is to say of the field with the focus, else of the first that is wrong."""
        focused = self.screen.focused
        if focused is not None and isinstance(focused.parent, SettingRow):
            return focused.parent.hint
        wrong = next(iter(self.query(SettingRow).filter(".-failed")), None)
        return f"{wrong.description.title}: {wrong.hint}" if wrong is not None and wrong.display else ""

    def go_to(self, field: str) -> None:
        """Put the cursor into a field, if it is shown."""
        row = self._row(field)
        if row.display:
            row.input.focus()

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
            if not says(row, value):
                row.input.value = as_typed(value)

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
        recipe = RECIPES.get(values.get("recipe", ""))  # type: ignore[call-overload]
        for row in self.query(SettingRow):
            if recipe is not None and row.display and values.get(row.field, "") is None:
                row.tell_auto(recipe)
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
                self._row(field).input.value = as_typed(value)
        self._kind = kind

    def _following(self, kind: str, shape: tuple[int, int]) -> dict[str, int]:
        """Return what follows from the teacher for a new kind, unless the user set that of the old one."""
        if kind == self._kind:
            return {}
        old, new = (STUDENT_KINDS[name].defaults(*shape) for name in (self._kind, kind))
        all_defaults = [known.defaults(*shape) for known in STUDENT_KINDS.values()]
        is_untouched = all(says(self._row(field), value) for field, value in old.items()) and all(
            any(says(self._row(field), defaults.get(field)) for defaults in all_defaults)
            for field in new
            if field not in old
        )
        return new if is_untouched else {}

    def _row(self, field: str) -> SettingRow:
        return next(row for row in self.query(SettingRow) if row.field == field)


def _of(settings: msgspec.Struct, values: Values) -> Values:
    """Return the values that are settings of this group."""
    return {name: values[name] for name in settings.__struct_fields__ if name in values}
