from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from distill_core import teacher as teacher_module
from distill_core.database import LdaDatabase
from distill_core.errors import SettingsError, VectorError
from distill_core.evaluation.health import HealthProbe
from distill_core.teacher import MultiHeadLDA, effective_heads
from tests.core.labelled import labelled

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Case:
    """A teacher's parts and some queries, random but reproducible."""

    centroids: Floats
    answers: Floats
    queries: Floats
    temperature: float

    @property
    def teacher(self) -> MultiHeadLDA:
        return MultiHeadLDA(self.centroids, self.answers, self.temperature)


def make_case(seed: int, heads: int, dimension: int, num_queries: int, temperature: float) -> Case:
    rng = np.random.default_rng(seed)
    shapes = ((heads, dimension), (heads, dimension), (num_queries, dimension))
    centroids, answers, queries = (rng.normal(size=shape).astype(np.float32) for shape in shapes)
    return Case(3 * centroids, 2 * answers, queries, temperature)


def cases(*, min_queries: int = 1) -> st.SearchStrategy[Case]:
    return st.builds(
        make_case,
        st.integers(0, 2**16),
        st.integers(1, 9),
        st.integers(2, 12),
        st.integers(min_queries, 9),
        st.sampled_from([0.03, 0.1, 1.0, 10.0]),
    )


def projected_by_hand(case: Case, query: Floats) -> tuple[list[float], list[float]]:
    """Weights and projection of one query, head by head in Python floats."""

    def dot(left: Floats, right: Floats) -> float:
        return math.fsum(float(a) * float(b) for a, b in zip(left, right, strict=True))

    exponents = [
        dot(query, centroid) / math.sqrt(dot(query, query) * dot(centroid, centroid)) / case.temperature
        for centroid in case.centroids
    ]
    powers = [math.exp(exponent - max(exponents)) for exponent in exponents]
    weights = [power / math.fsum(powers) for power in powers]
    projection = [
        math.fsum(
            weight * float(answer[column]) for weight, answer in zip(weights, case.answers, strict=True)
        )
        for column in range(case.answers.shape[1])
    ]
    return weights, projection


@pytest.mark.parametrize("name", ["n18", "n30"])
@pytest.mark.parametrize("mh_id", [1, 2])
def test_projections_equal_the_published_implementation(reference_db: Path, name: str, mh_id: int) -> None:
    expected = np.load(reference_db / f"{name}_expected.npz")
    with LdaDatabase(reference_db / name / "lda.db") as database:
        teacher = database.teacher(mh_id)
        question_ids, queries = database.queries(mh_id)
    assert question_ids.tolist() == expected["question_ids"].tolist()
    assert teacher.temperature == float(expected[f"temperature_{mh_id}"])
    np.testing.assert_allclose(teacher.project(queries), expected[f"projection_{mh_id}"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(
        teacher.project(queries[7]), expected[f"projection_{mh_id}"][7], rtol=0, atol=1e-5
    )


@given(cases())
def test_a_projection_equals_a_loop_over_heads(case: Case) -> None:
    by_hand = [projected_by_hand(case, query) for query in case.queries]
    weights, projections = zip(*by_hand, strict=True)
    np.testing.assert_allclose(case.teacher.route(case.queries), weights, rtol=0, atol=2e-5)
    np.testing.assert_allclose(case.teacher.project(case.queries), projections, rtol=0, atol=2e-4)


@given(cases())
def test_weights_are_shares(case: Case) -> None:
    weights = case.teacher.route(case.queries)
    assert weights.shape == (len(case.queries), len(case.centroids))
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=0, atol=1e-5)


@given(cases())
def test_a_batch_equals_its_queries_one_by_one(case: Case) -> None:
    for function in (case.teacher.project, case.teacher.route):
        one_by_one = [function(query) for query in case.queries]
        assert {row.ndim for row in one_by_one} == {1}
        np.testing.assert_allclose(function(case.queries), one_by_one, rtol=0, atol=2e-5)


@given(cases(), st.sampled_from([1e-12, 1e-3, 0.5, 7.0, 1e6, 1e12]))
def test_the_length_of_queries_and_centroids_counts_nothing(case: Case, scale: float) -> None:
    factor = np.float32(scale)
    longer = MultiHeadLDA(case.centroids * factor, case.answers, case.temperature)
    expected = case.teacher.project(case.queries)
    np.testing.assert_allclose(case.teacher.project(case.queries * factor), expected, rtol=0, atol=2e-4)
    np.testing.assert_allclose(longer.project(case.queries), expected, rtol=0, atol=2e-4)


@given(cases())
def test_answers_keep_their_length(case: Case) -> None:
    doubled = MultiHeadLDA(case.centroids, case.answers * 2, case.temperature)
    np.testing.assert_array_equal(doubled.project(case.queries), 2 * case.teacher.project(case.queries))


@given(cases(), st.integers(0, 2**16))
def test_the_order_of_the_heads_counts_nothing(case: Case, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(case.centroids))
    shuffled = MultiHeadLDA(case.centroids[order], case.answers[order], case.temperature)
    np.testing.assert_allclose(
        shuffled.project(case.queries), case.teacher.project(case.queries), rtol=0, atol=2e-5
    )
    np.testing.assert_allclose(
        shuffled.route(case.queries), case.teacher.route(case.queries)[:, order], rtol=0, atol=2e-5
    )


@given(cases(min_queries=2), st.integers(1, 40))
def test_chunks_change_nothing(case: Case, max_scores: int) -> None:
    with mock.patch.object(teacher_module, "_MAX_SCORES", max_scores):
        chunked = case.teacher.project(case.queries), case.teacher.route(case.queries)
    whole = case.teacher.project(case.queries), case.teacher.route(case.queries)
    for got, expected in zip(chunked, whole, strict=True):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize(("max_scores", "chunks"), [(12, [3, 3, 1]), (28, [7]), (27, [6, 1]), (1, [1] * 7)])
def test_no_more_scores_are_held_than_allowed(
    monkeypatch: pytest.MonkeyPatch, max_scores: int, chunks: list[int]
) -> None:
    case = make_case(0, 4, 8, 7, 0.1)
    taken: list[int] = []
    weights = MultiHeadLDA._weights

    def counted(self: MultiHeadLDA, rows: Floats) -> Floats:
        taken.append(len(rows))
        return weights(self, rows)

    monkeypatch.setattr(teacher_module, "_MAX_SCORES", max_scores)
    monkeypatch.setattr(MultiHeadLDA, "_weights", counted)
    case.teacher.project(case.queries)
    assert taken == chunks


def test_one_head_answers_always_the_same() -> None:
    case = make_case(1, 1, 5, 4, 0.1)
    np.testing.assert_array_equal(case.teacher.project(case.queries), np.repeat(case.answers, 4, axis=0))


@pytest.mark.parametrize("temperature", [1e-3, 1e-5, 1e-6])
def test_towards_zero_the_best_head_takes_all(temperature: float) -> None:
    answers = make_case(2, 6, 8, 1, temperature).answers
    teacher = MultiHeadLDA(np.eye(6, 8), answers, temperature)
    queries = np.array([[1, 2, 3, 4, 5, 6, 7, 8], [6, 5, 4, 3, 2, 1, 7, 8], [1, -9, 8, 2, 3, 4, 0, 0]])
    assert teacher.temperature == temperature
    np.testing.assert_array_equal(teacher.project(queries), answers[[5, 0, 2]])


def test_a_large_temperature_blends_every_head() -> None:
    case = make_case(3, 6, 8, 5, 1e6)
    mean = case.answers.mean(axis=0)
    np.testing.assert_allclose(case.teacher.project(case.queries), [mean] * 5, rtol=0, atol=1e-5)


def test_a_query_without_direction_blends_every_head() -> None:
    case = make_case(3, 4, 8, 1, 0.01)
    np.testing.assert_array_equal(case.teacher.route(np.zeros(8)), [0.25] * 4)


def test_another_temperature_keeps_the_heads() -> None:
    case = make_case(4, 5, 8, 3, 1.0)
    np.testing.assert_array_equal(
        case.teacher.with_temperature(0.1).project(case.queries),
        MultiHeadLDA(case.centroids, case.answers, 0.1).project(case.queries),
    )
    assert case.teacher.temperature == 1.0


def test_inputs_of_any_kind_give_float32_and_stay_as_they_are() -> None:
    case = make_case(5, 4, 6, 3, 0.1)
    before = case.queries.copy()
    case.queries.flags.writeable = False
    expected = case.teacher.project(case.queries)
    np.testing.assert_array_equal(case.queries, before)
    other = MultiHeadLDA(case.centroids.astype(np.float64).tolist(), case.answers.astype(np.float64), 0.1)
    for queries in (case.queries.astype(np.float64), case.queries.tolist()):
        projected = other.project(queries)
        assert projected.dtype == np.float32
        np.testing.assert_allclose(projected, expected, rtol=0, atol=1e-6)
    assert (other.num_heads, other.dimension) == (4, 6)


def test_no_queries_give_no_projections() -> None:
    teacher = make_case(5, 4, 6, 3, 0.1).teacher
    assert teacher.project(np.empty((0, 6))).shape == (0, 6)
    assert teacher.route(np.empty((0, 6))).shape == (0, 4)


@given(st.integers(1, 50), st.integers(1, 50))
def test_effective_heads_of_an_even_share(sharing: int, idle: int) -> None:
    weights = [1 / sharing] * sharing + [0.0] * idle
    assert effective_heads(weights) == pytest.approx(sharing)


def test_effective_heads_are_the_exponential_of_the_entropy() -> None:
    entropy = -(0.5 * math.log(0.5) + 2 * 0.25 * math.log(0.25))
    weights = np.array([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]])
    assert effective_heads(weights).tolist() == pytest.approx([math.exp(entropy), 1.0])


@pytest.mark.parametrize(
    ("centroids", "answers", "words"),
    [
        (np.ones((2, 3)), np.ones((3, 3)), "do not match"),
        (np.ones((2, 3)), np.ones((2, 4)), "do not match"),
        (np.ones(3), np.ones(3), r"\(3,\)"),
        (np.ones((0, 3)), np.ones((0, 3)), r"\(0, 3\)"),
        (np.ones((2, 0)), np.ones((2, 0)), r"\(2, 0\)"),
        ([[1.0, np.nan]], [[1.0, 1.0]], "centroids hold NaN"),
        ([[1.0, 1.0]], [[np.inf, 1.0]], "answers hold NaN"),
        ([[1.0, 1.0], [0.0, 0.0]], [[1.0, 1.0]] * 2, "Centroid 1 is all zero"),
    ],
)
def test_unusable_heads_are_refused(centroids: object, answers: object, words: str) -> None:
    with pytest.raises(VectorError, match=words):
        MultiHeadLDA(np.asarray(centroids), np.asarray(answers), 0.1)


@pytest.mark.parametrize("temperature", [0.0, -0.1, math.nan, math.inf, 5e-324, 1e-40, 1e-7, 1e7, 1e300])
def test_a_temperature_that_gives_no_projection_is_refused(temperature: float) -> None:
    with pytest.raises(SettingsError) as caught:
        MultiHeadLDA(np.ones((2, 3)), np.ones((2, 3)), temperature)
    assert caught.value.field == "temperature"


@pytest.mark.parametrize("shape", [(), (4,), (2, 4), (3, 0), (1, 2, 6)])
def test_queries_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(VectorError, match="dimension 6"):
        make_case(0, 4, 6, 1, 0.1).teacher.project(np.ones(shape))


@pytest.mark.parametrize(
    ("centroids", "tau", "expected"),
    [
        ([[1.0, 0.0], [1.0, 0.0]], 0.1, [True, True]),  # equal shares of opposite answers
        ([[1.0, 0.0], [0.0, 1.0]], 1e6, [True, True]),  # all but equal ones
        ([[1.0, 0.0], [0.0, 1.0]], 0.1, [False, False]),
    ],
)
def test_outputs_that_cancel_are_known(
    centroids: list[list[float]], tau: float, expected: list[bool]
) -> None:
    teacher = MultiHeadLDA(centroids, [[3.0, 4.0], [-3.0, -4.0]], tau)
    queries = [[1.0, 0.2], [0.1, 1.0]]
    assert teacher.cancels(queries).tolist() == expected
    warnings = HealthProbe(labelled(teacher, queries)).at().warnings
    assert ("cancel for 2 of 2 queries" in " ".join(warnings)) is expected[0]


def test_short_answers_are_no_cancelled_ones() -> None:
    """Beside far longer ones, which take no part."""
    teacher = MultiHeadLDA(np.eye(2), [[1e-6, 0.0], [1e3, 1e3]], 1e-3)
    assert not teacher.cancels([[1.0, 0.0]]).any()
