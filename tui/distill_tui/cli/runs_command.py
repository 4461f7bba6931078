"""`distill-tui runs`: the runs that are kept, and what can be done with them."""

from __future__ import annotations

from pathlib import Path

import click

from distill_core.runs import RunStore
from distill_tui.cli.options import json_option
from distill_tui.cli.output import say, say_object
from distill_tui.cli.run_lines import comparison_lines, run_table
from distill_tui.cli.run_options import run_argument, run_store, runs_dir_option
from distill_tui.cli.speed_lines import speed_lines


@click.group(invoke_without_command=True)
@runs_dir_option
@json_option
@click.pass_context
def runs(ctx: click.Context, runs_dir: Path | None, *, as_json: bool) -> None:
    """List the runs, newest first; or name, tag, pin, compare, delete one.

    RUN is a run's name, the beginning of its name, or its folder.
    """
    store = ctx.obj = run_store(runs_dir)
    if ctx.invoked_subcommand is not None:
        return
    kept = store.watched()
    for run in kept if as_json else ():
        say_object(run)
    if not as_json:
        for line in run_table(kept):
            say(line)
    if store.problem:
        raise click.ClickException(store.problem)


@runs.command()
@run_argument
@click.argument("name")
@click.pass_obj
def rename(store: RunStore, run: str, name: str) -> None:
    """Show RUN under another NAME; its folder keeps its own."""
    store.rename(run, name)


@runs.command()
@run_argument
@click.argument("tags", nargs=-1, required=True)
@click.option("--remove", is_flag=True, help="Take the tags away.")
@click.pass_obj
def tag(store: RunStore, run: str, tags: tuple[str, ...], *, remove: bool) -> None:
    """Put TAGS on RUN."""
    store.tag(run, *(() if remove else tags), remove=tags if remove else ())


@runs.command()
@run_argument
@click.argument("text")
@click.pass_obj
def note(store: RunStore, run: str, text: str) -> None:
    """Write TEXT about RUN, in place of what was written before."""
    store.annotate(run, text)


@runs.command()
@run_argument
@click.option("--off", is_flag=True, help="No longer.")
@click.pass_obj
def pin(store: RunStore, run: str, *, off: bool) -> None:
    """Make RUN the baseline that others are compared with."""
    store.pin(run, pinned=not off)


@runs.command()
@click.argument("names", nargs=-1, metavar="RUN...", required=True)
@json_option
@click.pass_obj
def compare(store: RunStore, names: tuple[str, ...], *, as_json: bool) -> None:
    """Compare RUNs with the first of them: settings that differ, and paired differences on common queries."""
    from distill_core.runs import compare_runs

    folders = [store.find(name) for name in names]
    comparison = compare_runs(folders)
    if as_json:
        say_object(comparison)
        return
    for line in (*comparison_lines(comparison), *speed_lines(comparison)):
        say(line)


@runs.command()
@run_argument
@click.pass_obj
def command(store: RunStore, run: str) -> None:
    """Print the command that trains anew with the settings of RUN, to be changed and run."""
    from distill_core.export.card import train_command

    folder = store.find(run)
    click.echo(train_command(folder.read_config()))  # in full, and quoted so that no terminal obeys it


@runs.command()
@run_argument
@click.pass_obj
def delete(store: RunStore, run: str) -> None:
    """Move RUN to the trash."""
    place = store.move_to_trash(run)
    say(f"In the trash; 'distill-tui runs restore {place.name}' takes it out.", err=True)


@runs.command()
@click.argument("name")
@click.pass_obj
def restore(store: RunStore, name: str) -> None:
    """Take a run out of the trash by the NAME of its folder there."""
    store.restore(name)


@runs.command()
@click.pass_obj
def trash(store: RunStore) -> None:
    """List what is in the trash."""
    for line in run_table(store.trashed()):
        say(line)


@runs.command("empty-trash")
@click.confirmation_option(prompt="Delete everything in the trash for good?")
@click.pass_obj
def empty_trash(store: RunStore) -> None:
    """Delete what is in the trash for good."""
    say(f"Deleted {store.empty_trash()}.", err=True)
