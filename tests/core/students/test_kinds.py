from __future__ import annotations

import pytest

from distill_core.students import EncoderConfig, MemoryConfig, MlpConfig
from distill_core.students.kinds import new_student, student_settings
from distill_core.students.spec import StudentConfig


@pytest.mark.parametrize(
    ("student", "fits"),
    [
        (EncoderConfig(heads=4), True),
        (EncoderConfig(heads=5), False),
        (MemoryConfig(heads=5, width=20), True),
        (MemoryConfig(heads=5, width=400), False),
        (MlpConfig(), True),
    ],
)
def test_heads_fit_what_they_share(student: StudentConfig, fits: bool) -> None:
    """An encoder's share d = 384, a memory's the width, which is never more than d; an mlp has none."""
    assert student.fits(384) is fits


@pytest.mark.parametrize(
    ("student", "words"),
    [
        (EncoderConfig(heads=6, layers=3), "encoder H 6 L 3"),
        (MemoryConfig(heads=6, layers=1, slots=7, width=48), "memory H 6 L 1 K 7 r 48"),
        (MemoryConfig(heads=1, layers=1, slots=99, width=999), "memory H 1 L 1 K 30 r 384"),
        (MlpConfig(layers=3), "mlp L 3"),
    ],
)
def test_a_shape_in_words_has_what_means_something(student: StudentConfig, words: str) -> None:
    assert student.words(384, 30) == words


@pytest.mark.parametrize("kind", ["encoder", "memory", "mlp"])
@pytest.mark.parametrize("num_heads", [1, 2, 30, 4096])
def test_every_candidate_is_there_once_and_can_be_built(kind: str, num_heads: int) -> None:
    student = student_settings(kind, {"heads": 1, "width": 36})
    found = student.candidates(384, num_heads)
    assert len(found) == len({candidate.settings for candidate in found}) > 0
    for candidate in found:
        assert candidate.settings.fits(384)
        if num_heads <= 30:
            built = new_student(candidate.settings, 384, num_heads)
            assert built.num_parameters == candidate.cost.parameters
    layers = [candidate.settings.count("layers") or 0 for candidate in found]
    assert layers == sorted(layers)
    assert any("default" in candidate.rules for candidate in found) is (kind == "memory")
