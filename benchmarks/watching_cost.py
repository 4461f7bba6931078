"""What watching a run costs it, and how soon a watcher shows a line.

    python -m benchmarks.watching_cost [lda.db] [--rounds 4] [--watchers 2] [--smoke]

The same run is trained in a process of its own, by turns alone and with `distill-tui attach` processes beside
it (A B B A). Told are the ratio of the training rates, watched over alone, and how long after the trainer's
own output a watcher's showed the same epoch; those that were over before its first look are left out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from distill_core.config import DataConfig, RunConfig, TrainingConfig
from distill_core.database import demo_database_path
from distill_core.runs import RunFolder

COMMAND = [sys.executable, "-m", "distill_tui"]


class Trained(NamedTuple):
    """One training: queries a second, and the seconds by which each watcher was behind, epoch by epoch."""

    rate: float
    lags: list[float]


def told_epochs(output: IO[str]) -> tuple[dict[int, float], float]:
    """Return when each epoch was printed, and the training rate told last."""
    times: dict[int, float] = {}
    rate = float("nan")
    for line in output:
        event = json.loads(line)
        if event["event"] == "epoch":
            times[event["epoch"]] = time.monotonic()
            rate = event["samples_per_second"]
    return times, rate


def train(database: Path, epochs: int, watchers: int) -> Trained:
    """Train once, with so many watchers beside it."""
    with tempfile.TemporaryDirectory() as place:
        config = RunConfig(
            data=DataConfig(database=str(database), temperature=0.1), training=TrainingConfig(epochs=epochs)
        )
        folder = RunFolder.create(place, config)
        trainer = _started("resume", folder)
        while folder.shown_state() != "running" and trainer.poll() is None:
            time.sleep(0.05)
        followed: list[dict[int, float]] = []
        watching = [_started("attach", folder) for _ in range(watchers)]
        threads = [
            threading.Thread(target=lambda output=watcher.stdout: followed.append(told_epochs(output)[0]))
            for watcher in watching
        ]
        for thread in threads:
            thread.start()
        assert trainer.stdout is not None
        own, rate = told_epochs(trainer.stdout)
        for thread in threads:
            thread.join()
        for process in (trainer, *watching):
            process.wait()
    return Trained(rate, [lag for times in followed for lag in _lags(own, times)])


def _started(command: str, folder: RunFolder) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, command, str(folder.path), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _lags(own: dict[int, float], watched: dict[int, float]) -> list[float]:
    first = min(watched.values(), default=float("inf"))
    return [watched[epoch] - at for epoch, at in own.items() if epoch in watched and at > first]


def main() -> None:
    """Print the ratios and the lags."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("database", nargs="?", type=Path, default=demo_database_path())
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--watchers", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--smoke", action="store_true", help="one round of few epochs")
    options = parser.parse_args()
    if options.smoke:
        options.rounds, options.watchers, options.epochs = 1, 1, 6
    ratios, lags = [], []
    for number in range(options.rounds):
        order = (0, options.watchers) if number % 2 == 0 else (options.watchers, 0)
        runs = {watchers: train(options.database, options.epochs, watchers) for watchers in order}
        ratios.append(runs[options.watchers].rate / runs[0].rate)
        lags += runs[options.watchers].lags
        print(f"round {number + 1}: watched / alone {ratios[-1]:.3f}", flush=True)
    print(f"training rate, watched / alone: {np.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
    if not lags:
        print("no epoch came while a watcher looked: take more --epochs")
        return
    print(f"a watcher is behind by {np.median(lags):.2f} s (largest {max(lags):.2f} s, {len(lags)} epochs)")


if __name__ == "__main__":
    main()
