from __future__ import annotations

import json
from pathlib import Path

import pytest

from distill_tui.cli import run

QUICK = ("--blocks", "2", "--ff-dim", "8", "--batch-size", "4")


def timed(
    database: Path, *options: str, capsys: pytest.CaptureFixture[str], code: int = 0
) -> tuple[list[str], str]:
    assert run(["latency", str(database), *QUICK, *options]) == code
    out, err = capsys.readouterr()
    return out.splitlines(), err


def test_json_ends_with_the_percentiles_of_both_models(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, err = timed(database, "--json", capsys=capsys)
    told = [json.loads(line) for line in lines]
    assert err == ""
    last = told[-1]
    assert last["event"] == "finished"
    for model in ("lda", "transformer"):
        for kind in ("single_us", "batch_us_per_query"):
            times = last[model][kind]
            assert set(times) == {"p50", "p90", "p99"}
            assert 0 < times["p50"] <= times["p90"] <= times["p99"]
    assert last["batch_size"] == 4
    assert [event["event"] for event in told[:2]] == ["started", "block"]


def test_plain_lines_name_both_models_and_who_is_faster(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, err = timed(database, capsys=capsys)
    assert err == ""
    assert not any("\x1b" in line for line in lines)
    for start in ("LDA single", "LDA batch of 4", "transformer single", "transformer batch of 4"):
        assert sum(line.startswith(start) for line in lines) == 1
    for start in ("single: ", "batch of 4: "):
        (line,) = [line for line in lines if line.startswith(start)]
        assert "faster" in line or "no difference shown" in line


def test_a_saved_student_is_timed(database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from distill_core.students import ProjectionTransformer, save_student

    file = save_student(ProjectionTransformer(8, 2, 1, 16), tmp_path / "student.pt")
    lines, _ = timed(database, "--student", str(file), "--json", capsys=capsys)
    assert json.loads(lines[-1])["event"] == "finished"


def test_a_student_of_another_dimension_is_refused(
    database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from distill_core.students import ProjectionTransformer, save_student

    file = save_student(ProjectionTransformer(6, 2, 1, 16), tmp_path / "student.safetensors")
    lines, err = timed(database, "--student", str(file), capsys=capsys, code=2)
    assert lines == []
    assert err.count("\n") == 1
    assert "dimension 6, the projection has 8" in err
