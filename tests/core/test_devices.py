from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
import torch

from distill_core.devices import cpu_threads, resolve_device, synchronize
from distill_core.errors import DeviceError

Machine = Callable[[bool, bool], None]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Pretend that cuda and mps are there or not."""

    def pretend(cuda: bool, mps: bool) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return pretend


@pytest.mark.parametrize(
    ("cuda", "mps", "kind"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_takes_cuda_then_mps_then_cpu(machine: Machine, cuda: bool, mps: bool, kind: str) -> None:
    machine(cuda, mps)
    assert resolve_device() == torch.device(kind)
    assert resolve_device("auto") == torch.device(kind)


def test_a_device_that_is_there_is_taken(machine: Machine) -> None:
    machine(True, True)
    for name in ("cpu", "mps", "cuda", "cuda:1"):
        assert resolve_device(name) == torch.device(name)


@pytest.mark.parametrize(
    ("name", "have"), [("cuda", "mps, cpu"), ("cuda:1", "mps, cpu"), ("tpu", "mps, cpu")]
)
def test_a_device_that_is_not_there_is_refused(machine: Machine, name: str, have: str) -> None:
    machine(False, True)
    with pytest.raises(DeviceError) as caught:
        resolve_device(name)
    assert name in caught.value.message
    assert caught.value.hint.endswith(f"{have}.")


@pytest.mark.parametrize(("name", "waits"), [("cpu", []), ("cuda:1", ["cuda:1"]), ("mps", ["mps"])])
def test_waiting_is_for_the_device_itself(
    monkeypatch: pytest.MonkeyPatch, name: str, waits: list[str]
) -> None:
    waited: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: waited.append(str(device)))
    monkeypatch.setattr(torch.mps, "synchronize", lambda: waited.append("mps"))
    synchronize(torch.device(name))
    assert waited == waits


@pytest.mark.parametrize(("count", "calls"), [(0, []), (3, [3, 8])])
def test_the_number_of_threads_holds_inside_only(
    monkeypatch: pytest.MonkeyPatch, count: int, calls: list[int]
) -> None:
    made: list[int] = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(torch, "set_num_threads", made.append)
    with contextlib.suppress(KeyError), cpu_threads(count):
        assert made == calls[:1]
        raise KeyError
    assert made == calls
