"""What the command line prints, whatever is in it and whatever the terminal's encoding."""

from __future__ import annotations

import io
import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing, redirect_stdout
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from distill_core.evaluation.intervals import Estimate
from distill_tui.cli import run
from distill_tui.cli.event_lines import assessment_lines
from distill_tui.cli.output import say_object, table, table_row
from tests.core.database_factory import write_lda_db
from tests.core.test_foreign_text import HOSTILE, is_safe
from tests.tui.judged import assessment_of, judged_run

CELLS = st.sampled_from(["-0.9004 [-12.2, 1e300]", "nan", "-inf", "1,000,000,000,000", "世界", "x"])


@given(st.lists(st.lists(CELLS, min_size=4, max_size=4), min_size=1, max_size=5))
def test_columns_never_touch(rows: list[list[str]]) -> None:
    lines = list(table(rows))
    for row, line in zip(rows, lines, strict=True):
        assert re.split(" {2,}", line.strip()) == row
        assert re.split(" {2,}", table_row(row, (2, 2, 2, 2)).strip()) == row
    assert len({cell_len(line) for line in lines}) == 1


def test_scores_far_below_a_constant_stand_apart(tmp_path: Path) -> None:
    assessment = assessment_of(judged_run(write_lda_db(tmp_path, questions_per_head=12)))
    bad = Estimate(value=-12345.678, low=-99999.123, high=-1000.5)
    assessment = msgspec.structs.replace(
        assessment, student=msgspec.structs.replace(assessment.student, skill=bad)
    )
    lines = list(assessment_lines(assessment))
    (line,) = (line for line in lines if line.startswith("* student"))
    assert "  -12345.678 [-99999.123, -1000.500]  " in line


def test_a_database_full_of_controls_is_inspected_without_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = write_lda_db(tmp_path / f"d{HOSTILE}")
    name = HOSTILE.replace("\udc80", "") + "[red]" + "n" * 5000
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE multi_head_projections SET name = ? || mh_projection_id", (name,))
        connection.execute("UPDATE embedding_models SET name = ?", (name,))
        connection.execute("UPDATE embeddings SET vector_path = ? WHERE embedding_id = 3", (f"{name}.npy",))
    assert run(["inspect", str(database)]) == 0
    lines = capsys.readouterr().out.rstrip("\n").split("\n")
    assert all(is_safe(line) and len(line) <= 1000 for line in lines)
    assert run(["inspect", str(database), "--json"]) == 0
    out = capsys.readouterr().out
    assert out.isascii()
    assert is_safe(out.rstrip("\n"))
    assert json.loads(out)["models"][0]["name"] == name
    assert json.loads(out)["path"] == str(database)


@pytest.mark.parametrize(
    "arguments",
    [["inspect", f"no{HOSTILE[1:]}"], ["train", f"--no{HOSTILE}"], [f"x{HOSTILE}"], ["attach", HOSTILE]],
)
def test_an_error_repeats_no_control(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    long = [f"{argument}{'y' * 5000}" if argument is arguments[-1] else argument for argument in arguments]
    for given_arguments in (arguments, long):
        assert run(given_arguments) == 2
        out, err = capsys.readouterr()
        assert all(is_safe(line) and len(line) <= 600 for line in f"{out}{err}".rstrip("\n").split("\n"))


@given(st.text(st.characters() | st.sampled_from(HOSTILE)))
def test_objects_are_exact_and_ascii(text: str) -> None:
    with redirect_stdout(io.StringIO()) as out:
        say_object({"text": text, "number": float("nan")})
    printed = out.getvalue()
    assert printed.isascii()
    assert is_safe(printed.removesuffix("\n"))
    assert json.loads(printed) == {"text": text, "number": None}


@pytest.mark.parametrize("encoding", ["iso8859-1", "euc-jp", "ascii"])
@pytest.mark.parametrize("arguments", [["train", "--help"], ["runs"], ["experiment", "hl", "--help"]])
def test_a_terminal_of_another_encoding_gets_substitutes(
    encoding: str, arguments: list[str], tmp_path: Path
) -> None:
    environment = {**os.environ, "PYTHONUTF8": "0", "PYTHONIOENCODING": encoding, "PYTHONCOERCECLOCALE": "0"}
    environment["DISTILL_TUI_RUNS"] = str(tmp_path / "λ…\udcff")
    done = subprocess.run(
        [sys.executable, "-m", "distill_tui", *arguments], capture_output=True, env=environment, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    assert done.stdout.decode(encoding)
