"""`distill-tui train` and `resume`: a run without a terminal, a line or a JSON object for each epoch."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack, cast

import click
import msgspec

from distill_core.config import DataConfig, RunConfig, SplitConfig, TrainingConfig
from distill_core.database import open_database
from distill_core.errors import BusyError, DistillError, told
from distill_core.outputs import Output
from distill_core.runs import RunStore
from distill_core.students.kinds import STUDENT_KINDS, shaped_student
from distill_core.training.events import RunFinished, RunStarted, TrainEvent
from distill_tui.cli.event_lines import write_json, write_lines
from distill_tui.cli.options import (
    chosen_database,
    database_argument,
    force_option,
    given,
    json_option,
    kind_option,
    run_argument,
    runs_dir_option,
    settings_options,
    shape_options,
)
from distill_tui.cli.output import say
from distill_tui.cli.run_loop import detach, train_to_end

if TYPE_CHECKING:
    from distill_core.runs import RecordedRun, RunFolder
    from distill_core.training import TrainingSession

_LOOK_SECONDS = 0.5


@click.command()
@database_argument
@settings_options(DataConfig)
@kind_option
@shape_options
@settings_options(TrainingConfig)
@settings_options(SplitConfig)
@click.option(
    "--save",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the student's weights: .safetensors, or .pt in the reference's layout, which has a place for "
    f"{', '.join(name for name, kind in STUDENT_KINDS.items() if kind.REFERENCE_LAYOUT)}.",
)
@force_option("--save")
@runs_dir_option
@click.option("--detach", is_flag=True, help="Train in a process of its own and return; see 'attach'.")
@json_option
def train(
    *,
    save: Path | None,
    force: bool,
    runs_dir: Path | None,
    detach: bool,
    as_json: bool,
    **options: object,
) -> int:
    """Distil a projection into a student and evaluate it on held-out queries.

    Everything is kept in a run's folder. Ctrl+C saves after the present step and leaves, a second one leaves
    at once; 'distill-tui resume' goes on.
    """
    from distill_core.students import require_layout

    config = run_config(options)
    if save is not None and detach:
        raise click.UsageError("--save has no effect with --detach: the weights are in the run's folder.")
    output = None
    if save is not None:
        require_layout(save, config.student.kind)
        output = Output(save, replace=force, inputs=[Path(config.data.database)])
    folder = RunStore(runs_dir).create(config)
    if detach:
        _warn_of_places(config.data)
        _detach(folder)
        return 0
    from distill_core.runs import RecordedRun

    run = RecordedRun(folder)
    write = write_json if as_json else write_lines
    try:
        code = train_to_end(run, lambda event: write(_with_saved(event, run, output)))
    except DistillError:
        run.discard_if_empty()
        raise
    if code and output is not None and run.session is not None and run.session.student is not None:
        say(f"Saved to {_save(run.session, output)}.", err=True)
    return code


def _warn_of_places(data: DataConfig) -> None:
    """Say on stderr where the vectors are read from, if that is not where the database says."""
    with open_database(data.database) as database:
        for warning in database.place_warnings(data.mh_id):
            say(f"{warning.severity}: {told(warning.message, warning.hint)}", err=True)


def run_config(options: Mapping[str, object]) -> RunConfig:
    """Turn the options into a run's settings, with the defaults of the kind where its settings are not given.

    Raises:
        DistillError: The database or the projection cannot be used, or a setting does not fit.
    """
    argument, option = (cast("Path | None", options[name]) for name in ("database", "database_option"))
    path = chosen_database(argument, option)
    data = DataConfig(database=str(path), **given(DataConfig, options))
    with open_database(path) as database:
        projection = database.projection(data.mh_id)
    student = shaped_student(
        str(options["student"]), options, max(projection.num_heads, 1), projection.dimension
    )
    return RunConfig(
        data=data.with_values(database=str(database.path)),
        split=SplitConfig(**given(SplitConfig, options)),
        student=student,
        training=TrainingConfig(**given(TrainingConfig, options)),
    )


def _detach(folder: RunFolder) -> None:
    detach(folder)
    say(f"run: {folder.path}", err=True)
    say(f"It trains on its own; 'distill-tui attach {folder.id}' shows it.", err=True)


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


class _ResumeOptions(TypedDict):
    database: Path | None
    take_over: bool
    patience: float
    as_json: bool


@click.command()
@run_argument
@runs_dir_option
@click.option(
    "--db",
    "database",
    type=click.Path(path_type=Path),
    metavar="DB",
    help="The lda.db, if it has moved and is not found nearby.",
)
@click.option(
    "--take-over",
    is_flag=True,
    help="Take RUN over from a process that holds its lock and does not move; it writes nothing more.",
)
@click.option("--patience", type=float, default=0.0, hidden=True)
@json_option
def resume(run: str, runs_dir: Path | None, **options: Unpack[_ResumeOptions]) -> int:
    """Go on with RUN from its last checkpoint, to the same end as if it had never stopped.

    RUN is a run's id, its name, the beginning of it, or its folder. A process of another machine counts as
    gone when nothing in the run changes for a few seconds; should it wake up, it stops at its next write.
    """
    folder = RunStore(runs_dir).find(run)
    from distill_core.runs import RecordedRun

    write = write_json if options["as_json"] else write_lines
    patient_until = time.monotonic() + options["patience"]
    while True:
        recorded = RecordedRun(folder, take_over=options["take_over"], database=options["database"])
        try:
            return train_to_end(recorded, write)
        except BusyError:
            if time.monotonic() >= patient_until:
                raise
            time.sleep(_LOOK_SECONDS)
