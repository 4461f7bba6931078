from __future__ import annotations

import asyncio
from pathlib import Path

from textual.command import CommandList, CommandPalette

from distill_core.errors import DistillError
from distill_tui import places
from distill_tui.jobs import Answered, JobEnded, JobState, Progressed
from distill_tui.teacher.desk import DatabaseView
from distill_tui.ui.database_picker import DatabasePicker
from distill_tui.ui.dialogs import QuitDialog, SaveDialog
from tests.core.database_factory import write_lda_db
from tests.tui import events
from tests.tui.stage import Stage, full_run, staged


def write_keymap(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "keymap.toml").write_text(text)


async def palette(stage: Stage, words: str) -> None:
    """Run the first command of the palette that the words find."""
    await stage.press("ctrl+p")
    assert isinstance(stage.screen, CommandPalette)
    await stage.press(*words)
    while not stage.screen.query_one(CommandList).option_count:
        await stage.pilot.pause(0.02)
    await stage.press("enter")


async def test_a_database_that_was_asked_for_is_read_first_and_its_first_projection_next(
    database: Path,
) -> None:
    async with staged(database) as stage:
        assert stage.jobs.groups == ["ask"]
        assert stage.app.busy_with.view == "opening lda.db"
        await stage.show_teacher()
        assert stage.jobs.groups == ["ask", "ask", "list"], "the runs are read ahead of time"
        assert stage.app.busy_with.view == ""
        assert stage.app.current_mode == "teacher"
        assert places.read_recent() == (database,)


async def test_tasks_start_in_the_order_of_python_3_11_on_every_python(database: Path) -> None:
    loop = asyncio.get_running_loop()
    loop.set_task_factory(lambda loop, work, **options: asyncio.Task(work, loop=loop, **options))
    async with staged(database):
        assert loop.get_task_factory() is None


async def test_without_a_database_the_picker_is_there(database: Path) -> None:
    async with staged(database, picker=True) as stage:
        assert isinstance(stage.screen, DatabasePicker)
        assert stage.jobs.groups == []


async def test_a_second_run_is_refused_with_a_word(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.start_training()
        await stage.tell(Progressed(stage.app.training, (events.run_started(), events.epoch_finished(4))))
        assert not stage.app.training.start()
        await stage.settle()
        assert any("training is still going" in " ".join(toast.split()) for toast in stage.toasts())
        assert stage.jobs.groups.count("engine") == 1
        assert stage.app.training.view.epoch == events.epoch_finished(4), "the run that is going is untouched"


async def test_a_run_needs_a_projection(database: Path) -> None:
    async with staged(database) as stage:
        assert not stage.app.training.start()
        await stage.settle()
        assert any("Choose a projection first." in toast for toast in stage.toasts())


async def test_a_run_is_refused_while_a_setting_is_wrong(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("student")
        await stage.fill("#heads", "3")
        await stage.press("escape", "ctrl+t")
        assert stage.training_state() is JobState.IDLE
        assert stage.jobs.groups.count("engine") == 0


async def test_the_last_word_of_another_job_changes_nothing(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.tell(JobEnded(stage.app.training, JobState.FAILED, "Nobody started this."))
        assert stage.training_state() is JobState.IDLE

        await stage.start_training()
        await stage.tell(JobEnded(stage.app.latency.comparison, JobState.FINISHED))
        assert stage.training_state() is JobState.RUNNING
        assert stage.jobs.is_busy

        await stage.tell(
            Progressed(stage.app.training, full_run()), JobEnded(stage.app.training, JobState.FINISHED)
        )
        await stage.tell(JobEnded(stage.app.training, JobState.FAILED, "A second last word."))
        assert stage.training_state() is JobState.FINISHED
        assert stage.app.training.view.error == ""


async def test_a_run_then_a_measurement_then_a_run_keep_their_own_results(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.train_to_the_end()
        stage.app.latency.comparison.start()
        await stage.tell(
            Progressed(stage.app.latency.comparison, (events.latency_started(), events.latency_finished())),
            JobEnded(stage.app.latency.comparison, JobState.FINISHED),
        )
        assert stage.training_state() is JobState.FINISHED
        assert stage.app.training.view.finished is not None
        await stage.start_training()
        assert stage.app.latency.comparison.view.finished is not None
        assert stage.app.latency.comparison.view.state is JobState.FINISHED
        assert stage.app.training.view.finished is None


async def test_a_failed_load_is_said_and_what_was_there_stays(database: Path) -> None:
    async with staged(database) as stage:
        view = await stage.show_teacher()
        await stage.tell(
            Answered(
                stage.app.teacher.say_not_opened,
                DistillError("/tmp/[b]x.db is no database.", "Choose [another/]."),
            ),
        )
        (toast,) = stage.toasts()
        assert "/tmp/[b]x.db is no database. Choose [another/]." in " ".join(toast.split())
        assert stage.app.teacher.view is view
        assert stage.app.busy_with.view == ""
        await stage.start_training()
        assert stage.training_state() is JobState.RUNNING


async def test_q_leaves_at_once_when_nothing_runs(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.pilot.press("q")
    assert stage.app.return_code == 0
    assert stage.app.return_value == 0


async def test_q_asks_while_a_run_is_going(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.start_training()
        await stage.press("q")
        assert isinstance(stage.screen, QuitDialog)
        assert "training is still going" in stage.visible(".dialog")
        for key in ("escape", "c", "enter"):
            await stage.press(key)
            assert not isinstance(stage.screen, QuitDialog), f"{key} goes on with the run"
            assert stage.jobs.state is JobState.RUNNING
            await stage.press("q")
        await stage.press("q", "ctrl+q")
        assert isinstance(stage.screen, QuitDialog), "one dialog, however often q is pressed"
        await stage.pilot.press("right", "right", "enter")
    assert stage.jobs.state is JobState.STOPPING
    assert stage.app.return_value == 0


async def test_a_run_that_ends_under_the_quit_dialog_can_still_be_left(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.start_training()
        await stage.press("q")
        await stage.tell(
            Progressed(stage.app.training, full_run()), JobEnded(stage.app.training, JobState.FINISHED)
        )
        await stage.pilot.press("s")
    assert stage.jobs.state is JobState.FINISHED
    assert stage.app.return_value == 0


async def test_the_palettes_quit_asks_while_a_run_is_going(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.start_training()
        await palette(stage, "quit")
        assert await stage.reach(lambda: isinstance(stage.screen, QuitDialog))
        assert stage.app.is_running
        await stage.press("escape")
        assert stage.training_state() is JobState.RUNNING


async def test_the_palette_offers_the_apps_own_commands(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        titles = {command.title for command in stage.app.get_system_commands(stage.screen)}
        assert {"Open a database", "Start training", "Save the student"} <= titles
        await palette(stage, "start train")
        assert stage.training_state() is JobState.RUNNING
        assert stage.app.current_mode == "train"


async def test_the_palette_cannot_save_what_is_not_there(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await palette(stage, "save the stu")
        assert not isinstance(stage.screen, SaveDialog)
        assert any("no trained student" in " ".join(toast.split()) for toast in stage.toasts())


async def test_a_keymap_moves_a_key(database: Path, tmp_path: Path) -> None:
    write_keymap(tmp_path, '"app.start" = "f5"\n"train.stop" = "x"\n')
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.press("ctrl+t")
        assert stage.training_state() is JobState.IDLE
        await stage.press("f5")
        assert stage.training_state() is JobState.RUNNING
        await stage.press("3", "s")
        assert stage.training_state() is JobState.RUNNING
        await stage.press("x")
        assert stage.training_state() is JobState.STOPPING


async def test_a_broken_keymap_is_a_toast(database: Path, tmp_path: Path) -> None:
    write_keymap(tmp_path, "app.start = [")
    async with staged(database) as stage:
        (toast,) = stage.toasts()
        assert "Keymap not used" in toast
        assert "keymap.toml" in "".join(toast.split())
        await stage.show_teacher()
        await stage.press("2")
        assert stage.app.current_mode == "student"


async def test_numbers_and_commands_do_nothing_under_a_dialog(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.start_training()
        for opening, dialog in (("o", DatabasePicker), ("q", QuitDialog)):
            await stage.press(opening)
            await stage.press("2", "3", "4", "5", "ctrl+t", "ctrl+s", "o")
            assert isinstance(stage.screen, dialog)
            assert len(stage.app.screen_stack) == 2
            await stage.press("escape")
            assert stage.app.current_mode == "teacher"
        assert stage.jobs.groups.count("engine") == 1


async def test_the_keys_of_a_screen_do_nothing_on_another(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.start_training()
        await stage.go("validate")
        await stage.press("space", "s")
        assert stage.training_state() is JobState.RUNNING


async def test_another_database_can_be_opened_while_a_run_is_going(database: Path, tmp_path: Path) -> None:
    other = write_lda_db(tmp_path / "other", num_heads=3, dimension=6, questions_per_head=5)
    async with staged(database) as stage:
        view = await stage.show_teacher()
        await stage.start_training()
        await stage.show_teacher(database=other)
        assert stage.training_state() is JobState.RUNNING
        assert stage.app.training.view.teacher is view
        assert "training running" in stage.text("TopBar")
        assert "other/lda.db" in stage.text("TopBar")


async def test_a_database_without_projections_leaves_an_empty_table(database: Path) -> None:
    async with staged(database) as stage:
        await stage.tell(Answered(stage.app.teacher.show_database, DatabaseView(database, ())))
        assert stage.app.teacher.view is None
        assert stage.jobs.groups == ["ask"]
        await stage.press("enter")
        assert stage.app.current_mode == "teacher"


async def test_every_screen_opens_before_anything_is_loaded(database: Path) -> None:
    async with staged(database) as stage:
        for key, mode in zip("23451", ("student", "train", "validate", "latency", "teacher"), strict=True):
            await stage.press(key)
            assert stage.app.current_mode == mode
            assert mode.capitalize() in stage.text("TopBar")


async def test_the_key_that_trains_says_why_it_cannot(database: Path) -> None:
    async with staged(database) as stage:
        await stage.press("ctrl+t")
        assert stage.toasts() == ["Choose a projection first."]
        await stage.show_teacher()
        stage.app.latency.comparison.start()
        await stage.settle()
        await stage.press("ctrl+t")
        assert "The latency is still going; stop it first." in stage.toasts()
        assert stage.jobs.groups.count("engine") == 1


async def test_the_palette_goes_to_screens_and_measures(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await palette(stage, "screen validate")
        assert await stage.reach(lambda: stage.app.current_mode == "validate")
        await palette(stage, "search the crossover")
        assert await stage.reach(lambda: stage.app.latency.crossover.view.state is JobState.RUNNING)
        assert stage.app.current_mode == "latency"
        await stage.tell(JobEnded(stage.app.latency.crossover, JobState.STOPPED))
        await palette(stage, "measure the latency")
        assert await stage.reach(lambda: stage.app.latency.comparison.view.state is JobState.RUNNING)
