"""`distill-tui evaluate`: judge a saved student on the test queries of its run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distill_core.config import DataConfig, RunConfig, SplitConfig, TrainingConfig
from distill_core.errors import CheckpointError
from distill_core.students.kinds import STUDENT_KINDS
from distill_tui.cli.event_lines import write_json, write_lines
from distill_tui.cli.options import given, json_option, setting, settings_options
from distill_tui.cli.output import say

if TYPE_CHECKING:
    from distill_core.latency import TimedCost
    from distill_core.students import Student
    from distill_core.teacher_data import TeacherData


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--db", "database", type=click.Path(path_type=Path), metavar="DB", help="The lda.db, if it has moved."
)
@settings_options(DataConfig, default="as trained")
@setting(TrainingConfig, "seed", default="as trained")
@settings_options(SplitConfig, default="as trained")
@click.option("--measure", is_flag=True, help="Time both models first; the verdict then goes by that.")
@json_option
def evaluate(*, file: Path, database: Path | None, measure: bool, as_json: bool, **options: object) -> None:
    """Judge the student in FILE (written by --save) against the teacher and the baselines.

    A .safetensors file knows its run: the same test queries judge again. A .pt file does not; name the
    database, and know that its student may have been trained on the test queries drawn here.
    """
    from distill_core.devices import cpu_threads
    from distill_core.students import load_student
    from distill_core.teacher_data import load_teacher_data
    from distill_core.training.judging import fit_ladder, judge_student, with_own_words

    student = load_student(file)
    config = _run_config(file, database, options, student)
    data = load_teacher_data(config.data, config.split)
    if data.teacher.dimension != student.embed_dim:
        raise CheckpointError(
            f"{file} is a student of dimension {student.embed_dim}, "
            f"the projection has {data.teacher.dimension}.",
            "Name the database and the projection that it was distilled from.",
        )
    with cpu_threads(config.training.threads):
        baselines = tuple(fit_ladder(data, config.training.seed))
        timed = _measure(data, student, config) if measure else None
        built = config.with_values(student=STUDENT_KINDS[student.KIND].of_shape(student.shape))
        judged = judge_student(data, built, student.fold().project, baselines, timed=timed)
        for event in with_own_words(judged, student):
            (write_json if as_json else write_lines)(event)


def _of_run(file: Path) -> RunConfig | None:
    """Return the settings of the run that a file lies in, with the place of its database now."""
    from distill_core.runs.folder import RunFolder, is_run
    from distill_core.runs.provenance import locate_database

    run = file.absolute().parent.parent
    if not is_run(run):
        return None
    config, moved = locate_database(RunFolder(run))
    if moved:
        say(f"note: {moved}", err=True)
    return config


def _measure(data: TeacherData, student: Student, config: RunConfig) -> TimedCost | None:
    from distill_core.latency import (
        LatencyFinished,
        LatencySettings,
        TimedCost,
        compare_latency,
        conditions_here,
    )

    device, threads = config.training.device, config.training.threads
    wanted = conditions_here(data.teacher, student, device=device, threads=threads)
    settings = LatencySettings(device=device, threads=threads)
    events = compare_latency(data.teacher, student, data.queries, settings)
    return next((TimedCost(event, wanted) for event in events if isinstance(event, LatencyFinished)), None)


def _run_config(
    file: Path, database: Path | None, options: Mapping[str, object], student: Student
) -> RunConfig:
    """Return the settings of the run that is judged: those in the file, with what the options change.

    Raises:
        click.UsageError: Neither the file nor an option names a database.
    """
    from distill_core.students import read_run_config

    place: dict[str, Any] = {} if database is None else {"database": str(database)}
    saved = (None if place else _of_run(file)) or read_run_config(file)
    if saved is None:
        if not place:
            raise click.UsageError(f"{file} does not say what it was trained on: name --db DB.")
        shape = STUDENT_KINDS[student.KIND].of_shape(student.shape)
        saved = RunConfig(data=DataConfig(**place), student=shape)
    return saved.with_values(
        data=saved.data.with_values(**place, **given(DataConfig, options)),
        training=saved.training.with_values(**given(TrainingConfig, options)),
        split=saved.split.with_values(**given(SplitConfig, options)),
    )
