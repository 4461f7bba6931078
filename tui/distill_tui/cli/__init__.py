"""The command `distill-tui`: the app, and everything it does without a terminal."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from distill_core.errors import DistillError, TakenOverError, TrainingError
from distill_core.foreign_text import beginning
from distill_tui.cli.output import prepare_streams, say
from distill_tui.places import is_there
from distill_tui.threads import fit_to_thread_limit, no_more_threads

COMMANDS = {
    "open": ("app_commands", "open_database"),
    "demo": ("app_commands", "demo"),
    "inspect": ("inspect_command", "inspect_database"),
    "train": ("train_command", "train"),
    "resume": ("train_command", "resume"),
    "attach": ("runs_command", "attach"),
    "runs": ("runs_command", "runs"),
    "evaluate": ("evaluate_command", "evaluate"),
    "latency": ("latency_command", "latency"),
    "crossover": ("crossover_command", "crossover"),
    "sweep": ("sweep_command", "sweep"),
    "experiment": ("experiment_command", "experiment"),
    "export": ("export_command", "export"),
    "doctor": ("doctor_command", "doctor"),
    "completion": ("completion", "completion"),
}
"""Module and name of each command; imported when it is called, so that the app starts at once."""

FAILED, USAGE, INTERRUPTED = 1, 2, 130
BY_SIGNAL = 128
"""Exit codes above are this and the number of a signal, after which everything is saved."""


class LateCommands(Mapping[str, click.Command]):
    """The commands by name, in the order of a first visit; each is imported when it is asked for."""

    def __getitem__(self, name: str) -> click.Command:
        module, attribute = COMMANDS[name]
        command: click.Command = getattr(import_module(f"distill_tui.cli.{module}"), attribute)
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class DatabaseOrCommand(click.Group):
    """A group whose first word may also be a database, or nothing: both open the app."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the hidden command `open` before a first word that is a path, and where there is none.

        Raises:
            click.NoSuchCommand: The first word is neither; what it may have meant is named.
        """
        first = next((arg for arg in args if not arg.startswith("-")), None)
        if ctx.resilient_parsing:  # a shell asks how the line may go on
            return super().parse_args(ctx, args)
        if first is None and not set(args) & {"--help", "-h", "--version"}:
            args = ["open", *args]
        elif first is not None and first not in COMMANDS:
            if not _may_be_path(first):
                words = f"'{beginning(first)}' is neither a command nor a file."
                raise click.NoSuchCommand(first, words, possibilities=self.list_commands(ctx))
            args = ["open", *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands that begin so; where none does, a path is being typed."""
        return super().shell_complete(ctx, incomplete) or [CompletionItem(incomplete, type="file")]

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in their order, which is not the alphabet's."""
        return list(COMMANDS)


def _may_be_path(word: str) -> bool:
    return is_there(Path(word)) or bool(Path(word).suffix) or os.sep in word


@click.group(
    cls=DatabaseOrCommand,
    commands=LateCommands(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="distill-tui")
def commands() -> None:
    """Can a small transformer replace this multi-head LDA projection, and is it worth it?

    \b
    distill-tui             open the app and choose a database
    distill-tui lda.db      open the app on a database
    distill-tui demo        open the app on the bundled demo database

    Exit codes: 0 done, 1 failed, 2 wrong usage or unreadable input, 130 interrupted, 129 and 143
    ended by SIGHUP and SIGTERM, likewise 128 and the number of any other signal.
    """  # noqa: D301 - click wants the character itself


def main() -> None:
    """Run the command line and leave with its exit code."""
    prepare_streams()
    fit_to_thread_limit()
    logging.getLogger("distill_core").addHandler(logging.NullHandler())
    code = run(sys.argv[1:])
    if code > BY_SIGNAL:
        # Two seconds are all that a scheduler gives, and torch's threads may take as long to tidy up.
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run the command line; return its exit code. Errors become one sentence on stderr."""
    try:
        result = _call(arguments)
    except click.ClickException as error:
        told = io.StringIO()
        error.show(told)
        for line in told.getvalue().rstrip("\n").split("\n"):
            say(line, err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        say("Interrupted.", err=True)
        return INTERRUPTED
    except DistillError as error:
        say(f"distill-tui: {error}", err=True)
        return FAILED if isinstance(error, TrainingError | TakenOverError) else USAGE
    except BrokenPipeError:
        _write_no_more()
        return FAILED
    except OSError as error:
        _write_no_more()
        say(f"distill-tui: The output cannot be written: {error.strerror or error}.", err=True)
        return FAILED
    return result if isinstance(result, int) else 0


def _call(arguments: list[str]) -> object:
    try:
        return commands.main(arguments, prog_name="distill-tui", standalone_mode=False)
    except RuntimeError as error:
        if "can't start new thread" not in str(error):
            raise
        raise no_more_threads() from error


def _write_no_more() -> None:
    """Leave nothing to flush into an output that takes nothing."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - the interpreter closes it
