from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from distill_core.latency import LatencySettings
from distill_core.students import MlpConfig
from distill_core.students.kinds import student_settings
from distill_tui.cli import run

QUICK = ("--epochs", "3", "--ff-dim", "16", "--batch-size", "8", "--learning-rate", "1e-3", "--seed", "4")


def last_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run([*arguments, "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == "" or (arguments[0] == "train" and err.startswith("run: ") and err.count("\n") == 1)
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

    elsewhere = last_line(["evaluate", str(file), "--split-seed", "5"], capsys)
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


@pytest.mark.parametrize("kind", ["encoder", "memory", "mlp"])
def test_a_student_in_a_file_that_knows_no_run_says_its_shape_itself(
    database: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from distill_core.students import new_student, save_student

    shape = student_settings(kind, {"heads": 2, "layers": 2, "ff_dim": 40, "slots": 3, "width": 6})
    student = new_student(shape, 8, 4)
    file = save_student(student, tmp_path / "student.safetensors")
    assert run(["evaluate", str(file), "--db", str(database), "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (assessed,) = [event["assessment"] for event in told if event["event"] == "assessed"]
    assert assessed["student"]["cost"]["parameters"] == student.fold().num_parameters


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_an_mlp_is_sized_by_the_feed_forward_width_that_gives_its_own(layers: int) -> None:
    from distill_core.students import new_student

    for ff_dim in (1, 16, 100, 512):
        student = new_student(MlpConfig(layers=layers, ff_dim=ff_dim), 8, 4)
        found = MlpConfig.of_shape(student.shape)
        assert new_student(found, 8, 4).num_parameters == student.num_parameters
        assert found.ff_dim <= ff_dim


def test_with_measure_the_verdict_goes_by_measured_times(
    database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("distill_core.latency.LatencySettings", partial(LatencySettings, blocks=6))
    monkeypatch.setattr("distill_core.latency.timing.comparison.is_unsteady", lambda medians: False)
    file = tmp_path / "student.safetensors"
    last_line(["train", str(database), *QUICK, "--save", str(file)], capsys)
    counted, measured = (
        " ".join(last_line(["evaluate", str(file), *options], capsys)["verdict"]["reasons"])
        for options in ((), ("--measure",))
    )
    assert "time not measured" in counted
    assert "time not measured" not in measured
    assert "µs" in measured
