"""What a chart tells beyond its lines: values at a cursor, smoothing, the best point, a part, a band."""

from __future__ import annotations

import math

import numpy as np
import pytest

from distill_tui.charts.braille import Role
from distill_tui.charts.figure import Figure, value_at
from distill_tui.charts.history import MetricHistory, Series, Smoothed
from distill_tui.charts.plot import Baseline, Options, best_point


def history_of(values: list[float]) -> MetricHistory:
    history = MetricHistory()
    history.extend("validation", range(len(values)), values)
    return history


def series_of(values: list[float]) -> Series:
    series = Series()
    series.extend(np.arange(len(values), dtype=np.float64), np.array(values))
    return series


def header(history: MetricHistory, options: Options) -> str:
    return Figure(history).draw(100, 12, options).text(0)


def test_smoothing_weighs_the_past_without_a_bias_to_zero_however_it_comes() -> None:
    values = [4.0, 2.0, math.nan, 8.0]
    decay = 1 - 1 / 5
    weights = [decay**2, decay, 1.0]
    expected = [
        4.0,
        (decay * 4.0 + 2.0) / (decay + 1),
        math.nan,
        sum(w * v for w, v in zip(weights, (4.0, 2.0, 8.0), strict=True)) / sum(weights),
    ]
    smoothed = Smoothed(5)
    smoothed.of(series_of(values[:2]))
    np.testing.assert_allclose(smoothed.of(series_of(values)).y, expected)
    constant = Smoothed(100).of(series_of([3.0] * 7)).y
    np.testing.assert_allclose(constant, 3.0)


def test_a_smoothed_line_says_its_window_and_leaves_the_raw_one_faint() -> None:
    history = history_of([float(number % 2) for number in range(60)])
    assert "mean of ~20" in header(history, Options("loss", window=20))
    roles = Figure(history).draw(100, 12, Options(window=20)).roles
    assert (roles == Role.FAINT).any()
    assert (roles == Role.VALIDATION).any()
    assert not (Figure(history).draw(100, 12, Options()).roles == Role.FAINT).any()


def test_the_legend_reads_the_values_at_the_cursor() -> None:
    history = history_of([5.0, 7.0, 9.0])
    assert "validation 7" in header(history, Options("loss", cursor=1.0))
    assert "@ 1" in header(history, Options("loss", cursor=1.0))
    assert "validation 9" in header(history, Options("loss"))
    rows = Figure(history).draw(60, 12, Options(cursor=1.0, x_total=2))
    assert sum("┊" in rows.text(row) for row in range(12)) > 4


@pytest.mark.parametrize(("position", "value"), [(None, 9.0), (1.9, 7.0), (-5.0, 5.0), (50.0, 9.0)])
def test_a_position_between_points_has_the_value_of_the_one_before(
    position: float | None, value: float
) -> None:
    assert value_at(series_of([5.0, 7.0, 9.0]), position) == value


def test_the_best_point_is_the_first_of_equals_and_marked() -> None:
    series = series_of([math.nan, 3.0, 1.0, 1.0])
    assert best_point(series, "low") == (2.0, 1.0)
    assert best_point(series, "high") == (1.0, 3.0)
    assert best_point(series_of([math.nan]), "low") is None
    shown = Figure(history_of([3.0, 1.0, 2.0])).draw(100, 12, Options("loss", best="low"))
    assert "◆ best 1 @ 1" in shown.text(0)
    assert sum("◆" in shown.text(row) for row in range(1, 12)) == 1


def test_a_part_is_drawn_on_axes_of_its_own_without_what_lies_off_them() -> None:
    history = history_of([100.0] * 50 + [1.0, 2.0] * 25)
    options = Options("loss", baselines=(Baseline("ridge", 100.0),))
    whole = Figure(history).draw(100, 12, options)
    part = Figure(history).draw(100, 12, Options("loss", baselines=options.baselines, x_range=(60, 90)))
    assert any("ridge" in whole.text(row) for row in range(12))
    text = "\n".join(part.text(row) for row in range(12))
    assert "ridge" not in text
    assert "100" not in text
    assert "60" in part.text(11)
    assert "90" in part.text(11)


def test_a_band_is_filled_between_the_lowest_and_the_highest() -> None:
    history = MetricHistory(("1",))
    history.extend("1", [0, 10], [0.5, 0.5])
    bare = Figure(history).draw(80, 14, Options(x_total=10))
    history.set_band("1", [0, 10], [0.25, 0.25], [0.75, 0.75])
    picture = Figure(history).draw(80, 14, Options(x_total=10))
    assert not (bare.roles == Role.FAINT).any()
    lit = ((picture.glyphs > 0x2800) & (picture.roles == Role.FAINT)).any(axis=1)
    assert lit.sum() >= 5, "the axis is fitted to the band"
    assert (picture.roles == Role.RUN_1).any()
