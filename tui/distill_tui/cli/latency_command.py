"""`distill-tui latency`: LDA and student side by side, without a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click
import msgspec

from distill_core.config import DataConfig, TrainingConfig
from distill_core.database import LdaDatabase
from distill_core.wording import plural
from distill_tui.cli.field_lines import field_lines
from distill_tui.cli.options import chosen_database, database_argument, json_option, setting
from distill_tui.cli.student_options import (
    KINDS,
    ShapeOptions,
    shape_options,
    timed_student,
    timed_student_option,
)
from distill_tui.latency_words import contestant_names, faster_lines
from distill_tui.machine_words import UNSTEADY, machine_warnings, machine_words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from distill_core.latency import FieldEvent, LatencyFinished, ModelLatency
    from distill_core.students import Student
    from distill_core.teacher import MultiHeadLDA


class LatencyOptions(ShapeOptions):
    """The options of `latency`, as click passes them."""

    database: Path | None
    database_option: Path | None
    mh_id: int
    student: str
    batch_size: int
    blocks: int
    device: str
    threads: int
    everyone: bool
    compiled: bool
    as_json: bool


@click.command()
@database_argument
@setting(DataConfig, "mh_id")
@timed_student_option
@shape_options
@click.option("--batch-size", type=click.IntRange(1), default=32, show_default=True, help="Queries a batch.")
@click.option(
    "--blocks",
    type=click.IntRange(2),
    default=20,
    show_default=True,
    help="Timed blocks of about 20 ms for each model and size.",
)
@setting(TrainingConfig, "device")
@setting(TrainingConfig, "threads")
@click.option("--all", "everyone", is_flag=True, help="Every contestant that is installed, in one table.")
@click.option(
    "--compile", "compiled", is_flag=True, help="With --all: torch.compile, too; half a minute more."
)
@json_option
def latency(**options: Unpack[LatencyOptions]) -> None:
    """Time LDA and student, with single queries and in batches, on this machine.

    A student that folds is timed folded, which is how one would run it, and as published beside it.
    """
    if options["compiled"] and not options["everyone"]:
        raise click.UsageError("--compile needs --all.")
    path = chosen_database(options["database"], options["database_option"])
    with LdaDatabase(path) as database:
        teacher = database.teacher(options["mh_id"])
        _, queries = database.queries(options["mh_id"])
    student = timed_student(options["student"], options, teacher.num_heads, teacher.dimension)
    if options["everyone"]:
        _compare_everyone(teacher, student, queries, options)
    else:
        _compare_two(teacher, student, queries, options)


def _compare_two(
    teacher: MultiHeadLDA, student: Student, queries: NDArray[np.float32], options: LatencyOptions
) -> None:
    from distill_core.latency import LatencyFinished, LatencySettings, LatencyStarted, compare_latency

    settings = LatencySettings(
        batch_size=options["batch_size"],
        blocks=options["blocks"],
        device=options["device"],
        threads=options["threads"],
    )
    for event in compare_latency(teacher, student, queries, settings):
        if options["as_json"]:
            click.echo(msgspec.json.encode(event))
        elif isinstance(event, LatencyStarted):
            click.echo(
                f"timing on {event.device} with {plural(event.threads, 'thread')}, {event.num_heads} heads"
            )
        elif isinstance(event, LatencyFinished):
            _write_table(event)


def _compare_everyone(
    teacher: MultiHeadLDA, student: Student, queries: NDArray[np.float32], options: LatencyOptions
) -> None:
    """Time every contestant; ctrl+c and a device that fails leave what was measured."""
    from distill_core.errors import DistillError
    from distill_core.latency import FieldComparison, FieldSettings

    settings = FieldSettings(
        batch_size=options["batch_size"],
        blocks=options["blocks"],
        device=options["device"],
        threads=options["threads"],
        compiled=options["compiled"],
    )
    field = FieldComparison(teacher, student, queries, settings)
    try:
        for event in field:
            _write_field_event(event, options)
    except (KeyboardInterrupt, DistillError):
        result = field.result()
        if result is not None:
            _write_field_event(result, options)
        raise


def _write_field_event(event: FieldEvent, options: LatencyOptions) -> None:
    if options["as_json"]:
        click.echo(msgspec.json.encode(event))
        return
    for line in field_lines(event, untrained=options["student"] in KINDS):
        click.echo(line)


def _write_table(event: LatencyFinished) -> None:
    click.echo(f"{'microseconds a query':28}{'p50':>10}{'p90':>10}{'p99':>10}{'queries/s':>12}")
    for name, model in contestant_names(event):
        _write_rows(name, model, event.batch_size)
    for case, words in faster_lines(event):
        click.echo(f"{case}: {words}")
    if not event.steady:
        click.echo(UNSTEADY)
    if event.machine is not None:
        click.echo(f"machine: {machine_words(event.machine)}")
        for warning in machine_warnings(event.machine):
            click.echo(warning)


def _write_rows(name: str, model: ModelLatency, batch_size: int) -> None:
    rows = (
        (f"{name} single", model.single_us, model.single_qps),
        (f"{name} batch of {batch_size}", model.batch_us_per_query, model.batch_qps),
    )
    for label, times, rate in rows:
        click.echo(f"{label:28}{times.p50:10.1f}{times.p90:10.1f}{times.p99:10.1f}{rate:12,.0f}")
