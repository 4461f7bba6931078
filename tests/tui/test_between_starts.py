"""What is told and kept when nobody looks: ends of work, settings from start to start, another database."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from textual.driver import Driver
from textual.widgets import Input, OptionList

from distill_core.config import TrainingConfig
from distill_tui.jobs import JobEnded, JobState
from distill_tui.student.desk import RunSettings
from tests.core.database_factory import write_lda_db
from tests.tui.stage import Stage, staged


async def test_settings_are_kept_from_start_to_start(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        own = stage.app.student.view.student.with_values(heads=2, layers=3)
        stage.app.student.publish(RunSettings(student=own, training=TrainingConfig(seed=7)))
    async with staged(database) as stage:
        await stage.show_teacher()
        assert stage.app.student.view.student == own
        assert stage.app.student.view.training == TrainingConfig(seed=7)


async def test_a_default_shape_follows_the_teacher_of_the_next_start(database: Path, tmp_path: Path) -> None:
    """N = 4: H 4 L 1 by the book; N = 70: H 4 L 3."""
    many = write_lda_db(tmp_path / "many", num_heads=70, dimension=8, questions_per_head=2)
    async with staged(database) as stage:
        await stage.show_teacher()
    async with staged(many) as stage:
        await stage.show_teacher(database=many)
        student = stage.app.student.view.student
        assert (student.value("heads"), student.value("layers")) == (4, 3)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"settings": {"student": {"kind": "none"}}}'])
async def test_damaged_settings_are_not_taken(database: Path, tmp_path: Path, damage: str) -> None:
    file = tmp_path / "state" / "settings.json"
    file.parent.mkdir()
    file.write_text(damage)
    async with staged(database) as stage:
        await stage.show_teacher()
        assert stage.app.student.view.training == TrainingConfig()


async def test_another_database_changes_an_untouched_shape_and_says_it(
    database: Path, tmp_path: Path
) -> None:
    many = write_lda_db(tmp_path / "many", num_heads=70, dimension=8, questions_per_head=2)
    async with staged(database) as stage:
        await stage.show_teacher()
        assert toasts(stage) == []
        await stage.show_teacher(database=many)
        assert toasts(stage) == ["The student is encoder H 4 L 3 now, the default for N 70."]
        own = stage.app.student.view.student.with_values(heads=2)
        stage.app.student.publish(dataclasses.replace(stage.app.student.view, student=own))
        await stage.show_teacher()
        assert stage.app.student.view.student == own, "what the user has set stays"


def toasts(stage: Stage) -> list[str]:
    return [notification.message for notification in stage.app._notifications]


@pytest.mark.parametrize("quiet", [False, True])
async def test_the_end_of_work_is_told_on_another_screen_and_outside(
    database: Path, monkeypatch: pytest.MonkeyPatch, *, quiet: bool
) -> None:
    written: list[str] = []
    monkeypatch.setenv("DISTILL_TUI_QUIET", "1" if quiet else "")
    monkeypatch.delenv("TMUX", raising=False)
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.start_training()
        driver = stage.app._driver
        assert isinstance(driver, Driver)
        monkeypatch.setattr(driver, "write", written.append)
        await stage.tell(JobEnded(stage.app.training, JobState.FINISHED))
        assert toasts(stage) == ["The training has finished."]
    told = [text for text in written if text.startswith("\x1b]9;")]
    assert told == ([] if quiet else ["\x1b]9;distill-tui: The training has finished.\a"])


async def test_what_is_typed_after_o_is_the_path_and_a_folder_with_a_database_opens(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        stage.opened.clear()
        await stage.press("o", "a", "b")
        assert stage.find("#path", Input).value == "ab"
        await stage.fill("#path", str(database.parent))
        await stage.press("enter")
        if not stage.opened:
            await stage.press("enter")  # the first one took a completion
        assert stage.opened == [database]


async def test_enter_in_an_empty_path_opens_the_first_recent_one(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        stage.opened.clear()
        await stage.press("o")
        first = stage.find("#recent", OptionList).get_option_at_index(0).id
        await stage.press("enter")
        assert stage.opened == [Path(first or "")]
