"""What `latency` and `crossover` share: what is timed, and the way from the first event to the result."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, TypeVar

import click
import msgspec

from distill_core.database import open_database
from distill_core.errors import DistillError
from distill_core.outputs import Output
from distill_core.runs import RunStore
from distill_core.students.kinds import STUDENT_KINDS, student_fields
from distill_tui.cli.options import chosen_database, force_option, runs_dir_option, timed_student
from distill_tui.cli.output import say, say_object
from distill_tui.cli.run_loop import StopAtOnce

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from distill_core.latency import Measurement
    from distill_core.runs import RecordedMeasurement, RunFolder, StudentToTime
    from distill_core.students import Student
    from distill_core.teacher import MultiHeadLDA

Command = TypeVar("Command", bound=Callable[..., Any])
Event = TypeVar("Event")
Result = TypeVar("Result", bound=msgspec.Struct)

INTERRUPTED = 130


class TimedOptions(TypedDict):
    """What `timed_options` and the options of a student add, as click passes them."""

    database: Path | None
    database_option: Path | None
    mh_id: int
    student: str
    run: str | None
    runs_dir: Path | None
    samples: Path | None
    force: bool
    as_json: bool


def timed_options(command: Command) -> Command:
    """Add `--run`, `--runs-dir`, `--samples` and `--force`."""
    for option in (
        force_option("--samples"),
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


class ToTime(NamedTuple):
    """What is timed: the LDA, a student, and the queries (n, d) that both are given."""

    teacher: MultiHeadLDA
    student: Student
    queries: NDArray[np.float32]


def chosen_run(options: TimedOptions) -> RunFolder | None:
    """Return the run asked for; None where none is.

    Raises:
        click.UsageError: `--run` stands beside options that the run decides, or no database is given.
        RunError: There is no such run, or the samples could not be written where they are wanted.
    """
    if options["samples"] is not None:
        _samples_output(options)
    if options["run"] is None:
        chosen_database(options["database"], options["database_option"])
        return None
    context = click.get_current_context()
    given = click.core.ParameterSource.COMMANDLINE
    for name in ("student", "mh_id", *student_fields()):  # what a run decides
        if context.get_parameter_source(name) is given:
            raise click.UsageError(f"--run says what is timed: leave out --{name.replace('_', '-')}.")
    return RunStore(options["runs_dir"]).find(options["run"])


def what_is_timed(options: TimedOptions, run: RunFolder | None) -> ToTime:
    """Load teacher, student and queries.

    Raises:
        DistillError: Something cannot be read, or does not fit.
    """
    given = options["database"], options["database_option"]
    if run is None:
        path, mh_id, temperature = chosen_database(*given), options["mh_id"], None
    else:
        from distill_core.runs.provenance import locate_database

        settings, moved = locate_database(run, given[0] or given[1])
        if moved:
            say(f"note: {moved}", err=True)
        data, recorded = settings.data, run.read_data()
        path, mh_id = Path(data.database), data.mh_id
        temperature = data.temperature if recorded is None else recorded.temperature
    with open_database(path) as database:
        teacher = database.teacher(mh_id, temperature=temperature)
        _, queries = database.queries(mh_id)
    student = _student(options, run, teacher).load(teacher.dimension, teacher.num_heads)
    return ToTime(teacher, student, queries)


def _student(options: TimedOptions, run: RunFolder | None, teacher: MultiHeadLDA) -> StudentToTime:
    from distill_core.runs import StudentToTime

    if run is not None:
        return StudentToTime.of_run(run)
    return timed_student(options["student"], options, teacher.num_heads, teacher.dimension)


def measure(
    options: TimedOptions,
    build: Callable[[ToTime], Measurement[Event, Result]],
    lines: Callable[[Event | Result], Iterable[str]],
    *,
    as_object: Callable[[Event | Result], object] = lambda event: event,
    nothing: Result | None = None,
) -> int:
    """Measure from the first event to the result, or to what there is of it; return the exit code.

    A signal and a failure leave what was measured, kept first and then written, as the terminal may be gone.

    Args:
        options: Say what is timed, where results and samples go, and who reads what is told.
        build: Makes the measurement of what is timed.
        lines: Says an event in words.
        as_object: Makes of an event what is written as JSON.
        nothing: Is told in place of a result where a signal comes before anything is measured.

    Raises:
        DistillError: Nothing can be measured, or the measurement failed half-way.
    """
    from distill_core.runs import RecordedMeasurement

    run = chosen_run(options)

    def write(event: Event | Result) -> None:
        if options["as_json"]:
            say_object(as_object(event))
        else:
            for line in lines(event):
                say(line)

    recorded: RecordedMeasurement[Event, Result] | None = None
    with StopAtOnce():
        try:
            recorded = RecordedMeasurement(build(what_is_timed(options, run)), run)
            _tell(recorded, recorded, options, write)
        except (KeyboardInterrupt, DistillError, OSError) as error:
            with contextlib.suppress(OSError):
                if recorded is not None:
                    _tell(recorded, recorded.conclude(), options, write)
                is_told = recorded is not None and recorded.is_told
                if nothing is not None and not is_told and isinstance(error, KeyboardInterrupt):
                    write(nothing)
            if not isinstance(error, KeyboardInterrupt):
                raise
            with contextlib.suppress(OSError):
                say("Interrupted.", err=True)
            return getattr(error, "exit_code", INTERRUPTED)
    return 0


def _tell(
    recorded: RecordedMeasurement[Event, Result],
    events: Iterable[Event | Result],
    options: TimedOptions,
    write: Callable[[Event | Result], None],
) -> None:
    for event in events:
        try:
            if isinstance(event, recorded.measurement.result_type):
                _tell_where(recorded, options)
        finally:
            write(event)


def _tell_where(recorded: RecordedMeasurement[Event, Result], options: TimedOptions) -> None:
    """Write the raw samples where they are asked for, and tell where the result is."""
    from distill_core.latency import samples_bytes

    samples = recorded.measurement.samples() if options["samples"] is not None else {}
    if options["samples"] is not None and samples:
        _samples_output(options).write(samples_bytes(samples))
    if recorded.run is None or recorded.is_kept is None:
        return
    file = recorded.run.result_path(recorded.measurement.name)
    if not recorded.is_kept:
        say(f"{file} keeps an earlier result, which is more complete.", err=True)
    elif not options["as_json"]:
        say(f"kept in {file}")


def _samples_output(options: TimedOptions) -> Output:
    assert options["samples"] is not None
    given = (options["database"], options["database_option"])
    student = None if options["student"] in STUDENT_KINDS else Path(options["student"])
    return Output(options["samples"], replace=options["force"], inputs=[*given, student])
