from __future__ import annotations

from inspect import cleandoc
from pathlib import Path

import pytest
from textual.containers import VerticalScroll
from textual.widgets import Markdown

from distill_tui.app import DistillApp
from distill_tui.ui.help import HelpScreen, key_groups
from tests.tui.stage import NARROW, staged


@pytest.mark.parametrize("mode", DistillApp.MODES)
async def test_every_screen_has_words_and_keys_and_all_can_be_read_at_80x24(
    database: Path, mode: str
) -> None:
    """With the focus nowhere, as it is on a screen without lists."""
    async with staged(database, size=NARROW) as stage:
        await stage.show_teacher()
        await stage.go(mode)
        stage.screen.set_focus(None)
        about = stage.screen
        await stage.press("question_mark")
        assert isinstance(stage.screen, HelpScreen)
        scroll = stage.find("#help-scroll", VerticalScroll)
        assert await stage.reach(lambda: scroll.max_scroll_y > 0)
        heading = cleandoc(about.HELP or "").splitlines()[0].removeprefix("# ")
        assert heading in stage.visible("#help-scroll")
        assert stage.find("#help-words", Markdown).region.width <= scroll.size.width
        seen = ""
        while True:
            seen += stage.visible("#help-scroll")
            if scroll.scroll_offset.y == scroll.max_scroll_y:
                break
            before = scroll.scroll_offset.y
            await stage.press("pagedown")
            assert await stage.reach(lambda: before < scroll.scroll_offset.y == scroll.scroll_target_y)  # noqa: B023
            await stage.settle()
        words = " ".join(seen.replace("│", " ").split())
        assert "Save the trained student" in words
        own = [words for title, rows in key_groups(about) if "this screen" in title for _key, words in rows]
        assert own
        assert all(" ".join(line.split()[:3]) in words for line in own)
        await stage.press("escape")
        assert stage.screen is about


async def test_the_keys_of_the_screen_come_first_and_those_of_the_app_last(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        titles = [title for title, _rows in key_groups(stage.screen)]
        groups = dict(key_groups(stage.screen))
        assert titles == ["Keys of this screen", "Inside its lists and fields", "Everywhere"]
        assert ("/", "Filter") in groups[titles[0]]
        assert ("j", "Down") not in groups[titles[0]]
        assert ("?", "Help") in groups[titles[2]]


async def test_keys_of_the_users_own_are_shown_as_they_are(database: Path, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/keymap.toml").write_text('"app.open" = "f8"\n')
    async with staged(database) as stage:
        keys = [key.lower() for key, words in dict(key_groups(stage.screen))["Everywhere"] if "Open" in words]
        assert keys == ["f8"]
