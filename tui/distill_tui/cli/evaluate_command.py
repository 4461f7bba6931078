"""`distill-tui evaluate`: judge a saved student on the test queries of its run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from distill_core.config import DataConfig, RunConfig, SplitConfig, TrainingConfig
from distill_core.errors import CheckpointError
from distill_tui.cli.event_lines import write_json, write_lines
from distill_tui.cli.options import json_option, setting
from distill_tui.cli.output import say
from distill_tui.cli.student_config import student_config

if TYPE_CHECKING:
    from distill_core.latency import LatencyFinished
    from distill_core.students import Student
    from distill_core.teacher_data import TeacherData


class EvaluateOptions(TypedDict):
    """The options of `evaluate`, as click passes them; None leaves what the file says."""

    file: Path
    database: Path | None
    mh_id: int | None
    temperature: float | None
    seed: int | None
    split: str | None
    measure: bool
    as_json: bool


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--db", "database", type=click.Path(path_type=Path), metavar="DB", help="The lda.db, if it has moved."
)
@setting(DataConfig, "mh_id", default="as trained, else 1")
@setting(DataConfig, "temperature", default="as trained, else as stored")
@setting(TrainingConfig, "seed", default="as trained, else 0")
@setting(SplitConfig, "split", default="as trained, else query")
@click.option("--measure", is_flag=True, help="Time both models first; the verdict then goes by that.")
@json_option
def evaluate(**options: Unpack[EvaluateOptions]) -> None:
    """Judge the student in FILE (written by --save) against the teacher and the baselines.

    A .safetensors file knows its run: the same test queries judge again. A .pt file does not; name the
    database, and know that its student may have been trained on the test queries drawn here.
    """
    from distill_core.devices import cpu_threads
    from distill_core.students import load_student, read_run_config
    from distill_core.teacher_data import load_teacher_data
    from distill_core.training.judging import fit_ladder, judge_student

    student = load_student(options["file"])
    config = _run_config(options, _of_run(options) or read_run_config(options["file"]), student)
    data = load_teacher_data(config.data, config.split, config.training.seed)
    if data.teacher.dimension != student.embed_dim:
        raise CheckpointError(
            f"{options['file']} is a student of dimension {student.embed_dim}, "
            f"the projection has {data.teacher.dimension}.",
            "Name the database and the projection that it was distilled from.",
        )
    with cpu_threads(config.training.threads):
        baselines = tuple(fit_ladder(data, config.training.seed))
        measured = _measure(data, student, config) if options["measure"] else None
        for event in judge_student(data, config, student.fold().project, baselines, measured=measured):
            (write_json if options["as_json"] else write_lines)(event)


def _of_run(options: EvaluateOptions) -> RunConfig | None:
    """Return the settings of the run that a file lies in, with the place of its database now."""
    from distill_core.runs.folder import RunFolder, is_run
    from distill_core.runs.moved_database import locate_database

    run = options["file"].absolute().parent.parent
    if options["database"] is not None or not is_run(run):
        return None
    config, moved = locate_database(RunFolder(run))
    if moved:
        say(f"note: {moved}", err=True)
    return config


def _measure(data: TeacherData, student: Student, config: RunConfig) -> LatencyFinished | None:
    from distill_core.latency import LatencyFinished, LatencySettings, compare_latency

    settings = LatencySettings(device=config.training.device, threads=config.training.threads)
    events = compare_latency(data.teacher, student, data.queries, settings)
    return next((event for event in events if isinstance(event, LatencyFinished)), None)


def _run_config(options: EvaluateOptions, saved: RunConfig | None, student: Student) -> RunConfig:
    """Return the settings of the run that is judged: those in the file, with what the options change.

    Raises:
        click.UsageError: Neither the file nor an option names a database.
    """
    if saved is None:
        if options["database"] is None:
            raise click.UsageError(f"{options['file']} does not say what it was trained on: name --db DB.")
        shape = student_config(student)
        saved = RunConfig(data=DataConfig(database=str(options["database"])), student=shape)
    changes = {
        name: value
        for name, value in (
            ("database", None if options["database"] is None else str(options["database"])),
            ("mh_id", options["mh_id"]),
            ("temperature", options["temperature"]),
        )
        if value is not None
    }
    training = saved.training if options["seed"] is None else saved.training.with_values(seed=options["seed"])
    split = saved.split if options["split"] is None else saved.split.with_values(split=options["split"])
    return saved.with_values(data=saved.data.with_values(**changes), training=training, split=split)
