from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import DataTable

from distill_core.evaluation.metrics import CosineSummary, Evaluation
from distill_core.training.events import RunFinished
from distill_tui.messages import TrainingProgressed
from distill_tui.state import JobState
from distill_tui.widgets.histogram import Histogram
from tests.core.database_factory import write_lda_db
from tests.core.test_database_schema import execute
from tests.tui import events
from tests.tui.stage import NARROW, Stage, full_run, staged


def worst(stage: Stage) -> list[tuple[str, ...]]:
    table = stage.find("#worst", DataTable)
    return [tuple(str(cell) for cell in table.get_row_at(row)) for row in range(table.row_count)]


def finished(mean: float, low: float, sd: float, *, epochs: int = 10) -> RunFinished:
    cosine = CosineSummary(mean=mean, sd=sd, min=low, p5=low + 0.001, max=0.9999)
    return RunFinished(evaluation=Evaluation(n=3, cosine=cosine, mse=1.25e-4), epochs=epochs, active_seconds=5.0)


def row(stage: Stage, name: str) -> str:
    """Return a row of the table of figures without its frame."""
    lines = [line.strip() for line in stage.text("#published").splitlines()]
    return next(line for line in lines if line.startswith(name))


async def test_before_a_run_the_note_says_what_to_do(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("validate")
        assert "ctrl+t trains" in stage.text("#validate-note")
        assert worst(stage) == []
        await stage.start_training()
        assert "still going" in stage.text("#validate-note")


@pytest.mark.parametrize(
    ("result", "met"),
    [
        (finished(0.9930, 0.9827, 0.0027), {"mean": True, "min": True, "sd": True}),
        (finished(0.9900, 0.9800, 0.0100), {"mean": False, "min": False, "sd": False}),
        (finished(0.9500, 0.9810, 0.0200), {"mean": False, "min": True, "sd": False}),
    ],
)
async def test_the_figures_stand_beside_the_published_expectations(
    database: Path, result: RunFinished, met: dict[str, bool]
) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("validate")
        await stage.train(events.run_started(), events.epoch_finished(10), result)
        cosine = result.evaluation.cosine
        for name, value, bound in (
            ("mean", cosine.mean, "> 0.99"),
            ("min", cosine.min, "> 0.98"),
            ("sd", cosine.sd, "< 0.01"),
        ):
            line = row(stage, name)
            assert f"{value:.4f}" in line
            assert bound in line
            assert line.endswith("not met") is not met[name]
            assert line.endswith("met")
        assert "0.9999" in row(stage, "max")
        assert "1.25e-04" in row(stage, "MSE")


async def test_the_worst_queries_come_first_with_their_texts(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("validate")
        await stage.train_to_the_end()
        assert worst(stage) == [
            ("0.6100", "topic_2", "question 9 about topic 2"),
            ("0.8800", "topic_4", "question 20 about topic 4"),
            ("0.9500", "topic_1", "question 2 about topic 1"),
        ]
        assert sorted(stage.find("#histogram", Histogram).values) == [0.61, 0.88, 0.95]


async def test_at_most_a_hundred_worst_queries_are_listed(tmp_path: Path) -> None:
    database = write_lda_db(tmp_path / "db", num_heads=4, questions_per_head=40)
    cosines = tuple(1 - number / 1000 for number in range(1, 151))
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("validate")
        await stage.train(events.run_started(), events.tested(tuple(range(1, 151)), cosines), events.run_finished())
        rows = worst(stage)
    assert len(rows) == 100
    assert rows[0][0] == "0.8500"
    assert rows[0][2] == "question 150 about topic 4"
    assert [cosine for cosine, *_ in rows] == sorted(cosine for cosine, *_ in rows)


async def test_question_texts_with_brackets_are_shown_as_they_are(database: Path) -> None:
    execute(database, "UPDATE questions SET text = 'why is [/b] in a[i] odd?' WHERE question_id = 9")
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("validate")
        await stage.train_to_the_end()
        assert "why is [/b] in a[i] odd?" in stage.text("#worst")


async def test_a_projection_looked_at_later_does_not_change_what_the_run_was_about(
    database: Path, tmp_path: Path
) -> None:
    other = write_lda_db(tmp_path / "other", num_heads=3, dimension=6, questions_per_head=9, seed=4)
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.train_to_the_end()
        await stage.show_teacher(database=other)
        await stage.go("validate")
        assert worst(stage)[0] == ("0.6100", "topic_2", "question 9 about topic 2"), "not topic 1 of the other"


async def test_a_run_stopped_early_says_so(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("validate")
        *told, _end = full_run()
        await stage.train(*told, finished(0.5, 0.1, 0.2, epochs=4), outcome=JobState.STOPPED)
        assert "stopped after 4 of 10 epochs" in " ".join(stage.text("#validate-note").split())


async def test_a_new_run_clears_the_old_figures(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("validate")
        await stage.train_to_the_end()
        await stage.start_training()
        assert worst(stage) == []
        assert "0.93" not in stage.text("#published")
        assert stage.find("#histogram", Histogram).values == ()
        await stage.tell(TrainingProgressed(full_run((3, 8, 21))))
        assert worst(stage)[0] == ("0.6100", "topic_2", "question 8 about topic 2")


async def test_at_80x24_figures_and_worst_queries_are_visible(database: Path) -> None:
    async with staged(database, size=NARROW) as stage:
        await stage.show_teacher()
        await stage.go("validate")
        await stage.train_to_the_end()
        assert "mean" in stage.visible("#published")
        assert "question 9 about topic 2" in stage.visible("#worst")
