from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from distill_core.config import DataConfig, RunConfig
from distill_core.errors import CheckpointError, SettingsError
from distill_core.evaluation.merged_teacher import merge_heads
from distill_core.students import (
    EncoderConfig,
    MemoryConfig,
    MemoryStudent,
    MlpConfig,
    MlpStudent,
    load_student,
    new_student,
    save_student,
)
from distill_core.students.encoder import encoder_cost
from distill_core.students.memory import memory_cost
from distill_core.students.mlp import mlp_cost, mlp_width
from distill_core.students.spec import StudentConfig
from distill_core.teacher import MultiHeadLDA

Floats = NDArray[np.float32]


def make_teacher(num_heads: int = 6, dimension: int = 8, seed: int = 0) -> MultiHeadLDA:
    rng = np.random.default_rng(seed)
    return MultiHeadLDA(
        rng.normal(size=(num_heads, dimension)), rng.normal(size=(num_heads, dimension)), temperature=0.2
    )


def make_queries(count: int = 5, dimension: int = 8) -> Floats:
    return np.random.default_rng(7).normal(size=(count, dimension)).astype(np.float32)


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def random_memory(heads: int, layers: int, slots: int = 5, width: int = 8) -> MemoryStudent:
    student = MemoryStudent(8, heads, layers, slots, width)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in student.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) * 0.5)
    return student


def by_hand(student: MemoryStudent, queries: Floats) -> Any:  # noqa: ANN401 - an array
    """Loops over layers, heads and slots in float64."""
    weights = {name: weight.detach().double().numpy() for name, weight in student.named_parameters()}
    part = student.width // student.num_heads
    rows = queries / np.linalg.norm(queries, axis=1, keepdims=True).astype(np.float64)
    for number in range(student.num_layers):
        w = {name: weights[f"layers.{number}.{name}"] for name in ("keys", "biases", "log_scale", "values")}
        asked = (
            rows / np.linalg.norm(rows, axis=1, keepdims=True) @ weights[f"layers.{number}.query.weight"].T
        )
        mixed = []
        for head in range(student.num_heads):
            own = asked[:, head * part : (head + 1) * part] * np.exp(w["log_scale"][head])
            scores = np.stack(
                [own @ w["keys"][head, k] + w["biases"][head, k] for k in range(student.slots)], axis=1
            )
            mixed.append(softmax(scores) @ w["values"][head])
        out = np.concatenate(mixed, axis=1) @ weights[f"layers.{number}.output.weight"].T
        out = out + weights[f"layers.{number}.output.bias"]
        rows = out if number == student.num_layers - 1 else rows + out
    return rows


@pytest.mark.parametrize(("heads", "layers"), [(1, 1), (2, 1), (4, 2), (8, 3)])
def test_it_is_attention_over_slots(heads: int, layers: int) -> None:
    student, queries = random_memory(heads, layers), make_queries()
    np.testing.assert_allclose(student.project(queries), by_hand(student, queries), rtol=1e-4, atol=1e-5)


def test_heads_count() -> None:
    """The same numbers cut into other heads are another function, unlike in the encoder."""
    one, two = random_memory(1, 1, slots=4), random_memory(2, 1, slots=4)
    with torch.no_grad():
        for mine, other in zip(two.parameters(), one.parameters(), strict=True):
            mine.copy_(other.reshape(-1).repeat(2)[: mine.numel()].reshape(mine.shape))
    queries = make_queries()
    assert np.abs(one.project(queries) - two.project(queries)).max() > 0.01


def test_with_all_slots_and_the_whole_width_it_starts_as_the_teacher() -> None:
    teacher, queries = make_teacher(), make_queries()
    student = MemoryStudent(8, 1, 1, slots=6, width=8)
    student.start_from(teacher)
    np.testing.assert_allclose(student.project(queries), teacher.project(queries), rtol=0, atol=1e-5)


def test_with_fewer_slots_it_starts_as_the_merged_teacher() -> None:
    teacher, queries = make_teacher(num_heads=9), make_queries()
    student = MemoryStudent(8, 1, 1, slots=4, width=8)
    student.start_from(teacher, seed=2)
    merged = merge_heads(teacher, 4, seed=2)
    np.testing.assert_allclose(student.project(queries), merged.project(queries), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("heads", "layers", "width"), [(2, 1, 8), (1, 3, 4), (4, 2, 8)])
def test_a_start_in_any_shape_is_finite_and_repeatable(heads: int, layers: int, width: int) -> None:
    outputs = []
    for _ in range(2):
        student = MemoryStudent(8, heads, layers, 4, width)
        student.start_from(make_teacher(), seed=5)
        outputs.append(student.project(make_queries()))
    assert np.isfinite(outputs[0]).all()
    np.testing.assert_array_equal(outputs[0], outputs[1])


def test_lower_layers_start_by_passing_the_query_on() -> None:
    teacher, queries = make_teacher(), make_queries()
    deep, flat = MemoryStudent(8, 1, 3, 6, 8), MemoryStudent(8, 1, 1, 6, 8)
    deep.start_from(teacher)
    flat.start_from(teacher)
    np.testing.assert_allclose(deep.project(queries), flat.project(queries), rtol=0, atol=0.05)


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(SettingsError, match="does not divide the width 96"):
        MemoryStudent(384, 5, 1, 4, 96)


@pytest.mark.parametrize(
    "config",
    [
        MemoryConfig(heads=4, layers=2, slots=5, width=96),
        MemoryConfig(heads=1, layers=1, slots=500, width=6),
        MlpConfig(layers=1, ff_dim=20),
        MlpConfig(layers=3, ff_dim=20),
        EncoderConfig(heads=2, layers=2, ff_dim=9),
    ],
)
def test_the_cost_counts_the_parameters_that_are_there(config: StudentConfig) -> None:
    student = new_student(config, dimension=8, num_heads=7)
    assert student.num_parameters == config.cost(8, 7).parameters


def test_a_memory_never_has_more_slots_than_the_teacher_heads() -> None:
    assert MemoryConfig(slots=1024).fitting(384, 30).slots == 30
    student = new_student(MemoryConfig(heads=1, layers=1, slots=1024), 8, 30)
    assert isinstance(student, MemoryStudent)
    assert student.slots == 30


def test_half_the_teachers_parameters_at_535_heads() -> None:
    cost = MemoryConfig(heads=1, layers=1).cost(384, 535)
    assert cost == memory_cost(384, 1, 1, 535, 96)
    assert 2 * cost.parameters < 2 * 535 * 384


@pytest.mark.parametrize("layers", [1, 2, 4])
@pytest.mark.parametrize("ff_dim", [64, 512])
def test_the_mlp_has_the_encoders_parameters_or_a_little_less(layers: int, ff_dim: int) -> None:
    encoder = encoder_cost(384, layers, ff_dim).parameters
    width = mlp_width(384, layers, ff_dim)
    assert mlp_cost(384, layers, width).parameters <= encoder < mlp_cost(384, layers, width + 1).parameters


def test_the_mlp_is_layers_of_gelu() -> None:
    student, queries = MlpStudent(8, 2, 5), make_queries()
    rows = torch.from_numpy(queries)
    weights = dict(student.named_parameters())
    for number in range(2):
        weight, bias = (weights[f"hidden.{number}.0.{name}"] for name in ("weight", "bias"))
        rows = torch.nn.functional.gelu(rows @ weight.T + bias)
    expected = (rows @ student.output.weight.T + student.output.bias).detach().numpy()
    np.testing.assert_allclose(student.project(queries), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "student", [random_memory(2, 2), MlpStudent(8, 2, 5, 0.25), MemoryStudent(8, 1, 1, 4, 6)]
)
def test_every_kind_survives_its_file(student: MemoryStudent | MlpStudent, tmp_path: Path) -> None:
    config = RunConfig(data=DataConfig(database="lda.db"))
    loaded = load_student(save_student(student, tmp_path / "s.safetensors", config))
    assert type(loaded) is type(student)
    assert loaded.shape == student.shape
    np.testing.assert_array_equal(loaded.project(make_queries()), student.project(make_queries()))


def test_the_reference_layout_holds_the_encoder_only(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="memory has no place in the reference's"):
        save_student(random_memory(1, 1), tmp_path / "s.pt")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("student", [random_memory(2, 2), MlpStudent(8, 2, 5)])
def test_the_output_scales(student: MemoryStudent | MlpStudent) -> None:
    queries = make_queries()
    before = student.project(queries)
    student.scale_output(2.5)
    np.testing.assert_allclose(student.project(queries), 2.5 * before, rtol=1e-5, atol=1e-6)
    student.scale_output(0.4)


def test_a_width_above_the_dimension_is_refused() -> None:
    with pytest.raises(SettingsError, match="more than the dimension 8"):
        MemoryStudent(8, 1, 1, 4, 9)
