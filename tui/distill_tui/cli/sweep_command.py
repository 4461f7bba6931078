"""`distill-tui sweep`: many runs by any number of workers, from a grid of settings to a frontier."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypedDict, TypeVar, Unpack, cast

import click

from distill_core.database import open_database
from distill_core.errors import DeviceError, SettingsError
from distill_core.outputs import Output
from distill_core.runs.store import RunStore
from distill_core.sweeps.axes import checks, parse_axis, title
from distill_core.sweeps.plan import (
    DEFAULT_BLOCKS,
    DEFAULT_TRIALS,
    SweepPlan,
    SweepRequest,
    free_name,
    plan_sweep,
)
from distill_core.sweeps.storage import ENVIRONMENT_VARIABLE, storage_place
from distill_tui.cli.options import (
    ParamType,
    chosen_database,
    database_argument,
    force_option,
    json_option,
    runs_dir_option,
)
from distill_tui.cli.output import say, say_object
from distill_tui.cli.run_loop import StopRequest
from distill_tui.cli.sweep_lines import plan_lines, slurm_script, sweep_lines, sweep_table
from distill_tui.cli.sweep_working import (
    PATIENCE_SECONDS,
    WorkerPlace,
    open_ledger,
    read_sweep,
    watch_crew,
    work_at,
    work_off_queue,
)

Command = TypeVar("Command", bound=Callable[..., Any])


class AxisType(ParamType):
    """Values of a setting: one, a list, a range."""

    def __init__(self, setting: str) -> None:
        self.name = self._setting = setting

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        """Return the values; a wrong one is a usage error."""
        if not isinstance(value, str):
            return value
        try:
            return parse_axis(self._setting, value)
        except SettingsError as error:
            self.fail(str(error), param, ctx)


_OPTIONS = {"storage": "head-storage"}
"""Settings whose name is taken by an option of sweeps."""


def _axis(name: str) -> str:
    return f"axis_{name}"


def axes_options(command: Command) -> Command:
    """Make an option of every setting, which takes a list or a range."""
    for name in reversed(list(checks())):
        option = f"--{_OPTIONS.get(name, name).replace('_', '-')}"
        help_text = f"{title(name)}: a value, a list 2,4,8 or a range 0.1..0.9/5, 1e-4..1e-2 log/5."
        command = click.option(option, _axis(name), type=AxisType(name), metavar="LIST", help=help_text)(
            command
        )
    return command


storage_option = click.option(
    "--storage",
    metavar="URL|FILE",
    help="Where the ledger lies: postgresql://USER@HOST/DATABASE, sqlite:///FILE, or a journal FILE for "
    f"those who share a folder only.  [default: ${ENVIRONMENT_VARIABLE}, else SQLite beside the runs]",
)
name_argument = click.argument("name", metavar="NAME")


@click.group()
def sweep() -> None:
    """Train a grid of settings, or search the frontier, by any number of workers on any number of boxes.

    Any worker may die: its trial is taken up by another one, from the last checkpoint on.
    """


@sweep.command()
@database_argument
@click.option("--name", metavar="NAME", help="Of the sweep.  [default: sweep-1, sweep-2, ...]")
@axes_options
@click.option("--seeds", type=click.IntRange(1, 1000), metavar="NUMBER", help="Runs a cell.  [default: 1]")
@click.option(
    "--search",
    type=click.Choice(["grid", "frontier"]),
    default="grid",
    show_default=True,
    help="Every cell; or choose what may reach the frontier of error, latency and bytes.",
)
@click.option(
    "--trials",
    type=click.IntRange(1, 10_000),
    metavar="NUMBER",
    help=f"Budget of a search.  [default: {DEFAULT_TRIALS} without --minutes]",
)
@click.option(
    "--minutes", type=click.FloatRange(0, min_open=True), metavar="NUMBER", help="Likewise, in time."
)
@storage_option
@click.option(
    "--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes on this machine."
)
@click.option(
    "--grace",
    type=click.FloatRange(1),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="A worker that shows no sign of life for so long has lost its trial.",
)
@click.option("--no-latency", is_flag=True, help="Do not time the students, which takes about a second each.")
@runs_dir_option
@json_option
def run(*, storage: str | None, workers: int, runs_dir: Path | None, as_json: bool, **options: object) -> int:
    """Train every combination of the settings given, each with some seeds, and tell which is best.

    Ctrl+C saves and gives the trials back; 'distill-tui sweep work NAME' goes on, here or elsewhere.
    """
    from distill_core.sweeps.ledger import SweepLedger
    from distill_core.sweeps.studies import sweep_names

    root = RunStore(runs_dir).root
    place = storage_place(storage, root)
    options["name"] = options["name"] or free_name(sweep_names(place))
    plan = _plan(options)
    SweepLedger.create(place, plan)
    for line in plan_lines(plan, place):
        say(line, err=as_json)
    with StopRequest() as stop:
        return watch_crew(place, plan.name, root, stop, workers=workers, as_json=as_json)


class _WorkOptions(TypedDict):
    database: Path | None
    print_slurm: bool
    beside: bool
    as_json: bool


@sweep.command()
@click.argument("name", metavar="[NAME]", required=False)
@storage_option
@click.option("--device", metavar="DEVICE", help="cpu, cuda, cuda:1, mps.  [default: as the sweep says]")
@click.option(
    "--db", "database", type=click.Path(path_type=Path), help="The lda.db, where it is elsewhere here."
)
@click.option("--print-slurm", is_flag=True, help="Print a script for sbatch, one worker a GPU, and end.")
@click.option("--beside", is_flag=True, hidden=True)
@runs_dir_option
@json_option
def work(
    name: str | None,
    storage: str | None,
    device: str | None,
    runs_dir: Path | None,
    **options: Unpack[_WorkOptions],
) -> int:
    """Work at the sweep NAME, one process a GPU, until nothing of it is left.

    Goes on with a sweep that was stopped. Ctrl+C saves and gives the trial back. Without NAME it works at
    what the app has put into this machine's queue, one sweep after the other.
    """
    root = RunStore(runs_dir).root
    place = storage_place(storage, root)
    if options["print_slurm"]:
        if name is None:
            raise click.UsageError("--print-slurm needs the NAME of a sweep.")
        open_ledger(place, name)
        click.echo(slurm_script(name, place, device))
        return 0
    chosen = WorkerPlace(root, _one_device(device), str(options["database"] or ""))
    with StopRequest() as stop:
        if name is None:
            return work_off_queue(place, chosen, stop, as_json=options["as_json"])
        ledger = open_ledger(place, name, patience_seconds=PATIENCE_SECONDS, stop=stop)
        if ledger.is_stopped and not options["beside"]:
            ledger.stop(stopped=False)
        work_at(ledger, chosen, stop, as_json=options["as_json"])
    return stop.exit_code or 0


@sweep.command("list")
@storage_option
@runs_dir_option
@json_option
def list_sweeps(storage: str | None, runs_dir: Path | None, *, as_json: bool) -> None:
    """List the sweeps, the newest last."""
    from distill_core.sweeps.studies import sweep_names

    place = storage_place(storage, RunStore(runs_dir).root)
    shown = [read_sweep(open_ledger(place, name)) for name in sweep_names(place)]
    if as_json:
        for found in shown:
            say_object(found)
        return
    for line in sweep_table(shown):
        say(line)


@sweep.command()
@name_argument
@storage_option
@runs_dir_option
@json_option
def show(name: str, storage: str | None, runs_dir: Path | None, *, as_json: bool) -> None:
    """Show the cells of the sweep NAME, the best one, and the frontier."""
    found = read_sweep(open_ledger(storage_place(storage, RunStore(runs_dir).root), name), compared=True)
    if as_json:
        say_object(found)
        return
    for line in sweep_lines(found):
        say(line)


@sweep.command()
@name_argument
@storage_option
@runs_dir_option
def stop(name: str, storage: str | None, runs_dir: Path | None) -> None:
    """Ask the workers of the sweep NAME to save, to give their trials back, and to leave."""
    open_ledger(storage_place(storage, RunStore(runs_dir).root), name).stop()
    say(f"{name} is stopped; 'distill-tui sweep work {name}' goes on.", err=True)


@sweep.command()
@name_argument
@click.option(
    "--to",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    required=True,
    help="FILE.csv, FILE.svg or FILE.html.",
)
@force_option("--to")
@storage_option
@runs_dir_option
def export(name: str, to: Path, storage: str | None, runs_dir: Path | None, *, force: bool) -> None:
    """Write the sweep NAME as a table (.csv), a picture (.svg), or both in a page (.html)."""
    from distill_core.sweeps.exporting import sweep_content

    ledger = open_ledger(storage_place(storage, RunStore(runs_dir).root), name)
    output = Output(to, replace=force, inputs=[Path(ledger.plan.database)])
    output.write(sweep_content(read_sweep(ledger, compared=True), to.suffix))
    say(f"Written to {to}.", err=True)


def _plan(options: dict[str, object]) -> SweepPlan:
    argument, option = (cast("Path | None", options[name]) for name in ("database", "database_option"))
    trials = cast("int | None", options["trials"])
    if options["search"] == "frontier" and trials is None and options["minutes"] is None:
        trials = DEFAULT_TRIALS
    axes = {name: cast(Any, options[_axis(name)]) for name in checks() if options[_axis(name)] is not None}
    request = SweepRequest(
        name=str(options["name"]),
        axes=axes,
        num_seeds=cast("int | None", options["seeds"]),
        search=cast("Literal['grid', 'frontier']", options["search"]),
        trials=trials,
        minutes=cast("float | None", options["minutes"]),
        blocks=0 if options["no_latency"] else DEFAULT_BLOCKS,
        grace_seconds=cast(float, options["grace"]),
    )
    with open_database(chosen_database(argument, option)) as database:
        return plan_sweep(request, database)


def _one_device(device: str | None) -> str:
    """Return the kind of device; one GPU of several is made the only one that torch will see."""
    kind, _, number = (device or "").partition(":")
    if not number:
        return kind
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    if kind != "cuda" or not number.isdecimal() or (seen != [""] and int(number) >= len(seen)):
        raise DeviceError(f"There is no device {device}.", "Take cpu, cuda, cuda:0, cuda:1, ... or mps.")
    os.environ["CUDA_VISIBLE_DEVICES"] = number if seen == [""] else seen[int(number)]
    return kind
