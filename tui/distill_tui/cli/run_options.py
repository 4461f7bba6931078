"""Options of the commands that work on runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from distill_core.runs.store import ENVIRONMENT_VARIABLE, RunStore

Command = TypeVar("Command", bound=Callable[..., Any])

runs_dir_option = click.option(
    "--runs-dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help=f"Where the runs are kept.  [default: ${ENVIRONMENT_VARIABLE}, else your data directory]",
)

run_argument = click.argument("run", metavar="RUN")


def run_store(runs_dir: Path | None) -> RunStore:
    """Return the store of the folder asked for."""
    return RunStore(runs_dir)
