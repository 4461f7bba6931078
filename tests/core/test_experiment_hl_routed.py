"""H^L in the routed student: the cells that stand for what is far, all else equal."""

from __future__ import annotations

import msgspec
import pytest

from distill_core.errors import SettingsError
from distill_core.experiments import HlFinished, HlSettings, run_hl
from distill_core.students import RoutedConfig
from tests.core.test_routed_training import DIMENSION, make_data

ROUTED = HlSettings(
    students=("routed",), teacher_heads=(None,), heads=(2,), layers=(1, 4), seeds=1, steps=1, timed=True
)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time blocks of a few calls: what they take is not looked at."""
    monkeypatch.setattr("distill_core.latency.timing.calls.BLOCK_NS", 100_000)
    monkeypatch.setattr("distill_core.latency.timing.calls.WARM_UP_CAP_NS", 1_000_000)


@pytest.mark.usefixtures("quick")
def test_cells_are_h_to_the_l_and_nothing_else_differs() -> None:
    (*_, finished) = run_hl(make_data(heads=300).labelled, ROUTED)
    assert isinstance(finished, HlFinished)
    few, many = finished.cells
    assert (few.flat_heads, many.flat_heads) == (2, 16)
    # A cell more has a key and a mean answer of d numbers each, and a mass.
    assert many.parameters - few.parameters == (16 - 2) * (2 * DIMENSION + 1)
    assert max(many.test_error, few.test_error) < 0.01 * few.constant_error


@pytest.mark.usefixtures("quick")
def test_a_timed_cell_has_both_medians_and_an_untimed_one_none() -> None:
    labelled = make_data(heads=300).labelled
    one = msgspec.structs.replace(ROUTED, layers=(1,))
    (*_, finished) = run_hl(labelled, one)
    assert isinstance(finished, HlFinished)
    (row,), (cell,) = finished.table, finished.cells
    assert cell.single_us
    assert cell.lda_single_us
    assert (row.single_us, row.lda_single_us) == (cell.single_us, cell.lda_single_us)
    (*_, finished) = run_hl(labelled, msgspec.structs.replace(one, timed=False))
    assert isinstance(finished, HlFinished)
    assert (finished.table[0].single_us, finished.cells[0].lda_single_us) == (None, None)


def test_the_near_heads_are_found_in_one_way_in_all_cells() -> None:
    ladders = {
        student.ladder(384, 20_000)[0]
        for heads, layers in ((2, 1), (4, 4), (16, 2))
        if isinstance(student := ROUTED.student("routed", heads, layers), RoutedConfig)
    }
    (rung,) = ladders
    assert (rung.near, rung.opened, rung.refined) == ("scan", 8, 64)


def test_a_teacher_of_too_few_heads_is_refused() -> None:
    with pytest.raises(SettingsError, match="With N = 63 the student routed is the LDA itself"):
        ROUTED.require_fitting(DIMENSION, (63, 300))
    ROUTED.require_fitting(DIMENSION, (64,))
