"""`distill-tui train`: a run without a terminal, a plain line or a JSON object for each epoch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click
import msgspec

from distill_core.architecture import default_architecture
from distill_core.config import (
    DataConfig,
    RunConfig,
    SplitConfig,
    StudentConfig,
    TrainingConfig,
    describe,
    require_divisible,
)
from distill_core.database import LdaDatabase
from distill_tui.cli.event_lines import write_json, write_lines
from distill_tui.cli.options import chosen_database, database_argument, json_option, setting

if TYPE_CHECKING:
    from distill_core.training import RunFinished, TrainingSession


class TrainOptions(TypedDict):
    """The options of `train`, as click passes them."""

    database: Path | None
    database_option: Path | None
    mh_id: int
    heads: int | None
    layers: int | None
    temperature: float | None
    split: str
    exclude_near_duplicates: bool
    mse_reduction: str
    ff_dim: int
    dropout: float
    epochs: int
    cosine_weight: float
    learning_rate: float
    batch_size: int
    seed: int
    device: str
    threads: int
    save: Path | None
    as_json: bool


@click.command()
@database_argument
@setting(DataConfig, "mh_id")
@setting(DataConfig, "temperature", default="as stored")
@setting(StudentConfig, "heads", default="book rule")
@setting(StudentConfig, "layers", default="book rule")
@setting(TrainingConfig, "epochs")
@setting(TrainingConfig, "cosine_weight")
@setting(TrainingConfig, "learning_rate")
@setting(TrainingConfig, "batch_size")
@setting(StudentConfig, "ff_dim")
@setting(StudentConfig, "dropout")
@setting(TrainingConfig, "mse_reduction")
@setting(TrainingConfig, "seed")
@setting(SplitConfig, "split")
@click.option(
    "--exclude-near-duplicates",
    is_flag=True,
    help=describe(SplitConfig, "exclude_near_duplicates").description,
)
@setting(TrainingConfig, "device")
@setting(TrainingConfig, "threads")
@click.option(
    "--save",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the student's weights: .safetensors, or .pt in the reference implementation's layout.",
)
@json_option
def train(**options: Unpack[TrainOptions]) -> None:
    """Distil a projection into a student and evaluate it on held-out queries.

    Ctrl+C stops after the present step; with --save what is learnt so far is written.
    """
    config = run_config(options)
    from distill_core.students import require_writable, save_student
    from distill_core.training import RunFinished, TrainingSession

    if options["save"] is not None:
        require_writable(options["save"])
    session = TrainingSession(config)
    write = write_json if options["as_json"] else write_lines
    try:
        for event in session:
            if isinstance(event, RunFinished):
                event = _with_saved(event, session, options["save"])
            write(event)
    except KeyboardInterrupt:
        if options["save"] is not None and session.student is not None:
            click.echo(f"Saved to {save_student(session.student, options['save'], config)}.", err=True)
        raise


def run_config(options: TrainOptions) -> RunConfig:
    """Turn the options into a run's settings, with the book rule where H or L is not given.

    Raises:
        DistillError: The database or the projection cannot be used, or H does not divide d.
    """
    path = chosen_database(options["database"], options["database_option"])
    with LdaDatabase(path) as database:
        projection = database.projection(options["mh_id"])
    heads, layers = default_architecture(max(projection.num_heads, 1), projection.dimension)
    student = StudentConfig(
        heads=options["heads"] or heads,
        layers=options["layers"] or layers,
        ff_dim=options["ff_dim"],
        dropout=options["dropout"],
    )
    require_divisible(projection.dimension, student.heads)
    return RunConfig(
        data=DataConfig(
            database=str(database.path), mh_id=options["mh_id"], temperature=options["temperature"]
        ),
        split=msgspec.convert(_chosen(options, SplitConfig), SplitConfig),
        student=student,
        training=msgspec.convert(_chosen(options, TrainingConfig), TrainingConfig),
    )


def _chosen(options: TrainOptions, settings: type[msgspec.Struct]) -> dict[str, object]:
    """Return the options that are fields of one group of settings."""
    return {name: value for name, value in options.items() if name in settings.__struct_fields__}


def _with_saved(event: RunFinished, session: TrainingSession, file: Path | None) -> RunFinished:
    from distill_core.students import save_student

    if file is None or session.student is None:
        return event
    return msgspec.structs.replace(event, saved=str(save_student(session.student, file, session.config)))
