from __future__ import annotations

import math
from pathlib import Path

import pytest
from textual.widgets import ProgressBar

from distill_core.students import MemoryConfig, MlpConfig
from distill_core.students.spec import StudentConfig
from distill_core.training.events import BaselineFitted
from distill_tui.jobs import JobEnded, JobState, Progressed
from distill_tui.training.metric_chart import MetricChart
from tests.tui import events
from tests.tui.judged import judged_run
from tests.tui.stage import NARROW, WIDE, Stage, full_run, staged


def headline(stage: Stage) -> str:
    return stage.text("#run-headline").strip()


def offered(stage: Stage) -> set[str]:
    return {key for key in ("train.pause", "train.stop", "app.start", "app.save") if stage.offers(key)}


async def test_before_a_run_the_headline_says_how_to_start_one(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("train")
        assert "ctrl+t starts one" in headline(stage)
        assert offered(stage) == {"app.start"}


async def test_without_a_teacher_nothing_can_be_started(database: Path) -> None:
    async with staged(database) as stage:
        await stage.go("train")
        await stage.press("ctrl+t", "enter")
        assert stage.training_state() is JobState.IDLE
        assert offered(stage) == set()


async def test_enter_starts_a_run_here(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("train")
        before = len(stage.jobs.wanted)
        await stage.press("enter")
        assert stage.training_state() is JobState.RUNNING
        assert stage.jobs.groups[before:] == ["engine"]
        assert "Starting: loading torch" in headline(stage)
        assert offered(stage) == {"train.pause", "train.stop"}


async def test_a_run_shows_its_settings_its_progress_and_its_numbers(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("train")
        await stage.start_training()
        await stage.tell(Progressed(stage.app.training, (events.run_started(), events.epoch_finished(3))))
        assert headline(stage) == "Running"
        settings = stage.text("#run-settings")
        for part in (
            "encoder H 4 L 2",
            "book λ 0.7",
            "lr 0.0001",
            "batch 32",
            "seed 0",
            "40 train, 6 validation, 12 test",
        ):
            assert part in settings
        validated = stage.app.training.view.best
        assert validated is not None
        assert validated.validation is not None
        best = f"best {validated.validation.cosine:.5f} @3"
        assert stage.text("#run-numbers").strip() == (
            "epoch 3 of 10 · 1,234 samples/s · 00:02 gone · 01:05 to go · " + best
        )
        bar = stage.find("#run-progress", ProgressBar)
        assert bar.visible
        assert bar.percentage == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("student", "words"),
    [
        (
            MemoryConfig(heads=2, layers=3, slots=1024, width=6),
            "memory H 2 L 3 K 4 r 6 · book",
        ),
        (MlpConfig(layers=3), "mlp L 3 · book"),
    ],
)
async def test_a_run_names_its_student_by_what_means_something_for_it(
    database: Path, student: StudentConfig, words: str
) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("train")
        await stage.start_training()
        await stage.tell(Progressed(stage.app.training, (events.run_started(student=student),)))
        assert stage.text("#run-settings").strip().startswith(words)


async def test_a_run_that_ends_early_by_itself_says_why_and_is_complete(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("train")
        told = (events.run_started(), events.epoch_finished(6), events.run_finished(epochs=6))
        await stage.train(*told)
        assert "as validation gained no more" in headline(stage)
        assert "epoch 6 of 10" in stage.text("#run-numbers")
        assert stage.find("#run-progress", ProgressBar).percentage == pytest.approx(1.0)
        await stage.train(*told, outcome=JobState.STOPPED)
        assert headline(stage).startswith("Stopped early")
        assert stage.find("#run-progress", ProgressBar).percentage == pytest.approx(0.6)
        await stage.train(*full_run())
        assert headline(stage).startswith("Finished: 4 shows")


async def test_the_charts_get_every_epoch(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("train")
        await stage.start_training()
        for epoch in range(1, 6):
            await stage.tell(
                Progressed(
                    stage.app.training, (events.epoch_finished(epoch, loss=1 / epoch, cosine=0.1 * epoch),)
                )
            )
        shown = {
            metric: stage.find(f"#chart-{metric}", MetricChart).history
            for metric in ("loss", "mse", "cosine")
        }
    assert shown["loss"]["train"].y.tolist() == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4, 1 / 5])
    assert shown["loss"]["validation"].y.tolist() == pytest.approx([1.1, 0.6, 1 / 3 + 0.1, 0.35, 0.3])
    assert shown["mse"]["train"].y.tolist() == pytest.approx([0.1, 0.05, 1 / 30, 0.025, 0.02])
    assert shown["cosine"]["train"].y.tolist() == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.5]), "1 - cosine"


async def test_a_run_told_while_another_screen_is_shown_is_there_when_one_comes_back(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("train")
        await stage.start_training()
        await stage.go("teacher")
        await stage.tell(Progressed(stage.app.training, full_run()))
        await stage.go("train")
        assert "epoch 10 of 10" in stage.text("#run-numbers")
        assert any("⠀" < cell <= "⣿" for cell in stage.text("#chart-loss")), "a line is drawn"


async def test_pause_go_on_and_stop(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("train")
        await stage.start_training()
        await stage.tell(Progressed(stage.app.training, (events.run_started(), events.epoch_finished(1))))

        await stage.press("space")
        assert stage.training_state() is JobState.PAUSED
        assert headline(stage).startswith("Paused")
        assert offered(stage) == {"train.pause", "train.stop"}
        assert "training paused" in stage.text("TopBar")

        await stage.press("space")
        assert stage.training_state() is JobState.RUNNING
        assert headline(stage) == "Running"

        await stage.press("s")
        assert stage.training_state() is JobState.STOPPING
        assert headline(stage).startswith("Stopping")
        assert offered(stage) == set()
        await stage.press("space", "s")
        assert stage.training_state() is JobState.STOPPING

        await stage.tell(
            Progressed(stage.app.training, full_run()[-2:]), JobEnded(stage.app.training, JobState.STOPPED)
        )
        assert headline(stage).startswith("Stopped early")
        assert offered(stage) == {"app.start", "app.save"}


async def test_progress_that_arrives_while_paused_or_stopping_leaves_the_state_alone(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("train")
        await stage.start_training()
        await stage.press("space")
        await stage.tell(Progressed(stage.app.training, (events.run_started(), events.epoch_finished(2))))
        assert stage.training_state() is JobState.PAUSED
        assert "epoch 2 of 10" in stage.text("#run-numbers")


async def test_a_paused_run_can_be_stopped(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("train")
        await stage.start_training()
        await stage.press("space", "s")
        assert stage.training_state() is JobState.STOPPING


async def test_stopping_before_the_first_step(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("train")
        await stage.start_training()
        await stage.press("s")
        await stage.tell(JobEnded(stage.app.training, JobState.STOPPED))
        assert stage.training_state() is JobState.STOPPED
        assert not stage.app.jobs.is_busy
        await stage.press("4")
        assert stage.app.current_mode == "validate"


async def test_a_failed_run_says_its_sentence_on_the_status_line(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("train")
        await stage.train(
            events.run_started(),
            events.epoch_finished(1),
            outcome=JobState.FAILED,
            error="The loss is not a number any more after step 7. Lower the learning rate [1e-4].",
        )
        assert headline(stage) == (
            "Failed: The loss is not a number any more after step 7. Lower the learning rate [1e-4]."
        )
        assert stage.screen.query_one("#run-status").has_class("-failed")
        assert offered(stage) == {"app.start"}

        await stage.press("enter")
        assert not stage.screen.query_one("#run-status").has_class("-failed")
        assert headline(stage).startswith("Starting")


async def test_a_loss_that_is_no_number_leaves_the_screen_alive(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("train")
        await stage.press("L")
        for wrong in (math.nan, math.inf, -math.inf):
            await stage.start_training()
            told = [events.epoch_finished(epoch, loss=1.0, cosine=0.5) for epoch in (1, 2)]
            lost = [events.epoch_finished(epoch, loss=wrong, cosine=wrong) for epoch in (3, 4)]
            await stage.tell(Progressed(stage.app.training, (events.run_started(), *told, *lost)))
            await stage.tell(Progressed(stage.app.training, (events.epoch_finished(5, loss=wrong),)))
            assert "epoch 5 of 10" in stage.text("#run-numbers")
            assert "loss" in stage.text("#chart-loss")
            await stage.tell(JobEnded(stage.app.training, JobState.FAILED, "The loss is lost."))
            assert headline(stage) == "Failed: The loss is lost."


async def test_a_new_run_starts_with_empty_charts(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("train")
        await stage.train_to_the_end()
        assert stage.find("#chart-loss", MetricChart).history["train"].count == 10
        await stage.press("enter")
        assert stage.find("#chart-loss", MetricChart).history["train"].count == 0
        assert stage.text("#run-numbers").strip() == ""
        assert stage.app.training.view.finished is None


async def test_zoom_shows_one_chart_after_another_then_all(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("train")
        seen = []
        for _ in range(5):
            seen.append({chart.id for chart in stage.screen.query(MetricChart) if chart.is_on_screen})
            await stage.press("z")
    everything = {"chart-cosine", "chart-loss", "chart-mse"}
    assert seen == [everything, {"chart-cosine"}, {"chart-loss"}, {"chart-mse"}, everything]


async def test_it_fits_small_terminals(database: Path) -> None:
    async with staged(database, size=NARROW) as stage:
        await stage.show_teacher()
        await stage.go("train")
        await stage.train_to_the_end()
        for size in ((40, 12), (20, 5), WIDE):
            await stage.pilot.resize_terminal(*size)
            await stage.settle()
        assert headline(stage).startswith("Finished")
        assert "epoch 10 of 10" in stage.visible("#run-status")


async def test_the_lines_across_are_named_as_in_the_ladder_in_short(database: Path) -> None:
    told = [event for event in judged_run(database) if isinstance(event, BaselineFitted)]
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("train")
        await stage.start_training()
        await stage.tell(Progressed(stage.app.training, (events.run_started(), *told)))
        names = {baseline.name for baseline in stage.find("#chart-cosine", MetricChart).baselines}
        assert {"constant", "query itself", "nearest query", "nearest centroid", "ridge"} <= names
        assert any(name.startswith("top-") and name[4:].isdigit() for name in names)
        assert all("_" not in name for name in names)


@pytest.mark.parametrize("alone", [False, True], ids=["the screen", "a chart"])
async def test_what_is_shown_is_saved_as_svg_and_nothing_is_written_over(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, alone: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "distill-train.svg").write_text("mine")
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.train_to_the_end()
        await stage.go("train")
        await stage.press(*("z" if alone else ""), "S", "enter")
        saved = (tmp_path / "distill-train-2.svg").read_text()
        assert saved.startswith("<svg")
        assert ("Teacher" in saved) is not alone
        await stage.press("S")
        await stage.fill("#text", "distill-train.svg")
        await stage.press("enter")
        assert "exists already" in stage.text("#text-note").replace("\n", " ")
    assert (tmp_path / "distill-train.svg").read_text() == "mine"
