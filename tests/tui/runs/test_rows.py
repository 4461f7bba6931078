"""Rows of the table of runs: conditions, groups of seeds, what differs first, figures in few cells."""

from __future__ import annotations

from statistics import fmean, stdev

import pytest
from msgspec.structs import replace

from distill_core.runs import RunSummary
from distill_core.runs.summary import RunProgress
from distill_tui.runs.columns import COLUMNS, short_error
from distill_tui.runs.filter import matching
from distill_tui.runs.rows import RunRow, columns_of, grouped, setting_labels, shared_words, short_labels
from tests.tui.runs_on_disk import made_up_runs

FIRST = made_up_runs()[0]


def run(heads: int, layers: int, seed: int, **more: object) -> RunSummary:
    path = f"/runs/2026-n18-{heads}{layers}{seed}0"
    setting = f"{heads} {layers}"
    plain = replace(
        FIRST, name=path.rpartition("/")[2], path=path, pinned=False, tags=(), settings_id=setting
    )
    return replace(plain, heads=heads, layers=layers, seed=seed, **more)


GRID = [run(heads, layers, seed) for heads in (2, 4) for layers in (1, 2) for seed in (0, 1)]


def found(pattern: str, runs: list[RunSummary]) -> list[tuple[int | None, int | None, int | None]]:
    return [(row.run.heads, row.run.layers, row.run.seed) for row in matching(map(one, runs), pattern)]


def one(run: RunSummary) -> RunRow:
    return RunRow((run,))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("H=2", [(2, 1, 0), (2, 1, 1), (2, 2, 0), (2, 2, 1)]),
        ("H 2", [(2, 1, 0), (2, 1, 1), (2, 2, 0), (2, 2, 1)]),
        ("L>=2 seed:1", [(2, 2, 1), (4, 2, 1)]),
        ("L >= 2 seed 1", [(2, 2, 1), (4, 2, 1)]),
        ("h!=2 l<2", [(4, 1, 0), (4, 1, 1)]),
        ("H=3", []),
        ("db:n18 heads=4 layers=1", [(4, 1, 0), (4, 1, 1)]),
        ("db:n30", []),
    ],
)
def test_conditions_on_columns(pattern: str, expected: list[tuple[int, int, int]]) -> None:
    assert found(pattern, GRID) == expected


def test_conditions_on_figures_tags_and_states() -> None:
    good = run(2, 1, 0, cosine=0.9999, tags=("thesis",), state="finished")
    poor = run(2, 1, 1, cosine=0.5, tags=("draft",), state="failed")
    for pattern in ("1-cos<0.01", "cos>0.9", "tag:thesis", "state:fin", "thesis"):
        assert found(pattern, [good, poor]) == [(2, 1, 0)], pattern
    assert len(found("L>=", [good, poor])) == 2, "it is still being typed"
    assert found("colour=red", [good, poor]) == [], "words are words"


def test_runs_that_differ_in_their_seed_alone_are_one_row_with_mean_and_spread() -> None:
    cosines = (0.98, 0.97, 0.96)
    runs = [run(2, 1, seed, cosine=cosine) for seed, cosine in enumerate(cosines)]
    rows = grouped([one(made) for made in (*runs, run(4, 1, 0, cosine=0.9))])
    assert [len(row.runs) for row in rows] == [3, 1]
    errors = [1 - cosine for cosine in cosines]
    assert rows[0].texts["1-cos"] == f"{short_error(fmean(errors))}±{short_error(stdev(errors))}"
    assert rows[0].texts["seed"] == "3x"
    assert rows[0].value(next(column for column in COLUMNS if column.name == "1-cos")) == fmean(errors)


def test_settings_that_differ_stand_first_and_what_is_shared_is_said_once() -> None:
    rows = [one(made) for made in GRID]
    assert [column.name for column in columns_of(rows)][:5] == ["id", "H", "L", "seed", "1-cos"]
    assert shared_words(rows) == "encoder, λ.7, strong, τ .1, mh 1, n18/lda.db"
    assert shared_words(rows[:1]) == ""


def test_a_run_is_called_by_what_tells_it_from_the_others() -> None:
    runs = [run(2, 1, 0), run(4, 1, 1)]
    assert short_labels(runs) == ["H2 s0", "H4 s1"]
    assert short_labels(runs, with_seeds=False) == ["H2", "H4"]
    assert setting_labels(runs[:1]) == [""]
    other_rate = replace(
        run(2, 1, 0), name="2026-n18-abcd", path="/runs/2026-n18-abcd", settings_id="another rate"
    )
    assert short_labels([runs[0], other_rate]) == ["2100", "abcd"], "no column tells them apart"
    assert short_labels([replace(runs[0], name="thesis"), runs[1]]) == ["thesis", "H4 s1"]


@pytest.mark.parametrize(
    ("error", "words"),
    [(0.0216, ".0216"), (0.5, ".500"), (0.000123, "1.2e-4"), (0.0, ".000"), (1.25, "1.25"), (None, "")],
)
def test_the_distance_to_the_teacher_in_three_figures(error: float | None, words: str) -> None:
    assert short_error(error) == words


def test_a_run_in_training_says_how_far_it_is_and_how_long_it_takes() -> None:
    progress = RunProgress(share=0.414, eta_seconds=12.4, cosine=0.945)
    texts = one(run(2, 1, 0, state="running", cosine=None, progress=progress)).texts
    assert (texts["state"], texts["1-cos"]) == ("41% 12s", ".0550")
