from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from textual.widgets import DataTable

from distill_tui.jobs import Answered
from distill_tui.teacher.question_list import QuestionList
from distill_tui.teacher.questions import WeightBars
from tests.core.database_factory import write_lda_db
from tests.core.test_database_schema import execute
from tests.tui.stage import NARROW, WIDE, Stage, staged


def rows(stage: Stage, selector: str) -> list[list[str]]:
    table = stage.find(selector, DataTable)
    return [[str(cell) for cell in table.get_row_at(row)] for row in range(table.row_count)]


def shown_questions(stage: Stage) -> list[str]:
    questions = stage.find("#questions", QuestionList)
    return [questions.text_of(place) for place in range(len(questions.matching))]


def softmax_weights(database: Path, mh_id: int, question_id: int) -> dict[str, float]:
    """Route a question by the formula, in double precision and without the teacher."""
    folder = database.parent / "embeddings"
    query = np.load(folder / f"question_{question_id}_model_1.npy").astype(np.float64)
    centroids = [np.load(folder / f"mh_{mh_id}_cluster_{cluster}_centroid.npy") for cluster in range(1, 5)]
    cosines = [centroid @ query / np.linalg.norm(centroid) / np.linalg.norm(query) for centroid in centroids]
    powers = np.exp(np.array(cosines) / {1: 0.1, 2: 1.0}[mh_id])
    return {f"topic_{row + 1}": float(power / powers.sum()) for row, power in enumerate(powers)}


async def test_before_a_database_is_read_the_screen_says_what_to_do(database: Path) -> None:
    async with staged(database) as stage:
        assert stage.text("#facts").split() == ["opening", "lda.db…", "esc", "cancels"]
        reading = stage.app.teacher.reading
        reading.publish("reading 61,000 of 107,183 question vectors")
        await stage.settle()
        assert "61,000 of 107,183" in stage.text("#facts")
        await stage.press("escape")
        assert "press o" in stage.text("#facts")
        assert not stage.app.teacher.is_reading
        assert shown_questions(stage) == []
        assert stage.find("#routing", WeightBars).rows == ()


async def test_the_projections_of_the_database_fill_the_table(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        assert rows(stage, "#projections") == [
            ["1", "0.1", "4", "24", "projection 1", "8", "model-1"],
            ["2", "1", "4", "24", "projection 2", "8", "model-1"],
        ]


def fact(stage: Stage, name: str) -> str:
    """Return a line of the facts, without its name."""
    lines = [" ".join(line.split()) for line in stage.text("#facts").splitlines()]
    return next((line.removeprefix(name).strip() for line in lines if line.startswith(name)), "")


async def test_the_facts_are_those_of_the_projection(database: Path) -> None:
    weights = np.array([list(softmax_weights(database, 1, question).values()) for question in range(1, 25)])
    effective = np.exp(-np.sum(weights * np.log(weights), axis=1))
    async with staged(database) as stage:
        await stage.show_teacher()
        assert fact(stage, "heads N").split(",")[0] == "4"
        assert fact(stage, "temperature τ") == "0.1"
        assert fact(stage, "questions").split(",")[0] == "24"
        assert fact(stage, "effective heads").startswith(f"{np.median(effective):.1f} of 4")
        assert fact(stage, "parameters") == str(2 * 4 * 8)
        assert fact(stage, "model") == "model-1"


async def test_files_that_lie_beside_a_moved_database_are_told_last(tmp_path: Path) -> None:
    database = write_lda_db(tmp_path / "stale", num_heads=4, questions_per_head=6, path_style="stale")
    async with staged(database) as stage:
        view = await stage.show_teacher()
        text = stage.text("#facts")
    assert any("not at their stored paths" in problem.message for problem in view.problems)
    name, first, *_ = text.splitlines()
    assert name == "projection 1"
    assert first.startswith("heads N"), "no alarm: every database that was moved has this"
    assert "note: " in text
    assert "not at their stored paths" in " ".join(text.split())


async def test_files_from_the_working_directory_are_told_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = write_lda_db(tmp_path / "own", num_heads=4, questions_per_head=6, path_style="beside")
    (tmp_path / "elsewhere").mkdir()
    (database.parent / "embeddings").rename(tmp_path / "elsewhere/embeddings")
    monkeypatch.chdir(tmp_path / "elsewhere")
    async with staged(database) as stage:
        await stage.show_teacher()
        _, first, *_ = stage.text("#facts").splitlines()
    assert first.startswith("warning: "), "before anything else: all that follows is of these files"


async def test_the_filter_keeps_the_questions_with_all_its_words(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        for typed, ids in (
            ("topic 2", (2, 7, 8, 9, 10, 11, 12, 20, 21, 22, 23, 24)),
            ("TOPIC question 21", (21,)),
            ("no such words", ()),
            ("13 about quest", (13,)),
        ):
            await stage.fill("#filter", typed)
            assert shown_questions(stage) == [
                f"question {row} about topic {(row - 1) // 6 + 1}" for row in ids
            ]
            bars = dict(stage.find("#routing", WeightBars).rows)
            assert bars == (pytest.approx(softmax_weights(database, 1, ids[0]), abs=1e-5) if ids else {})
            assert bool(stage.text("#routing-caption").strip()) is bool(ids)


async def test_enter_leaves_the_filter_for_the_questions_it_kept(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.press("slash", *"ic 3", "enter", "down")
        assert stage.screen.focused is stage.find("#questions", QuestionList)
        assert stage.text("#routing-caption").strip() == "true cluster: topic_3"


async def test_of_many_questions_every_one_is_reached_and_found(tmp_path: Path) -> None:
    database = write_lda_db(tmp_path / "big", num_heads=3, questions_per_head=700)
    async with staged(database) as stage:
        await stage.show_teacher()
        assert len(shown_questions(stage)) == 2100
        stage.find("#questions", QuestionList).focus()
        await stage.press("G")
        assert "question 2100 about topic 3" in stage.visible("#questions")
        await stage.press("pageup", "k")
        assert "question 2100 about topic 3" not in stage.visible("#questions").splitlines()[0]
        await stage.press("home")
        assert "question 1 about topic 1" in stage.visible("#questions")
        await stage.fill("#filter", "2099")
        assert shown_questions(stage) == ["question 2099 about topic 3"]


async def test_texts_with_brackets_are_shown_as_they_are(database: Path) -> None:
    """Square brackets are markup to Textual and Rich; a closing tag that opens nothing raises there."""
    execute(
        database,
        "UPDATE multi_head_projections SET name = 'heads [bold]x[/red]' WHERE mh_projection_id = 1",
        "UPDATE embedding_models SET name = 'mini[lm]'",
        "UPDATE qa_clusters SET name = 'lists [/i]' WHERE cluster_id = 1",
        "UPDATE questions SET text = 'what is a[i] and [/b]?' WHERE question_id = 1",
    )
    async with staged(database) as stage:
        await stage.show_teacher()
        screen = stage.text("#projections")
        assert "heads [bold]x[/red]" in screen
        assert "mini[lm]" in screen
        assert "heads [bold]x[/red]" in stage.text("#facts")
        assert "what is a[i] and [/b]?" in stage.text("#questions")
        assert "lists [/i]" in stage.text("#routing")
        assert stage.text("#routing-caption").strip() == "true cluster: lists [/i]"


async def test_a_vector_without_a_text_says_so(database: Path) -> None:
    execute(database, "DELETE FROM questions WHERE question_id = 1", "DELETE FROM cluster_questions")
    async with staged(database) as stage:
        await stage.show_teacher()
        assert shown_questions(stage)[0] == "(question 1 has no text)"
        assert stage.text("#routing-caption").strip() == "true cluster: unknown"


async def test_enter_on_a_projection_reads_it(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        stage.find("#projections", DataTable).focus()
        before = len(stage.jobs.wanted)
        await stage.press("down", "enter")
        assert stage.jobs.groups[before:] == ["ask"]
        assert stage.app.busy_with.view == "reading projection 2"


async def test_another_database_replaces_everything(database: Path, tmp_path: Path) -> None:
    other = write_lda_db(tmp_path / "other", num_heads=3, dimension=6, questions_per_head=5, seed=3)
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.show_teacher(database=other)
        assert [row[2:4] for row in rows(stage, "#projections")] == [["3", "15"], ["3", "15"]]
        assert len(shown_questions(stage)) == 15
        assert len(stage.find("#routing", WeightBars).rows) == 3
        assert "other/lda.db" in stage.text("TopBar")


async def test_a_projection_read_late_from_a_database_left_behind_is_dropped(
    database: Path, tmp_path: Path
) -> None:
    other = write_lda_db(tmp_path / "other", num_heads=3, dimension=6, questions_per_head=5)
    async with staged(database) as stage:
        late = await stage.show_teacher()
        await stage.show_teacher(database=other)
        await stage.tell(Answered(stage.app.teacher.show_teacher, late))
        assert stage.app.teacher.view is not None
        assert stage.app.teacher.view.path == other


async def test_it_fits_any_terminal(database: Path) -> None:
    async with staged(database, size=NARROW) as stage:
        await stage.show_teacher()
        for size in ((40, 12), (20, 5), WIDE):
            await stage.pilot.resize_terminal(*size)
            await stage.settle()
            assert stage.text("TopBar").strip()
        assert "question 1 about topic 1" in stage.visible("#questions")


async def test_the_bar_on_top_names_what_is_open(database: Path) -> None:
    async with staged(database) as stage:
        assert "opening lda.db" in stage.text("TopBar")
        await stage.show_teacher()
        bar = stage.text("TopBar")
    assert bar.split()[:4] == ["1", "Teacher", "2", "Student"]
    assert "N 4 τ 0.1" in bar
    assert "db/lda.db" in bar
    assert "opening" not in bar


async def test_a_head_without_a_cluster_name_goes_by_its_number(database: Path) -> None:
    async with staged(database) as stage:
        view = await stage.show_teacher()
        nameless = tuple(msgspec.structs.replace(head, cluster_name="") for head in view.heads)
        await stage.tell(Answered(stage.app.teacher.show_teacher, replace(view, heads=nameless)))
        assert {name for name, _weight in stage.find("#routing", WeightBars).rows} == {
            f"cluster {number}" for number in range(1, 5)
        }


async def test_brackets_look_at_other_temperatures_and_equals_goes_back(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        stage.find("#questions", QuestionList).focus()
        await stage.press("down")
        stored = dict(stage.find("#routing", WeightBars).rows)
        await stage.press(*["right_square_bracket"] * 20)
        assert stage.app.teacher.view is not None
        assert stage.app.teacher.view.teacher.temperature == pytest.approx(1.0), (
            "20 steps are a factor of ten"
        )
        assert fact(stage, "temperature τ") == "1 (stored 0.1)"
        hot = dict(stage.find("#routing", WeightBars).rows)
        assert hot == pytest.approx(softmax_weights(database, 2, 2), abs=1e-3), "projection 2 has tau 1"
        config = stage.run_config()
        assert config is not None
        assert config.data.temperature == pytest.approx(1.0)

        await stage.press("left_square_bracket")
        assert stage.app.teacher.view.teacher.temperature < 1.0
        await stage.press("equals_sign")
        assert dict(stage.find("#routing", WeightBars).rows) == stored
        assert fact(stage, "temperature τ") == "0.1"
        config = stage.run_config()
        assert config is not None
        assert config.data.temperature is None


async def test_temperatures_stay_within_bounds(tmp_path: Path) -> None:
    database = write_lda_db(tmp_path / "db", temperatures=(0.00105, 95.0))
    async with staged(database) as stage:
        for mh_id, key, bound in ((1, "left_square_bracket", 1e-3), (2, "right_square_bracket", 100.0)):
            await stage.show_teacher(mh_id)
            await stage.press(key, key, key)
            assert stage.app.teacher.view is not None
            assert stage.app.teacher.view.teacher.temperature == pytest.approx(bound)
            assert np.isfinite(list(dict(stage.find("#routing", WeightBars).rows).values())).all()


async def test_a_teacher_that_is_nearly_a_constant_is_called_so(tmp_path: Path) -> None:
    """At tau 10 every head has nearly the same weight, whatever the query."""
    database = write_lda_db(tmp_path / "db", temperatures=(0.1, 10.0))
    async with staged(database) as stage:
        for mh_id, warned in ((1, False), (2, True)):
            view = await stage.show_teacher(mh_id)
            facts = " ".join(stage.text("#facts").split())
            assert bool(view.health.warnings) is warned
            assert all(" ".join(warning.split()) in facts for warning in view.health.warnings)


async def test_the_bars_are_the_routing_of_the_question_under_the_cursor(database: Path) -> None:
    async with staged(database) as stage:
        for mh_id in (1, 2):
            await stage.show_teacher(mh_id)
            bars = stage.find("#routing", WeightBars)
            first = softmax_weights(database, mh_id, question_id=1)
            assert dict(bars.rows) == pytest.approx(first, abs=1e-5), "the first question is routed at once"

            stage.find("#questions", QuestionList).focus()
            await stage.press("down", "down")
            expected = softmax_weights(database, mh_id, question_id=3)
            assert dict(bars.rows) == pytest.approx(expected, abs=1e-5)
            assert [name for name, _value in bars.rows] == sorted(expected, key=lambda name: -expected[name])
            assert stage.text("#routing-caption").strip() == "true cluster: topic_1"


async def test_a_temperature_can_be_typed(database: Path) -> None:
    async with staged(database) as stage:
        await stage.press("T")
        assert stage.toasts() == ["Choose a projection first."]
        await stage.show_teacher()
        for typed, tau, bars in (("0.25", "0.25 (stored 0.1)", True), ("auto", "0.1", True)):
            await stage.press("T")
            await stage.fill("#text", typed)
            await stage.press("enter")
            assert fact(stage, "temperature τ") == tau
            assert bool(stage.find("#routing", WeightBars).rows) is bars
        for wrong in ("0", "-1", "warm", "nan"):
            await stage.press("T")
            await stage.fill("#text", wrong)
            await stage.press("enter")
            assert "Temperature τ" in stage.text("#text-note")
            await stage.press("escape")
            assert fact(stage, "temperature τ") == "0.1"
