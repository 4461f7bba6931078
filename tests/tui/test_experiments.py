from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from distill_core.errors import DistillError
from distill_core.experiments import HlFinished, read_hl_result, summarised
from distill_tui.experiments import HlChart, HlResultScreen
from tests.tui.cli.test_experiment import cell
from tests.tui.stage import staged


def result() -> HlFinished:
    """Students whose error falls with H alone, for two teachers."""
    cells = [
        cell(number, heads, layers, 0.4 / heads + 0.001 * seed, seed)
        for number in (8, 16)
        for heads in (1, 2, 4)
        for layers in (1, 2)
        for seed in (0, 1)
    ]
    return summarised(cells, ended="complete", elapsed_seconds=1.0)


def test_a_written_result_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "hl.json"
    file.write_bytes(msgspec.json.format(msgspec.json.encode(result())))
    assert read_hl_result(file) == result()


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"event": "finished"}'])
def test_anything_else_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "hl.json"
    file.write_bytes(content)
    with pytest.raises(DistillError, match=r"hl\.json is no result of the experiment"):
        read_hl_result(file)
    with pytest.raises(DistillError, match="cannot be read"):
        read_hl_result(tmp_path / "nothing")


async def test_the_screen_draws_a_result_and_says_what_explains_it(database: Path) -> None:
    async with staged(database) as stage:
        shown = result()
        stage.app.push_screen(HlResultScreen(shown))
        await stage.pilot.pause()
        assert isinstance(stage.screen, HlResultScreen)
        chart = stage.find("#hl-chart", HlChart)
        (finding,) = shown.findings
        assert finding.sentence[:30] in stage.visible("#hl-sentence")
        assert (chart.student, chart.teacher_heads, chart.against) == ("memory", 16, "H^L")
        for key, against in (("h", "H"), ("l", "L"), ("m", "parameters"), ("p", "H^L")):
            await stage.press(key)
            assert chart.against == against
        await stage.press("n")
        assert chart.teacher_heads == 8
        await stage.press("n")
        assert chart.teacher_heads == 16
        await stage.press("escape")
        assert not isinstance(stage.screen, HlResultScreen)


async def test_a_result_is_opened_from_the_palette(database: Path, tmp_path: Path) -> None:
    file = tmp_path / "hl.json"
    file.write_bytes(msgspec.json.encode(result()))
    async with staged(database) as stage:
        commands = {command.title: command for command in stage.app.get_system_commands(stage.screen)}
        commands["Show an H^L experiment"].callback()
        await stage.pilot.pause()
        await stage.fill("#text", str(tmp_path / "nothing"))
        await stage.press("enter")
        assert "cannot be read" in stage.visible("#text-note")
        await stage.fill("#text", str(file))
        await stage.press("enter")
        assert isinstance(stage.screen, HlResultScreen)
