"""`distill-tui latency`: LDA and student side by side, without a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import click
import msgspec

from distill_core.config import DataConfig, TrainingConfig
from distill_core.students.kinds import STUDENT_KINDS
from distill_tui.cli.field_lines import field_lines
from distill_tui.cli.measurement_loop import measure
from distill_tui.cli.options import (
    database_argument,
    json_option,
    setting,
    shape_options,
    timed_student_option,
)
from distill_tui.cli.timed_run import (
    TimedOptions,
    chosen_run,
    keep,
    readable,
    timed_options,
    what_is_timed,
)

if TYPE_CHECKING:
    from distill_core.latency import (
        FieldComparison,
        FieldEvent,
        FieldFinished,
        LatencyComparison,
        LatencyEvent,
        LatencyFinished,
    )
    from distill_core.latency.measurement import Samples
    from distill_core.runs import RunFolder


class LatencyOptions(TimedOptions):
    """The options of `latency`, as click passes them."""

    batch_size: int
    blocks: int
    device: str
    threads: int
    everyone: bool
    compiled: bool


@click.command()
@database_argument
@setting(DataConfig, "mh_id")
@timed_student_option
@shape_options
@timed_options
@click.option("--batch-size", type=click.IntRange(1), default=32, show_default=True, help="Queries a batch.")
@click.option(
    "--blocks",
    type=click.IntRange(2),
    default=20,
    show_default=True,
    help="Timed blocks of about 8 ms for each model and size.",
)
@setting(TrainingConfig, "device")
@setting(TrainingConfig, "threads")
@click.option("--all", "everyone", is_flag=True, help="Every contestant that is installed, in one table.")
@click.option(
    "--compile", "compiled", is_flag=True, help="With --all: torch.compile, too; half a minute more."
)
@json_option
def latency(**options: Unpack[LatencyOptions]) -> int:
    """Time LDA and student, with single queries and in batches, on this machine.

    A student that folds is timed folded, which is how one would run it, and as published beside it. Ctrl+C
    prints, and with --run keeps, what was measured.
    """
    if options["compiled"] and not options["everyone"]:
        raise click.UsageError("--compile needs --all.")
    run = chosen_run(options)
    return (_compare_everyone if options["everyone"] else _compare_two)(options, run)


def _compare_two(options: LatencyOptions, run: RunFolder | None) -> int:
    from distill_core.latency import LatencyFinished

    def build() -> LatencyComparison:
        from distill_core.latency import LatencyComparison, LatencySettings

        settings = LatencySettings(
            batch_size=options["batch_size"],
            blocks=options["blocks"],
            device=options["device"],
            threads=options["threads"],
        )
        timed = what_is_timed(options, run)
        return LatencyComparison(timed.teacher, timed.student, timed.queries, settings)

    def write(event: LatencyEvent) -> None:
        from distill_tui.cli.latency_lines import latency_lines

        if options["as_json"]:
            click.echo(msgspec.json.encode(event))
            return
        for line in latency_lines(event):
            click.echo(line)

    def keep_result(result: LatencyFinished, samples: Samples) -> None:
        def replace(folder: RunFolder) -> bool:
            kept = readable(folder.read_latency)
            if kept is not None and kept.ended == "complete" != result.ended:
                return False
            folder.write_latency(result)
            return True

        keep("latency", samples, options, run, replace)

    return measure(build, LatencyFinished, write, keep_result)


def _compare_everyone(options: LatencyOptions, run: RunFolder | None) -> int:
    """Time every contestant."""
    from distill_core.latency import FieldFinished

    def build() -> FieldComparison:
        from distill_core.latency import FieldComparison, FieldSettings

        settings = FieldSettings(
            batch_size=options["batch_size"],
            blocks=options["blocks"],
            device=options["device"],
            threads=options["threads"],
            compiled=options["compiled"],
        )
        timed = what_is_timed(options, run)
        return FieldComparison(timed.teacher, timed.student, timed.queries, settings)

    def write(event: FieldEvent) -> None:
        if options["as_json"]:
            click.echo(msgspec.json.encode(event))
            return
        for line in field_lines(event, untrained=run is None and options["student"] in STUDENT_KINDS):
            click.echo(line)

    def keep_result(result: FieldFinished, samples: Samples) -> None:
        def replace(folder: RunFolder) -> bool:
            kept = readable(folder.read_contestants)
            if kept is not None and kept.ended == "complete" != result.ended:
                return False
            folder.write_contestants(result)
            return True

        keep("contestants", samples, options, run, replace)

    return measure(build, FieldFinished, write, keep_result)
