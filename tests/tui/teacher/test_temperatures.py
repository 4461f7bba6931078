from __future__ import annotations

from pathlib import Path

import pytest
from textual.widget import Widget

from distill_core.evaluation.intervals import Estimate
from distill_tui.teacher.temperatures import interval_bar
from tests.core.database_factory import write_lda_db
from tests.tui.stage import NARROW, WIDE, staged


@pytest.mark.parametrize(
    ("share", "bar"),
    [
        (Estimate(0.5, 0.25, 0.75), "██▓▓░░  "),
        (Estimate(1.0, 1.0, 1.0), "████████"),
        (Estimate(0.5), "████    "),
        (Estimate(None), "        "),
    ],
)
def test_a_bar_shows_what_is_sure_and_how_far_the_interval_goes(share: Estimate, bar: str) -> None:
    assert interval_bar(share, 8) == bar


@pytest.fixture
def hot(tmp_path: Path) -> Path:
    """A database whose second projection blends all heads, tau 20."""
    return write_lda_db(
        tmp_path / "hot", num_heads=8, dimension=12, questions_per_head=6, temperatures=(0.1, 20.0)
    )


async def test_the_curve_has_a_row_for_each_temperature_and_marks_two(hot: Path) -> None:
    async with staged(hot, size=WIDE) as stage:
        view = await stage.show_teacher(2)
        assert view.health.findings is not None
        curve = view.health.findings.curve
        lines = stage.text("#temperatures").splitlines()
        taus = [line.split()[0] for line in lines[1 : len(curve.points) + 2]]
        assert taus == [f"{tau:.3g}" for tau in (*(point.temperature for point in curve.points), 20.0)]
        assert [line.split()[0] for line in lines if line.rstrip().endswith("now")] == ["20"]
        assert [line.split()[0] for line in lines if line.rstrip().endswith("best")] == [f"{curve.best:g}"]
        (bare,) = [line for line in lines if line.startswith("bare ")]
        assert f"{view.health.findings.query.mrr.value:.3f}" in bare


async def test_a_teacher_that_finds_less_says_so_first_and_a_key_mends_it(hot: Path) -> None:
    async with staged(hot) as stage:
        view = await stage.show_teacher(2)
        assert view.health.findings is not None
        best = view.health.findings.curve.best
        assert stage.text("#facts").splitlines()[1].startswith("The LDA finds less than no projection at all")
        await stage.press("m")
        assert stage.app.teacher.view is not None
        assert stage.app.teacher.view.teacher.temperature == best
        assert "finds less" not in stage.text("#facts")
        (toast,) = stage.toasts()
        assert f"Temperature {best:g} finds most" in toast
        assert "the database keeps 20" in toast
        config = stage.run_config()
        assert config.data.temperature == best


async def test_where_no_true_answer_is_known_the_key_says_why_it_does_nothing(tmp_path: Path) -> None:
    async with staged(write_lda_db(tmp_path / "db", answers_per_head=0)) as stage:
        view = await stage.show_teacher()
        await stage.press("m")
        assert stage.app.teacher.view == view
        assert stage.toasts() == ["Nothing tells what the teacher finds: no true answer is known."]


async def test_in_a_small_terminal_a_key_shows_the_curve_in_place_of_the_routing(hot: Path) -> None:
    async with staged(hot, size=NARROW) as stage:
        await stage.show_teacher(1)
        panes = "#routing-pane", "#temperatures-pane"
        shown = [stage.find(pane, Widget).display for pane in panes]
        await stage.press("c")
        assert shown == [True, False]
        assert [stage.find(pane, Widget).display for pane in panes] == [False, True]
        await stage.press("c")
        assert [stage.find(pane, Widget).display for pane in panes] == shown
