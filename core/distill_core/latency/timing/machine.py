"""Reading what decides how fast teacher and student are on this machine."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any

import psutil
import torch
from threadpoolctl import threadpool_info

from distill_core.latency.events import MachineRecord
from distill_core.wording import plural


def read_machine(
    device: torch.device | None = None, *, cpuinfo: Path = Path("/proc/cpuinfo")
) -> MachineRecord:
    """Return the record of this machine, with the threads as they are set now; `cpuinfo` is for tests."""
    return MachineRecord(
        cpu=_cpu_model(cpuinfo),
        cores=os.cpu_count() or 1,
        usable_cores=_usable_cores(),
        threads=torch.get_num_threads(),
        blas=_blas(threadpool_info()),
        torch=str(torch.__version__),
        torch_cpu_capability=torch.backends.cpu.get_cpu_capability(),
        gpu=_gpu(device),
        gpu_clock_mhz=_gpu_clock_mhz(device),
        clock_mhz=_clock_mhz(),
        load_average=_load_average(),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
    )


def _usable_cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _load_average() -> float | None:
    try:
        return os.getloadavg()[0]
    except (OSError, AttributeError):
        return None


def _cpu_model(cpuinfo: Path) -> str:
    """Return the name that Linux gives the first core, which neither psutil nor Python tells."""
    try:
        fields = (line.partition(":") for line in cpuinfo.read_text().splitlines())
        named = next(value.strip() for key, _, value in fields if key.strip() == "model name")
    except (OSError, StopIteration):
        named = ""
    return named or platform.processor() or platform.machine()


def _clock_mhz() -> float | None:
    """Return the present clock of the first core; None where the system does not tell."""
    try:
        return float(psutil.cpu_freq(percpu=True)[0].current) or None
    except (OSError, RuntimeError, AttributeError, IndexError, TypeError):
        return None  # psutil: another of these on each system


def _blas(pools: list[dict[str, Any]]) -> str | None:
    """Name the library that NumPy brought, which is the LDA's; SciPy may have brought another one."""
    found = [pool for pool in pools if pool["user_api"] == "blas"]
    if not found:
        return None
    pool = next((pool for pool in found if _is_numpys(pool)), found[0])
    return f"{pool['internal_api']} {pool['version']}, {plural(pool['num_threads'], 'thread')}"


def _is_numpys(pool: dict[str, Any]) -> bool:
    """Return whether a library lies in numpy.libs/ or numpy/.dylibs/, where NumPy's wheels have theirs."""
    folder = Path(str(pool.get("filepath", ""))).parent
    return folder.name == "numpy.libs" or folder.parent.name == "numpy"


def _gpu(device: torch.device | None) -> str | None:
    if device is None or device.type == "cpu":
        return None
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "Apple GPU"


def _gpu_clock_mhz(device: torch.device | None) -> float | None:
    """Return the present clock of a CUDA device; None where no driver's library tells it."""
    if device is None or device.type != "cuda":
        return None
    try:
        return float(torch.cuda.clock_rate(device))
    except _clock_errors():
        return None


def _clock_errors() -> tuple[type[BaseException], ...]:
    """Return what asking for a clock raises: torch's kinds, and that of NVML, which torch loads for it."""
    nvml: type[BaseException] | None = getattr(sys.modules.get("pynvml"), "NVMLError", None)
    torchs = (RuntimeError, ImportError, AttributeError, OSError, AssertionError)
    return torchs if nvml is None else (*torchs, nvml)
