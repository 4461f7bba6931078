"""Sweeps in plain lines: what is planned, a trial, the cells with the best and the frontier."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from distill_core.sweeps.exporting import settings_words, value_words
from distill_core.sweeps.storage import ENVIRONMENT_VARIABLE, StoragePlace
from distill_core.wording import cosine_error, error_range, plural
from distill_tui.cli.output import table

if TYPE_CHECKING:
    from distill_core.sweeps.events import CellShown, Spread, SweepShown, TrialEnded
    from distill_core.sweeps.plan import MergedAxis, SweepPlan


def merged_words(merged: MergedAxis) -> str:
    """Say which values are one and the same."""
    values = ", ".join(map(value_words, merged.values))
    return f"{merged.axis.replace('_', '-')} {values} of {merged.student} run as one: {merged.reason}"


def plan_lines(plan: SweepPlan, place: StoragePlace) -> Iterator[str]:
    """Yield what is to be run, what is merged, and how others join in."""
    if plan.search == "grid":
        cells, seeds = plural(len(plan.cells), "cell"), plural(len(plan.seeds), "seed")
        yield f"sweep {plan.name}: {cells} x {seeds} = {plural(plan.num_trials, 'run')}"
    else:
        yield f"sweep {plan.name}: a search for the frontier, {budget_words(plan)}"
    yield from (f"  {merged_words(merged)}" for merged in plan.merged_axes)
    yield from (f"  left out: {words}" for words in plan.left_out)
    yield f"  to join in: {work_command(plan.name, place)}"


def budget_words(plan: SweepPlan) -> str:
    """Say how long a search goes on."""
    parts = [plural(plan.trials, "trial")] if plan.trials else []
    return " or ".join([*parts, *([f"{plan.minutes:g} minutes"] if plan.minutes else [])])


def work_command(name: str, place: StoragePlace) -> str:
    """Return what to type on another box; a password is left to the environment."""
    storage = shlex.quote(place.url)
    if place.kind == "postgresql" and place.shown != place.address:
        storage = f'"${ENVIRONMENT_VARIABLE}"'
    return f"distill-tui sweep work {name} --storage {storage}"


def trial_line(trial: TrialEnded) -> str:
    """Return a trial that is over in one line."""
    told = f"cell {trial.cell} seed {trial.seed}  {settings_words(trial)}  {trial.state}"
    if trial.cosine is not None:
        told += f"  cosine {trial.cosine:.4f}"
    if trial.p90_us is not None:
        told += f"  p90 {trial.p90_us:,.1f} us"
    if trial.seconds is not None:
        told += f"  {trial.seconds:.1f} s"
    return f"{told}  {trial.why}".rstrip()


def sweep_table(sweeps: Sequence[SweepShown]) -> Iterator[str]:
    """Yield a header and a line for each sweep."""
    if not sweeps:
        yield "No sweeps yet: 'distill-tui sweep run lda.db --heads 2,4,8' makes one."
        return
    header = ("sweep", "state", "done", "cells", "best cosine", "database")
    rows = [
        (
            sweep.name,
            sweep.state,
            f"{sweep.done}/{sweep.trials}",
            str(len(sweep.cells)),
            _mean(sweep.best.cosine) if sweep.best else "",
            sweep.database,
        )
        for sweep in sweeps
    ]
    yield from table([header, *rows], left=(0, 1, 5))


def sweep_lines(sweep: SweepShown) -> Iterator[str]:
    """Yield the cells, the best one first, then the frontier and what was merged."""
    left = "" if sweep.seconds_left is None else f", about {sweep.seconds_left:,.0f} s left"
    left = left if sweep.state in ("running", "waiting", "stopped") else ""
    yield f"sweep {sweep.name}: {sweep.state}, {sweep.done} of {plural(sweep.trials, 'run')} done{left}"
    yield from (f"  {merged_words(merged)}" for merged in sweep.merged_axes)
    yield from (f"  left out: {words}" for words in sweep.left_out)
    header = ("cell", "settings", "state", "seeds", "cosine", "lowest", "highest", "behind the best (95 %)")
    cells = sorted(sweep.cells, key=lambda cell: -(cell.cosine.mean if cell.cosine else -2.0))
    yield from table([(*header, "p90 us", "parameters"), *map(_cell_row, cells)], left=(1, 2))
    yield from (f"  cell {cell.number}: {cell.why}" for cell in cells if cell.why)
    if sweep.best is not None and sweep.best.cosine is not None:
        runs = ", ".join(sweep.best.runs)
        yield f"best: {settings_words(sweep.best)}, cosine {sweep.best.cosine.mean:.5f} ({runs})"
    if sweep.frontier:
        yield "not beaten in error, latency and bytes at once:"
        rows = [
            (
                settings_words(point),
                cosine_error(point.error),
                "" if point.p90_us is None else f"{point.p90_us:,.1f}",
                f"{point.size_bytes:,}",
                point.machine,
            )
            for point in sweep.frontier
        ]
        yield from table([("settings", "1 - cosine", "p90 us", "bytes", "machine"), *rows], left=(0, 4))
    if sweep.take is not None and sweep.search == "frontier":
        yield f"to take: {settings_words(sweep.take)} ({', '.join(sweep.take.runs)})"
    for worker in sweep.workers:
        yield (
            f"at work: process {worker.pid} on {worker.host} ({worker.device}), cell {worker.cell} seed "
            f"{worker.seed}, last sign of life {worker.age_seconds:.0f} s ago"
        )


def _cell_row(cell: CellShown) -> tuple[str, ...]:
    spread, behind = cell.cosine, cell.behind_best
    return (
        str(cell.number),
        settings_words(cell),
        cell.state,
        f"{cell.done}/{cell.seeds}",
        _mean(spread),
        "" if spread is None else f"{spread.low:.5f}",
        "" if spread is None else f"{spread.high:.5f}",
        "" if behind is None else error_range(behind.mean, behind.low, behind.high),
        "" if cell.p90_us is None else f"{cell.p90_us:,.1f}",
        "" if cell.parameters is None else f"{cell.parameters:,}",
    )


def _mean(spread: Spread | None) -> str:
    return "" if spread is None else f"{spread.mean:.5f}"


def slurm_script(name: str, place: StoragePlace, device: str | None) -> str:
    """Return a script for `sbatch`: an array of workers, one a GPU."""
    gpu = "" if device == "cpu" else "#SBATCH --gres=gpu:1\n"
    storage = place.url
    if place.kind == "postgresql" and place.shown != place.address:
        storage = place.address.replace(place.address, place.shown)
    return (
        "#!/bin/bash\n"
        f"#SBATCH --job-name=distill-{name}\n"
        "#SBATCH --array=0-3\n"
        f"{gpu}"
        "#SBATCH --cpus-per-task=2\n"
        "#SBATCH --signal=TERM@60\n"
        "# SIGTERM a minute before the limit: the worker saves, gives its trial back and leaves.\n"
        f"export {ENVIRONMENT_VARIABLE}={shlex.quote(storage)}\n"
        f"srun distill-tui sweep work {name}{f' --device {device}' if device else ''}"
    )
