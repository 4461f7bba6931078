"""The command `distill-tui`: the app, and everything it does without a terminal."""

from __future__ import annotations

import logging
import os
import sys

import click

from distill_core.errors import DistillError, TrainingError
from distill_tui.cli.app_commands import demo, open_database
from distill_tui.cli.evaluate_command import evaluate
from distill_tui.cli.inspect_command import inspect_database
from distill_tui.cli.latency_command import latency
from distill_tui.cli.train_command import train

FAILED, USAGE, INTERRUPTED = 1, 2, 130


class DatabaseOrCommand(click.Group):
    """A group whose first word may also be a database, or nothing: both open the app."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the hidden command `open` before a first word that is no command."""
        first = next((arg for arg in args if not arg.startswith("-")), None)
        if (first is None and not set(args) & {"--help", "-h", "--version"}) or (
            first is not None and first not in self.commands
        ):
            args = ["open", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=DatabaseOrCommand, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="distill-tui")
def commands() -> None:
    r"""Can a small transformer replace this multi-head LDA projection, and is it worth it?

    \b
    distill-tui             open the app and choose a database
    distill-tui lda.db      open the app on a database
    distill-tui demo        open the app on the bundled demo database

    Exit codes: 0 done, 1 failed, 2 wrong usage or unreadable input, 130 interrupted.
    """


for command in (open_database, demo, inspect_database, train, evaluate, latency):
    commands.add_command(command)


def main() -> None:
    """Run the command line and leave with its exit code."""
    logging.getLogger("distill_core").addHandler(logging.NullHandler())
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command line; return its exit code. Errors become one sentence on stderr."""
    try:
        result = commands.main(arguments, prog_name="distill-tui", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except DistillError as error:
        click.echo(f"distill-tui: {error}", err=True)
        return FAILED if isinstance(error, TrainingError) else USAGE
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - the reader has left; nothing to flush into
        return FAILED
    return result if isinstance(result, int) else 0
