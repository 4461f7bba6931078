"""What checkpoints and watching cost a training.

    python -m benchmarks.checkpoint_cost lda.db

Saves the default checkpoint after every epoch, and prints the median time of one beside the 30 s that
lie between two of them; then trains in turn alone and with a process that looks twice a second, and
prints the ratio of training speeds.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from distill_core.config import DataConfig, RunConfig, TrainingConfig
from distill_core.runs import RecordedRun, RunFolder
from distill_core.runs.recording import CHECKPOINT_SECONDS
from distill_core.training import EpochFinished

SAVES, ROUNDS, EPOCHS = 10, 6, 25
WATCHER = """
import sys, time
from pathlib import Path
from distill_core.runs import RunFolder, RunWatcher
watcher = RunWatcher(RunFolder.open(Path(sys.argv[1])))
print("ready", flush=True)
while True:
    watcher.look()
    time.sleep(0.5)
"""


def config_of(database: Path, epochs: int) -> RunConfig:
    """Return the default run on a CPU."""
    return RunConfig(
        data=DataConfig(database=str(database)), training=TrainingConfig(epochs=epochs, device="cpu")
    )


def seconds_a_save(database: Path, root: Path) -> list[float]:
    """Save after each of some epochs, and return how long each took."""
    run = RecordedRun(RunFolder.create(root, config_of(database, SAVES + 2)))
    times: list[float] = []
    save = run._save

    def timed(*arguments: object) -> None:
        began = time.perf_counter()
        save(*arguments)  # type: ignore[arg-type]
        times.append(time.perf_counter() - began)

    run._save_if_due = timed  # type: ignore[method-assign, assignment]
    list(run)
    return times[1:]


def speed(database: Path, root: Path, *, watched: bool) -> float:
    """Return the training queries a second of a run, watched by another process or not."""
    run = RecordedRun(RunFolder.create(root, config_of(database, EPOCHS)))
    watcher = None
    if watched:
        watcher = subprocess.Popen(
            [sys.executable, "-c", WATCHER, str(run.folder.path)], stdout=subprocess.PIPE, text=True
        )
        assert watcher.stdout is not None
        watcher.stdout.readline()  # it has imported what it needs
    rates = [event.samples_per_second for event in run if isinstance(event, EpochFinished)]
    if watcher is not None:
        watcher.kill()
        watcher.wait()
    return rates[-1]


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("database", type=Path)
    database = parser.parse_args().database
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        times = seconds_a_save(database, root)
        median = statistics.median(times)
        print(
            f"a checkpoint: {1e3 * median:.0f} ms ({1e3 * min(times):.0f} to {1e3 * max(times):.0f}), "
            f"at most {100 * median / CHECKPOINT_SECONDS:.2f} % of the {CHECKPOINT_SECONDS:.0f} s between two"
        )
        ratios = []
        for number in range(ROUNDS):
            order = (False, True) if number % 2 == 0 else (True, False)
            rates = {watched: speed(database, root, watched=watched) for watched in order}
            ratios.append(rates[True] / rates[False])
        print(
            f"training while watched / alone: {statistics.median(ratios):.3f} "
            f"({min(ratios):.3f} to {max(ratios):.3f})"
        )


if __name__ == "__main__":
    main()
