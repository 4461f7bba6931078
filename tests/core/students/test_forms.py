"""The forms of the published encoder: folded for inference, one token for training."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from distill_core.students import ProjectionTransformer
from distill_core.students.encoder import folded_encoder_cost
from tests.core.students.test_encoder import make_queries, make_student

SHAPES = st.integers(1, 6).flatmap(
    lambda heads: st.tuples(st.integers(1, 8).map(lambda part: part * heads), st.just(heads))
)
"""Any d of 1 to 48 that H divides."""


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**16), SHAPES, st.integers(1, 4), st.sampled_from([1, 7, 12, 64]))
def test_folding_keeps_the_outputs(seed: int, shape: tuple[int, int], layers: int, ff_dim: int) -> None:
    dimension, heads = shape
    student = make_student(dimension, heads, layers, ff_dim, seed=seed)
    with torch.no_grad():
        for weight in student.parameters():  # as large as trained ones, whatever d is
            weight.mul_(min(1.0, 8 / dimension) ** 0.5)
    queries = make_queries(6, dimension, seed)
    expected = student.project(queries)
    scale = np.abs(expected).max()
    folded, tolerance = student.fold(), 1e-5 * max(scale, 1)
    np.testing.assert_allclose(folded.project(queries), expected, rtol=0, atol=tolerance)
    np.testing.assert_allclose(folded.project(queries[0]), expected[0], rtol=0, atol=tolerance)


@pytest.mark.parametrize(("heads", "layers"), [(1, 1), (4, 2), (6, 4)])
def test_folding_keeps_the_outputs_at_full_size(heads: int, layers: int) -> None:
    torch.manual_seed(heads)
    student, queries = ProjectionTransformer(384, heads, layers).eval(), make_queries(40, 384)
    expected = student.project(queries)
    tolerance = 1e-5 * max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(student.fold().project(queries), expected, rtol=0, atol=tolerance)


def test_a_folded_published_student_is_about_half_as_large() -> None:
    folded = ProjectionTransformer().fold()
    assert folded.num_parameters == folded_encoder_cost(384, 2, 512).parameters
    assert 1_225_000 < folded.num_parameters < 1_235_000
    assert not any(weight.requires_grad for weight in folded.parameters())


def test_folding_copies() -> None:
    student = make_student()
    folded, queries = student.fold(), make_queries()
    before = folded.project(queries)
    with torch.no_grad():
        for weight in student.parameters():
            weight.zero_()
    np.testing.assert_array_equal(folded.project(queries), before)


def gradients(form: nn.Module, student: nn.Module, queries: Tensor, targets: Tensor) -> list[Tensor]:
    (form(queries) - targets).square().sum().backward()
    return [weight.grad for weight in student.parameters() if weight.grad is not None]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**16), st.sampled_from([(8, 2), (12, 3), (15, 5)]), st.integers(1, 3))
def test_the_training_form_has_the_plain_networks_gradients(
    seed: int, shape: tuple[int, int], layers: int
) -> None:
    dimension, heads = shape
    plain = make_student(dimension, heads, layers, dropout=0.0, seed=seed).double().train()
    student = copy.deepcopy(plain)
    form = student.training_form().train()
    queries, targets = (torch.from_numpy(make_queries(6, dimension, seed + i)).double() for i in (0, 1))
    torch.testing.assert_close(form(queries), plain(queries), rtol=0, atol=1e-9)
    (plain(queries) - targets).square().sum().backward()
    (form(queries) - targets).square().sum().backward()
    expected = {name: weight.grad for name, weight in plain.named_parameters()}
    for number, layer in enumerate(form.layers):
        attention = f"encoder.layers.{number}.self_attn.in_proj"
        for name, weight in (("weight", layer.value_weight), ("bias", layer.value_bias)):
            whole = expected.pop(f"{attention}_{name}")
            assert whole is not None
            assert whole[: 2 * dimension].abs().max() < 1e-12  # queries and keys learn nothing
            torch.testing.assert_close(weight.grad, whole[2 * dimension :], rtol=1e-9, atol=1e-9)
    own = dict(student.named_parameters())
    assert len(expected) == len(own) - 2 * layers
    for name, gradient in expected.items():
        torch.testing.assert_close(own[name].grad, gradient, rtol=1e-9, atol=1e-9)


def test_a_step_on_the_training_form_is_one_on_the_student() -> None:
    student = make_student(dropout=0.0)
    queries = make_queries()
    before = student.project(queries)
    form = student.training_form()
    optimizer = torch.optim.AdamW(form.parameters(), lr=0.01)
    form(torch.from_numpy(queries)).square().sum().backward()
    optimizer.step()
    after = student.project(queries)
    assert np.abs(after - before).max() > 1e-3
    with torch.no_grad():
        np.testing.assert_allclose(form.eval()(torch.from_numpy(queries)).numpy(), after, atol=1e-5)
    values = student.encoder.layers[0].self_attn.in_proj_weight
    assert not torch.equal(values, make_student(dropout=0.0).encoder.layers[0].self_attn.in_proj_weight)


def test_dropout_acts_in_the_training_form_alike() -> None:
    """Means over many draws agree with the plain network's, whose attention drops whole heads."""
    student = make_student(8, 4, 1, dropout=0.3).train()
    form = student.training_form().train()
    rows = torch.from_numpy(make_queries(1)).expand(20_000, -1)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        plain, shortcut = student(rows), form(rows)
    torch.testing.assert_close(shortcut.mean(0), plain.mean(0), rtol=0, atol=0.05)
    torch.testing.assert_close(shortcut.std(0), plain.std(0), rtol=0.05, atol=0.02)


@pytest.mark.parametrize("heads", [1, 2, 4, 8])
def test_the_number_of_heads_changes_no_form(heads: int) -> None:
    student, other = make_student(8, 2), make_student(8, heads)
    other.load_state_dict(student.state_dict())
    queries = make_queries()
    np.testing.assert_allclose(
        other.fold().project(queries), student.fold().project(queries), rtol=0, atol=1e-5
    )
