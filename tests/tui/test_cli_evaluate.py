from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from distill_tui.cli import run

QUICK = ("--epochs", "3", "--ff-dim", "16", "--batch-size", "8", "--learning-rate", "1e-3", "--seed", "4")


def last_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run([*arguments, "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    last: dict[str, Any] = json.loads(out.splitlines()[-1])
    assert last["event"] == "finished"
    return last


def test_a_saved_student_is_judged_again_on_the_queries_of_its_run(
    database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "student.safetensors"
    run_of = last_line(["train", str(database), *QUICK, "--save", str(file)], capsys)
    again = last_line(["evaluate", str(file)], capsys)
    assert again["evaluation"]["cosine"] == pytest.approx(run_of["evaluation"]["cosine"], abs=1e-6)
    assert again["verdict"]["kind"] == run_of["verdict"]["kind"]

    elsewhere = last_line(["evaluate", str(file), "--seed", "5"], capsys)
    assert elsewhere["evaluation"]["cosine"] != again["evaluation"]["cosine"], "other test queries"


def test_a_reference_checkpoint_needs_the_database_named(
    database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "student.pt"
    run_of = last_line(["train", str(database), *QUICK, "--save", str(file)], capsys)
    assert run(["evaluate", str(file)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "--db" in err
    again = last_line(["evaluate", str(file), "--db", str(database), "--seed", "4"], capsys)
    assert again["evaluation"]["cosine"] == pytest.approx(run_of["evaluation"]["cosine"], abs=1e-6)


def test_plain_lines_end_with_the_figures(
    database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "student.safetensors"
    last_line(["train", str(database), *QUICK, "--save", str(file)], capsys)
    assert run(["evaluate", str(file)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "\x1b" not in out
    lines = out.splitlines()
    assert lines[0].startswith("verdict: ")
    assert sum("* student" in line for line in lines) == 1
    assert lines[-1].startswith("test: n ")
