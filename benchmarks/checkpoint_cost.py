"""What checkpoints cost a training.

    python -m benchmarks.checkpoint_cost [lda.db] [--smoke]

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
from distill_core.database import demo_database_path
from distill_core.runs import RecordedRun, RunFolder
from distill_core.runs.recording.recorded_run import CHECKPOINT_SECONDS

SAVES = 10


def config_of(database: Path, epochs: int) -> RunConfig:
    """Return the default run on a CPU."""
    return RunConfig(
        data=DataConfig(database=str(database)), training=TrainingConfig(epochs=epochs, device="cpu")
    )


def seconds_a_save(database: Path, root: Path, saves: int) -> list[float]:
    """Save after each of some epochs, and return how long each took."""
    run = RecordedRun(RunFolder.create(root, config_of(database, saves + 2)))
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
    parser.add_argument("database", nargs="?", type=Path, default=demo_database_path())
    parser.add_argument("--smoke", action="store_true", help="one save")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        times = seconds_a_save(options.database, root, 1 if options.smoke else SAVES)
        median = statistics.median(times)
        print(
            f"a checkpoint: {1e3 * median:.0f} ms ({1e3 * min(times):.0f} to {1e3 * max(times):.0f}), "
            f"at most {100 * median / CHECKPOINT_SECONDS:.2f} % of the {CHECKPOINT_SECONDS:.0f} s between two"
        )


if __name__ == "__main__":
    main()
