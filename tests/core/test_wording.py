from __future__ import annotations

import pytest

from distill_core.evaluation import Estimate
from distill_core.wording import cosine_error, estimate_words, faster_sentence, plural, signed


@pytest.mark.parametrize(
    ("ratio", "interval", "sentence"),
    [
        (12.4, (11.6, 13.4), "LDA 12x faster (95 % 12x to 13x)"),
        (3.0, (2.0, 10.0), "LDA 3.0x faster (95 % 2.0x to 10x)"),
        (1.25, (1.1, 1.5), "LDA 1.25x faster (95 % 1.10x to 1.50x)"),
        (0.5, (0.4, 0.8), "transformer 2.0x faster (95 % 1.25x to 2.5x)"),
        (0.05, (0.04, 0.0625), "transformer 20x faster (95 % 16x to 25x)"),
        (1.2, (0.9, 1.6), "no difference shown (transformer / LDA 1.20, 95 % 0.90 to 1.60)"),
        (1.0, (1.0, 1.0), "no difference shown (transformer / LDA 1.00, 95 % 1.00 to 1.00)"),
        (1.3, (1.0, 1.7), "no difference shown (transformer / LDA 1.30, 95 % 1.00 to 1.70)"),
        (0.8, (0.6, 1.0), "no difference shown (transformer / LDA 0.80, 95 % 0.60 to 1.00)"),
    ],
)
def test_who_is_faster_is_said_only_where_the_interval_shows_it(
    ratio: float, interval: tuple[float, float], sentence: str
) -> None:
    assert faster_sentence(ratio, interval) == sentence


@pytest.mark.parametrize(
    ("estimate", "digits", "words"),
    [
        (Estimate(0.90042, 0.871, 0.93), 4, "0.9004 [0.8710, 0.9300]"),
        (Estimate(0.90042, 0.871, 0.93), 2, "0.90 [0.87, 0.93]"),
        (Estimate(-0.5, -1.25, 0.25), 1, "-0.5 [-1.2, 0.2]"),
        (Estimate(0.5), 3, "0.500"),
        (Estimate(None), 3, "-"),
        (Estimate(-1e-9, -2e-8, 0.0), 3, "0.000 [0.000, 0.000]"),
        (Estimate(-1e-9), 3, "0.000"),
    ],
)
def test_an_estimate_in_words(estimate: Estimate, digits: int, words: str) -> None:
    assert estimate_words(estimate, digits) == words


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 threads"), (1, "1 thread"), (2, "2 threads"), (1200, "1,200 threads")]
)
def test_one_and_many(count: int, words: str) -> None:
    assert plural(count, "thread") == words


@pytest.mark.parametrize(
    ("value", "words"), [(0.012, "+0.0120"), (-0.5, "-0.5000"), (-0.00001, "+0.0000"), (0.0, "+0.0000")]
)
def test_a_difference_has_its_sign_and_nothing_has_no_minus(value: float, words: str) -> None:
    assert signed(value, 4) == words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (0.0216, "0.02160"),
        (0.001, "0.00100"),
        (9.2e-4, "9.2e-4"),
        (1.14e-6, "1.1e-6"),
        (0.0, "0.00000"),
        (-3e-7, "-3.0e-7"),
    ],
)
def test_an_error_too_small_for_five_digits_keeps_two_figures(error: float, words: str) -> None:
    assert cosine_error(error) == words
