from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from distill_core.errors import CheckpointError, ExportError, SettingsError, VectorError
from distill_core.students import RoutedConfig, load_student, new_student, save_student
from distill_core.students.kinds import running_cost
from distill_core.students.networks.code_index import CodeIndex
from distill_core.students.networks.head_rows import HeadRows
from distill_core.students.networks.routed import FIGURES, RoutedStudent
from distill_core.students.networks.routed_fields import Far
from distill_core.students.routed import LDA, Near, Storage
from distill_core.teacher import MultiHeadLDA

HEADS, DIMENSION, CELLS, TAU = 200, 16, 8, 0.2
NEARS: tuple[Near, ...] = ("scan", "cells", "lda")
STORAGES: tuple[Storage, ...] = ("float32", "float16", "int8")


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def vectors(count: int, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((count, DIMENSION), np.float32)


def make_student(
    near: Near, storage: Storage = "float32", opened: int = 3, refined: int = HEADS
) -> RoutedStudent:
    """A student whose scan refines every head: its near ones are the k best whatever the codes say."""
    rng = np.random.default_rng(3)
    keys, answers = unit(vectors(HEADS, 1)), vectors(HEADS, 2)
    rung = {"scan": (opened, refined, 4), "cells": (opened, 0, 0), "lda": (0, 0, 0)}[near]
    student = RoutedStudent(DIMENSION, HEADS, 2, 3, near, *rung, storage=storage, temperature=TAU)
    far = Far(
        np.sort(rng.integers(CELLS, size=HEADS, dtype=np.int32)),
        vectors(CELLS, 4),
        rng.standard_normal((CELLS + DIMENSION + 1, DIMENSION), np.float32) / np.float32(10),
        rng.standard_normal(CELLS + DIMENSION + 1).astype(np.float32),
    )
    index = CodeIndex.fitted(keys, 4) if near == "scan" else None
    stored = [HeadRows.stored(rows, storage) for rows in (keys, answers)]
    return student.fill(stored[0], stored[1], None if near == "lda" else far, index)


def expected(student: RoutedStudent, query: NDArray[np.float32]) -> NDArray[np.float64]:
    """The formula of the class, head by head, in float64."""
    fields = student.fields
    far = fields.far
    q = query.astype(np.float64) / np.linalg.norm(query) / TAU
    mapped = far.map.astype(np.float64) @ q + far.shift
    scores, answers = fields.keys.rows.astype(np.float64) @ q, fields.answers.rows.astype(np.float64)
    if student.rung.near == "scan":
        near = set(np.argsort(scores)[-student.rung.opened :].tolist())
    else:
        opened = np.argsort(mapped[:CELLS])[-student.rung.opened :]
        near = set(np.flatnonzero(np.isin(far.cell, opened)).tolist())
    mass, mixture = 0.0, np.zeros(DIMENSION)
    for cell in range(CELLS):
        heads = set(np.flatnonzero(far.cell == cell).tolist())
        left = len(heads - near)
        if left:  # the merged head stands for those that are not near alone
            weight = np.exp(mapped[cell]) * left / len(heads)
            value = far.values[cell] * len(heads) - sum(answers[head] for head in heads & near)
            own = value / left if student.rung.near == "scan" else far.values[cell]
            mass, mixture = mass + weight, mixture + weight * own
    rest = mixture / mass + mapped[CELLS:-1]
    mass *= np.exp(mapped[-1])
    weights = {head: np.exp(scores[head]) for head in near}
    total = sum(weight * answers[head] for head, weight in weights.items()) + mass * rest
    return np.asarray(total / (sum(weights.values()) + mass))


@pytest.mark.parametrize("near", ["scan", "cells"])
def test_a_projection_follows_its_formula_alone_and_in_a_batch(near: Near) -> None:
    student, queries = make_student(near), vectors(40, 5) * 3
    wanted = np.stack([expected(student, query) for query in queries])
    np.testing.assert_allclose(student.project(queries), wanted, rtol=2e-4, atol=2e-5)
    alone = np.stack([student.project(query) for query in queries])
    np.testing.assert_allclose(alone, wanted, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("correction", [-200, -31, -29, 0, 29, 31, 200])
@pytest.mark.parametrize("temperature", [0.005, 0.027, 0.028, 0.1, 1.0])
def test_alone_it_is_what_it_is_in_a_batch_however_far_exp_would_reach(
    temperature: float, correction: float
) -> None:
    student = RoutedStudent(24, 500, 4, 2, "scan", 16, 16, 12, temperature=temperature)
    student.fields.far.map[:] *= 0.05
    student.fields.far.shift[-1] = correction
    queries = np.random.default_rng(1).standard_normal((20, 24), np.float32)
    alone = np.stack([student.project(query) for query in queries])
    assert np.isfinite(alone).all()
    np.testing.assert_allclose(alone, student.project(queries), rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("near", ["scan", "lda"])
def test_with_every_head_near_it_is_the_teacher(near: Near) -> None:
    student = make_student(near, opened=HEADS)
    teacher = MultiHeadLDA(unit(vectors(HEADS, 1)), vectors(HEADS, 2), TAU)
    queries = vectors(20, 6)
    if near == "scan":
        student.fields.far.shift[-1] = -60  # nothing is far
    for given in (queries, queries[0]):
        np.testing.assert_allclose(student.project(given), teacher.project(given), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("near", ["scan", "lda"])
def test_its_form_for_other_devices_gives_the_same(near: Near, storage: Storage) -> None:
    student, queries = make_student(near, storage), vectors(40, 5) * 3
    if near == "lda":  # a scan's near heads are any where all are as near
        queries[3] = 0
    project = student.on_device(torch.device("cpu"))
    found = project(torch.from_numpy(queries)).numpy()
    np.testing.assert_allclose(found, student.project(queries), rtol=2e-4, atol=2e-5)


def test_where_cells_are_opened_the_form_for_other_devices_takes_as_many_nearest_heads() -> None:
    student, queries = make_student("cells"), vectors(40, 5)
    like = make_student("scan", opened=3 * HEADS // CELLS)
    found = student.on_device(torch.device("cpu"))(torch.from_numpy(queries)).numpy()
    np.testing.assert_allclose(found, like.project(queries), rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("near", NEARS)
@pytest.mark.parametrize("count", [0, 1, 2, 4097])
def test_batches_of_any_size_give_the_same_rows(near: Near, count: int) -> None:
    student = make_student(near, refined=32)
    queries = vectors(max(count, 3), 7)[:count]
    queries[1:2] = 0
    projected = student.project(queries)
    assert projected.shape == (count, DIMENSION)
    assert projected.dtype == np.float32
    assert np.isfinite(projected).all()
    some = range(0, count, 997)
    alone = [student.project(queries[row]) for row in some]
    np.testing.assert_allclose(projected[list(some)].reshape(-1), np.ravel(alone), rtol=1e-3, atol=1e-4)


def test_queries_of_another_dimension_are_refused() -> None:
    with pytest.raises(VectorError, match=r"\(2, 3\) do not fit a student of dimension 16"):
        make_student("scan").project(np.zeros((2, 3)))


@pytest.mark.parametrize("near", NEARS)
@pytest.mark.parametrize("storage", STORAGES)
def test_a_saved_student_comes_back_bit_by_bit(tmp_path: Path, near: Near, storage: Storage) -> None:
    student, queries = make_student(near, storage, refined=32), vectors(50, 8)
    student.figures = dict.fromkeys(FIGURES, 0.25)
    loaded = load_student(save_student(student, tmp_path / "routed.safetensors"))  # type: ignore[arg-type]
    assert loaded.shape == student.shape
    assert loaded.facts == student.facts
    for name, array in student.weights().items():
        np.testing.assert_array_equal(loaded.weights()[name], array)
    np.testing.assert_array_equal(loaded.project(queries), student.project(queries))
    np.testing.assert_array_equal(loaded.project(queries[0]), student.project(queries[0]))


def test_it_has_no_place_in_the_reference_layout(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no place"):
        save_student(make_student("lda"), tmp_path / "routed.pt")  # type: ignore[arg-type]
    with pytest.raises(ExportError, match="has no ONNX form"):
        make_student("scan").onnx(None, "")  # type: ignore[arg-type]


@pytest.mark.parametrize("broken", ["map", "cell", "codes", "answers"])
def test_weights_that_do_not_fit_the_shape_are_refused(broken: str) -> None:
    weights = make_student("scan").weights()
    weights[broken] = weights[broken][:, :-1] if weights[broken].ndim == 2 else weights[broken][:-1]
    fresh = RoutedStudent(DIMENSION, HEADS, 2, 3, "scan", 3, HEADS, 4, temperature=TAU)
    with pytest.raises(ValueError, match=r"fit|are not"):
        fresh.take_weights(weights)


@pytest.mark.parametrize(("storage", "error"), [("float16", 2e-3), ("int8", 3e-2)])
def test_fewer_bytes_cost_little(storage: Storage, error: float) -> None:
    plain, small = make_student("cells"), make_student("cells", storage)
    queries = vectors(50, 9)
    assert small.size_bytes < plain.size_bytes
    lengths = np.linalg.norm(plain.project(queries), axis=1)
    missed = np.linalg.norm(small.project(queries) - plain.project(queries), axis=1)
    assert 0 < (missed / lengths).max() < error


def test_int8_rounds_to_half_a_step_of_the_row() -> None:
    rows = vectors(30, 10)
    stored = HeadRows.stored(rows, "int8")
    steps = np.abs(rows).max(axis=1, keepdims=True) / 127
    assert (np.abs(stored.take(np.arange(30)) - rows) <= steps * 0.5001).all()
    np.testing.assert_array_equal(stored.part(slice(3, 9)), stored.take(np.arange(3, 9)))


def test_the_scan_finds_what_its_codes_say() -> None:
    """The oracle decodes every code and multiplies."""
    units, queries = unit(vectors(300, 11)), unit(vectors(20, 12))
    index = CodeIndex.fitted(units, 8, seed=1)
    codes = np.stack((index.codes & 15, index.codes >> 4), axis=2).reshape(len(units), -1)
    decoded = np.concatenate([index.words[part, codes[:, part]] for part in range(8)], axis=1)
    best = np.argsort(queries @ decoded.T, axis=1)[:, -1:]
    assert (index.search(queries, 16) == best).any(axis=1).all()  # its tables have 8 bits: not just the first
    assert index.search(queries, 9_999).shape == (20, 300)


def test_a_copy_computes_the_same() -> None:
    student, queries = make_student("scan", refined=32), vectors(5, 13)
    student.project(queries)  # its scan is laid out
    np.testing.assert_array_equal(copy.deepcopy(student).project(queries), student.project(queries))


@pytest.mark.parametrize("near", NEARS)
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("heads", [64, 3_000])
def test_an_untrained_one_costs_what_its_settings_say(near: Near, storage: Storage, heads: int) -> None:
    settings = RoutedConfig(near=near, storage=storage)
    student = new_student(settings, 24, heads)
    assert student.num_parameters == settings.cost(24, heads).parameters
    assert running_cost(student) == settings.inference_cost(24, heads)
    assert np.isfinite(student.project(np.ones((3, 24)))).all()
    again = RoutedConfig.of_shape(student.shape)
    assert again.inference_cost(24, heads) == settings.inference_cost(24, heads)


def test_the_ladder_is_short_for_few_heads_and_ends_in_the_lda() -> None:
    assert RoutedConfig().ladder(384, 999) == RoutedConfig().ladder(32, 11_999) == (LDA,)
    assert RoutedConfig(near="lda").ladder(384, 100_000) == (LDA,)
    rungs = RoutedConfig().ladder(384, 100_000)
    assert [rung.near for rung in rungs] == ["scan"] * (len(rungs) - 1) + ["lda"]
    assert {rung.codes for rung in rungs} == {0, 32, 48, 96}
    costs = [
        RoutedConfig(**rung._asdict() | {"near": "scan"}).cost(384, 100_000).flops for rung in rungs[:-1]
    ]
    assert costs == sorted(costs)
    assert all(4 * rung.refined <= 2_000 for rung in RoutedConfig().ladder(384, 2_000)[:-1])


def test_what_is_set_is_left_to_no_fit() -> None:
    (rung,) = RoutedConfig(near="scan", opened=5, refined=20, codes=12).ladder(24, 5_000)
    assert rung == ("scan", 5, 20, 12)
    (cells,) = RoutedConfig(near="cells", opened=99, heads=2, layers=3).ladder(24, 5_000)
    assert cells.opened == 8  # there are no more cells
    with pytest.raises(SettingsError, match="Codes"):
        RoutedConfig(codes=7).check(24)


def test_a_dimension_that_8_and_12_do_not_divide_takes_more_codes() -> None:
    assert {rung.codes for rung in RoutedConfig().ladder(300, 50_000)} == {0, 25, 50, 75}
    assert {rung.codes for rung in RoutedConfig().ladder(383, 50_000)} == {0, 383}


def test_loading_one_loads_no_torch(tmp_path: Path) -> None:
    file = save_student(make_student("scan", refined=32), tmp_path / "s.safetensors")  # type: ignore[arg-type]
    program = (
        "import sys, numpy as np, distill_core\n"
        f"student = distill_core.load({str(file)!r})\n"
        f"assert student.project(np.ones((3, {DIMENSION}))).shape == (3, {DIMENSION})\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
