"""How long the runs screen takes with many runs: until its table is filled, and until a key has its effect.

python -m benchmarks.runs_screen [--runs 1000] [--smoke]

One run is really trained, and its folder is copied with other seeds; files that do not differ are links to
one file. The app runs without a terminal and draws every frame. Beside the time that went by stands the
processor's time of this process, which a busy machine lengthens less.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from textual.pilot import Pilot

from distill_core.config import DataConfig, RunConfig, TrainingConfig
from distill_core.database import demo_database_path
from distill_core.runs import RecordedRun, RunFolder
from distill_core.students import EncoderConfig
from distill_tui.app import DistillApp
from distill_tui.runs.table import RunTable

DIFFERING = ("config.toml", "state.json")


def write_runs(root: Path, count: int, epochs: int) -> None:
    """Train a run and copy it, each copy a minute older and with a seed of its own."""
    config = RunConfig(
        data=DataConfig(database=str(demo_database_path())),
        student=EncoderConfig(heads=4, layers=1, ff_dim=64),
        training=TrainingConfig(recipe="book", epochs=epochs),
    )
    trained = RecordedRun.new(str(root), config)
    for _event in trained:
        pass
    for number in range(1, count):
        copy_run(trained.folder, root / f"2026-01-01T000000-many-{number:04d}", number)


def copy_run(run: RunFolder, path: Path, number: int) -> None:
    """Link what two runs share, and write what differs."""
    shutil.copytree(run.path, path, copy_function=_link_or_copy)
    config = path / "config.toml"
    config.write_text(config.read_text().replace("seed = 0", f"seed = {number}"))
    started = run.read_state().started
    state = path / "state.json"
    earlier = started.astimezone(UTC) - timedelta(minutes=number)
    state.write_text(state.read_text().replace(_as_json(started), _as_json(earlier)))


def _link_or_copy(source: str, target: str) -> None:
    if Path(source).name in DIFFERING:
        shutil.copy(source, target)
    else:
        os.link(source, target)


def _as_json(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


async def measure(count: int, *, warm: bool) -> None:
    """Open the screen, then move, sort, mark and filter.

    Args:
        count: Of the runs.
        warm: Whether to wait first for the listing that the app makes by itself once a projection is read.
    """
    app = DistillApp(demo_database_path())
    async with app.run_test(size=(120, 36)) as pilot:
        await wait(pilot, lambda: app.teacher.view is not None)
        if warm:
            await wait(pilot, lambda: app.runs.view is not None)
        opened = "open, listed before" if warm else "open at once"
        await timed(pilot, opened, "6", lambda: rows(app) == count)
        if not warm:
            return
        await timed(pilot, "last run", "G", lambda: table(app).cursor_row == count - 1)
        await timed(pilot, "sort by cosine", "s", lambda: is_sorted(app))
        await timed(
            pilot, "mark", "space", lambda: "1" in [cell.text for cell in table(app).get_column("mark")]
        )
        await pilot.press("slash", *"many-0")
        await timed(pilot, "filter, one more letter", "7", lambda: rows(app) < count // 9)


def rows(app: DistillApp) -> int:
    """Return how many rows the table has, once it has been measured."""
    found = app.screen.query(RunTable)
    return 0 if not found or found.first()._require_update_dimensions else found.first().row_count


def is_sorted(app: DistillApp) -> bool:
    """Tell whether a column is marked as the one that sorts."""
    return any("▼" in column.label.plain for column in table(app).ordered_columns)


def table(app: DistillApp) -> RunTable:
    """Return the table of runs."""
    return app.screen.query_one(RunTable)


async def timed(pilot: Pilot[int], name: str, key: str, condition: Callable[[], bool]) -> None:
    """Press a key and tell how long it takes until a condition holds and the frame is drawn."""
    begun, processor = time.perf_counter(), time.process_time()
    pilot.app.simulate_key(key)
    await wait(pilot, condition)
    await pilot.pause()
    print(
        f"{name:<26} {time.perf_counter() - begun:7.3f} s, processor {time.process_time() - processor:7.3f} s"
    )


async def wait(pilot: Pilot[int], condition: Callable[[], bool]) -> None:
    """Wait until the app has come that far."""
    waiting: Callable[[float], Awaitable[None]] = asyncio.sleep
    while not condition():
        await waiting(0.002)
    del pilot


def main() -> None:
    """Write the runs, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--smoke", action="store_true", help="fifty runs of an epoch")
    options = parser.parse_args()
    count, epochs = (50, 1) if options.smoke else (options.runs, 100)
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(DISTILL_TUI_RUNS=f"{folder}/runs", DISTILL_TUI_STATE=f"{folder}/state")
        write_runs(Path(folder, "runs"), count, epochs)
        for warm in (False, True):
            asyncio.run(measure(count, warm=warm))


if __name__ == "__main__":
    main()
