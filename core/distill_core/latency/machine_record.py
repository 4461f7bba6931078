"""The machine that a measurement was made on, so that results can be compared between machines. No torch."""

from __future__ import annotations

import msgspec


class MachineRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What decides how fast teacher and student are. None where the machine does not tell.

    Attributes:
        cpu: Name of the CPU model.
        cores: Logical cores of the machine.
        usable_cores: Those that this process may run on.
        threads: CPU threads of torch during the measurement.
        blas: Library and threads of NumPy's matrix products, such as "openblas 0.3.31, 1 thread".
        torch: Version of torch with its build.
        torch_cpu_capability: The instruction set that torch chose.
        gpu: Name of the GPU, if the measurement runs on one.
        gpu_clock_mhz: Its present clock, that of a device at rest before the measurement.
        clock_mhz: Present clock of the first core.
        load_average: Mean of running processes over the last minute, at the start.
        system: Operating system and its architecture.
        python: Version of Python.
    """

    cpu: str
    cores: int
    usable_cores: int
    threads: int
    blas: str | None
    torch: str
    torch_cpu_capability: str
    gpu: str | None
    clock_mhz: float | None
    load_average: float | None
    system: str
    python: str
    gpu_clock_mhz: float | None = None

    @property
    def is_busy(self) -> bool:
        """Whether other processes were likely to take part of the cores: load above half of them."""
        return self.load_average is not None and self.load_average > self.usable_cores / 2
