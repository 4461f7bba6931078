"""Text from outside becomes text for people in one place."""

from __future__ import annotations

import subprocess
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_core.config import DataConfig, RunConfig
from distill_core.errors import DistillError, error_words
from distill_core.export import ExportParts, export_run
from distill_core.export.card import train_command
from distill_core.foreign_text import beginning, visible
from distill_core.runs import RunNotes
from tests.core.finished_run import copy_run, finish_run

HOSTILE = "\x1b]52;c;aGk=\x07\x1b[2J\u202eRTL\u202c\x9b31m\x7f\u200b\u2028\u2029\ufeff\udc80\U000e0041\r\n\t"
UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
ANY_TEXT = st.text(st.characters() | st.sampled_from(HOSTILE + "\u0301\u0e31\u094d"), max_size=120)


def is_safe(text: str) -> bool:
    return not any(unicodedata.category(character) in UNSEEN for character in text)


@given(ANY_TEXT, st.integers(1, 60))
def test_whatever_the_text_it_is_one_short_line_without_what_cannot_be_seen(text: str, limit: int) -> None:
    for shown in (visible(text, limit), beginning(text, limit)):
        assert is_safe(shown)
        assert len(shown) <= limit
    assert visible(visible(text, limit), limit) == visible(text, limit)


def test_every_character_that_unicode_calls_a_control_or_a_format_is_written_as_an_escape() -> None:
    for code in range(0x110000):
        character = chr(code)
        if unicodedata.category(character) in UNSEEN and character not in "\t\n\r":
            assert visible(character).encode("ascii").decode("unicode_escape") == character


@pytest.mark.parametrize("text", ["Grüße, 世界 naïve", "e\u0301 คำถาม है", "a\u00a0b", "👍🏽 ❤️", "[red]x[/]"])
def test_text_of_any_script_stays_as_it_is(text: str) -> None:
    assert visible(text) == beginning(text) == text


def test_of_a_long_text_both_ends_are_kept_and_of_a_question_its_beginning() -> None:
    path = f"/start{'/deep' * 1000}/lda.db"
    assert visible(path).startswith("/start/deep")
    assert visible(path).endswith("/lda.db")
    assert beginning("what " * 200_000, 10) == "what what…"


def test_marks_without_number_on_one_letter_are_few() -> None:
    for mark in "\u0301\u094d\u20dd":
        assert len(visible("e" + mark * 1_000_000)) <= 30
        assert len(beginning("e" + mark * 1_000_000)) <= 30


def test_an_error_that_repeats_a_long_hostile_name_stays_a_sentence_with_its_way_out() -> None:
    name = HOSTILE + "x" * 5000
    for error in (DistillError(f"{name} is not a database.", "Choose another file."), ValueError(name)):
        for shown in (error_words(error), str(error) if isinstance(error, DistillError) else ""):
            assert is_safe(shown)
            assert len(shown) <= 500
    told = str(DistillError(f"{name} is not a database.", "Choose another file."))
    assert told.endswith(" is not a database. Choose another file.")


def test_a_card_has_no_controls_and_no_markup_of_a_name(tmp_path: Path) -> None:
    run = copy_run(finish_run(tmp_path / "run"), tmp_path / "copy")
    name = f"N{HOSTILE}[x](http://e.vil)\n# <img src=x> **b**\n---\nlicense: mit".replace("\udc80", "")
    run.write_notes(RunNotes(name=name))
    list(export_run(run, tmp_path / "out", ExportParts(onnx=False, tensorboard=False)))
    text = (tmp_path / "out" / "README.md").read_text()
    assert is_safe(text.replace("\n", ""))
    (heading,) = (line for line in text.split("\n") if line.startswith("# "))
    assert "\\[x\\](http\\://e.vil) # \\<img src=x\\> \\*\\*b\\*\\* --- license: mit" in heading
    assert text.count("\n---\n") == 1


@pytest.mark.parametrize(
    "name", ["d\x1b[2J\u202e/it's.db", "new\nline.db", "\udcff.db", "plain folder/lda.db"]
)
def test_the_command_of_a_run_is_safe_to_see_and_names_the_same_file(name: str) -> None:
    command = train_command(RunConfig(data=DataConfig(database=name)))
    assert command is not None
    word = command.split(" \\\n")[0].removeprefix("distill-tui train ")
    assert is_safe(word)
    told = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True).stdout
    assert told == name.encode("utf-8", "surrogateescape")
