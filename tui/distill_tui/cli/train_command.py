"""`distill-tui train`: a run without a terminal, a plain line or a JSON object for each epoch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click
import msgspec

from distill_core.architecture import default_architecture
from distill_core.config import DataConfig, RunConfig, StudentConfig, TrainingConfig, require_divisible
from distill_core.database import LdaDatabase
from distill_core.wording import plural
from distill_tui.cli.options import chosen_database, database_argument, json_option, setting

if TYPE_CHECKING:
    from distill_core.training import EpochFinished, RunFinished, RunStarted, TrainEvent, TrainingSession


class TrainOptions(TypedDict):
    """The options of `train`, as click passes them."""

    database: Path | None
    database_option: Path | None
    mh_id: int
    heads: int | None
    layers: int | None
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
@setting(StudentConfig, "heads", default="book rule")
@setting(StudentConfig, "layers", default="book rule")
@setting(TrainingConfig, "epochs")
@setting(TrainingConfig, "cosine_weight")
@setting(TrainingConfig, "learning_rate")
@setting(TrainingConfig, "batch_size")
@setting(StudentConfig, "ff_dim")
@setting(StudentConfig, "dropout")
@setting(TrainingConfig, "seed")
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
    write = _write_json if options["as_json"] else _write_line
    try:
        for event in session:
            if isinstance(event, RunFinished):
                event = _with_saved(event, session, options["save"])
            write(event)
    except KeyboardInterrupt:
        if options["save"] is not None and session.student is not None:
            click.echo(f"Saved to {save_student(session.student, options['save'])}.", err=True)
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
        data=DataConfig(database=str(database.path), mh_id=options["mh_id"]),
        student=student,
        training=msgspec.convert({name: options[name] for name in _TRAINING}, TrainingConfig),  # type: ignore[literal-required]
    )


_TRAINING = ("epochs", "cosine_weight", "learning_rate", "batch_size", "seed", "device", "threads")


def _with_saved(event: RunFinished, session: TrainingSession, file: Path | None) -> RunFinished:
    from distill_core.students import save_student

    if file is None or session.student is None:
        return event
    return msgspec.structs.replace(event, saved=str(save_student(session.student, file)))


def _write_json(event: TrainEvent) -> None:
    from distill_core.training import StepsFinished

    if not isinstance(event, StepsFinished):
        click.echo(msgspec.json.encode(event))


def _write_line(event: TrainEvent) -> None:
    for line in _lines(event):
        click.echo(line)


def _lines(event: TrainEvent) -> Iterator[str]:
    from distill_core.training import EpochFinished, RunFinished, RunStarted

    match event:
        case RunStarted():
            yield from _started_lines(event)
        case EpochFinished():
            yield _epoch_line(event)
        case RunFinished():
            yield from _finished_lines(event)


def _started_lines(event: RunStarted) -> Iterator[str]:
    student = event.config.student
    yield (
        f"teacher: {event.num_heads} heads, {event.dimension} dimensions, temperature {event.temperature:g}, "
        f"{event.teacher_parameters:,} parameters"
    )
    yield (
        f"student: H {student.heads}, L {student.layers}, {event.student_parameters:,} parameters, "
        f"on {event.device} with {plural(event.threads, 'thread')}"
    )
    yield f"queries: {event.num_train} train, {event.num_validation} validation, {event.num_test} test"


def _epoch_line(event: EpochFinished) -> str:
    line = (
        f"epoch {event.epoch} step {event.step} loss {event.train.loss:.5f} mse {event.train.mse:.6f} "
        f"cosine {event.train.cosine:.4f}"
    )
    if event.validation is not None:
        line += f" val_loss {event.validation.loss:.5f} val_cosine {event.validation.cosine:.4f}"
    return f"{line} samples/s {event.samples_per_second:.0f} eta {event.eta_seconds:.0f}s"


def _finished_lines(event: RunFinished) -> Iterator[str]:
    result, cosine = event.evaluation, event.evaluation.cosine
    yield (
        f"test: n {result.n} cosine mean {cosine.mean:.4f} sd {cosine.sd:.4f} min {cosine.min:.4f} "
        f"max {cosine.max:.4f} mse {result.mse:.6f}, {event.epochs} epochs in {event.active_seconds:.1f} s"
    )
    if event.saved is not None:
        yield f"saved: {event.saved}"
