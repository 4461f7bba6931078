"""`distill-tui latency`: LDA and transformer side by side, without a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click
import msgspec

from distill_core.architecture import default_architecture
from distill_core.config import DataConfig, StudentConfig, TrainingConfig
from distill_core.database import LdaDatabase
from distill_core.wording import faster_sentence, plural
from distill_tui.cli.options import chosen_database, database_argument, json_option, setting

if TYPE_CHECKING:
    from distill_core.latency import LatencyFinished, ModelLatency
    from distill_core.students import ProjectionTransformer


class LatencyOptions(TypedDict):
    """The options of `latency`, as click passes them."""

    database: Path | None
    database_option: Path | None
    mh_id: int
    heads: int | None
    layers: int | None
    ff_dim: int
    student: Path | None
    batch_size: int
    blocks: int
    device: str
    threads: int
    as_json: bool


@click.command()
@database_argument
@setting(DataConfig, "mh_id")
@setting(StudentConfig, "heads", default="book rule")
@setting(StudentConfig, "layers", default="book rule")
@setting(StudentConfig, "ff_dim")
@click.option(
    "--student",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Time this trained student; without it an untrained one of the given shape, which is as fast.",
)
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
@json_option
def latency(**options: Unpack[LatencyOptions]) -> None:
    """Time LDA and transformer, with single queries and in batches, on this machine."""
    path = chosen_database(options["database"], options["database_option"])
    with LdaDatabase(path) as database:
        teacher = database.teacher(options["mh_id"])
        _, queries = database.queries(options["mh_id"])
    student = _student(options, teacher.num_heads, teacher.dimension)
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


def _student(options: LatencyOptions, num_heads: int, dimension: int) -> ProjectionTransformer:
    from distill_core.students import ProjectionTransformer, load_student

    if options["student"] is not None:
        return load_student(options["student"], dimension=dimension)
    heads, layers = default_architecture(num_heads, dimension)
    shape = StudentConfig(
        heads=options["heads"] or heads, layers=options["layers"] or layers, ff_dim=options["ff_dim"]
    )
    return ProjectionTransformer.from_config(shape, dimension)


def _write_table(event: LatencyFinished) -> None:
    click.echo(f"{'microseconds a query':24}{'p50':>10}{'p90':>10}{'p99':>10}{'queries/s':>12}")
    for name, model in (("LDA", event.lda), ("transformer", event.transformer)):
        _write_rows(name, model, event.batch_size)
    click.echo(f"single: {faster_sentence(event.single_ratio, event.single_ratio_interval)}")
    click.echo(
        f"batch of {event.batch_size}: {faster_sentence(event.batch_ratio, event.batch_ratio_interval)}"
    )
    if not event.steady:
        click.echo("The machine was unsteady: blocks of one model disagree. Repeat on a quiet machine.")


def _write_rows(name: str, model: ModelLatency, batch_size: int) -> None:
    rows = (
        (f"{name} single", model.single_us, model.single_qps),
        (f"{name} batch of {batch_size}", model.batch_us_per_query, model.batch_qps),
    )
    for label, times, rate in rows:
        click.echo(f"{label:24}{times.p50:10.1f}{times.p90:10.1f}{times.p99:10.1f}{rate:12,.0f}")
