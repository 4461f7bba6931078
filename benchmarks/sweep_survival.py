"""Kill, suspend and cut off the workers of a sweep: does every cell and seed end in exactly one complete run?

    .venv/bin/python -m benchmarks.sweep_survival [--storage postgresql|sqlite|journal] [--trials 60]
        [--workers 4] [--every 2] [--seed 0] [--smoke]

Workers get a `kill -9` every 2 s, and now and then a SIGSTOP until another one has taken their trial, and a
SIGCONT after it. Of PostgreSQL the server is killed once and started again; of the journal a worker leaves a
torn line and a lock behind. At the end each cell and seed must have one complete trial and one finished run,
each of whose epochs stands in the metrics once.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from multiprocessing.process import BaseProcess
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import optuna
import scipy.stats  # noqa: F401 - loaded before the workers are forked
import torch
import torch._dynamo  # its optimisers load it
from tests.core.database_factory import write_lda_db

from benchmarks.postgres_server import PostgresServer, server_program
from distill_core.database import LdaDatabase
from distill_core.errors import SweepError
from distill_core.runs import RunFolder
from distill_core.runs.recording import recorded_run
from distill_core.sweeps.axes import Axes
from distill_core.sweeps.ledger import SweepLedger
from distill_core.sweeps.plan import SweepRequest, plan_sweep
from distill_core.sweeps.storage import StoragePlace, storage_place
from distill_core.sweeps.worker import SweepWorker

GRACE_SECONDS = 5.0
LOOK_SECONDS = 0.2
LONGEST_SECONDS = 900.0
HITS_A_TRIAL = 1.5
"""On a busy machine a worker may not even begin between two blows: they end some time."""

EPOCHS = 200
_fork = multiprocessing.get_context("fork")


class Survival:
    """A sweep whose workers are not left in peace.

    Attributes:
        hits: What was done to them, by name.
    """

    def __init__(self, root: Path, place: StoragePlace, trials: int, seed: int) -> None:
        self.hits: Counter[str] = Counter()
        self._root, self._place = root, place
        self._random = random.Random(seed)
        self._workers: list[BaseProcess] = []
        self._stopped: BaseProcess | None = None
        self._wake_at = 0.0
        with LdaDatabase(write_lda_db(root / ".database", questions_per_head=10)) as database:
            self.plan = plan_sweep(_request(trials), database)
        self._ledger = SweepLedger.create(place, self.plan)

    def run(self, workers: int, every_seconds: float, server: PostgresServer | None) -> None:
        """Disturb the workers until the sweep has ended."""
        started = hit_at = time.monotonic()
        most = HITS_A_TRIAL * len(self.plan.cells) * len(self.plan.seeds)
        is_cut = False
        while self._open() > 0:
            if time.monotonic() - started > LONGEST_SECONDS:
                raise TimeoutError(f"{self._open()} trials are still open; see {self._root}")
            self._workers = [worker for worker in self._workers if worker.is_alive()]
            if self._stopped is not None and time.monotonic() > self._wake_at:
                self._wake()
            while len(self._workers) < workers:
                self._workers.append(self._worker())
            if time.monotonic() - hit_at > every_seconds and self.hits.total() < most:
                hit_at = time.monotonic()
                self._hit()
            if not is_cut and self._open() <= len(self.plan.cells) * len(self.plan.seeds) // 2:
                is_cut = True
                self._cut(server)
            time.sleep(LOOK_SECONDS)
        self._wake()
        for worker in self._workers:
            worker.join(60)
            if worker.is_alive():
                worker.kill()

    def faults(self) -> list[str]:
        """Return what is not as it must be, in sentences."""
        found: list[str] = []
        keys = [(cell.number, seed) for cell in self.plan.cells for seed in self.plan.seeds]
        complete = Counter((t.cell, t.seed) for t in self._ledger.trials() if t.state == "finished")
        for key in keys:
            if complete[key] != 1:
                found.append(f"cell {key[0]} seed {key[1]} has {complete[key]} complete trials")
            found += _run_faults(RunFolder(self._root / self.plan.run_name(*key)))
        folders = [path for path in self._root.iterdir() if path.is_dir() and not path.name.startswith(".")]
        if len(folders) != len(keys):
            found.append(f"there are {len(folders)} folders for {len(keys)} runs")
        return found

    def _open(self) -> int:
        try:
            return sum(trial.is_open for trial in self._ledger.current().values())
        except SweepError:  # the server is away
            return len(self.plan.cells) * len(self.plan.seeds)

    def _hit(self) -> None:
        living = [worker for worker in self._workers if worker is not self._stopped]
        if not living:
            return
        victim = self._random.choice(living)
        if self._stopped is None and self._random.random() < 0.3:
            self.hits["SIGSTOP"] += 1
            os.kill(victim.pid or 0, signal.SIGSTOP)
            self._stopped, self._wake_at = victim, time.monotonic() + 3 * GRACE_SECONDS
            return
        self.hits["SIGKILL"] += 1
        victim.kill()

    def _wake(self) -> None:
        if self._stopped is not None and self._stopped.is_alive():
            self.hits["SIGCONT"] += 1
            os.kill(self._stopped.pid or 0, signal.SIGCONT)
        self._stopped = None

    def _cut(self, server: PostgresServer | None) -> None:
        if server is not None:
            self.hits["server killed"] += 1
            server.stop_hard()
            time.sleep(2 * LOOK_SECONDS)
            server.start()
        if self._place.kind == "journal":
            self.hits["torn line and lock"] += 1
            Path(f"{self._place.address}.lock").touch()
            with Path(self._place.address).open("ab") as journal:
                journal.write(b'{"op_code":4,"worker_')

    def _worker(self) -> BaseProcess:
        worker = _fork.Process(target=_work, args=(self._place, self.plan.name, self._root))
        worker.start()
        return worker


def _request(trials: int) -> SweepRequest:
    seeds = 2 if trials % 2 == 0 else 1
    weights = tuple(number / (trials // seeds) for number in range(trials // seeds))
    axes: Axes = {
        "student": ("mlp",),
        "layers": (1,),
        "ff_dim": (16,),
        "recipe": ("book",),
        "epochs": (EPOCHS,),
        "batch_size": (64,),
        "device": ("cpu",),
        "cosine_weight": weights,
    }
    return SweepRequest(name="survival", axes=axes, num_seeds=seeds, blocks=0, grace_seconds=GRACE_SECONDS)


def _work(place: StoragePlace, name: str, root: Path) -> None:
    """Be a worker, which saves often enough for its end to cost little."""
    torch.set_num_threads(1)
    recorded_run.CHECKPOINT_SECONDS = 0.2
    try:
        for _ in SweepWorker(SweepLedger(place, name, patience_seconds=120), root):
            pass
    except Exception as error:
        with (root / ".errors").open("a") as errors:
            errors.write(f"{os.getpid()} {type(error).__name__}: {error}\n")
        raise


def _run_faults(folder: RunFolder) -> list[str]:
    if not folder.path.is_dir() or folder.read_state().state != "finished":
        return [f"{folder.name} is not finished"]
    lines = [json.loads(line) for line in folder.metrics_path.read_text().splitlines()]
    epochs = [line["epoch"] for line in lines if line["event"] == "epoch"]
    ends = sum(line["event"] == "finished" for line in lines)
    if epochs != list(range(1, EPOCHS + 1)) or ends != 1:
        return [f"{folder.name} has the epochs {epochs} and {ends} ends"]
    return []


def survive(kind: str, trials: int, workers: int, every_seconds: float, seed: int) -> list[str]:
    """Run one sweep to its end; print what was done to it, and return what is wrong."""
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="survival")))
        server = stack.enter_context(PostgresServer()) if kind == "postgresql" else None
        asked = server.url if server else str(root / ("sweeps.db" if kind == "sqlite" else "sweeps.log"))
        started = time.monotonic()
        survival = Survival(root, storage_place(asked, root), trials, seed)
        survival.run(workers, every_seconds, server)
        faults = survival.faults()
        hits = ", ".join(f"{name} {count}" for name, count in survival.hits.items())
        errors = root / ".errors"
        seconds = time.monotonic() - started
        print(f"{kind}: {trials} trials by {workers} workers in {seconds:.0f} s; {hits}")
        if errors.exists():
            print(errors.read_text())
        for fault in faults:
            print(f"  {fault}")
    return faults


def main() -> None:
    """Run the sweeps that are asked for; leave with 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--storage", choices=["postgresql", "sqlite", "journal"], action="append")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--every", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smoke", action="store_true", help="a few trials, in seconds")
    asked = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    if asked.smoke:
        asked.trials, asked.workers, asked.every = 4, 2, 1.0
    kinds = asked.storage or ["postgresql", "sqlite", "journal"]
    if "postgresql" in kinds and server_program() is None:
        print("postgresql: left out, as there is no server here")
        kinds.remove("postgresql")
    faults = [survive(kind, asked.trials, asked.workers, asked.every, asked.seed) for kind in kinds]
    sys.exit(1 if any(faults) else 0)


if __name__ == "__main__":
    main()
