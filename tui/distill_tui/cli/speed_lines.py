"""How fast the students of several runs are, as plain lines side by side."""

from __future__ import annotations

from collections.abc import Iterator

from distill_core.runs.comparing import RunComparison, RunSpeed
from distill_tui.text import bracket_words, machine_words


def speed_lines(comparison: RunComparison) -> Iterator[str]:
    """Yield a line for each run that was timed; the machines too, where they are not one and the same."""
    timed = [(name, speed) for name, speed in zip(comparison.names, comparison.speeds, strict=True) if speed]
    if not timed:
        return
    yield "single-stream p90, and from how many heads on the student is faster:"
    for name, speed in timed:
        yield f"  {name}: {'; '.join(_parts(speed))}"
    machines = {name: machine_words(speed.machine) for name, speed in timed if speed.machine is not None}
    same = {
        (speed.machine.cpu, speed.machine.gpu, speed.machine.threads, speed.machine.torch)
        for _, speed in timed
        if speed.machine is not None
    }
    if len(same) > 1:
        yield "measured on different machines:"
        for name, words in machines.items():
            yield f"  {name}: {words}"


def _parts(speed: RunSpeed) -> Iterator[str]:
    if speed.lda_p90_us is not None and speed.student_p90_us is not None:
        yield f"LDA {speed.lda_p90_us:,.1f} us, student {speed.student_p90_us:,.1f} us"
    for case, bracket in (("single queries", speed.single), ("batches of 32", speed.batch_32)):
        if bracket is not None:
            yield f"{case} {bracket_words(bracket)}"
