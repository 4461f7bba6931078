"""The machine of a measurement in words, the same on the screen and on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from distill_core.foreign_text import visible
from distill_core.wording import plural

if TYPE_CHECKING:
    from distill_core.latency.events import MachineRecord

UNSTEADY = "The machine was unsteady: blocks of one model disagree. Repeat on a quiet machine."


def machine_words(machine: MachineRecord) -> str:
    """Say in one line what decides how fast a model is here."""
    clock = "" if machine.clock_mhz is None else f" at {machine.clock_mhz:,.0f} MHz"
    gpu = "" if machine.gpu is None else f", {machine.gpu}"
    load = "" if machine.load_average is None else f", load {machine.load_average:.1f}"
    return visible(
        f"{machine.cpu}{clock}, {machine.usable_cores} of {plural(machine.cores, 'core')}, "
        f"{plural(machine.threads, 'thread')}{gpu}, "
        f"{machine.blas or 'BLAS unknown'}, torch {machine.torch} {machine.torch_cpu_capability}{load}"
    )


def doubts(machine: MachineRecord | None, *, unsteady: bool) -> str:
    """Say in few words why times deserve doubt; empty where they do not."""
    words = []
    if machine is not None and machine.is_busy:
        words.append(f"busy (load {machine.load_average:.1f})")
    if machine is not None and machine.usable_cores == 1:
        words.append("one core")
    if unsteady:
        words.append("blocks disagree")
    return ", ".join(words)


def doubts_in_full(machine: MachineRecord | None, *, unsteady: bool) -> str:
    """Say the same in whole sentences, for where there is room."""
    return " ".join([*(machine_warnings(machine) if machine else ()), *([UNSTEADY] if unsteady else [])])


def machine_warnings(machine: MachineRecord) -> Iterator[str]:
    """Yield why times measured here deserve doubt; nothing on a quiet machine with cores to spare."""
    if machine.is_busy:
        yield f"The machine is busy (load {machine.load_average:.1f}); repeat on a quiet one."
    if machine.usable_cores == 1:
        yield "There is one core: whatever else runs is in the times. Trust ratios, not microseconds."
