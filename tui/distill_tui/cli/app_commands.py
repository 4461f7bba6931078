"""The commands that open the app."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from distill_core.database import check_database, demo_database_path
from distill_core.errors import DistillError
from distill_tui.cli.output import say
from distill_tui.threads import APP_THREADS, can_start_threads, no_more_threads


@click.command("open", hidden=True)
@click.argument("database", required=False, type=click.Path(path_type=Path))
def open_database(database: Path | None) -> int:
    """Open the app, on a database if one is given."""
    if database is not None:
        check_database(database)  # on stderr, before the app takes the screen
    return _run_app(database)


@click.command()
def demo() -> int:
    """Open the app on the bundled demo database: 36 topics, real questions, real embeddings."""
    return _run_app(demo_database_path())


_PLAIN_TERMINALS = ("", "dumb", "unknown")
"""Values of TERM of terminals that can print lines and no more."""


def _say_plainly(database: Path | None) -> int:
    """Print what a database holds: the terminal cannot move its cursor, which every screen needs.

    Raises:
        DistillError: No database is given.
    """
    from distill_tui.cli.inspect_command import inspection_lines

    hint = "Every command works in plain lines: 'distill-tui --help' lists them."
    if database is None:
        raise DistillError("This terminal (TERM) can print lines and no screens.", hint)
    for line in inspection_lines(database):
        say(line)
    say(f"This terminal (TERM) can print lines and no screens. {hint}", err=True)
    return 0


def _run_app(database: Path | None) -> int:
    if not (sys.stdin.isatty() and sys.__stderr__ is not None and sys.__stderr__.isatty()):
        raise DistillError(
            "The app needs a terminal on stdin and stderr.",
            "Without one, use 'distill-tui train', 'inspect' or 'latency'; each takes --help.",
        )
    if os.environ.get("TERM", "") in _PLAIN_TERMINALS:
        return _say_plainly(database)
    if not can_start_threads(APP_THREADS):
        raise no_more_threads()
    from distill_tui.app import DistillApp
    from distill_tui.leaving import LeaveOnSignal, drawn_alone
    from distill_tui.places import log_path

    with drawn_alone(log_path()):
        app = DistillApp(database)
        with LeaveOnSignal(app) as leaving:
            app.run()
    app.jobs.wait_until_saved()
    if leaving.exit_code is not None:
        leaving.hand_over()
    elif (detached := app.detached_run()) is not None:
        _detach(detached)
    return leaving.exit_code or app.return_code or 0


def _detach(path: Path) -> None:
    from distill_core.runs import RunFolder
    from distill_tui.cli.run_loop import detach

    folder = RunFolder.open(path)
    if folder.is_finished:
        return  # it ended while it was being left
    detach(folder)
    say(f"It trains on its own; 'distill-tui attach {folder.id}' shows it.", err=True)
