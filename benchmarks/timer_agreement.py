"""Whether our block times agree with torch.utils.benchmark on the same callables, within 10 %.

    python -m benchmarks.timer_agreement [--db DB] [--rounds 20] [--smoke]

Both timers take turns on each callable, so that a slow moment of the machine meets both. Printed is the
median over the rounds of each, and of the ratio within a round; the exit code is 1 if one is further off
than 10 %.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.benchmark import Timer

from distill_core.database import demo_database_path, open_database
from distill_core.devices import cpu_threads
from distill_core.latency.growing_teacher import GrowingTeacher
from distill_core.latency.timing.calls import (
    BLOCK_NS,
    TimedCalls,
    given,
    lda_call,
    lda_form,
    query_batches,
    student_call,
)
from distill_core.students import ProjectionTransformer

WITHIN = 0.1
_HEADS = (30, 1024, 16384)
_BATCH_SIZES = (1, 32)
_BLOCKS_A_TURN = 6

Times = NDArray[np.float64]


def main() -> None:
    """Time each callable with both and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--db", type=Path, default=demo_database_path())
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--smoke", action="store_true", help="one round, not judged")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.rounds = 1
    agreed = True
    print(f"{'callable':34}{'ours us':>12}{'torch us':>12}{'ours / torch':>14}")
    with cpu_threads(1):
        for name, call in callables(arguments.db):
            ours_us, torch_us = both_times(call, arguments.rounds)
            ratio = float(np.median(ours_us / torch_us))
            agreed = agreed and abs(ratio - 1) <= WITHIN
            print(f"{name:34}{np.median(ours_us):12.1f}{np.median(torch_us):12.1f}{ratio:14.3f}", flush=True)
    print(f"all within {WITHIN:.0%}" if agreed else f"NOT all within {WITHIN:.0%}")
    sys.exit(not (agreed or arguments.smoke))


def callables(database: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield LDA and folded student, single and in batches: the very callables that the product times."""
    with open_database(database) as opened:
        teacher = opened.teacher(1)
        _, queries = opened.queries(1)
    growing, device = GrowingTeacher(teacher, max(_HEADS)), torch.device("cpu")
    student = student_call(ProjectionTransformer(teacher.dimension).eval().fold())
    rows = np.ascontiguousarray(queries, np.float32)
    for size in _BATCH_SIZES:
        batch, *_ = query_batches(rows, size)
        for heads in _HEADS:
            lda = partial(lda_call(growing.grown(heads), device), given(batch, lda_form(device), device))
            yield f"LDA of {heads:,} heads, batch of {size}", lda
        yield f"student, folded, batch of {size}", partial(student, given(batch, "tensors", device))


def both_times(call: Callable[[], object], rounds: int) -> tuple[Times, Times]:
    """Return microseconds a call of each round, ours and torch's, from alternating turns of 50 ms."""
    timed = TimedCalls([call], time.perf_counter_ns, lambda: None)
    timer = Timer("call()", globals={"call": call}, num_threads=1)
    timed.warm_up()
    ours: list[float] = []
    theirs: list[float] = []

    def our_turn() -> None:
        timed.call_us.clear()
        for _ in range(_BLOCKS_A_TURN):
            timed.time_block()
        ours.append(float(np.median(timed.block_medians_us())))

    def their_turn() -> None:
        theirs.append(1e6 * timer.blocked_autorange(min_run_time=_BLOCKS_A_TURN * BLOCK_NS / 1e9).median)

    for number in range(rounds):
        for turn in (our_turn, their_turn) if number % 2 == 0 else (their_turn, our_turn):
            turn()
    return np.array(ours), np.array(theirs)


if __name__ == "__main__":
    main()
