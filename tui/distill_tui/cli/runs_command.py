"""`distill-tui runs` and `attach`: the runs that are kept, what can be done with them, and one seen live."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from distill_core.errors import RunError, TrainingError
from distill_core.runs import RunFolder, RunStore, RunWatcher
from distill_core.runs.detached import ask_to_leave
from distill_core.runs.new_folder import run_id
from distill_core.training.events import TrainEvent
from distill_tui.cli.event_lines import write_json, write_lines
from distill_tui.cli.options import json_option, optional_run_argument, run_argument, runs_dir_option
from distill_tui.cli.output import say, say_object
from distill_tui.cli.run_lines import comparison_lines, run_table, speed_lines


@click.group(invoke_without_command=True)
@runs_dir_option
@json_option
@click.pass_context
def runs(ctx: click.Context, runs_dir: Path | None, *, as_json: bool) -> None:
    """List the runs, newest first; or name, tag, pin, compare, delete one.

    RUN is a run's id, its name, the beginning of its name, or its folder.
    """
    ctx.obj = RunStore(runs_dir)
    if ctx.invoked_subcommand is None:
        _list(ctx.obj, as_json=as_json)


@runs.command("list")
@json_option
@click.pass_obj
def list_runs(store: RunStore, *, as_json: bool) -> None:
    """List the runs, newest first, as 'runs' alone does."""
    _list(store, as_json=as_json)


def _list(store: RunStore, *, as_json: bool) -> None:
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
def pause(store: RunStore, run: str) -> None:
    """Have the process that trains RUN save and leave; 'runs resume' goes on."""
    folder = store.find(run)
    ask_to_leave(folder)
    say(f"Saved; go on with 'distill-tui runs resume {folder.id}'.", err=True)


@runs.command("resume")
@run_argument
@click.pass_obj
def resume_detached(store: RunStore, run: str) -> None:
    """Go on with RUN in a process of its own, without a terminal."""
    from distill_tui.cli.run_loop import detach

    folder = store.find(run)
    if folder.is_finished:
        raise RunError(f"{folder.name} is finished; there is nothing to resume.")
    detach(folder)
    say(f"It trains on its own; 'distill-tui attach {folder.id}' shows it.", err=True)


@runs.command()
@run_argument
@json_option
@click.pass_obj
def stop(store: RunStore, run: str, *, as_json: bool) -> None:
    """Have the process that trains RUN save and leave, and judge what the student has learnt."""
    from distill_core.runs.recording.judged import judge_as_it_is

    folder = store.find(run)
    if folder.shown_state() == "running":
        ask_to_leave(folder)
    for event in judge_as_it_is(folder):
        (write_json if as_json else write_lines)(event)


@runs.command()
@run_argument
@click.pass_obj
def delete(store: RunStore, run: str) -> None:
    """Move RUN to the trash."""
    place = store.move_to_trash(run)
    say(f"In the trash; 'distill-tui runs restore {run_id(place.name)}' takes it out.", err=True)


@runs.command()
@click.argument("name")
@click.pass_obj
def restore(store: RunStore, name: str) -> None:
    """Take a run out of the trash by its id, its NAME, or the beginning of it."""
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


_LOOK_SECONDS = 0.5
_ENDS = {
    "stopped": "was stopped; 'distill-tui resume {name}' goes on",
    "interrupted": "lost its process; 'distill-tui resume {name}' goes on from its last checkpoint",
}


@click.command()
@optional_run_argument
@runs_dir_option
@json_option
def attach(run: str | None, runs_dir: Path | None, *, as_json: bool) -> int:
    """Show RUN as it is written, wherever it is trained, until it ends; by default the newest in training.

    Ctrl+C leaves the run alone and ends only the watching.
    """
    store = RunStore(runs_dir)
    folder = _newest_in_training(store) if run is None else store.find(run)
    write = write_json if as_json else write_lines
    try:
        for event in watch(folder):
            write(event)
    except KeyboardInterrupt:
        say(f"{folder.name} goes on.", err=True)
        return 0
    state = folder.shown_state()
    if state in _ENDS:
        say(f"{folder.name} {_ENDS[state].format(name=folder.id)}.", err=True)
    if state == "failed":
        raise TrainingError(f"{folder.name} failed: {folder.read_state().error}")
    return 0


def _newest_in_training(store: RunStore) -> RunFolder:
    running = [run for run in store.watched() if run.state == "running"]
    if not running:
        raise RunError(f"No run in {store.root} is being trained.", "'distill-tui runs' lists them.")
    if len(running) > 1:
        others = ", ".join(run.id for run in running[1:])
        say(
            f"{running[0].id} is the newest of {len(running)} that are trained; the others: {others}",
            err=True,
        )
    return RunFolder.open(Path(running[0].path))


def watch(folder: RunFolder, wait: Callable[[float], None] = time.sleep) -> Iterator[TrainEvent]:
    """Yield what a run's process writes until the run has ended.

    Args:
        folder: The run.
        wait: Waits some seconds between two looks.
    """
    watcher = RunWatcher(folder)
    while True:
        seen = watcher.look()
        yield from seen.events
        if seen.state != "running":
            return
        wait(_LOOK_SECONDS)
