"""`distill-tui crossover`: from how many heads on the student is faster, measured on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import click
import msgspec

from distill_core.config import DataConfig, TrainingConfig
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
    from distill_core.latency import CrossoverEvent, CrossoverFinished, CrossoverSettings
    from distill_core.latency.measurement import Samples
    from distill_core.runs import RunFolder


class CrossoverOptions(TimedOptions):
    """The options of `crossover`, as click passes them."""

    max_heads: int | None
    budget: float
    device: str
    threads: int
    seed: int


@click.command()
@database_argument
@setting(DataConfig, "mh_id")
@timed_student_option
@shape_options
@timed_options
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
@setting(TrainingConfig, "device")
@setting(TrainingConfig, "threads")
@setting(TrainingConfig, "seed")
@json_option
def crossover(**options: Unpack[CrossoverOptions]) -> int:
    """Search the number of heads from which a student is faster than the LDA.

    The teacher grows from 16 heads on, the real ones first, then drawn ones. Ctrl+C prints, and with --run
    keeps, what is there.
    """
    run = chosen_run(options)
    from distill_core.latency.crossover import CrossoverFinished
    from distill_tui.cli.crossover_measurement import CrossoverMeasurement

    def settings() -> CrossoverSettings:
        from distill_core.latency import CrossoverSettings

        return CrossoverSettings(
            max_heads=options["max_heads"],
            budget_seconds=options["budget"],
            device=options["device"],
            threads=options["threads"],
            seed=options["seed"],
        )

    def keep_result(result: CrossoverFinished, samples: Samples) -> None:
        def replace(folder: RunFolder) -> bool:
            kept = readable(folder.read_crossover)
            if kept is not None and result.ended == "interrupted" and len(result.curve) <= len(kept.curve):
                return False
            folder.write_crossover(result)
            return True

        keep("crossover", samples, options, run if result.curve else None, replace)

    return measure(
        lambda: CrossoverMeasurement(lambda: what_is_timed(options, run), settings),
        CrossoverFinished,
        lambda event: _write(event, as_json=options["as_json"]),
        keep_result,
    )


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
