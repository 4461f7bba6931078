"""`distill-tui train`: a run without a terminal, a plain line or a JSON object for each epoch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click
import msgspec

from distill_core.config import (
    DataConfig,
    RunConfig,
    SplitConfig,
    StudentConfig,
    StudentKind,
    TrainingConfig,
    describe,
)
from distill_core.database import LdaDatabase
from distill_core.errors import CheckpointError, DistillError
from distill_core.outputs import Output
from distill_core.training.events import RunFinished, RunStarted, TrainEvent
from distill_tui.cli.event_lines import write_json, write_lines
from distill_tui.cli.options import chosen_database, database_argument, force_option, json_option, setting
from distill_tui.cli.output import say
from distill_tui.cli.run_options import run_store, runs_dir_option
from distill_tui.cli.student_options import ShapeOptions, shape_options, shaped_student

if TYPE_CHECKING:
    from distill_core.runs import RecordedRun, RunFolder
    from distill_core.training import TrainingSession


class TrainOptions(ShapeOptions):
    """The options of `train`, as click passes them."""

    database: Path | None
    database_option: Path | None
    mh_id: int
    temperature: float | None
    split: str
    exclude_near_duplicates: bool
    student: StudentKind
    recipe: str
    dropout: float | None
    epochs: int | None
    cosine_weight: float
    learning_rate: float | None
    batch_size: int | None
    mse_reduction: str | None
    seed: int
    device: str
    threads: int
    compiled: bool
    save: Path | None
    force: bool
    runs_dir: Path | None
    detach: bool
    as_json: bool


@click.command()
@database_argument
@setting(DataConfig, "mh_id")
@setting(DataConfig, "temperature", default="as stored")
@setting(StudentConfig, "kind", option="student")
@shape_options
@setting(TrainingConfig, "recipe")
@setting(TrainingConfig, "epochs")
@setting(TrainingConfig, "cosine_weight")
@setting(TrainingConfig, "learning_rate")
@setting(TrainingConfig, "batch_size")
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
@click.option("--compiled", is_flag=True, help=describe(TrainingConfig, "compiled").description)
@click.option(
    "--save",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the student's weights: .safetensors, or an encoder's as .pt in the reference's layout.",
)
@force_option("--save")
@runs_dir_option
@click.option("--detach", is_flag=True, help="Train in a process of its own and return; see 'attach'.")
@json_option
def train(**options: Unpack[TrainOptions]) -> int:
    """Distil a projection into a student and evaluate it on held-out queries.

    Everything is kept in a run's folder. Ctrl+C saves after the present step and leaves, a second one leaves
    at once; 'distill-tui resume' goes on.
    """
    config = run_config(options)
    if options["save"] is not None and options["detach"]:
        raise click.UsageError("--save has no effect with --detach: the weights are in the run's folder.")
    save = None
    if options["save"] is not None:
        _require_layout(options["save"], config.student.kind)
        save = Output(options["save"], replace=options["force"], inputs=[Path(config.data.database)])
    folder = run_store(options["runs_dir"]).create(config)
    if options["detach"]:
        _warn_of_places(config.data)
        _detach(folder)
        return 0
    from distill_core.runs import RecordedRun
    from distill_tui.cli.run_loop import train_to_end

    run = RecordedRun(folder)
    write = write_json if options["as_json"] else write_lines
    try:
        code = train_to_end(run, lambda event: write(_with_saved(event, run, save)))
    except DistillError:
        run.discard_if_empty()
        raise
    if code and save is not None and run.session is not None and run.session.student is not None:
        say(f"Saved to {_save(run.session, save)}.", err=True)
    return code


def _warn_of_places(data: DataConfig) -> None:
    """Say on stderr where the vectors are read from, if that is not where the database says."""
    with LdaDatabase(data.database) as database:
        for warning in database.place_warnings(data.mh_id):
            say(f"{warning.severity}: {warning.message} {warning.hint}".rstrip(), err=True)


def run_config(options: TrainOptions) -> RunConfig:
    """Turn the options into a run's settings, with the default of the kind where H or L is not given.

    Raises:
        DistillError: The database or the projection cannot be used, or H does not divide what heads share.
    """
    path = chosen_database(options["database"], options["database_option"])
    with LdaDatabase(path) as database:
        projection = database.projection(options["mh_id"])
    student = shaped_student(
        options["student"], options, max(projection.num_heads, 1), projection.dimension
    ).with_values(dropout=options["dropout"])
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


def _require_layout(file: Path, kind: StudentKind) -> None:
    """Refuse before the training a name that stands for a layout without a place for this student."""
    if file.suffix == ".pt" and kind != "encoder":
        raise CheckpointError(
            f"A student of the kind {kind} has no place in the reference's .pt layout.",
            "Choose a name that ends in .safetensors.",
        )


def _detach(folder: RunFolder) -> None:
    from distill_tui.cli.detaching import detach

    detach(folder)
    say(f"run: {folder.path}", err=True)
    say(f"It trains on its own; 'distill-tui attach {folder.name}' shows it.", err=True)


def _with_saved(event: TrainEvent, run: RecordedRun, file: Output | None) -> TrainEvent:
    if isinstance(event, RunStarted):
        _warn_of_places(event.config.data)
        say(f"run: {run.folder.path}", err=True)
    if not isinstance(event, RunFinished) or file is None or run.session is None:
        return event
    return msgspec.structs.replace(event, saved=str(_save(run.session, file)))


def _save(session: TrainingSession, file: Output) -> Path:
    from distill_core.students import save_student

    assert session.student is not None
    return save_student(session.student, file, session.config)
