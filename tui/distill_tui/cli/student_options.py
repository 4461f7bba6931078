"""The options that shape a student, and the student that a command is about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, get_args

import click

from distill_core.architecture import default_shape
from distill_core.config import StudentConfig, StudentKind, describe, require_fitting_heads
from distill_core.errors import CheckpointError
from distill_tui.cli.options import setting

if TYPE_CHECKING:
    from distill_core.runs import StudentToTime

Command = TypeVar("Command", bound=Callable[..., Any])

KINDS: tuple[StudentKind, ...] = get_args(StudentKind)


class ShapeOptions(TypedDict):
    """What `shape_options` adds, as click passes it."""

    heads: int | None
    layers: int | None
    ff_dim: int
    slots: int
    width: int


def shape_options(command: Command) -> Command:
    """Add the options of a student's shape."""
    for name, default in (
        ("width", None),
        ("slots", None),
        ("ff_dim", None),
        ("layers", "book rule, 1 for memory"),
        ("heads", "book rule, 1 for memory"),
    ):
        command = setting(StudentConfig, name, default=default)(command)
    return command


def shaped_student(kind: StudentKind, options: ShapeOptions, num_heads: int, dimension: int) -> StudentConfig:
    """Return the settings of a student for N heads of dimension d, with the default H and L of its kind.

    Raises:
        SettingsError: H does not divide what the heads share.
    """
    heads, layers = default_shape(kind, num_heads, dimension)
    student = StudentConfig(
        kind=kind,
        heads=options["heads"] or heads,
        layers=options["layers"] or layers,
        ff_dim=options["ff_dim"],
        slots=options["slots"],
        width=options["width"],
    )
    require_fitting_heads(student, dimension)
    return student


timed_student_option = click.option(
    "--student",
    default=KINDS[0],
    metavar="NAME|FILE",
    help=f"{describe(StudentConfig, 'kind').description} Untrained and of the given shape, which is as fast; "
    f"or the FILE of a trained one.  [default: {KINDS[0]}]",
)


def timed_student(given: str, options: ShapeOptions, num_heads: int, dimension: int) -> StudentToTime:
    """Return the student to time: an untrained one of a kind, or the one in a file.

    Raises:
        CheckpointError: There is no such file.
        SettingsError: H does not divide what the heads share.
    """
    from distill_core.runs import StudentToTime

    if given not in KINDS:
        if not Path(given).is_file():
            raise CheckpointError(
                f"There is no file of weights at {given}.",
                f"Take one of {', '.join(KINDS)}, a file, or for a run: --run NAME.",
            )
        return StudentToTime(Path(given))
    return StudentToTime(shaped_student(given, options, num_heads, dimension))
