"""`distill-tui resume`: go on with a run that was stopped, killed or interrupted."""

from __future__ import annotations

from pathlib import Path

import click

from distill_tui.cli.event_lines import write_json, write_lines
from distill_tui.cli.options import json_option
from distill_tui.cli.run_options import run_argument, run_store, runs_dir_option


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
@json_option
def resume(run: str, runs_dir: Path | None, database: Path | None, *, take_over: bool, as_json: bool) -> int:
    """Go on with RUN from its last checkpoint, to the same end as if it had never stopped.

    RUN is a run's name, the beginning of its name, or its folder. A process of another machine counts as
    gone when nothing in the run changes for a few seconds; should it wake up, it stops at its next write.
    """
    folder = run_store(runs_dir).find(run)
    from distill_core.runs import RecordedRun
    from distill_tui.cli.run_loop import train_to_end

    return train_to_end(
        RecordedRun(folder, take_over=take_over, database=database), write_json if as_json else write_lines
    )
