"""The form of a run: one row a setting, checked while typing, all texts from the settings themselves."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

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
from distill_core.sweeps.axes import Axes, Value, as_typed, combinations
from distill_core.training.recipes import RECIPES
from distill_tui.student.desk import RunSettings
from distill_tui.student.rows import KindRow, SettingRow, default_of, says

GROUPS: tuple[type[msgspec.Struct], ...] = (TrainingConfig, SplitConfig)
"""The settings below those of the student, in the order in which they are declared."""

Values = Mapping[str, object]
"""The values of the fields by name; the names are all different."""

_MOST_TRIED = 1000
"""Combinations of lists of which one has to fit the teacher."""


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

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes, can_focus=False)
        self._kinds: tuple[str, ...] = (self.values.student.kind,)
        """The kinds that the rows are shown for; the first is that of the settings."""
        self._checked: list[str] = []
        """What the fields held when they were checked last."""

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
        kinds = cast("tuple[str, ...]", values.axes.get("student", (values.student.kind,)))
        self._kinds = kinds  # what is filled in stays as it is
        self._take_kinds(kinds)
        parts = (values.split, values.student, values.training)
        for row in self.query(SettingRow):
            part = next((part for part in parts if isinstance(part, row.settings)), None)
            if part is None and row.axis not in values.axes:
                continue  # of another kind of student
            several = values.axes.get(row.axis) or (getattr(part, row.field),)
            if not says(row, *several):
                row.input.value = ",".join(map(as_typed, several))

    def watch_teacher_shape(self) -> None:
        """Check again whether the student fits."""
        self._check()

    @on(Input.Changed)
    def _take_typed(self) -> None:
        """Check once what many fields said at once: each tells it, as when all are filled."""
        if self._texts() != self._checked:
            self._check()

    def _texts(self) -> list[str]:
        return [field.value for field in self.query(Input)]

    def _check(self) -> None:
        fields, complete = self._read()
        self._checked = self._texts()
        student = self._fitting_student(fields) if complete else None
        if student is None:
            self.post_message(self.Changed(None))
            return
        old, values = self.values, {name: several[0] for name, several in fields.items()}
        settings = RunSettings(
            old.split.with_values(**_of(old.split, values)),
            student,
            old.training.with_values(**_of(old.training, values)),
            {name: several for name, several in fields.items() if len(several) > 1},
        )
        self.set_reactive(SettingsForm.values, settings)
        self.post_message(self.Changed(settings))

    def _read(self) -> tuple[Axes, bool]:
        """Return what the shown fields hold, and whether it can be used; say beside each what it is."""
        fields: Axes = {}
        complete = True
        for row in self.query(SettingRow):
            if not row.display:
                continue
            try:
                several = cast("tuple[Value, ...]", row.values())
            except SettingsError as error:
                row.complain(error)
                complete = False
                continue
            fields[row.axis] = several
            if isinstance(row, KindRow):  # the first: by it the others are shown
                self._take_kinds(cast("tuple[str, ...]", several))
            row.explain(several)
        recipe = RECIPES.get(fields.get("recipe", ("",))[0])  # type: ignore[call-overload]
        for row in self.query(SettingRow):
            if recipe is not None and row.display and fields.get(row.axis) == (None,):
                row.tell_auto(recipe)
        return fields, complete

    def _fitting_student(self, fields: Axes) -> StudentConfig | None:
        """Return the student of the first of the values that fits the teacher; say beside a field if none."""
        of_student = {name: fields[name] for name in ("student", *student_fields()) if name in fields}
        problem: SettingsError | None = None
        for values in itertools.islice(combinations(of_student), _MOST_TRIED):
            try:
                student = student_settings(str(values["student"]), values)
                if self.teacher_shape is not None:
                    student.check(self.teacher_shape[1])
            except SettingsError as error:
                problem = problem or error
            else:
                return student
        if problem is not None:
            self._row(problem.field or "kind").complain(problem)
        return None

    def _take_kinds(self, kinds: tuple[str, ...]) -> None:
        """Show the settings of these kinds; the defaults of the first in place of those of another."""
        shown: dict[str, type[StudentConfig]] = {}
        for kind in reversed(kinds):
            shown |= dict.fromkeys(STUDENT_KINDS[kind].__struct_fields__, STUDENT_KINDS[kind])
        following = {} if self.teacher_shape is None else self._following(kinds[0], self.teacher_shape)
        with self.prevent(Input.Changed):
            for row in self.query(SettingRow):
                if isinstance(row, KindRow) or not issubclass(row.settings, StudentConfig):
                    continue
                row.display = row.field in shown
                if row.display and row.settings is not shown[row.field]:
                    row.declare(shown[row.field])
            for field, value in following.items():
                self._row(field).input.value = as_typed(value)
        self._kinds = kinds

    def _following(self, kind: str, shape: tuple[int, int]) -> dict[str, int]:
        """Return what follows from the teacher for a new kind, unless the user set that of the old one."""
        if kind == self._kinds[0]:
            return {}
        old, new = (STUDENT_KINDS[name].defaults(*shape) for name in (self._kinds[0], kind))
        all_defaults = [known.defaults(*shape) for known in STUDENT_KINDS.values()]
        is_untouched = all(says(self._row(field), value) for field, value in old.items()) and all(
            any(says(self._row(field), defaults.get(field)) for defaults in all_defaults)
            for field in new
            if field not in old
        )
        return new if is_untouched else {}

    def _row(self, field: str) -> SettingRow:
        return next(row for row in self.query(SettingRow) if row.field == field)


def _of(settings: msgspec.Struct, values: Values) -> dict[str, object]:
    """Return the values that are settings of this group."""
    return {name: values[name] for name in settings.__struct_fields__ if name in values}
