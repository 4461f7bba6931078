"""One query at a time: NumPy's products for a single row on a CPU give what torch gives."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_core.students import MemoryStudent, MlpStudent, Projector
from tests.core.students.test_encoder import make_queries, make_student


def make_memory(heads: int = 2, layers: int = 2, seed: int = 0) -> Projector:
    torch.manual_seed(seed)
    student = MemoryStudent(12, heads, layers, slots=5, width=6)
    with torch.no_grad():
        for weight in student.parameters():
            weight.copy_(torch.randn_like(weight))
    return student.eval()


def make_mlp(layers: int = 2, seed: int = 0) -> Projector:
    torch.manual_seed(seed)
    return MlpStudent(12, layers, width=9, dropout=0.5).eval()


def folded(layers: int = 2, seed: int = 0) -> Projector:
    return make_student(12, 3, layers, seed=seed).fold()


def exact(student: Projector, queries: np.ndarray) -> np.ndarray:
    """Torch's own work, in float64, on all rows at once."""
    with torch.no_grad():
        projected: np.ndarray = copy.deepcopy(student).double()(torch.from_numpy(queries).double()).numpy()
    return projected


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**16),
    st.integers(1, 3),
    st.sampled_from([1, 2, 3, 6]),
    st.sampled_from([1e-3, 1.0, 50.0]),
)
def test_a_single_query_gets_what_it_gets_among_others(
    seed: int, layers: int, heads: int, length: float
) -> None:
    queries = make_queries(4, 12, seed) * np.float32(length)
    for student in (make_memory(heads, layers, seed), make_mlp(layers, seed), folded(layers, seed)):
        expected = exact(student, queries)
        scale = max(1.0, float(np.abs(expected).max()))
        for query, row in zip(queries, expected, strict=True):
            np.testing.assert_allclose(student.project(query), row, rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize("make", [make_memory, make_mlp, folded])
def test_a_row_that_carries_a_gradient_is_left_to_torch(make: Callable[[], Projector]) -> None:
    student = make()
    row = torch.from_numpy(make_queries(1, 12)).requires_grad_()
    student(row).sum().backward()
    assert row.grad is not None
    assert row.grad.abs().max() > 0


def test_a_query_of_nothing_but_zeros_has_no_direction_and_is_still_answered() -> None:
    zero = np.zeros(12, np.float32)
    student = make_memory()
    np.testing.assert_allclose(student.project(zero), exact(student, zero[None])[0], rtol=0, atol=1e-5)


def test_dropout_while_training_hits_a_single_query_too() -> None:
    student = MlpStudent(12, 2, width=64, dropout=0.5).train()
    row = torch.from_numpy(make_queries(1, 12))
    with torch.no_grad():
        assert not torch.equal(student(row), student(row))


@pytest.mark.parametrize("make", [make_memory, make_mlp, folded])
def test_a_single_query_sees_the_weights_as_they_are_now(make: Callable[[], Projector]) -> None:
    """Changed in place, moved to another precision and back, loaded, or copied."""
    student, query = make(), make_queries(1, 12)[0]

    def agrees(projector: Projector) -> bool:
        return np.allclose(projector.project(query), exact(projector, query[None])[0], atol=1e-5)

    first = student.project(query)
    with torch.no_grad():
        for weight in student.parameters():
            weight.mul_(1.5)
    assert agrees(student)
    assert not np.allclose(student.project(query), first, atol=1e-3)
    student.double().float()
    with torch.no_grad():
        for weight in student.parameters():
            weight.mul_(0.8)
    assert agrees(student)
    copied = copy.deepcopy(student)
    with torch.no_grad():
        for weight in copied.parameters():
            weight.add_(0.1)
    assert agrees(copied)
    assert agrees(student)
    student.load_state_dict(copied.state_dict())
    assert agrees(student)
