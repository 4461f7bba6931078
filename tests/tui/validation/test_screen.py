from __future__ import annotations

from pathlib import Path

from textual.widgets import DataTable, TabbedContent

from distill_core.evaluation.metrics import CosineSummary, Evaluation
from distill_core.training.events import Assessed, RunFinished
from distill_core.training.events import TestEvaluated as Tested
from distill_tui.jobs import JobState, Progressed
from distill_tui.validation.histogram import Histogram
from tests.core.database_factory import write_lda_db
from tests.core.test_database_schema import execute
from tests.tui import events
from tests.tui.judged import assessment_of, judged_run
from tests.tui.stage import NARROW, WIDE, Stage, full_run, staged


def rows(stage: Stage, selector: str) -> list[tuple[str, ...]]:
    table = stage.find(selector, DataTable)
    return [tuple(str(cell) for cell in table.get_row_at(row)) for row in range(table.row_count)]


def worst(stage: Stage) -> list[tuple[str, ...]]:
    """Return cosine, question and true cluster of the rows of the worst queries."""
    return [(cosine, question, cluster) for cosine, _, question, cluster in rows(stage, "#worst")]


async def show_tab(stage: Stage, name: str) -> None:
    stage.find("#validate-tabs", TabbedContent).active = f"tab-{name}"
    await stage.settle()


def finished(mean: float, low: float, sd: float, *, epochs: int = 10) -> RunFinished:
    cosine = CosineSummary(mean=mean, sd=sd, min=low, p5=low + 0.001, max=0.9999)
    return RunFinished(
        evaluation=Evaluation(n=3, cosine=cosine, mse=1.25e-4), epochs=epochs, active_seconds=5.0
    )


def figures(stage: Stage, name: str) -> str:
    """Return a row of the table of published figures."""
    lines = [" ".join(line.split()) for line in stage.text("#published").splitlines()]
    return next((line for line in lines if line.startswith(name)), "")


async def test_before_a_run_the_verdict_says_what_to_do(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("validate")
        assert "ctrl+t trains" in stage.text("#verdict")
        assert (rows(stage, "#worst"), rows(stage, "#ladder")) == ([], [])
        await stage.start_training()
        assert "still going" in stage.text("#verdict")


async def test_the_figures_stand_beside_the_published_expectations(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("validate")
        await show_tab(stage, "cosines")
        for mean, low, sd, met in (
            (0.9930, 0.9827, 0.0027, {"mean", "min", "sd"}),
            (0.9900, 0.9800, 0.0100, set()),
            (0.9500, 0.9810, 0.0200, {"min"}),
        ):
            await stage.train(events.run_started(), finished(mean, low, sd))
            for name, value, bound in (
                ("mean", mean, "> 0.99"),
                ("min", low, "> 0.98"),
                ("sd", sd, "< 0.01"),
            ):
                assert figures(stage, name).startswith(f"{name} {value:.4f} ")
                assert figures(stage, name).endswith(f"{bound} {'met' if name in met else 'not met'}")
            assert "0.9999" in figures(stage, "max")
            assert "1.25e-04" in figures(stage, "MSE")


async def test_the_worst_queries_come_first_with_their_texts(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("validate")
        await stage.train_to_the_end()
        assert worst(stage) == [
            ("0.6100", "question 9 about topic 2", "topic_2"),
            ("0.8800", "question 20 about topic 4", "topic_4"),
            ("0.9500", "question 2 about topic 1", "topic_1"),
        ]
        assert sorted(stage.find("#student-histogram", Histogram).values) == [0.61, 0.88, 0.95]


async def test_a_worst_query_names_the_answers_of_teacher_and_student(database: Path) -> None:
    told = Tested(question_ids=(2, 9), cosines=(0.9, 0.2), teacher_answers=(1, 2), student_answers=(1, 4))
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("validate")
        await stage.train(events.run_started(), told, events.run_finished())
        assert [row[1] for row in rows(stage, "#worst")] == ["other", "same"]
        await stage.press("1", "4", "t", "t")
        detail = stage.visible("#worst-detail")
        await stage.press("down")
        other = stage.visible("#worst-detail")
    assert "LDA's answer     topic_2: answer 2 about topic 2" in detail
    assert "student's answer topic_4: answer 4 about topic 4" in detail
    assert "question         question 9 about topic 2" in detail
    assert "same answer first" in other


async def test_at_most_a_hundred_worst_queries_are_listed(tmp_path: Path) -> None:
    database = write_lda_db(tmp_path / "db", num_heads=4, questions_per_head=40)
    cosines = tuple(1 - number / 1000 for number in range(1, 151))
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("validate")
        await stage.train(
            events.run_started(), events.tested(tuple(range(1, 151)), cosines), events.run_finished()
        )
        found = worst(stage)
    assert len(found) == 100
    assert found[0][:2] == ("0.8500", "question 150 about topic 4")
    assert [cosine for cosine, *_ in found] == sorted(cosine for cosine, *_ in found)


async def test_texts_with_brackets_are_shown_as_they_are(database: Path) -> None:
    execute(
        database,
        "UPDATE questions SET text = 'why is [/b] in a[i] odd?' WHERE question_id = 9",
        "UPDATE qa_clusters SET name = 'lists [/i]' WHERE cluster_id = 2",
        "UPDATE answers SET text = 'because [/of] x[j]' WHERE answer_id = 2",
    )
    told = Tested(question_ids=(9,), cosines=(0.2,), teacher_answers=(2,), student_answers=(2,))
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("validate")
        await stage.train(events.run_started(), told, events.run_finished())
        await show_tab(stage, "worst")
        table = stage.text("#worst") + stage.text("#worst-text")
    assert "why is [/b] in a[i] odd?" in table
    assert "lists [/i]" in table
    assert "because [/of] x[j]" in table


async def test_a_projection_looked_at_later_does_not_change_what_the_run_was_about(
    database: Path, tmp_path: Path
) -> None:
    other = write_lda_db(tmp_path / "other", num_heads=3, dimension=6, questions_per_head=9, seed=4)
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.train_to_the_end()
        await stage.show_teacher(database=other)
        await stage.go("validate")
        assert worst(stage)[0] == ("0.6100", "question 9 about topic 2", "topic_2"), (
            "not topic 1 of the other"
        )


async def test_a_new_run_clears_the_old_figures(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("validate")
        await stage.train(*judged_run(database))
        assert rows(stage, "#ladder")
        assert rows(stage, "#retrieval")
        await stage.start_training()
        assert [rows(stage, name) for name in ("#worst", "#ladder", "#retrieval")] == [[], [], []]
        assert "still going" in stage.text("#verdict")
        for name in ("#student-histogram", "#baseline-histogram"):
            assert stage.find(name, Histogram).values == ()
        await show_tab(stage, "cosines")
        assert figures(stage, "mean") == ""
        await stage.tell(Progressed(stage.app.training, full_run((3, 8, 21))))
        assert worst(stage)[0] == ("0.6100", "question 8 about topic 2", "topic_2")


async def test_a_judged_run_shows_verdict_ladder_and_retrieval(database: Path) -> None:
    told = judged_run(database)
    assessment = assessment_of(told)
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("validate")
        await stage.train(*told)
        verdict = " ".join(stage.text("#verdict").split())
        assert verdict.startswith(assessment.verdict.sentence)
        for reason in assessment.verdict.reasons:
            assert " ".join(reason.split()) in verdict
        assert assessment.verdict.would_change in verdict

        ladder = rows(stage, "#ladder")
        assert len(ladder) == 1 + len(assessment.baselines)
        assert sum("this student" in row[0] for row in ladder) == 1
        means = [float(row[5].split()[0]) for row in ladder]
        assert means == sorted(means, reverse=True)

        table = assessment.retrieval
        assert table is not None
        chance = [f"{level:.3f}" for level in table.chance]
        assert rows(stage, "#retrieval")[-1][1:] == (chance[2], "", "", "", chance[0], chance[1])
        names = [row[0] for row in rows(stage, "#retrieval")]
        assert names[0] == "teacher"
        assert names[1] == "student"
        assert set(names[2:-1]) <= {score.label for score in assessment.baselines}, "as in the ladder"
        assert names[-1].startswith("chance (4 answers)")
        assert rows(stage, "#retrieval")[0][1].startswith("1.000"), "the teacher agrees with itself"


async def test_a_run_stopped_early_says_so_beside_its_figures(database: Path) -> None:
    *told, _end = judged_run(database)
    assert isinstance(told[-1], Assessed)
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("validate")
        await stage.train(*told, finished(0.5, 0.1, 0.2, epochs=4), outcome=JobState.STOPPED)
        await show_tab(stage, "cosines")
        assert "topped after 4 of 10 epochs" in " ".join(stage.text("#published-note").split())


async def test_a_run_that_ended_early_by_itself_says_why(database: Path) -> None:
    *told, _end = judged_run(database)
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("validate")
        await stage.train(*told, finished(0.5, 0.1, 0.2, epochs=4))
        await show_tab(stage, "cosines")
        note = " ".join(stage.text("#published-note").split())
        assert "Validation gained no more: ended after 4 of 10 epochs." in note


async def test_t_goes_round_the_tables(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("validate")
        await stage.train(*judged_run(database))
        tabs = stage.find("#validate-tabs", TabbedContent)
        seen = [tabs.active]
        for _ in range(4):
            await stage.press("t")
            seen.append(tabs.active)
    assert seen == ["tab-ladder", "tab-cosines", "tab-worst", "tab-retrieval", "tab-ladder"]


async def test_a_failed_run_has_no_verdict(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("validate")
        await stage.train(events.run_started(), outcome=JobState.FAILED, error="The loss is lost.")
        assert "Nothing to judge" in stage.text("#verdict")


async def test_at_80x24_verdict_and_tables_are_visible(database: Path) -> None:
    told = judged_run(database)
    async with staged(database, size=NARROW) as stage:
        await stage.show_teacher()
        await stage.go("validate")
        await stage.train(*told)
        first_words = assessment_of(told).verdict.sentence.split()[:3]
        assert " ".join(first_words) in stage.visible("#verdict-pane")
        assert "this student" in stage.visible("#ladder")
        await show_tab(stage, "worst")
        assert "about topic" in stage.visible("#worst")
        await show_tab(stage, "cosines")
        assert "mean" in stage.visible("#published")


async def test_the_columns_that_decide_are_on_the_screen(database: Path) -> None:
    for size, ladder, retrieval in (
        (WIDE, ("skill", "student's lead", "parameters"), ("agreement@10", "Recall@1", "Recall@10")),
        (NARROW, ("skill",), ("agreement@10",)),
    ):
        async with staged(database, size=size) as stage:
            await stage.show_teacher()
            await stage.go("validate")
            await stage.train(*judged_run(database))
            for tab, names in (("ladder", ladder), ("retrieval", retrieval)):
                await show_tab(stage, tab)
                table = stage.find(f"#{tab}", DataTable)
                ends = {}
                right = 0
                for column in table.ordered_columns:
                    right += column.get_render_width(table)
                    ends[str(column.label)] = right
                assert all(ends[name] <= table.size.width for name in names), (size, ends)
