"""What `latency` and `crossover` are about: a database and a student, or a run that receives the results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

import click

from distill_core.database import LdaDatabase
from distill_core.errors import DistillError, RunError
from distill_core.students.kinds import STUDENT_KINDS, student_fields
from distill_tui.cli.options import chosen_database, timed_student
from distill_tui.cli.run_options import run_store, runs_dir_option

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from distill_core.latency.measurement import Samples
    from distill_core.runs import RunFolder
    from distill_core.students import Student
    from distill_core.teacher import MultiHeadLDA

Command = TypeVar("Command", bound=Callable[..., Any])
Record = TypeVar("Record")


class TimedOptions(TypedDict):
    """What `timed_options` and the options of a student add, as click passes them."""

    database: Path | None
    database_option: Path | None
    mh_id: int
    student: str
    run: str | None
    runs_dir: Path | None
    samples: Path | None
    as_json: bool


def timed_options(command: Command) -> Command:
    """Add `--run`, `--runs-dir` and `--samples`."""
    for option in (
        click.option(
            "--samples",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="Write every call's microseconds there, for NumPy (npz).",
        ),
        runs_dir_option,
        click.option(
            "--run",
            metavar="RUN",
            help="A run, by name or folder: its database, projection, temperature and trained student; the "
            "result and the raw samples go into its folder.",
        ),
    ):
        command = option(command)
    return command


@dataclass(frozen=True)
class ToTime:
    """What is timed.

    Attributes:
        teacher: The LDA.
        queries: (n, d).
        student: Trained, or untrained of a shape.
        is_trained: Which of the two.
    """

    teacher: MultiHeadLDA
    queries: NDArray[np.float32]
    student: Student
    is_trained: bool


def chosen_run(options: TimedOptions) -> RunFolder | None:
    """Return the run asked for; None where none is.

    Raises:
        click.UsageError: `--run` stands beside options that the run decides, or no database is given.
        RunError: There is no such run, or the samples could not be written where they are wanted.
    """
    if options["samples"] is not None:
        _require_writable(options["samples"])
    if options["run"] is None:
        chosen_database(options["database"], options["database_option"])
        return None
    context = click.get_current_context()
    given = click.core.ParameterSource.COMMANDLINE
    for name in ("student", "mh_id", *student_fields()):  # what a run decides
        if context.get_parameter_source(name) is given:
            raise click.UsageError(f"--run says what is timed: leave out --{name.replace('_', '-')}.")
    return run_store(options["runs_dir"]).find(options["run"])


def what_is_timed(options: TimedOptions, run: RunFolder | None) -> ToTime:
    """Load teacher, queries and student.

    Raises:
        DistillError: Something cannot be read, or does not fit.
    """
    if run is not None:
        return _of_run(options, run)
    with LdaDatabase(chosen_database(options["database"], options["database_option"])) as database:
        teacher = database.teacher(options["mh_id"])
        _, queries = database.queries(options["mh_id"])
    student = timed_student(options["student"], options, teacher.num_heads, teacher.dimension)
    return ToTime(teacher, queries, student, options["student"] not in STUDENT_KINDS)


def _of_run(options: TimedOptions, run: RunFolder) -> ToTime:
    config, recorded = run.read_config().data, run.read_data()
    path = options["database"] or options["database_option"] or Path(config.database)
    temperature = config.temperature if recorded is None else recorded.temperature
    with LdaDatabase(path) as database:
        teacher = database.teacher(config.mh_id, temperature=temperature)
        _, queries = database.queries(config.mh_id)
    from distill_core.students import load_student

    if not run.best_checkpoint.is_file():
        raise RunError(f"{run.name} has no trained student yet.", "Go on with it, or choose another run.")
    student = load_student(run.best_checkpoint, dimension=teacher.dimension, reference_layout=False)
    return ToTime(teacher, queries, student, is_trained=True)


def keep(
    measurement: str,
    samples: Samples,
    options: TimedOptions,
    run: RunFolder | None,
    replace: Callable[[RunFolder], bool],
) -> None:
    """Keep a result in the run, and the raw samples there and in the file asked for, where there are such.

    Args:
        measurement: "latency", "contestants" or "crossover".
        samples: By name, microseconds a call.
        options: Say where samples go, and who reads what is told.
        run: Receives the result.
        replace: Writes it into the folder, unless a more complete one is there; tells whether it did.

    Raises:
        RunError: Something cannot be written.
    """
    from distill_core.latency import samples_bytes
    from distill_core.runs.atomic_files import write_atomically

    if options["samples"] is not None and samples:
        write_atomically(options["samples"], samples_bytes(samples))
    if run is None:
        return
    file = run.path / f"{measurement}.json"
    if not replace(run):
        click.echo(f"{file} keeps an earlier result, which is more complete.", err=True)
        return
    if samples:
        run.write_samples(measurement, samples_bytes(samples))
    if not options["as_json"]:
        click.echo(f"kept in {file}")


def readable(read: Callable[[], Record | None]) -> Record | None:
    """Return what is kept in a run; None where that is nothing, or damaged."""
    try:
        return read()
    except DistillError:
        return None


def _require_writable(file: Path) -> None:
    if not file.parent.is_dir():
        raise RunError(f"The samples cannot be written: there is no folder {file.parent}.", "Make it.")
