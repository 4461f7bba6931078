"""Whether the same comparison gives the same times under the running app and without it, within 10 %.

    python -m benchmarks.app_vs_headless_latency [--db DB] [--rounds 6] [--smoke]

Under the app the worker thread of screen 5 measures, in a process that draws 120x36 cells without a terminal;
headless is `distill-tui latency --json`. They take turns, each in a process of its own, and which goes first
turns around. Printed is each figure's ratio app / headless: the median over rounds with its smallest and
largest, and the ratio of a round of headless to the next, which is what noise alone does. The exit code is 1
if a median is further off than 10 %.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
from textual.pilot import Pilot

from distill_core.database import demo_database_path
from distill_core.latency.events import LatencyFinished
from distill_tui.app import DistillApp
from distill_tui.jobs import JobState

WITHIN = 0.1
_SIZE = (120, 36)
Figure = Callable[[LatencyFinished], float]
FIGURES: dict[str, Figure] = {
    "LDA single p50": lambda result: result.lda.single_us.p50,
    "LDA single p90": lambda result: result.lda.single_us.p90,
    "LDA batch p50": lambda result: result.lda.batch_us_per_query.p50,
    "student single p50": lambda result: result.transformer.single_us.p50,
    "student single p90": lambda result: result.transformer.single_us.p90,
    "student batch p50": lambda result: result.transformer.batch_us_per_query.p50,
    "student / LDA, single": lambda result: result.single_ratio,
    "student / LDA, batch": lambda result: result.batch_ratio,
}


def main() -> None:
    """Take turns and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--db", type=Path, default=demo_database_path())
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--smoke", action="store_true", help="one round, not judged")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        measure_in_app(arguments.db)
        return
    if arguments.smoke:
        arguments.rounds = 1
    app: list[LatencyFinished] = []
    headless: list[LatencyFinished] = []
    for number in range(arguments.rounds):
        turns = [(app, in_app), (headless, without_app)]
        for results, measure in turns if number % 2 == 0 else reversed(turns):
            results.append(measure(arguments.db))
        print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr)
    agreed = print_ratios(app, headless)
    sys.exit(not (agreed or arguments.smoke))


def print_ratios(app: list[LatencyFinished], headless: list[LatencyFinished]) -> bool:
    """Print every figure's ratio; return whether all medians are within bounds."""
    agreed = True
    print(f"{'figure':24}{'app':>10}{'headless':>10}{'app / headless (min to max)':>32}{'noise':>16}")
    for name, of in FIGURES.items():
        mine, theirs = (np.array([of(result) for result in results]) for results in (app, headless))
        ratios = mine / theirs
        noise = [later / earlier for earlier, later in pairwise(theirs)] or [1.0]
        agreed = agreed and abs(float(np.median(ratios)) - 1) <= WITHIN
        spread = f"{np.median(ratios):.3f} ({ratios.min():.3f} to {ratios.max():.3f})"
        span = f"{min(noise):.2f} to {max(noise):.2f}"
        print(f"{name:24}{np.median(mine):10.1f}{np.median(theirs):10.1f}{spread:>32}{span:>16}")
    steady = sum(result.steady for result in (*app, *headless))
    print(f"{steady} of {len(app) + len(headless)} measurements were steady")
    print(f"all within {WITHIN:.0%}" if agreed else f"NOT all within {WITHIN:.0%}")
    return agreed


def in_app(database: Path) -> LatencyFinished:
    """Measure under the app, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.app_vs_headless_latency", "--inside", "--db", str(database)]
    return _result(command)


def without_app(database: Path) -> LatencyFinished:
    """Measure by the command line."""
    return _result([sys.executable, "-m", "distill_tui", "latency", str(database), "--json"])


def measure_in_app(database: Path) -> None:
    """Run the app, press the keys of a user, and print the result as JSON."""
    pressing = _Pressing()
    with tempfile.TemporaryDirectory() as folder:
        for name in ("STATE", "CONFIG", "CACHE", "RUNS"):
            os.environ[f"DISTILL_TUI_{name}"] = str(Path(folder, name))
        DistillApp(database).run(headless=True, size=_SIZE, auto_pilot=pressing)
    print(msgspec.json.encode(pressing.finished).decode())


class _Pressing:
    """Presses 5 and enter once the projection is read, and leaves with the result."""

    finished: LatencyFinished | None = None

    async def __call__(self, pilot: Pilot[object]) -> None:
        app = pilot.app
        assert isinstance(app, DistillApp)
        while app.teacher.view is None:
            await asyncio.sleep(0.1)
        await pilot.press("5", "enter")
        while app.latency.comparison.view.state is not JobState.FINISHED:
            await asyncio.sleep(0.5)
        self.finished = app.latency.comparison.view.finished
        app.exit(0)


def _result(command: list[str]) -> LatencyFinished:
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return msgspec.json.decode(output.splitlines()[-1], type=LatencyFinished)


if __name__ == "__main__":
    main()
