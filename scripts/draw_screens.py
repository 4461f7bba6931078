"""Draw every screen of the real app on the demo into docs/screens: SVG, and PNG where a converter is there.

The app runs without a terminal, opens the demo, trains, validates and measures, and is photographed on the
way, at 120x36 and at 80x24. For PNG it takes Chromium and a monospace font with braille and box glyphs
(Debian: chromium, fonts-dejavu).
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

from distill_core.config import DataConfig, RunConfig
from distill_core.database import demo_database_path
from distill_core.runs import RecordedRun
from distill_core.students import MemoryConfig
from distill_tui import cli
from distill_tui.app import DistillApp
from distill_tui.jobs import JobState
from distill_tui.runs.table import RunTable

FOLDER = Path(__file__).parents[1] / "docs" / "screens"
SIZES = ((120, 36), (80, 24))
FONT = "DejaVu Sans Mono"


async def photograph(database: Path, size: tuple[int, int]) -> None:
    """Walk the whole way through the app at one size."""
    app = DistillApp(database)
    async with app.run_test(size=size) as pilot:
        await wait(pilot, lambda: app.teacher.view is not None)
        await pilot.press("slash", "enter", *["down"] * 4)
        await shoot(pilot, "1-teacher", size)
        await pilot.press("2")
        await shoot(pilot, "2-student", size)
        await pilot.press("ctrl+t")
        await wait(pilot, lambda: app.training.view.epoch is not None and app.training.view.epoch.epoch >= 60)
        await shoot(pilot, "3-train", size)
        await wait(pilot, lambda: app.training.view.state is JobState.FINISHED)
        await pilot.press("4")
        await shoot(pilot, "4-validate", size)
        await pilot.press("t")
        await shoot(pilot, "4-validate-cosines", size)
        await pilot.press("t")
        await shoot(pilot, "4-validate-worst", size)
        await pilot.press("5", "enter")
        await wait(pilot, lambda: app.latency.comparison.view.state is JobState.FINISHED)
        await shoot(pilot, "5-latency", size)
        await pilot.press("x")
        await wait(pilot, lambda: app.latency.crossover.view.state is JobState.FINISHED)
        await shoot(pilot, "5-latency-crossover", size)
        await pilot.press("a")
        await wait(pilot, lambda: app.latency.contestants.view.state is JobState.FINISHED)
        await shoot(pilot, "5-latency-contestants", size)
        await pilot.press("6")
        await wait(pilot, lambda: app.screen.query_one(RunTable).row_count > 1)
        app.screen.query_one(RunTable).focus()
        await pilot.pause(1)
        await pilot.press("space", "down", "space")
        await shoot(pilot, "6-runs", size)
        await pilot.press("7")
        await wait(pilot, lambda: app.sweeps.view.shown is not None)
        await shoot(pilot, "7-sweep", size)
        await pilot.press("question_mark")
        await shoot(pilot, "help", size)


def train_another(database: Path) -> None:
    """Leave a run on the disk to compare with."""
    config = RunConfig(
        data=DataConfig(database=str(database)),
        student=MemoryConfig(heads=1, layers=1),
    )
    for _event in RecordedRun.new(os.environ["DISTILL_TUI_RUNS"], config):
        pass


def sweep(database: Path) -> None:
    """Leave a sweep in the ledger."""
    grid = ["--student", "memory", "--heads", "1,2,4", "--layers", "1,2,3", "--seeds", "2", "--epochs", "5"]
    cli.run(["sweep", "run", str(database), "--name", "h-and-l", *grid])


async def wait(pilot: Pilot[int], condition: Callable[[], bool]) -> None:
    """Wait until the app has come that far."""
    while not condition():
        await pilot.pause(0.05)


async def shoot(pilot: Pilot[int], name: str, size: tuple[int, int]) -> None:
    """Write what is on the screen now."""
    await pilot.pause(0.5)
    width, height = size
    svg = FOLDER / f"{name}-{width}x{height}.svg"
    text = pilot.app.export_screenshot(title="distill-tui")
    svg.write_text(re.sub(r"Fira Code", FONT, text), encoding="utf-8")
    print(svg.relative_to(FOLDER.parents[1]))


def convert() -> None:
    """Turn every SVG into a PNG beside it."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        print("No PNG: install chromium and fonts-dejavu for them.")
        return
    for svg in sorted(FOLDER.glob("*.svg")):
        width, height = picture_size(svg)
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--default-background-color=00000000",
        ]
        target = [f"--window-size={width},{height}", f"--screenshot={svg.with_suffix('.png')}", svg.as_uri()]
        subprocess.run([browser, *options, *target], check=True, capture_output=True)


def picture_size(svg: Path) -> tuple[int, int]:
    """Return width and height that an SVG asks for in its view box."""
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg.read_text(encoding="utf-8"))
    if box is None:
        raise ValueError(f"{svg} has no view box")
    return math.ceil(float(box.group(1))), math.ceil(float(box.group(2)))


def main() -> None:
    """Draw at every size."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    # A place that is the same everywhere, since screen 6 shows it.
    state = Path(tempfile.gettempdir(), "distill-tui-pictures")
    shutil.rmtree(state, ignore_errors=True)
    shutil.copytree(demo_database_path().parent, state / "demo")
    os.environ["DISTILL_TUI_STATE"] = str(state)
    os.environ["DISTILL_TUI_RUNS"] = str(state / "runs")
    database = state / "demo" / "lda.db"
    train_another(database)
    sweep(database)
    for size in SIZES:
        asyncio.run(photograph(database, size))
    shutil.rmtree(state)
    convert()


if __name__ == "__main__":
    main()
