"""The three contestants of the crossover at each N: the LDA, a fixed student, and one that grows."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import torch

from distill_core.architecture import BOOK_HEADS, Cost, default_architecture, lda_cost
from distill_core.arrays import Matrix
from distill_core.devices import synchronize
from distill_core.latency.crossover import BreakEven
from distill_core.latency.growing_teacher import GrowingTeacher
from distill_core.latency.timing.calls import (
    AnyStudent,
    Call,
    Form,
    Project,
    given,
    lda_call,
    lda_form,
    query_batches,
    runner_call,
)
from distill_core.students import ProjectionTransformer
from distill_core.students.encoder import folded_encoder_cost
from distill_core.students.kinds import running_cost

_FF_DIM = 512


class CallsAtN(NamedTuple):
    """Calls of the three at one N and one batch size, and the layers of the students."""

    lda: Sequence[Call]
    fixed: Sequence[Call]
    grown: Sequence[Call]
    fixed_layers: int | None
    grown_layers: int


class CrossoverContestants(Protocol):
    """What the search times at each N; `GrowingContestants` builds them."""

    in_order: bool

    def calls(self, num_heads: int, batch_size: int) -> CallsAtN:
        """Return the calls at one point."""

    def real_heads(self, num_heads: int) -> int:
        """Return how many of N heads are real."""

    def synchronize(self) -> None:
        """Wait for the device."""


class GrowingContestants:
    """Builds the contestants on one device.

    On a CPU the LDA runs in NumPy. A student that is a torch module is timed by its forward pass on tensors
    of the device, any other by its `project`.

    Args:
        teacher: Gives the heads of every N.
        student: The student of fixed size and of any kind; timed folded, if it can be. Those that grow are
            published encoders, folded.
        queries: (n, d) float32.
        device: Where all of them run.

    Attributes:
        grown_heads: H of the student that grows.
        folded: Whether the fixed student is timed folded.
        in_order: Whether a call has finished when it returns, as on a CPU.

    Raises:
        SettingsError: The student is no torch module and the device is not the CPU.
    """

    def __init__(
        self,
        teacher: GrowingTeacher,
        student: AnyStudent,
        queries: Matrix,
        device: torch.device,
    ) -> None:
        self.teacher = teacher
        self.grown_heads, _ = default_architecture(teacher.num_real, teacher.dimension)
        self._power_of = self.grown_heads if self.grown_heads > 1 else BOOK_HEADS
        form = _inference_form(student)
        self.folded = form is not student
        self.in_order = device.type == "cpu"
        self._device = device
        self._queries = queries
        self._fixed_layers: int | None = getattr(student, "num_layers", None)
        self._fixed_cost = running_cost(student)
        self._ff_dim: int = getattr(student, "ff_dim", _FF_DIM)
        self._fixed = self._runner(form)
        self._grown: tuple[int, tuple[Project, Form]] | None = None
        self._lda: tuple[int, Project] | None = None

    def _build(self, num_heads: int) -> None:
        """Make the LDA of N heads ready, after letting go of the one before."""
        if self._lda is None or self._lda[0] != num_heads:
            self._lda = None
            self._lda = num_heads, lda_call(self.teacher.grown(num_heads), self._device)

    def calls(self, num_heads: int, batch_size: int) -> CallsAtN:
        """Return the calls at one point; the same queries for all three."""
        self._build(num_heads)
        assert self._lda is not None
        layers = covering_layers(num_heads, self._power_of)
        if self._grown is None or self._grown[0] != layers:
            self._grown = layers, self._runner(self._untrained(layers).fold())
        return CallsAtN(
            lda=self._calls(self._lda[1], batch_size, lda_form(self._device)),
            fixed=self._calls(self._fixed[0], batch_size, self._fixed[1]),
            grown=self._calls(self._grown[1][0], batch_size, self._grown[1][1]),
            fixed_layers=self._fixed_layers,
            grown_layers=layers,
        )

    def real_heads(self, num_heads: int) -> int:
        """Return how many of N heads are real."""
        return self.teacher.num_real_of(num_heads)

    def synchronize(self) -> None:
        """Wait for the device."""
        synchronize(self._device)

    def break_even(self) -> BreakEven:
        """Return the break-even in operations and in parameters, by arithmetic."""
        dimension = self.teacher.dimension
        fixed: list[int | None] = [None, None]
        if self._fixed_cost is not None:
            fixed = [break_even_heads(of, self._fixed_cost, dimension) for of in (_flops, _parameters)]
        flops, parameters = (
            growing_break_even_heads(of, self._power_of, dimension, self._ff_dim)
            for of in (_flops, _parameters)
        )
        return BreakEven(
            fixed_flops=fixed[0], fixed_parameters=fixed[1], grown_flops=flops, grown_parameters=parameters
        )

    def _runner(self, runner: AnyStudent) -> tuple[Project, Form]:
        """Return what is timed of a student in its form for inference, and what that takes."""
        own = _copy_on(runner, self._device) if isinstance(runner, torch.nn.Module) else runner
        return runner_call(own, self._device)

    def _untrained(self, layers: int) -> ProjectionTransformer:
        with torch.random.fork_rng(devices=[]):
            return ProjectionTransformer(self.teacher.dimension, self.grown_heads, layers, self._ff_dim)

    def _calls(self, project: Project, batch_size: int, form: Form) -> list[Call]:
        batches = query_batches(self._queries, batch_size)
        return [partial(project, given(batch, form, self._device)) for batch in batches]


def _inference_form(student: AnyStudent) -> AnyStudent:
    fold: Callable[[], AnyStudent] | None = getattr(student, "fold", None)
    return student if fold is None else fold()


def _copy_on(module: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    """Return the module on the device in evaluation; a copy, so that the user's stays as it is."""
    return copy.deepcopy(module).to(device).eval()


def _flops(cost: Cost) -> int:
    return cost.flops


def _parameters(cost: Cost) -> int:
    return cost.parameters


def covering_layers(num_heads: int, heads: int) -> int:
    """Return the smallest L >= 1 with H^L >= N, for H >= 2."""
    layers = 1
    while heads**layers < num_heads:
        layers += 1
    return layers


def break_even_heads(cost_of: Callable[[Cost], int], student: Cost, dimension: int) -> int:
    """Return the smallest N at which the LDA costs at least as much as a student of fixed size."""
    return math.ceil((cost_of(student) - cost_of(lda_cost(0, dimension))) / _per_head(cost_of, dimension))


def growing_break_even_heads(cost_of: Callable[[Cost], int], heads: int, dimension: int, ff_dim: int) -> int:
    """Return the smallest N at which the LDA costs at least as much as the folded encoder with H^L >= N."""
    layers = 1
    while True:
        student = folded_encoder_cost(dimension, layers, ff_dim)
        smallest = heads ** (layers - 1) + 1 if layers > 1 else 1
        found = max(break_even_heads(cost_of, student, dimension), smallest)
        if found <= heads**layers:
            return found
        layers += 1


def _per_head(cost_of: Callable[[Cost], int], dimension: int) -> int:
    return cost_of(lda_cost(1, dimension)) - cost_of(lda_cost(0, dimension))
