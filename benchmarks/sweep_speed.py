"""How much sooner do two workers end a grid than one, and what does the ledger cost of it?

    .venv/bin/python -m benchmarks.sweep_speed [--storage sqlite|journal|postgresql] [--epochs 60] [--smoke]

A grid of 18 runs on the demo database is trained by one worker, then by two, one thread each, in processes
that have loaded everything before. Printed are both times, their ratio, and the share of the workers' time in
which they waited for the ledger: claims, signs of life, results. The goals are 0.6 and 2 % on two idle cores;
it says what else kept the machine busy meanwhile.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import optuna
import psutil
import scipy.stats  # noqa: F401 - loaded before the workers are forked
import torch
import torch._dynamo  # its optimisers load it

from benchmarks.postgres_server import PostgresServer
from distill_core.database import demo_database_path, open_database
from distill_core.sweeps.axes import Axes
from distill_core.sweeps.ledger import SweepLedger
from distill_core.sweeps.plan import SweepRequest, plan_sweep
from distill_core.sweeps.storage import StoragePlace, storage_place
from distill_core.sweeps.worker import SweepWorker

T = TypeVar("T")
_fork = multiprocessing.get_context("fork")


class TimedLedger(SweepLedger):
    """A ledger that notes how many seconds its thread waited for the storage."""

    seconds = 0.0

    def _patiently(self, ask: Callable[[], T]) -> T:
        started = time.perf_counter()
        try:
            return super()._patiently(ask)
        finally:
            self.seconds += time.perf_counter() - started


def work(place: StoragePlace, name: str, root: Path) -> None:
    """Be a worker, and note how long that took and how much of it was the ledger's."""
    torch.set_num_threads(1)
    started = time.perf_counter()
    ledger = TimedLedger(place, name)
    for _ in SweepWorker(ledger, root):
        pass
    (root / f".seconds-{os.getpid()}").write_text(f"{time.perf_counter() - started} {ledger.seconds}")


def run_grid(place: StoragePlace, workers: int, axes: Axes, seeds: int) -> tuple[float, float]:
    """Return how many seconds a grid takes so many workers, and the ledger's share of their time."""
    with (
        tempfile.TemporaryDirectory(prefix="sweep") as folder,
        open_database(demo_database_path()) as database,
    ):
        root = Path(folder)
        plan = plan_sweep(SweepRequest(name=f"w{workers}", axes=axes, num_seeds=seeds), database)
        SweepLedger.create(place, plan)
        gc.freeze()  # else the first collection in a worker copies all of this process's memory
        processes = [_fork.Process(target=work, args=(place, plan.name, root)) for _ in range(workers)]
        started = time.perf_counter()
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        seconds = time.perf_counter() - started
        done = SweepLedger(place, plan.name).current().values()
        assert all(trial.state == "finished" for trial in done), [trial.why for trial in done]
        times = [tuple(map(float, file.read_text().split())) for file in root.glob(".seconds-*")]
    return seconds, sum(ledger for _, ledger in times) / sum(total for total, _ in times)


def main() -> None:
    """Measure, and print one line a measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--storage", choices=["sqlite", "journal", "postgresql"], default="sqlite")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--smoke", action="store_true", help="two runs of two epochs")
    asked = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    epochs, layers, seeds = (2, (1,), 1) if asked.smoke else (asked.epochs, (1, 2, 3), 2)
    heads = (2, 4) if asked.smoke else (2, 4, 8)
    axes: Axes = {"student": ("memory",), "heads": heads, "layers": layers}
    axes |= {"recipe": ("book",), "epochs": (epochs,), "device": ("cpu",)}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ledger")))
        server = stack.enter_context(PostgresServer()) if asked.storage == "postgresql" else None
        file = folder / ("sweeps.db" if asked.storage == "sqlite" else "sweeps.log")
        place = storage_place(server.url if server else str(file), folder)
        psutil.cpu_percent()
        alone, share_alone = run_grid(place, 1, axes, seeds)
        busy_alone = psutil.cpu_percent() * (os.cpu_count() or 1) / 100
        both, share_both = run_grid(place, 2, axes, seeds)
        busy_both = psutil.cpu_percent() * (os.cpu_count() or 1) / 100
    for workers, seconds, share, busy in (
        (1, alone, share_alone, busy_alone),
        (2, both, share_both, busy_both),
    ):
        print(
            f"{asked.storage}, {workers} workers: {seconds:.1f} s, ledger {100 * share:.2f} % of it; "
            f"{busy:.1f} of {os.cpu_count()} cores were busy"
        )
    print(f"two workers take {both / alone:.2f} of the time of one")


if __name__ == "__main__":
    main()
