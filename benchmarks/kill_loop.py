"""Kill trainings at random instants and resume them: does every run end as if nothing had happened?

    .venv/bin/python benchmarks/kill_loop.py [--kills 300] [--seed 0] [--smoke]

One run is trained without a disturbance. Others of the same settings are begun and hit by SIGKILL, SIGTERM,
SIGHUP or SIGSTOP and SIGCONT at instants drawn from a seed, and resumed until they are done. Every second one
has two workers on a shared folder whose locks keep nobody out, as where each of two machines has its own: the
second takes the run over while the first is stopped, and the first wakes up and must not write. Each run must
end in the tensors of the undisturbed one, with each line of its metrics once.
"""

from __future__ import annotations

import argparse
import faulthandler
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import scipy.stats  # noqa: F401 - loaded before the workers are forked
import torch
import torch._dynamo  # its optimisers load it
from safetensors.torch import load_file

from distill_core.config import DataConfig, RunConfig, TrainingConfig
from distill_core.database import demo_database_path
from distill_core.runs import RunFolder, liveness, load_checkpoint, lock
from distill_core.runs.recording import recorded_run
from distill_core.students import MlpConfig
from distill_tui import cli

TIMES = ("samples_per_second", "active_seconds", "eta_seconds")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGSTOP)
HITS_PER_RUN = 6
WAIT_SECONDS = 120.0
_fork = multiprocessing.get_context("fork")


class Loop:
    """Runs that are killed and resumed.

    Attributes:
        hits: How many signals of each name found a worker.
        fenced: How often a worker that woke up said that its run was taken over.
        faults: What went wrong, a sentence each.
    """

    def __init__(self, root: Path, seed: int) -> None:
        self.hits: Counter[str] = Counter()
        self.fenced = 0
        self.faults: list[str] = []
        self._root = root
        self._random = random.Random(seed)
        self._words = root / "words.txt"
        self._config = RunConfig(
            data=DataConfig(database=str(demo_database_path())),
            student=MlpConfig(layers=1, ff_dim=16, dropout=0.1),
            training=TrainingConfig(recipe="book", epochs=60, batch_size=64, device="cpu", threads=1),
        )

    def undisturbed(self) -> RunFolder:
        """Train a run to its end."""
        run = RunFolder.create(self._root, self._config)
        self._end(run, self._worker(run), {0})
        return run

    def alone(self) -> RunFolder:
        """Hit the only worker of a new run again and again, then let one end."""
        run = RunFolder.create(self._root, self._config)
        for _ in range(HITS_PER_RUN):
            worker = self._worker(run)
            self._let_go_on(run, worker)
            number = self._random.choice(SIGNALS)
            self._hit(worker, number)
            if number == signal.SIGSTOP:
                self._sleep(0.2)
                _send(worker, signal.SIGCONT)
                self._sleep(0.2)
                _send(worker, signal.SIGKILL)
            self._end(run, worker, {0, -signal.SIGKILL, *_ends(signal.SIGTERM), *_ends(signal.SIGHUP)})
        return self._finished(run)

    def shared(self) -> RunFolder:
        """Stop a worker, let another take its new run, wake the first one and hit the second; let one end."""
        run = RunFolder.create(self._root, self._config)
        for _ in range(HITS_PER_RUN // 2):
            first = self._worker(run, shared=True)
            self._let_go_on(run, first)
            self._hit(first, signal.SIGSTOP)
            second = self._worker(run, shared=True)
            _wait(lambda: _owner(run) == second.pid or not second.is_alive())  # noqa: B023 - asked at once
            self._sleep(0.3)
            _send(first, signal.SIGCONT)
            self._sleep(0.3)
            number = self._random.choice(SIGNALS[:3])
            self._hit(second, number)
            self._end(run, second, {0, 1, 2, -signal.SIGKILL, *_ends(signal.SIGTERM), *_ends(signal.SIGHUP)})
            self.fenced += "was taken over by" in self._end(run, first, {0, 1, 2})
        return self._finished(run, shared=True)

    def compare(self, run: RunFolder, whole: RunFolder) -> None:
        """Note what a run ended in that is not as in the undisturbed one."""
        for name in ("best", "last"):
            ours, theirs = _tensors(run, name), _tensors(whole, name)
            if ours.keys() != theirs.keys() or any(not torch.equal(ours[key], theirs[key]) for key in ours):
                self.faults.append(f"{run.name} ended in other tensors in {name}.safetensors.")
        if _lines(run) != _lines(whole):
            self.faults.append(f"{run.name} ended with other lines in its metrics.")
        if not run.is_finished:
            self.faults.append(f"{run.name} ended as {run.read_state().state}.")

    def _worker(self, run: RunFolder, *, shared: bool = False) -> BaseProcess:
        words = self._words.with_name(f"{run.name}-{time.monotonic_ns()}.txt")
        process = _fork.Process(target=_resume, args=(run.path, words, shared), name=str(words))
        process.start()
        return process

    def _let_go_on(self, run: RunFolder, worker: BaseProcess) -> None:
        """Wait until a worker has begun its attempt, then for a random while, loading and saving included."""
        _wait(lambda: _owner(run) == worker.pid or not worker.is_alive())
        self._sleep(0.8)

    def _sleep(self, most_seconds: float) -> None:
        time.sleep(self._random.random() * most_seconds)

    def _hit(self, worker: BaseProcess, number: signal.Signals) -> None:
        if worker.is_alive():
            _send(worker, number)
            self.hits[number.name] += 1

    def _finished(self, run: RunFolder, *, shared: bool = False) -> RunFolder:
        if not run.is_finished:
            self._end(run, self._worker(run, shared=shared), {0})
        return run

    def _end(self, run: RunFolder, worker: BaseProcess, expected: set[int]) -> str:
        """Return what a worker said in the end; note a traceback, or an exit code that is not expected."""
        worker.join(WAIT_SECONDS)
        if worker.is_alive():
            worker.kill()
            where = Path(worker.name).read_text()[-3000:]
            self.faults.append(f"{run.name} had a worker that did not end; it was at: {where}")
            worker.join()
        words = Path(worker.name).read_text() if Path(worker.name).exists() else ""
        is_over = "is finished; there is nothing" in words
        if "Traceback" in words or (worker.exitcode not in expected and not is_over):
            self.faults.append(f"{run.name} had a worker that ended with {worker.exitcode}: {words[-400:]}")
        return words


def _resume(run: Path, words: Path, shared: bool) -> None:
    """Go on with a run, as the command does; in a process of its own."""
    descriptor = os.open(words, os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    recorded_run.CHECKPOINT_SECONDS = 0.05  # many checkpoints, so that many are hit
    liveness.SILENT_SECONDS, liveness.BEAT_SECONDS = 1.0, 0.1
    if shared:
        lock._flock = lambda descriptor: None
        liveness.process_start = lambda pid: ""  # nobody can be looked up, as on another machine
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    faulthandler.dump_traceback_later(WAIT_SECONDS - 5, exit=False)
    sys.argv = ["distill-tui", "resume", str(run)]
    try:
        cli.main()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _send(worker: BaseProcess, number: signal.Signals) -> None:
    if worker.is_alive() and worker.pid is not None:
        os.kill(worker.pid, number)


def _ends(number: signal.Signals) -> tuple[int, int]:
    """Return how a process ends by a signal: having saved, or before it listened."""
    return 128 + number, -number


def _owner(run: RunFolder) -> int:
    return max(((attempt.number, attempt.pid) for attempt in run.attempts()), default=(0, 0))[1]


def _wait(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.01)


def _tensors(run: RunFolder, name: str) -> dict[str, torch.Tensor]:
    if name == "best":
        return dict(load_file(run.best_checkpoint))
    return dict(load_checkpoint(run.last_checkpoint)[0]["learner"]["student"])


def _lines(run: RunFolder) -> list[dict[str, object]]:
    lines = run.read_metrics().lines
    return [{name: value for name, value in line.items() if name not in TIMES} for line in lines]


def main() -> int:
    """Print how many were killed and what went wrong; the exit code is 1 if anything did."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smoke", action="store_true", help="half a dozen kills")
    arguments = parser.parse_args()
    kills = 6 if arguments.smoke else arguments.kills
    with tempfile.TemporaryDirectory() as root:
        loop = Loop(Path(root), arguments.seed)
        whole = loop.undisturbed()
        runs = 0
        while loop.hits.total() < kills and runs < kills and not loop.faults:
            loop.compare((loop.alone, loop.shared)[runs % 2](), whole)
            runs += 1
            if not arguments.smoke:
                print(f"{loop.hits.total()} kills, {runs} runs", flush=True)
    hits = ", ".join(f"{name} {count}" for name, count in sorted(loop.hits.items()))
    fenced = f"{loop.fenced} workers woke up and were fenced off"
    print(f"{loop.hits.total()} kills ({hits}) of {runs} runs; {fenced}")
    for fault in loop.faults:
        print(f"fault: {fault}")
    print("every run ended in the same tensors and lines" if not loop.faults else "not as undisturbed")
    return bool(loop.faults)


if __name__ == "__main__":
    sys.exit(main())
