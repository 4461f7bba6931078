"""What checkpoints cost a training.

    python -m benchmarks.checkpoint_cost lda.db

Saves the default checkpoint after every epoch, and prints the median time of one beside the 30 s that
lie between two of them.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from distill_core.config import DataConfig, RunConfig, TrainingConfig
from distill_core.runs import RecordedRun, RunFolder
from distill_core.runs.recording import CHECKPOINT_SECONDS

SAVES = 10


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


def main() -> None:
    """Print the share."""
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


if __name__ == "__main__":
    main()
