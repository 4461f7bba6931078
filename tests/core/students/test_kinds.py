from __future__ import annotations

import pytest

from distill_core.config import StudentConfig, StudentKind
from distill_tui.shapes import heads_fit, shape_candidates, shape_words


@pytest.mark.parametrize(
    ("student", "fits"),
    [
        (StudentConfig(heads=4), True),
        (StudentConfig(heads=5), False),
        (StudentConfig(kind="memory", heads=5, width=20), True),
        (StudentConfig(kind="memory", heads=5, width=400), False),
        (StudentConfig(kind="mlp", heads=5), True),
    ],
)
def test_heads_fit_what_they_share(student: StudentConfig, fits: bool) -> None:
    """An encoder's share d = 384, a memory's the width, which is never more than d; an mlp has none."""
    assert heads_fit(student, 384) is fits


@pytest.mark.parametrize(
    ("student", "words"),
    [
        (StudentConfig(heads=6, layers=3, slots=7), "encoder H 6 L 3"),
        (StudentConfig(kind="memory", heads=6, layers=1, slots=7, width=48), "memory H 6 L 1 K 7 r 48"),
        (StudentConfig(kind="memory", heads=1, layers=1, slots=99, width=999), "memory H 1 L 1 K 30 r 384"),
        (StudentConfig(kind="mlp", heads=6, layers=3), "mlp L 3"),
    ],
)
def test_a_shape_in_words_has_what_means_something(student: StudentConfig, words: str) -> None:
    assert shape_words(student, 30, 384) == words


@pytest.mark.parametrize("kind", ["encoder", "memory", "mlp"])
@pytest.mark.parametrize("num_heads", [1, 2, 30, 4096])
def test_every_candidate_is_there_once_and_can_be_built(kind: StudentKind, num_heads: int) -> None:
    student = StudentConfig(kind=kind, heads=1, width=36)
    found = shape_candidates(student, num_heads, 384)
    shapes = [(candidate.heads, candidate.layers) for candidate in found]
    assert len(shapes) == len(set(shapes)) > 0
    for heads, layers in shapes:
        assert heads_fit(student.with_values(heads=heads, layers=layers), 384)
    assert [candidate.layers for candidate in found] == sorted(candidate.layers for candidate in found)
    assert any("default" in candidate.rules for candidate in found) is (kind == "memory")
    if kind == "mlp":
        assert {heads for heads, _ in shapes} == {1}
