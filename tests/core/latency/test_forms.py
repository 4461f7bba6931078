from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from distill_core.evaluation.near_heads import NearestHeads, exact_search
from distill_core.latency.growing_teacher import approximate_search
from distill_core.latency.timing import forms as module
from distill_core.latency.timing.calls import graph_call
from distill_core.latency.timing.forms import Absent, Contestant, contestants
from distill_core.students import MemoryStudent, ProjectionTransformer, Student
from distill_core.teacher import MultiHeadLDA

CPU = torch.device("cpu")
Floats = NDArray[np.float32]

RNG = np.random.default_rng(5)
QUERIES = RNG.normal(size=(20, 8)).astype(np.float32)


def teacher(num_heads: int = 40) -> MultiHeadLDA:
    rng = np.random.default_rng(1)
    return MultiHeadLDA(rng.normal(size=(num_heads, 8)), rng.normal(size=(num_heads, 8)), 0.2)


def by_name(student: Student | None = None, num_heads: int = 40) -> dict[str, Contestant | Absent]:
    of = student or ProjectionTransformer(8, 2, 2, 12).eval()
    return {one.name: one for one in contestants(teacher(num_heads), of, CPU)}


@pytest.mark.parametrize(("device", "reference"), [("cpu", "LDA, NumPy"), ("cuda", "LDA, torch on cuda")])
def test_the_others_are_compared_with_the_lda_on_their_device(
    monkeypatch: pytest.MonkeyPatch, device: str, reference: str
) -> None:
    monkeypatch.setattr(torch.Tensor, "to", lambda self, device: self)
    student = ProjectionTransformer(8, 2, 2, 12).eval()
    ldas = itertools.islice(contestants(teacher(), student, torch.device(device)), 2)
    assert [one.name for one in ldas if isinstance(one, Contestant) and one.is_reference] == [reference]


def test_numpys_lda_gets_a_single_query_as_it_is() -> None:
    lda = by_name()["LDA, NumPy"]
    assert isinstance(lda, Contestant)
    assert lda.takes == "queries"


def answer(one: Contestant | Absent) -> Floats:
    assert isinstance(one, Contestant)
    given: object = QUERIES if one.takes in ("arrays", "queries") else torch.from_numpy(QUERIES)
    out = one.project(given)
    return out.numpy() if isinstance(out, torch.Tensor) else np.asarray(out)


def top_k_by_hand(lda: MultiHeadLDA, k: int) -> Floats:
    """Return softmax over the k largest cosines, from sorted scores in double precision."""
    out = []
    directions = lda.centroids / np.linalg.norm(lda.centroids, axis=1, keepdims=True)
    for query in QUERIES.astype(np.float64):
        cosines = directions @ (query / np.linalg.norm(query))
        heads = np.argsort(-cosines)[:k]
        weights = np.exp((cosines[heads] - cosines[heads[0]]) / lda.temperature)
        out.append(weights @ lda.answers[heads] / weights.sum())
    return np.array(out, np.float32)


def test_the_lda_in_torch_gives_what_numpy_gives() -> None:
    found = by_name()
    np.testing.assert_allclose(answer(found["LDA, torch on cpu"]), answer(found["LDA, NumPy"]), atol=1e-5)


@pytest.mark.parametrize("k", [1, 8, 32])
def test_top_k_is_the_softmax_over_the_k_nearest(k: int) -> None:
    nearest = NearestHeads(teacher(), exact_search(teacher(), k))
    np.testing.assert_allclose(nearest.project(QUERIES), top_k_by_hand(teacher(), k), atol=1e-5)


def test_top_k_takes_part_only_below_the_number_of_heads() -> None:
    assert {"LDA, top 8", "LDA, top 32"} <= set(by_name())
    few = by_name(num_heads=32)
    assert "LDA, top 8" in few
    assert "LDA, top 32" not in few


def test_all_forms_of_an_encoder_agree_and_the_folded_one_is_smaller() -> None:
    found = by_name()
    published, folded, onnx = (found[f"student, {form}"] for form in ("published", "folded", "ONNX Runtime"))
    np.testing.assert_allclose(answer(folded), answer(published), atol=1e-5)
    np.testing.assert_allclose(answer(onnx), answer(published), atol=1e-5)
    assert isinstance(published, Contestant)
    assert isinstance(folded, Contestant)
    assert folded.parameters < published.parameters
    assert folded.size_bytes == 4 * folded.parameters


def test_a_memory_student_takes_part_in_its_one_form() -> None:
    found = by_name(MemoryStudent(8, 2, 2, 5, 4).eval())
    assert {"student (memory)", "student (memory), ONNX Runtime"} <= set(found)
    assert not any("folded" in name for name in found)


def test_what_cannot_be_loaded_says_why_or_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    monkeypatch.setattr(module, "is_installed", lambda name: False)
    found = by_name()
    index, onnx = found["LDA, top 32 by faiss"], found["student, ONNX Runtime"]
    assert isinstance(index, Absent)
    assert isinstance(onnx, Absent)
    assert index.reason.startswith("does not work here: ")
    assert "pip install 'distill-tui[onnx]'" in onnx.reason


def test_compiling_is_only_done_when_asked_and_a_failure_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    student = ProjectionTransformer(8, 2, 1, 12).eval()
    found = by_name(student)["student, compiled"]
    assert isinstance(found, Absent)
    assert "--compile" in found.reason

    def broken(module: torch.nn.Module, **options: object) -> torch.nn.Module:
        raise RuntimeError("\nNo working C++ compiler found\nand a long trace")

    monkeypatch.setattr(torch, "compile", broken)
    asked = {one.name: one for one in contestants(teacher(), student, CPU, compiled=True)}
    assert asked["student, compiled"] == Absent(
        "student, compiled", "does not work here: No working C++ compiler found"
    )
    monkeypatch.setattr(torch, "compile", lambda module, **options: module)
    asked = {one.name: one for one in contestants(teacher(), student, CPU, compiled=True)}
    np.testing.assert_allclose(
        answer(asked["student, compiled"]), answer(asked["student, folded"]), atol=1e-6
    )


# Packages that may not be there, by fakes that do what they say


class FakeFaiss(ModuleType):
    """The part of faiss that is used; it searches exactly, and leaves the last place empty."""

    METRIC_INNER_PRODUCT = 0

    def __init__(self) -> None:
        super().__init__("faiss")
        self.threads = 0

    def omp_set_num_threads(self, threads: int) -> None:
        self.threads = threads

    def IndexHNSWFlat(self, dimension: int, links: int, metric: int) -> SimpleNamespace:  # noqa: N802
        kept: list[Floats] = []

        def search(queries: Floats, k: int) -> tuple[Floats, NDArray[np.int64]]:
            scores = queries @ kept[0].T
            heads = np.argsort(-scores, axis=1)[:, :k]
            found = np.take_along_axis(scores, heads, axis=1)
            heads[:, -1], found[:, -1] = -1, -3e38
            return found, heads

        return SimpleNamespace(add=kept.append, search=search)

    def serialize_index(self, index: object) -> NDArray[np.uint8]:
        return np.zeros(1_234, np.uint8)


def test_faiss_is_asked_for_32_heads_and_empty_places_have_no_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeFaiss()
    monkeypatch.setitem(sys.modules, "faiss", fake)
    search, size = approximate_search(teacher(), threads=3)
    given = NearestHeads(teacher(), search).project(QUERIES)
    np.testing.assert_allclose(given, top_k_by_hand(teacher(), 31), atol=1e-5)
    assert (size, fake.threads) == (1_234, 3)


def test_the_real_index_finds_nearly_what_the_lda_gives() -> None:
    search, size = approximate_search(teacher(200))
    given = NearestHeads(teacher(200), search).project(QUERIES)
    np.testing.assert_allclose(given, top_k_by_hand(teacher(200), 32), atol=0.05)
    assert size > 200 * 8 * 4


class FakeCuda:
    """Streams and graphs of a device that is not there: a replay runs the module again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, student: torch.nn.Module) -> None:
        self.replays = 0
        self.captured: list[torch.Tensor] = []
        forward = student.forward

        def noted(queries: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = forward(queries)
            if self.capturing:
                self.captured[:] = [queries, out]
            return out

        def replay() -> None:
            self.replays += 1
            inputs, out = self.captured
            out.copy_(forward(inputs))

        @contextmanager
        def capture(graph: object) -> Iterator[None]:
            self.capturing = True
            yield
            self.capturing = False

        self.capturing = False
        stream = SimpleNamespace(wait_stream=lambda other: None)
        monkeypatch.setattr(student, "forward", noted)
        monkeypatch.setattr(torch.cuda, "Stream", lambda: stream)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda: stream)
        monkeypatch.setattr(torch.cuda, "stream", lambda side: _nothing())
        monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: SimpleNamespace(replay=replay))
        monkeypatch.setattr(torch.cuda, "graph", capture)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def test_a_graph_is_captured_once_and_replayed_on_each_querys_values(monkeypatch: pytest.MonkeyPatch) -> None:
    student = ProjectionTransformer(8, 2, 1, 12).eval().fold()
    fake = FakeCuda(monkeypatch, student)
    call = graph_call(student, torch.zeros(1, 8))
    for row in QUERIES[:3]:
        out = call(torch.from_numpy(row[None]))
        assert isinstance(out, torch.Tensor)
        np.testing.assert_allclose(out.numpy(), student.project(row[None]), atol=1e-6)
    assert fake.replays == 3


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_device_every_contestant_agrees_with_its_kind() -> None:
    device = torch.device("cuda")
    student = ProjectionTransformer(8, 2, 2, 12).eval().to(device)
    found = {one.name: one for one in contestants(teacher(), student, device)}
    folded = found["student, folded"]
    assert isinstance(folded, Contestant)
    queries = torch.from_numpy(QUERIES)
    expected = folded.project(queries.to(device))
    assert isinstance(expected, torch.Tensor)
    for name in ("student, CUDA graph", "student, CUDA graph with the copy from the host"):
        graph = found[name]
        assert isinstance(graph, Contestant)
        assert graph.by_size is not None
        given = queries.pin_memory() if graph.takes == "host" else queries.to(device)
        out = graph.by_size(QUERIES)(given)
        assert isinstance(out, torch.Tensor)
        torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)
