from __future__ import annotations

import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from distill_core.database import LdaDatabase
from distill_core.errors import SettingsError, VectorError
from distill_core.evaluation import evaluate
from distill_core.students import EncoderConfig, ProjectionTransformer, load_student, new_student

Floats = NDArray[np.float32]


def make_student(
    dimension: int = 8,
    heads: int = 2,
    layers: int = 2,
    ff_dim: int = 12,
    *,
    dropout: float = 0.1,
    seed: int = 0,
) -> ProjectionTransformer:
    """A student whose every weight is random: fresh biases and layer norms would hide errors."""
    student = ProjectionTransformer(dimension, heads, layers, ff_dim, dropout)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in student.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) * 0.4)
    return student


def make_queries(num_queries: int = 5, dimension: int = 8, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=(num_queries, dimension)).astype(np.float32)


def layer_norm(rows: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    centred = rows - rows.mean(dim=-1, keepdim=True)
    variance = (centred**2).mean(dim=-1, keepdim=True)
    return centred / torch.sqrt(variance + 1e-5) * scale + shift


def gelu(rows: Tensor) -> Tensor:
    return rows * 0.5 * (1 + torch.erf(rows / math.sqrt(2)))


def forward_by_hand(student: ProjectionTransformer, queries: Floats) -> Floats:
    """The published network in float64: over one key, attention is W_o (W_v x + b_v) + b_o."""
    weights = {name: weight.detach().double() for name, weight in student.named_parameters()}

    def linear(rows: Tensor, name: str) -> Tensor:
        return rows @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    rows = linear(torch.from_numpy(queries).double(), "input_proj")
    d = queries.shape[1]
    for number in range(student.num_layers):
        layer = f"encoder.layers.{number}"
        value = weights[f"{layer}.self_attn.in_proj_weight"][2 * d :]
        value_bias = weights[f"{layer}.self_attn.in_proj_bias"][2 * d :]
        attended = linear(rows @ value.T + value_bias, f"{layer}.self_attn.out_proj")
        rows = layer_norm(rows + attended, weights[f"{layer}.norm1.weight"], weights[f"{layer}.norm1.bias"])
        hidden = linear(gelu(linear(rows, f"{layer}.linear1")), f"{layer}.linear2")
        rows = layer_norm(rows + hidden, weights[f"{layer}.norm2.weight"], weights[f"{layer}.norm2.bias"])
    projected: Floats = linear(rows, "output_proj").float().numpy()
    return projected


@settings(max_examples=25)
@given(st.integers(0, 2**16), st.sampled_from([(8, 1), (8, 4), (12, 3), (15, 5)]), st.integers(1, 3))
def test_it_is_the_published_network(seed: int, shape: tuple[int, int], layers: int) -> None:
    dimension, heads = shape
    student = make_student(dimension, heads, layers, seed=seed)
    queries = make_queries(4, dimension, seed)
    np.testing.assert_allclose(
        student.project(queries), forward_by_hand(student, queries), rtol=1e-4, atol=1e-5
    )


def test_the_published_checkpoint_gives_the_published_output(reference_db: Path) -> None:
    expected = np.load(reference_db / "n18_expected.npz")
    student = load_student(reference_db / "reference_student_h4_l2.pt")
    with LdaDatabase(reference_db / "n18" / "lda.db") as database:
        teacher = database.teacher(1)
        _, queries = database.queries(1)
    projected = student.project(queries)
    np.testing.assert_allclose(projected, expected["student_output"], rtol=0, atol=1e-5)

    published = json.loads((reference_db / "reference_student_eval.json").read_text())
    evaluation = evaluate(projected[112:], teacher.project(queries[112:]))
    assert evaluation.n == published["n_samples"]
    assert evaluation.mse == pytest.approx(published["mean_mse"], abs=1e-5)
    assert evaluation.cosine.mean == pytest.approx(published["mean_cosine_sim"], abs=1e-5)
    assert evaluation.cosine.sd == pytest.approx(published["std_cosine_sim"], abs=1e-5)
    assert evaluation.cosine.min == pytest.approx(published["min_cosine_sim"], abs=1e-5)
    assert evaluation.cosine.max == pytest.approx(published["max_cosine_sim"], abs=1e-5)


def test_the_published_size_and_shape() -> None:
    student = ProjectionTransformer()
    assert student.num_parameters == 2_269_696
    layer = student.encoder.layers[0]
    assert layer.self_attn.num_heads == 4
    assert layer.dropout.p == 0.1
    assert not layer.norm_first


@pytest.mark.parametrize("heads", [1, 3, 4, 6, 12])
def test_the_number_of_heads_changes_nothing(heads: int) -> None:
    student, other = make_student(12, 2), make_student(12, heads)
    other.load_state_dict(student.state_dict())
    queries = make_queries(6, 12)
    np.testing.assert_allclose(other.project(queries), student.project(queries), rtol=0, atol=1e-5)


def test_queries_and_keys_of_attention_get_no_gradient() -> None:
    student = make_student()
    student(torch.from_numpy(make_queries())).square().sum().backward()
    gradient = student.encoder.layers[0].self_attn.in_proj_weight.grad
    assert gradient is not None
    assert gradient[:16].abs().max() == 0
    assert gradient[16:].abs().max() > 0


def test_the_outer_maps_start_xavier_uniform_without_bias() -> None:
    student = ProjectionTransformer(48, 4, 1, 16)
    limit = math.sqrt(6 / (48 + 48))
    for linear in (student.input_proj, student.output_proj):
        largest = linear.weight.abs().max().item()
        assert 0.98 * limit < largest <= limit
        assert linear.weight.std().item() == pytest.approx(limit / math.sqrt(3), rel=0.05)
        assert linear.bias.abs().max().item() == 0


def test_the_initial_weights_come_from_torchs_random_state() -> None:
    with torch.random.fork_rng():
        states = []
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            states.append(new_student(EncoderConfig(), 8, 4).state_dict())
    first, again, other = states
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["input_proj.weight"], other["input_proj.weight"])


def test_a_student_has_the_shape_of_its_settings() -> None:
    config = EncoderConfig(heads=3, layers=2, ff_dim=7, dropout=0.25)
    student = new_student(config, 6, 4)
    assert isinstance(student, ProjectionTransformer)
    assert (student.embed_dim, student.num_heads, student.num_layers) == (6, 3, 2)
    assert len(student.encoder.layers) == 2
    assert student.encoder.layers[1].linear1.weight.shape == (7, 6)
    assert student.encoder.layers[1].self_attn.num_heads == 3
    assert student.encoder.layers[1].dropout1.p == 0.25


def test_one_query_equals_its_row_of_a_batch() -> None:
    student, queries = make_student(), make_queries()
    batch = student.project(queries)
    assert batch.shape == queries.shape
    assert batch.dtype == np.float32
    one = student.project(queries[2])
    assert one.shape == (8,)
    np.testing.assert_allclose(one, batch[2], rtol=0, atol=1e-5)
    assert student.project(np.empty((0, 8))).shape == (0, 8)


@pytest.mark.parametrize("training", [True, False])
def test_projecting_uses_no_dropout_and_keeps_the_mode(training: bool) -> None:
    student, queries = make_student(dropout=0.5).train(training), make_queries()
    state = torch.get_rng_state()
    np.testing.assert_allclose(
        student.project(queries), forward_by_hand(student, queries), rtol=1e-4, atol=1e-5
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in student.modules()] == [training] * len(list(student.modules()))


def test_dropout_works_while_training() -> None:
    student, queries = make_student(dropout=0.5).train(), torch.from_numpy(make_queries())
    assert not torch.equal(student(queries), student(queries))


def test_an_error_while_projecting_keeps_the_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    student = make_student().train()
    monkeypatch.setattr(student.output_proj, "forward", lambda rows: rows / "nothing")
    with pytest.raises(TypeError):
        student.project(make_queries())
    assert student.training


def test_queries_may_be_lists_float64_or_read_only() -> None:
    student, queries = make_student(), make_queries()
    expected = student.project(queries)
    queries.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for same in (queries, queries.astype(np.float64), queries.tolist()):
            np.testing.assert_array_equal(student.project(same), expected)


@pytest.mark.parametrize("shape", [(), (7,), (2, 7), (8, 0), (1, 2, 8)])
def test_queries_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(VectorError, match="dimension 8"):
        make_student().project(np.ones(shape))


@pytest.mark.parametrize("heads", [0, 3, 5, 16])
def test_heads_that_do_not_divide_the_dimension_are_refused(heads: int) -> None:
    with pytest.raises(SettingsError) as caught:
        ProjectionTransformer(8, heads)
    assert caught.value.field == "heads"
