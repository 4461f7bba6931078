from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from distill_core.devices import OwnRandomState

CPU = torch.device("cpu")


def drawn_after(seed: int, count: int) -> list[float]:
    """What a generator of that seed draws first; the global state is not involved."""
    return torch.rand(count, generator=torch.Generator().manual_seed(seed)).tolist()


def test_inside_are_the_numbers_of_the_seed() -> None:
    with OwnRandomState(11, CPU):
        inside = torch.rand(5).tolist()
    assert inside == drawn_after(11, 5)


def test_it_goes_on_where_it_left_off() -> None:
    state = OwnRandomState(11, CPU)
    drawn: list[float] = []
    for count in (1, 2, 4):
        with state:
            drawn += [torch.rand(()).item() for _ in range(count)]
        torch.rand(3)
    expected = OwnRandomState(11, CPU)
    with expected:
        assert drawn == [torch.rand(()).item() for _ in range(7)]


@pytest.mark.parametrize(
    "disturb", [lambda: torch.rand(100), lambda: torch.manual_seed(5), lambda: torch.seed()]
)
def test_what_others_draw_or_seed_does_not_count(disturb: Callable[[], object]) -> None:
    state = OwnRandomState(3, CPU)
    disturb()
    with state:
        first = torch.randperm(10).tolist()
    disturb()
    with state:
        second = torch.randperm(10).tolist()
    generator = torch.Generator().manual_seed(3)
    assert [first, second] == [torch.randperm(10, generator=generator).tolist() for _ in range(2)]


def test_others_draw_as_if_it_were_not_there() -> None:
    torch.manual_seed(77)
    state = OwnRandomState(1, CPU)
    drawn = [torch.rand(()).item()]
    with state:
        torch.rand(50)
    drawn.append(torch.rand(()).item())
    generator = torch.Generator().manual_seed(77)
    assert drawn == [torch.rand((), generator=generator).item() for _ in range(2)]


def test_an_error_inside_restores_the_state_outside() -> None:
    torch.manual_seed(77)
    with contextlib.suppress(KeyError), OwnRandomState(1, CPU):
        torch.rand(50)
        raise KeyError
    assert torch.rand(4).tolist() == drawn_after(77, 4)


def test_a_state_for_the_cpu_leaves_every_accelerator_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def touched(*arguments: object) -> None:
        raise AssertionError(f"an accelerator's generator was seeded: {arguments}")

    monkeypatch.setattr(torch.cuda, "manual_seed_all", touched)
    monkeypatch.setattr(torch.cuda, "set_rng_state", touched)
    monkeypatch.setattr(torch.mps, "manual_seed", touched)
    with OwnRandomState(1, CPU):
        pass


class FakeAccelerator:
    """The default generator of a device that this machine lacks, and what torch offers to reach it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
        real = torch.Generator
        self.generator = real().manual_seed(1000)
        self.devices: list[str] = []
        monkeypatch.setattr(torch, "Generator", lambda device="cpu": real())
        module = getattr(torch, kind)
        monkeypatch.setattr(module, "get_rng_state", self.read)
        monkeypatch.setattr(module, "set_rng_state", self.write)

    def read(self, device: object = None) -> Tensor:
        self.devices.append(str(device))
        return self.generator.get_state()

    def write(self, state: Tensor, device: object = None) -> None:
        self.devices.append(str(device))
        self.generator.set_state(state)

    def draw(self) -> list[float]:
        return torch.rand(3, generator=self.generator).tolist()


@pytest.mark.parametrize(("name", "asked"), [("cuda:1", {"cuda:1"}), ("mps", {"None"})])
def test_an_accelerators_state_is_swapped_as_well(
    monkeypatch: pytest.MonkeyPatch, name: str, asked: set[str]
) -> None:
    kind = name.partition(":")[0]
    expected = drawn_after(4, 6)
    outside = torch.rand(6, generator=torch.Generator().manual_seed(1000)).tolist()
    fake = FakeAccelerator(monkeypatch, kind)
    state = OwnRandomState(4, torch.device(name))
    drawn, drawn_outside = [], fake.draw()
    for _ in range(2):
        with state:
            drawn += fake.draw()
    drawn_outside += fake.draw()
    assert drawn == expected
    assert drawn_outside == outside
    assert set(fake.devices) == asked
