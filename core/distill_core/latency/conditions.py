"""Whether a latency record tells what a student costs here. No torch."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from distill_core.latency.events import LatencyFinished, MachineRecord
from distill_core.latency.measurement import COMPLETE, FEWEST_ROUNDS

_OF_THE_MACHINE = ("cpu", "cores", "gpu", "system", "torch")
"""What of two records of machines must be the same, that they are of one machine as far as speed goes."""


class TimingConditions(msgspec.Struct, frozen=True, kw_only=True):
    """What a record must be of, to decide what a student costs.

    Attributes:
        teacher_sha256: Of the teacher's heads and temperature.
        student_sha256: Of the student's weights.
        device: Where the student is to run.
        threads: CPU threads it is to have; None where torch chooses.
        machine: Where it is to run.
    """

    teacher_sha256: str
    student_sha256: str
    device: str
    threads: int | None
    machine: MachineRecord


class TimedCost(NamedTuple):
    """A latency record, and what it must be of."""

    record: LatencyFinished
    wanted: TimingConditions

    def differences(self) -> tuple[str, ...]:
        """Return what the record is of that is not wanted, in words; empty if it fits."""
        record, wanted = self.record, self.wanted
        if not record.teacher_sha256 or record.machine is None:
            return ("an older version wrote it, which did not say of what it is",)
        here, there = wanted.machine, record.machine
        found = {
            "of another teacher": record.teacher_sha256 != wanted.teacher_sha256,
            "of another student": record.student_sha256 != wanted.student_sha256,
            f"of the device {record.device}, not {wanted.device}": record.device != wanted.device,
            f"with {record.threads} CPU threads, not {wanted.threads}": wanted.threads
            not in (None, record.threads),
            "of another machine": any(
                getattr(here, name) != getattr(there, name) for name in _OF_THE_MACHINE
            ),
        }
        return tuple(f"it is {words}" for words, differs in found.items() if differs)

    def weaknesses(self) -> tuple[str, ...]:
        """Return why the record is too weak to decide, in words; empty if it is whole and steady."""
        found = []
        if self.record.ended != COMPLETE:
            found.append("it was broken off")
        if not self.record.steady:
            found.append("its blocks disagree")
        if 0 < self.record.rounds < FEWEST_ROUNDS:
            found.append(f"it has fewer than {FEWEST_ROUNDS} rounds")
        return tuple(found)
