"""How fast the app paints and answers, what it costs, and whether it slows the training it shows.

Drives the real app through a pseudo-terminal at 120x40, with three live charts, one torch thread:

    python -m benchmarks.app_responsiveness [--database DB] [--seconds 12] [--rounds 3] [--smoke]

Printed: first paint; key to screen while training (the log-axis key, until the chart says so); processor
share of every thread but the training's; bytes a second; and training under the app against the same run
headless, in alternating blocks, as a ratio of epochs a second by the wall clock. The app clones the
run that was trained headless, so that both have the same settings.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np

from benchmarks.terminal_app import TerminalApp
from distill_core.database import demo_database_path

_EPOCH_LINE = re.compile(r"epoch (\d+) ")
_CLONE, _CTRL_T = "c", "\x14"


@click.command()
@click.option("--database", type=click.Path(exists=True, path_type=Path), default=demo_database_path())
@click.option("--seconds", default=12.0, show_default=True, help="Of one block under the app or headless.")
@click.option("--rounds", default=3, show_default=True, help="Alternating pairs of blocks.")
@click.option("--keys", default=100, show_default=True, help="Key presses timed while training.")
@click.option("--smoke", is_flag=True, help="One round of two seconds, three keys.")
def main(database: Path, seconds: float, rounds: int, keys: int, smoke: bool) -> None:
    """Print what the module says."""
    if smoke:
        seconds, rounds, keys = 2.0, 1, 3
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        print_first_paint(database, state, 1 if smoke else 7)
        ratios = []
        for number in range(rounds):
            headless_rate = epochs_per_second_headless(database, state, seconds)
            app_rate = epochs_per_second_in_app(database, state, seconds, keys if number == 0 else 0)
            ratios.append(app_rate / headless_rate)
            print(f"round {number + 1}: {app_rate:.2f} epochs/s in the app, {headless_rate:.2f} headless")
        print(
            f"training under the app / headless: median {statistics.median(ratios):.3f}, "
            f"min {min(ratios):.3f}, max {max(ratios):.3f}"
        )


def print_first_paint(database: Path, state: Path, runs: int) -> None:
    """Time the start of the command until the first screen is there."""
    times = []
    for _ in range(runs):
        app = TerminalApp(database, state)
        app.wait_for("Teacher")
        times.append(time.perf_counter() - app.started)
        app.close()
    print(f"first paint: median {statistics.median(times):.3f} s, min {min(times):.3f}, max {max(times):.3f}")


def epochs_per_second_in_app(database: Path, state: Path, seconds: float, keys: int) -> float:
    """Train in the app and watch it; time keys and the app's own cost if `keys` is not 0."""
    app = TerminalApp(database, state)
    try:
        app.wait_for("effective heads")
        train_as_headless(app)
        app.wait_for("samples/s")
        app.read_for(2.0)
        before, first = app.thread_seconds(), app.bytes_read
        epoch, started = app.epoch()
        app.read_for(seconds)
        last_epoch, ended = app.epoch()
        if keys:
            print_cost(app, before, ended - started, app.bytes_read - first)
            print_key_times(app, keys)
        return (last_epoch - epoch) / (ended - started)
    finally:
        app.close()


def train_as_headless(app: TerminalApp) -> None:
    """Take the settings of the newest run, which was trained headless or by this, and start."""
    app.press("6")
    app.wait_for("interrupted")
    app.read_for(1.0)
    app.press(_CLONE)
    app.wait_for("Settings taken over")
    app.press(_CTRL_T)


def print_cost(app: TerminalApp, before: dict[int, float], seconds: float, sent: int) -> None:
    """Print the share of a core of all threads but the busiest beside the main one, and the bytes sent."""
    spent = {thread: total - before.get(thread, 0.0) for thread, total in app.thread_seconds().items()}
    main_thread = spent.pop(app.pid)
    training = max(spent.values(), default=0.0)
    others = sum(spent.values()) - training
    print(
        f"app without training: {(main_thread + others) / seconds:.3f} of a core; "
        f"training thread {training / seconds:.2f}; {sent / seconds / 1000:.2f} kB/s to the terminal"
    )


def print_key_times(app: TerminalApp, keys: int) -> None:
    """Time the key that sets the log axis, until the chart's title says so."""
    times = []
    for index in range(keys):
        app.read_for(0.15 + 0.013 * (index % 10))
        app.press("L")
        times.append(app.wait_for("(log)") * 1e3)
        app.read_for(0.15)
        app.press("L")
    p50, p99 = np.percentile(times, [50, 99])
    print(
        f"key to screen while training, {keys} keys: "
        f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, max {max(times):.0f} ms"
    )


def epochs_per_second_headless(database: Path, state: Path, seconds: float) -> float:
    """Train the same run without the app for as long, and read its lines."""
    command = [
        sys.executable,
        "-m",
        "distill_tui",
        "train",
        str(database),
        "--threads",
        "1",
        "--epochs",
        "100000",
        "--runs-dir",
        str(state / "runs"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        warm_until: float | None = None
        first: tuple[int, float] | None = None
        for line in process.stdout:
            match = _EPOCH_LINE.match(line)
            if match is None:
                continue
            now, epoch = time.perf_counter(), int(match.group(1))
            warm_until = warm_until or now + 2.0
            if first is None and now >= warm_until:
                first = (epoch, now)
            if first is not None and now - first[1] >= seconds:
                process.kill()
                return (epoch - first[0]) / (now - first[1])
    raise RuntimeError("the headless run ended early")


if __name__ == "__main__":
    main()
