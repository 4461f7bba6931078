"""Options that several commands share; their help texts come from the settings themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from distill_core.config import AUTO, check_field, describe
from distill_core.errors import SettingsError

Command = TypeVar("Command", bound=Callable[..., Any])


if TYPE_CHECKING:
    ParamType = click.ParamType[Any]
else:
    ParamType = click.ParamType  # takes no parameter of its own before click 8.4


class SettingType(ParamType):
    """A value checked by the setting's own declaration, so that range and wording exist once."""

    def __init__(self, settings: type[msgspec.Struct], field: str) -> None:
        self.name = field
        self._settings = settings
        self._field = field

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        """Return the checked value; a wrong one is a usage error."""
        try:
            return check_field(self._settings, self._field, value)
        except SettingsError as error:
            self.fail(error.message, param, ctx)


def setting(
    settings: type[msgspec.Struct], field: str, *, default: object = None, option: str | None = None
) -> Callable[[Command], Command]:
    """Make an option of a setting: its name, or another one, its help text and its default."""
    description = describe(settings, field)
    declared = next(item for item in msgspec.structs.fields(settings) if item.name == field).default
    shown = next(value for value in (default, declared, AUTO) if value is not None)
    named = any(choice != AUTO for choice in description.choices)
    choices = f" One of: {', '.join(description.choices)}." if named else ""
    return click.option(
        f"--{(option or field).replace('_', '-')}",
        type=SettingType(settings, field),
        default=None if default is not None else declared,
        metavar="NAME" if named else f"NUMBER|{AUTO}" if shown == AUTO else "NUMBER",
        help=f"{description.description}{choices}  [default: {shown}]",
    )


def database_argument(command: Command) -> Command:
    """Add `[DB]` and `--db DB`; the command receives `database`, checked to be given once."""
    command = click.option(
        "--db", "database_option", type=click.Path(path_type=Path), metavar="DB", help="The lda.db to open."
    )(command)
    return click.argument("database", required=False, metavar="[DB]", type=click.Path(path_type=Path))(
        command
    )


def chosen_database(database: Path | None, option: Path | None) -> Path:
    """Return the database given as argument or as option.

    Raises:
        click.UsageError: None or two were given.
    """
    given = database or option
    if given is None:
        raise click.UsageError("Name a database: 'distill-tui COMMAND path/to/lda.db'.")
    if database is not None and option is not None:
        raise click.UsageError("Name the database once: as argument or with --db.")
    return given


def force_option(output: str) -> Callable[[Command], Command]:
    """Add `--force`, which lets the option of this name replace a file."""
    return click.option("--force", is_flag=True, help=f"Replace the file of {output} where it exists.")


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout.")
