from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import msgspec
import psutil
import pytest
import torch

from distill_core.devices import cpu_threads
from distill_core.latency import MachineRecord, read_machine
from distill_core.latency.timing import machine

CPUINFO = "processor\t: 0\nmodel name\t: Fast CPU: mark 2\n\nprocessor\t: 1\nmodel name\t: Other CPU\n"


@pytest.fixture
def cpuinfo(tmp_path: Path) -> Path:
    (tmp_path / "cpuinfo").write_text(CPUINFO)
    return tmp_path / "cpuinfo"


def test_the_model_and_the_clock_are_those_of_the_first_core(
    cpuinfo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clocks = [SimpleNamespace(current=mhz) for mhz in (2300.5, 1.0)]
    monkeypatch.setattr(psutil, "cpu_freq", lambda *, percpu: clocks if percpu else None)
    record = read_machine(cpuinfo=cpuinfo)
    assert record.cpu == "Fast CPU: mark 2"
    assert record.clock_mhz == 2300.5


@pytest.mark.parametrize("told", [None, [], [SimpleNamespace(current=0.0)], OSError(), NotImplementedError()])
def test_a_machine_that_tells_nothing_still_has_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Exception | list[SimpleNamespace] | None
) -> None:
    def unknown() -> tuple[float, float, float]:
        raise OSError

    def clocks(*, percpu: bool) -> list[SimpleNamespace] | None:
        if isinstance(told, Exception):
            raise told
        return told

    monkeypatch.setattr(os, "getloadavg", unknown)
    monkeypatch.setattr(psutil, "cpu_freq", clocks)
    monkeypatch.setattr(machine, "threadpool_info", list)
    record = read_machine(cpuinfo=tmp_path / "none")
    assert record.cpu
    assert (record.clock_mhz, record.load_average, record.blas, record.gpu) == (None, None, None, None)
    assert not record.is_busy


def test_threads_are_those_that_are_set_now() -> None:
    with cpu_threads(1):
        record = read_machine()
    assert record.threads == 1
    assert record.torch == torch.__version__
    assert record.blas is None or record.blas.endswith(", 1 thread")
    assert 1 <= record.usable_cores <= record.cores


@pytest.mark.parametrize(("threads", "words"), [(1, "mkl 2024, 1 thread"), (4, "mkl 2024, 4 threads")])
def test_the_blas_is_named_with_its_threads(
    monkeypatch: pytest.MonkeyPatch, threads: int, words: str
) -> None:
    pools = [
        {"user_api": "openmp", "internal_api": "openmp", "version": None, "num_threads": 2},
        {"user_api": "blas", "internal_api": "mkl", "version": "2024", "num_threads": threads},
    ]
    monkeypatch.setattr(machine, "threadpool_info", lambda: pools)
    assert read_machine().blas == words


@pytest.mark.parametrize("folder", ["numpy.libs", "numpy/.dylibs"])
def test_the_blas_is_numpys_even_where_scipys_comes_first(
    monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    pool = {"user_api": "blas", "internal_api": "openblas", "num_threads": 1}
    pools = [
        {**pool, "version": "0.3.30", "filepath": "/numpy/lib/scipy.libs/libscipy_openblas.so"},
        {**pool, "version": "0.3.31", "filepath": f"/numpy/lib/{folder}/libscipy_openblas64_.so"},
    ]
    monkeypatch.setattr(machine, "threadpool_info", lambda: pools)
    assert read_machine().blas == "openblas 0.3.31, 1 thread"


def test_the_blas_of_this_machine_stays_the_same_once_scipy_is_loaded() -> None:
    before = read_machine().blas
    import_module("scipy.linalg")
    assert read_machine().blas == before


class NvmlError(Exception):
    """As NVML's own, which is no RuntimeError."""


@pytest.mark.parametrize("error", [None, RuntimeError("no driver"), ImportError("pynvml"), NvmlError()])
def test_the_clock_of_the_gpu_is_read_where_it_can_be(
    monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    def clock_rate(device: torch.device) -> int:
        if error is not None:
            raise error
        return 1_980

    monkeypatch.setitem(sys.modules, "pynvml", SimpleNamespace(NVMLError=NvmlError))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Fast GPU")
    monkeypatch.setattr(torch.cuda, "clock_rate", clock_rate)
    assert read_machine(torch.device("cuda")).gpu_clock_mhz == (1_980.0 if error is None else None)
    assert read_machine().gpu_clock_mhz is None


@pytest.mark.parametrize(("device", "gpu"), [("cpu", None), ("cuda", "Fast GPU"), ("mps", "Apple GPU")])
def test_the_gpu_is_named_if_it_is_used(
    monkeypatch: pytest.MonkeyPatch, device: str, gpu: str | None
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Fast GPU")
    assert read_machine(torch.device(device)).gpu == gpu


@pytest.mark.parametrize(("load", "busy"), [(0.2, False), (1.0, False), (1.2, True)])
def test_a_machine_is_busy_above_half_its_cores(
    monkeypatch: pytest.MonkeyPatch, load: float, busy: bool
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    assert read_machine().is_busy is busy


def test_the_record_goes_through_json() -> None:
    record = read_machine()
    assert msgspec.json.decode(msgspec.json.encode(record), type=MachineRecord) == record
