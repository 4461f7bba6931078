"""What a sweep would be, before it is entered: how many runs, about how long, and what is merged."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from distill_core.config import RunConfig, TrainingConfig
from distill_core.runs.summary import RunSummary
from distill_core.sweeps.plan import MergedAxis, SweepRequest, make_grid, seeds_of
from distill_core.wording import plural

MOST_COMBINATIONS = 500
"""More are counted, and not looked at one by one: that would take seconds, with every key that is typed."""


class Forecast(NamedTuple):
    """A sweep as it would be.

    Attributes:
        combinations: Of all values.
        runs: What is left of them, once a seed; None where there are too many to look at each.
        seeds: How many.
        merged_axes: Settings that do nothing, so that their values run as one.
        left_out: What does not fit, in words.
        seconds: Of training, one run after the other; None where nothing tells.
        basis: How many finished runs tell it.
    """

    combinations: int
    runs: int | None
    seeds: int
    merged_axes: tuple[MergedAxis, ...] = ()
    left_out: tuple[str, ...] = ()
    seconds: float | None = None
    basis: int = 0


def forecast(
    request: SweepRequest, shape_of: Callable[[int], tuple[int, int]], known: Iterable[RunSummary]
) -> Forecast:
    """Return what a grid would be.

    Args:
        request: As `plan_sweep` takes it.
        shape_of: Returns N and d of a projection by its number.
        known: Runs on the same database; those that have ended tell how long others take.

    Raises:
        SettingsError: Nothing of it fits.
    """
    axes, seeds = seeds_of(request)
    combinations = math.prod(map(len, axes.values()))
    if combinations > MOST_COMBINATIONS:
        return Forecast(combinations, None, len(seeds))
    cells, merged, left_out = make_grid(axes, "", shape_of)
    finished = [run for run in known if run.state == "finished" and run.train_seconds is not None]
    seconds = [_seconds(cell.run_config(seeds[0]), finished) for cell in cells]
    told = [value for value in seconds if value is not None]
    return Forecast(
        combinations,
        len(cells) * len(seeds),
        len(seeds),
        merged,
        left_out,
        sum(told) * len(seeds) if len(told) == len(cells) else None,
        len(finished),
    )


def forecast_words(found: Forecast) -> str:
    """Say it in a line: `9 settings x 2 seeds = 18 runs, of which 6 differ; about 4 min by 3 runs before`."""
    asked = found.combinations * found.seeds
    words = (
        f"{plural(found.combinations, 'setting')} x {plural(found.seeds, 'seed')} = {plural(asked, 'run')}"
    )
    if found.runs is None:
        return f"{words}; how long is unknown"
    if found.runs < asked:
        words += f", of which {found.runs:,} {'differs' if found.runs == 1 else 'differ'}"
    if found.seconds is None:
        return f"{words}; how long is unknown: no run on this database has ended"
    return f"{words}; about {duration_words(found.seconds)} by {plural(found.basis, 'run')} before"


def duration_words(seconds: float) -> str:
    """Return a rough time in the unit that a person would use."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _seconds(config: RunConfig, finished: Sequence[RunSummary]) -> float | None:
    """Return what runs like it took: of its kind and recipe, else of its recipe, else any."""
    training = config.training
    like = [run for run in finished if run.recipe == training.recipe] or list(finished)
    like = [run for run in like if run.student == config.student.kind] or like
    seconds = [_scaled(run, training) for run in like]
    return statistics.median(seconds) if seconds else None


def _scaled(run: RunSummary, training: TrainingConfig) -> float:
    """Return the seconds of a run, as if it had trained for so many epochs as are asked for."""
    seconds = run.train_seconds or 0.0
    if training.epochs is None or not run.epochs:
        return seconds
    return seconds * training.epochs / run.epochs
