"""The curves of several runs in one chart: named by what differs, seeds as a mean with a band."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from rich.text import Text
from textual.reactive import reactive
from textual.widgets import Static

from distill_core.foreign_text import visible
from distill_tui.charts.history import RUN_NAMES, MetricHistory
from distill_tui.charts.plot import PENS


@dataclass(frozen=True, slots=True)
class RunCurve:
    """The validation cosine of a run over its steps, or the mean over the seeds of one setting.

    Attributes:
        name: What tells it from the others.
        setting: What runs have in common that differ in their seeds alone.
        setting_name: The name of all of these.
        low: The lowest of the seeds at each step; empty for one run.
        high: Likewise the highest.
        num_runs: How many runs it is of.
    """

    name: str
    steps: tuple[int, ...]
    cosines: tuple[float, ...]
    setting: str = ""
    setting_name: str = ""
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    num_runs: int = 1


def seeds_together(curves: Sequence[RunCurve]) -> tuple[RunCurve, ...]:
    """Return one curve a setting: the mean of its runs at the steps that all of them have."""
    groups: dict[str, list[RunCurve]] = {}
    for number, curve in enumerate(curves):
        groups.setdefault(curve.setting or str(number), []).append(curve)
    return tuple(_mean(group) for group in groups.values())


def _mean(group: Sequence[RunCurve]) -> RunCurve:
    if len(group) == 1:
        return group[0]
    steps = sorted(set.intersection(*(set(curve.steps) for curve in group)))
    table = np.array([[dict(zip(c.steps, c.cosines, strict=True))[s] for s in steps] for c in group])
    return replace(
        group[0],
        name=group[0].setting_name,
        steps=tuple(steps),
        cosines=tuple(table.mean(axis=0).tolist()),
        low=tuple(table.min(axis=0).tolist()),
        high=tuple(table.max(axis=0).tolist()),
        num_runs=len(group),
    )


class CurveLegend(Static):
    """A line a run: how its curve is drawn, its number, its name, and where it has come to."""

    COMPONENT_CLASSES = {f"curve-legend--run_{number}" for number in RUN_NAMES}
    DEFAULT_CSS = """
    CurveLegend {
        height: auto;
        display: none;
        & > .curve-legend--run_1 { color: $text-primary; }
        & > .curve-legend--run_2 { color: $text-warning; }
        & > .curve-legend--run_3 { color: $text-success; }
        & > .curve-legend--run_4 { color: $text-error; }
        & > .curve-legend--run_5 { color: $text-accent; }
        & > .curve-legend--run_6 { color: $foreground; }
    }
    """

    curves: reactive[tuple[RunCurve, ...]] = reactive(())

    def watch_curves(self, curves: tuple[RunCurve, ...]) -> None:
        """Name other curves."""
        self.display = bool(curves)
        text = Text(no_wrap=True, overflow="ellipsis")
        for name, curve in zip(RUN_NAMES, curves, strict=False):
            style = self.get_visual_style(f"curve-legend--run_{name}").rich_style
            text.append(f"{PENS[name].marker:<4}{name} ", style)
            text.append(f"{visible(curve.name)}  {_end(curve)}\n")
        if len(curves) > len(RUN_NAMES):
            text.append(f"and {len(curves) - len(RUN_NAMES)} more, for which a chart has no room\n", "dim")
        text.rstrip()
        self.update(text)


def curve_history(curves: Sequence[RunCurve], *, of_errors: bool = False) -> MetricHistory:
    """Return the curves as what a chart draws, by number: cosines, or 1 - cosine; with the bands of seeds."""
    history = MetricHistory(RUN_NAMES[: len(curves)])
    for name, curve in zip(RUN_NAMES, curves, strict=False):
        history.extend(name, curve.steps, _shown(curve.cosines, of_errors=of_errors))
        if curve.low:
            low, high = (_shown(values, of_errors=of_errors) for values in (curve.low, curve.high))
            history.set_band(name, curve.steps, *((high, low) if of_errors else (low, high)))
    return history


def last_step(curves: Sequence[RunCurve]) -> float:
    """Return the step at which the longest curve ends."""
    return float(max((step for curve in curves for step in curve.steps), default=1))


def _shown(cosines: Sequence[float], *, of_errors: bool) -> list[float]:
    return [1 - cosine if of_errors else cosine for cosine in cosines]


def _end(curve: RunCurve) -> str:
    if not curve.steps:
        return "no validated epoch yet"
    seeds = f"mean of {curve.num_runs} seeds: " if curve.num_runs > 1 else ""
    band = f", band {curve.low[-1]:.4f} to {curve.high[-1]:.4f}" if curve.low else ""
    return f"{seeds}{curve.cosines[-1]:.4f} at step {curve.steps[-1]:,}, best {max(curve.cosines):.4f}{band}"
