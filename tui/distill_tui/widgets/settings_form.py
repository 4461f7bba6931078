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

from distill_core.config import (
    SplitConfig,
    StudentConfig,
    TrainingConfig,
    check_field,
    describe,
    require_divisible,
)
from distill_core.errors import SettingsError
from distill_tui.state import RunSettings

FIELDS: tuple[tuple[type[msgspec.Struct], str], ...] = (
    (StudentConfig, "heads"),
    (StudentConfig, "layers"),
    (TrainingConfig, "cosine_weight"),
    (TrainingConfig, "epochs"),
    (TrainingConfig, "learning_rate"),
    (TrainingConfig, "batch_size"),
    (StudentConfig, "ff_dim"),
    (StudentConfig, "dropout"),
    (TrainingConfig, "mse_reduction"),
    (SplitConfig, "split"),
    (SplitConfig, "exclude_near_duplicates"),
    (TrainingConfig, "seed"),
    (TrainingConfig, "device"),
    (TrainingConfig, "threads"),
)


class SettingRow(Horizontal):
    """Title, field, and beside it what the setting means or what is wrong with the value."""

    def __init__(self, settings: type[msgspec.Struct], field: str) -> None:
        super().__init__()
        self.settings = settings
        self.field = field
        self._description = describe(settings, field)

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
        yield Static(self._hint, classes="hint", markup=False)

    @property
    def input(self) -> Input:
        """The field."""
        return self.query_one(Input)

    def check(self, dimension: int | None) -> object:
        """Return the value, and show beside the field whether it can be used.

        Raises:
            SettingsError: The value cannot be used.
        """
        try:
            value = check_field(self.settings, self.field, self.input.value.strip())
            if self.field == "heads" and dimension is not None and isinstance(value, int):
                require_divisible(dimension, value)
        except SettingsError as error:
            self._show(str(error).removeprefix(f"{self._description.title}: "), failed=True)
            raise
        self._show(self._hint, failed=False)
        return value

    @property
    def _hint(self) -> str:
        return self._description.description

    def _show(self, text: str, *, failed: bool) -> None:
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
    dimension: reactive[int | None] = reactive(None, init=False)

    @dataclass
    class Changed(Message):
        """The fields changed; `settings` is None while one of them is wrong."""

        settings: RunSettings | None

    def compose(self) -> ComposeResult:
        """One row for each setting."""
        for settings, field in FIELDS:
            yield SettingRow(settings, field)

    def on_mount(self) -> None:
        """Fill the fields, and say nothing: these are not yet the values that the app has."""
        with self.prevent(Input.Changed):
            self.fill(self.values)

    def watch_values(self, values: RunSettings) -> None:
        """Show other values."""
        self.fill(values)

    def fill(self, values: RunSettings) -> None:
        """Write values into the fields that say something else, wrong ones included."""
        for row in self.query(SettingRow):
            value = getattr(_part(values, row.settings), row.field)
            if self._value_of(row) != value:
                row.input.value = f"{value:g}" if isinstance(value, float) else str(value).lower()

    def watch_dimension(self) -> None:
        """Check again whether H divides d."""
        self._check()

    def _value_of(self, row: SettingRow) -> object:
        try:
            return check_field(row.settings, row.field, row.input.value.strip())
        except SettingsError:
            return None

    @on(Input.Changed)
    def _check(self) -> None:
        values: dict[type[msgspec.Struct], dict[str, object]] = {
            StudentConfig: {},
            TrainingConfig: {},
            SplitConfig: {},
        }
        complete = True
        for row in self.query(SettingRow):
            try:
                values[row.settings][row.field] = row.check(self.dimension)
            except SettingsError:
                complete = False
        if not complete:
            self.post_message(self.Changed(None))
            return
        settings = RunSettings(
            self.values.split.with_values(**values[SplitConfig]),
            self.values.student.with_values(**values[StudentConfig]),
            self.values.training.with_values(**values[TrainingConfig]),
        )
        self.set_reactive(SettingsForm.values, settings)
        self.post_message(self.Changed(settings))


def _part(values: RunSettings, settings: type[msgspec.Struct]) -> msgspec.Struct:
    return next(part for part in (values.split, values.student, values.training) if type(part) is settings)
