"""The rows of the form: a setting with its field, or with the list of its choices, and what it means."""

from __future__ import annotations

import msgspec
from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.events import Key, Paste
from textual.strip import Strip
from textual.widgets import Input, Label, Static

from distill_core.device_names import missing_devices
from distill_core.errors import SettingsError
from distill_core.settings import AUTO, FieldDescription, check_field, describe
from distill_core.students.kinds import default_student, describe_kind, student_kind
from distill_core.students.spec import StudentConfig
from distill_core.sweeps.axes import as_typed, is_several, parse_axis
from distill_core.training.recipes import RecipeValues

LETTERS = {
    **{"s": "kind", "h": "heads", "l": "layers", "w": "cosine_weight", "r": "recipe", "n": "seed"},
    **{"d": "device", "p": "epochs", "b": "batch_size", "a": "learning_rate", "f": "ff_dim", "t": "threads"},
}
"""The key that goes to a setting, from anywhere on the screen but a field that takes text."""
_LETTER_OF = {field: letter for letter, field in LETTERS.items()}


class ChoiceField(Input, inherit_bindings=False):
    """A field whose value is one of a few, all of which are seen: left and right take the next one.

    A comma takes one more, so that the value is a list, and backspace takes the last one back. What cannot
    be chosen on this machine is shown as "no cuda" and passed over. Letters are the screen's.
    """

    BINDINGS = [
        Binding("left", "turn(-1)", "Choice before", show=False, id="form.choice_before"),
        Binding("right,space", "turn(1)", "Next choice", show=False, id="form.choice_next"),
        Binding("comma", "add", "One more", show=False, id="form.choice_add", tooltip="Try this one, too"),
        Binding("backspace", "remove", "One less", show=False, id="form.choice_remove"),
    ]
    COMPONENT_CLASSES = {"choice-field--chosen", "choice-field--other", "choice-field--missing"}
    DEFAULT_CSS = """
    ChoiceField {
        & > .choice-field--chosen { text-style: bold; }
        & > .choice-field--other { color: $text-muted; }
        & > .choice-field--missing { color: $text-disabled; text-style: strike; }
    }
    """

    def __init__(self, value: str, choices: tuple[str, ...], missing: dict[str, str], *, id: str) -> None:  # noqa: A002
        super().__init__(value, compact=True, id=id)
        self._choices = choices
        self.missing = missing
        """What cannot be chosen here, each with the reason."""
        self.auto_words = ""
        """What `auto` is."""

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Take no letter."""
        return False

    async def _on_key(self, event: Key) -> None:
        """Let every key be what it is on the screen; the base would insert it."""
        event.prevent_default()

    def _on_paste(self, event: Paste) -> None:
        """Take no text."""
        event.stop()

    @property
    def chosen(self) -> list[str]:
        """The value, or the values of the list, in the order in which they were taken."""
        return self.value.split(",")

    def action_turn(self, step: int) -> None:
        """Choose the next one that is possible here, in place of the last of a list."""
        *kept, last = self.chosen
        possible = [c for c in self._choices if c not in self.missing and c not in kept]
        at = possible.index(last) if last in possible else -step
        self.value = ",".join([*kept, possible[(at + step) % len(possible)]])

    def action_add(self) -> None:
        """Take the next one as well."""
        chosen = self.chosen
        possible = [c for c in self._choices if c not in self.missing]
        at = possible.index(chosen[-1]) if chosen[-1] in possible else -1
        others = [c for c in possible[at + 1 :] + possible[: at + 1] if c not in chosen]
        self.value = ",".join([*chosen, *others[:1]])

    def action_remove(self) -> None:
        """Take the last one of a list back."""
        if len(self.chosen) > 1:
            self.value = ",".join(self.chosen[:-1])

    def render_line(self, y: int) -> Strip:
        """Draw the choices in a row, `‹›` around those that are chosen."""
        width = self.size.width
        if y:
            return Strip.blank(width, self.rich_style)
        chosen = self.chosen
        choices = (*(name for name in chosen if name not in self._choices), *self._choices)
        segments = []
        for choice in choices:
            text = f"no {choice}" if choice in self.missing else choice
            if choice == AUTO and self.auto_words:
                text = f"{choice} = {self.auto_words}"
            part = "chosen" if choice in chosen else "missing" if choice in self.missing else "other"
            style = self.rich_style + self.get_component_rich_style(f"choice-field--{part}")
            left, right = ("‹", "›") if part == "chosen" else (" ", " ")
            edge = style if part == "chosen" else self.rich_style
            if part == "chosen" and self.has_focus:
                edge = style = style + Style(reverse=True)
            segments += [Segment(left, edge), Segment(text, style), Segment(right, edge)]
        return Strip(segments).adjust_cell_length(width, self.rich_style)


class SettingRow(Horizontal):
    """Title, field, and beside it what the setting means or what is wrong with the value."""

    def __init__(self, field: str, settings: type[msgspec.Struct], value: object = None) -> None:
        super().__init__()
        self.field = field
        self.settings = settings
        """Where the setting is declared: in the group that has it, or in the chosen kind of student."""
        self._value = value
        self._missing = missing_devices() if field == "device" else {}
        self.hint = self.description.description
        """What the setting means, or what is wrong with its value; beside the field it may be cut."""

    @property
    def description(self) -> FieldDescription:
        """How the setting presents itself."""
        return describe(self.settings, self.field)

    def compose(self) -> ComposeResult:
        """Lay out the three parts in a row."""
        choices, value = self.description.choices, as_typed(self._value)
        yield Label(self._title, classes="title", markup=False)
        if choices:
            self.add_class("-choice")
            field = ChoiceField(value, choices, self._missing, id=self.field)
            if self.field == "device":
                field.auto_words = next(name for name in ("cuda", "mps", "cpu") if name not in self._missing)
            yield field
        else:
            yield Input(value, compact=True, id=self.field, select_on_focus=True)
        yield Static(self.hint, classes="hint", markup=False)

    @property
    def _title(self) -> str:
        return f"{_LETTER_OF.get(self.field, ' ')} {self.description.title}"

    @property
    def input(self) -> Input:
        """The field."""
        return self.query_one(Input)

    def values(self) -> tuple[object, ...]:
        """Return the value of the field, or those of a list or a range.

        Raises:
            SettingsError: One cannot be used, or not on this machine.
        """
        text = self.input.value.strip()
        values = parse_axis(self.axis, text) if is_several(text) else (self._checked(text),)
        for value in values:
            if str(value) in self._missing:
                title = self.description.title
                raise SettingsError(f"{title}: {value} cannot be used here, {self._missing[str(value)]}.")
        return values

    @property
    def axis(self) -> str:
        """The name of the setting in a sweep."""
        return self.field

    def _checked(self, text: str) -> object:
        return check_field(self.settings, self.field, text)

    def complain(self, error: SettingsError) -> None:
        """Show beside the field why its value cannot be used."""
        self._show(str(error).removeprefix(f"{self.description.title}: "), failed=True)

    def explain(self, values: tuple[object, ...]) -> None:
        """Show beside the field what its value means, or that it is a list."""
        if len(values) > 1:
            self._show(
                f"{len(values)} values: ctrl+g tries each. {self.description.description}", failed=False
            )
            return
        missing = "".join(f" No {name}: {why}." for name, why in self._missing.items())
        self._show(choice_hint(self.description, values[0]) + missing, failed=False)

    def tell_auto(self, recipe: RecipeValues) -> None:
        """Show beside the field what its `auto` is with a recipe."""
        if (words := auto_words(self.field, recipe)) and self.input.value.strip() == AUTO:
            self._show(f"{words}. {self.description.description}", failed=False)
            if isinstance(self.input, ChoiceField):
                self.input.auto_words = words

    def declare(self, settings: type[msgspec.Struct]) -> None:
        """Take the setting as another kind of student declares it; a value that was the default stays one."""
        was_default = says(self, default_of(self.settings, self.field))
        self.settings = settings
        if was_default:
            self.input.value = as_typed(default_of(settings, self.field))
        self.query_one(Label).update(self._title)

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

    @property
    def axis(self) -> str:
        """The name of the setting in a sweep."""
        return "student"

    def _checked(self, text: str) -> object:
        student_kind(text)
        return text


def choice_hint(description: FieldDescription, value: object) -> str:
    """Return what a setting means; where it explains its choices (`a: ...; b: ...`), what this one means."""
    parts = [part.partition(": ") for part in description.description.removesuffix(".").split("; ")]
    meanings = {name: words for name, _, words in parts}
    if tuple(meanings) != description.choices:
        return description.description
    others = ", ".join(name for name in meanings if name != value)
    return f"{meanings[str(value)]} (or {others})"


def auto_words(field: str, recipe: RecipeValues) -> str:
    """Return what a recipe puts in place of `auto`; empty where it says nothing of the setting."""
    if field == "epochs":
        return f"{recipe.epochs} epochs" if recipe.epochs else f"{recipe.steps:,} steps"
    value = getattr(recipe, field, None)
    return "" if value is None else f"{value}"


def says(row: SettingRow, *values: object) -> bool:
    """Tell whether a field holds a value, or the values of a list."""
    try:
        return row.values() == values
    except SettingsError:
        return False


def default_of(settings: type[msgspec.Struct], field: str) -> object:
    """Return a setting's default as it is declared."""
    return next(item for item in msgspec.structs.fields(settings) if item.name == field).default
