"""`distill-tui crossover`: from how many heads on the student is faster, measured on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click
import msgspec

from distill_core.config import DataConfig, TrainingConfig
from distill_core.database import LdaDatabase
from distill_tui.cli.options import chosen_database, database_argument, json_option, setting
from distill_tui.cli.student_options import ShapeOptions, shape_options, timed_student, timed_student_option

if TYPE_CHECKING:
    from distill_core.latency import CrossoverEvent, CrossoverFinished, CrossoverPoint, MachineRecord


class CrossoverOptions(ShapeOptions):
    """The options of `crossover`, as click passes them."""

    database: Path | None
    database_option: Path | None
    mh_id: int
    student: str
    max_heads: int | None
    budget: float
    device: str
    threads: int
    seed: int
    as_json: bool


@click.command()
@database_argument
@setting(DataConfig, "mh_id")
@timed_student_option
@shape_options
@click.option(
    "--max-heads",
    type=click.IntRange(1),
    metavar="N",
    help="The largest teacher.  [default: 1,048,576, or as many as fit in memory]",
)
@click.option(
    "--budget",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="The search ends by then, with what it has.",
)
@setting(TrainingConfig, "device", default="cpu")
@setting(TrainingConfig, "threads")
@setting(TrainingConfig, "seed")
@json_option
def crossover(**options: Unpack[CrossoverOptions]) -> None:
    """Search the number of heads from which a student is faster than the LDA.

    The teacher grows from 16 heads on, the real ones first, then drawn ones. Ctrl+C prints what is there.
    """
    path = chosen_database(options["database"], options["database_option"])
    with LdaDatabase(path) as database:
        teacher = database.teacher(options["mh_id"])
        _, queries = database.queries(options["mh_id"])
    student = timed_student(options["student"], options, teacher.num_heads, teacher.dimension)
    from distill_core.errors import DistillError
    from distill_core.latency import CrossoverPoint, CrossoverSettings, CrossoverStarted, find_crossover

    settings = CrossoverSettings(
        max_heads=options["max_heads"],
        budget_seconds=options["budget"],
        device=options["device"] or "cpu",
        threads=options["threads"],
        seed=options["seed"],
    )
    points: list[CrossoverPoint] = []
    machine = None
    try:
        for event in find_crossover(teacher, student, queries, settings):
            if isinstance(event, CrossoverStarted):
                machine = event.machine
            elif isinstance(event, CrossoverPoint):
                points.append(event)
            _write(event, as_json=options["as_json"])
    except (KeyboardInterrupt, DistillError):
        _write_what_is_there(points, machine, as_json=options["as_json"])
        raise


def _write(event: CrossoverEvent, *, as_json: bool) -> None:
    from distill_core.latency import CrossoverFinished, finished_object
    from distill_tui.cli.crossover_lines import crossover_lines

    if not as_json:
        for line in crossover_lines(event):
            click.echo(line)
    elif isinstance(event, CrossoverFinished):
        click.echo(msgspec.json.encode(finished_object(event)))
    else:
        click.echo(msgspec.json.encode(event))


def _write_what_is_there(
    points: list[CrossoverPoint], machine: MachineRecord | None, *, as_json: bool
) -> None:
    from distill_core.latency import summarised

    if points:
        result: CrossoverFinished = summarised(points, ended="interrupted", machine=machine)
        _write(result, as_json=as_json)
