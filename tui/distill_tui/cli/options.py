"""Options that several commands share. Those of settings are made from the settings' own declarations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from distill_core.errors import CheckpointError, SettingsError
from distill_core.runs.store import ENVIRONMENT_VARIABLE
from distill_core.settings import AUTO, FieldDescription, check_field, describe
from distill_core.students.kinds import (
    STUDENT_KINDS,
    check_student_field,
    default_student,
    default_words,
    describe_kind,
    describe_student_field,
    shaped_student,
    student_fields,
    student_kind,
)
from distill_tui.cli.completion import one_of, runs_that_begin

if TYPE_CHECKING:
    from distill_core.runs import StudentToTime

Command = TypeVar("Command", bound=Callable[..., Any])


if TYPE_CHECKING:
    ParamType = click.ParamType[Any]
else:
    ParamType = click.ParamType  # takes no parameter of its own before click 8.4


class SettingType(ParamType):
    """A value checked by the setting's own declaration, so that range and wording exist once."""

    def __init__(self, name: str, check: Callable[[object], object]) -> None:
        self.name = name
        self._check = check

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        """Return the checked value; a wrong one is a usage error."""
        try:
            return self._check(value)
        except SettingsError as error:
            self.fail(str(error), param, ctx)


def setting(
    settings: type[msgspec.Struct], field: str, *, default: str | None = None
) -> Callable[[Command], Command]:
    """Make an option of a setting, with its default; with another one in words it is None if not given."""
    declared = next(item for item in msgspec.structs.fields(settings) if item.name == field).default
    description, value = describe(settings, field), None if default else declared
    if declared is False:
        flag = f"--{field.replace('_', '-')}"
        return click.option(flag, is_flag=True, default=value, help=description.description)
    shown = default or description.extra.get("default") or (AUTO if declared is None else str(declared))
    return _option(description, partial(check_field, settings, field), shown, value)


def settings_options(
    settings: type[msgspec.Struct], default: str | None = None
) -> Callable[[Command], Command]:
    """Make an option of each setting of a group that has a default."""

    def add(command: Command) -> Command:
        for name in reversed(_names(settings)):
            command = setting(settings, name, default=default)(command)
        return command

    return add


def student_setting(field: str) -> Callable[[Command], Command]:
    """Make an option of a setting that kinds of student have, with what it means for each of them."""
    check = partial(check_student_field, field)
    return _option(describe_student_field(field), check, default_words(field))


def shape_options(command: Command) -> Command:
    """Add the settings of every kind of student."""
    for name in reversed(student_fields()):
        command = student_setting(name)(command)
    return command


def kind_option(command: Command) -> Command:
    """Add `--student`, a kind."""
    shown = default_student().kind
    check = SettingType("kind", lambda value: student_kind(value) and value)
    help_text = _help(describe_kind(), shown)
    return click.option(
        "--student",
        type=check,
        default=shown,
        metavar="NAME",
        help=help_text,
        shell_complete=one_of(tuple(STUDENT_KINDS)),
    )(command)


def timed_student_option(command: Command) -> Command:
    """Add `--student`, a kind or a file."""
    shown = default_student().kind
    return click.option(
        "--student",
        default=shown,
        metavar="NAME|FILE",
        help=f"{describe_kind().description} Untrained and of the given shape, which is as fast; "
        f"or the FILE of a trained one.  [default: {shown}]",
    )(command)


def given(settings: type[msgspec.Struct], options: Mapping[str, object]) -> dict[str, Any]:
    """Return the options that are settings of a group and were given."""
    names = _names(settings)
    return {name: options[name] for name in names if options.get(name) is not None}


def timed_student(name: str, options: Mapping[str, object], num_heads: int, dimension: int) -> StudentToTime:
    """Return the student to time: an untrained one of a kind, or the one in a file.

    Raises:
        CheckpointError: There is no such file.
        SettingsError: The settings do not fit.
    """
    from distill_core.runs import StudentToTime

    if name in STUDENT_KINDS:
        return StudentToTime(shaped_student(name, options, num_heads, dimension))
    if not Path(name).is_file():
        raise CheckpointError(
            f"There is no file of weights at {name}.",
            f"Take one of {', '.join(STUDENT_KINDS)}, a file, or for a run: --run NAME.",
        )
    return StudentToTime(Path(name))


def database_argument(command: Command) -> Command:
    """Add `[DB]` and `--db DB`; the command receives `database`, checked to be given once."""
    command = click.option(
        "--db",
        "database_option",
        type=click.Path(path_type=Path),
        metavar="DB",
        help="The lda.db, or the folder of vectors, to open.",
    )(command)
    return click.argument("database", required=False, metavar="[DB]", type=click.Path(path_type=Path))(
        command
    )


def chosen_database(database: Path | None, option: Path | None) -> Path:
    """Return the database given as argument or as option.

    Raises:
        click.UsageError: None or two were given.
    """
    path = database or option
    if path is None:
        raise click.UsageError("Name a database: 'distill-tui COMMAND path/to/lda.db'.")
    if database is not None and option is not None:
        raise click.UsageError("Name the database once: as argument or with --db.")
    return path


def force_option(output: str) -> Callable[[Command], Command]:
    """Add `--force`, which lets the option of this name replace a file."""
    return click.option("--force", is_flag=True, help=f"Replace the file of {output} where it exists.")


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout.")

runs_dir_option = click.option(
    "--runs-dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help=f"Where the runs are kept.  [default: ${ENVIRONMENT_VARIABLE}, else your data directory]",
)

run_argument = click.argument("run", metavar="RUN", shell_complete=runs_that_begin)
optional_run_argument = click.argument("run", metavar="[RUN]", required=False, shell_complete=runs_that_begin)


def _option(
    description: FieldDescription, check: Callable[[object], object], shown: str, default: object = None
) -> Callable[[Command], Command]:
    number = f"NUMBER|{AUTO}" if shown == AUTO else "NUMBER"
    return click.option(
        f"--{description.name.replace('_', '-')}",
        type=SettingType(description.name, check),
        default=default,
        metavar="NAME" if _is_named(description) else number,
        shell_complete=one_of(description.choices),
        help=_help(description, shown),
    )


def _names(settings: type[msgspec.Struct]) -> list[str]:
    """Return the settings of a group that are options: what has no default is an argument."""
    return [item.name for item in msgspec.structs.fields(settings) if not item.required]


def _is_named(description: FieldDescription) -> bool:
    return any(choice != AUTO for choice in description.choices)


def _help(description: FieldDescription, shown: str) -> str:
    choices = f" One of: {', '.join(description.choices)}." if _is_named(description) else ""
    return f"{description.description}{choices}  [default: {shown}]"
