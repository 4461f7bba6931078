from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from distill_core.config import StudentConfig, StudentKind
from distill_tui.cli import run

QUICK = ("--blocks", "2", "--ff-dim", "8", "--batch-size", "4")


def timed(
    database: Path, *options: str, capsys: pytest.CaptureFixture[str], code: int = 0
) -> tuple[list[str], str]:
    assert run(["latency", str(database), *QUICK, *options]) == code
    out, err = capsys.readouterr()
    return out.splitlines(), err


def test_json_ends_with_the_percentiles_of_all_models(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, err = timed(database, "--json", capsys=capsys)
    told = [json.loads(line) for line in lines]
    assert err == ""
    last = told[-1]
    assert last["event"] == "finished"
    for model in ("lda", "transformer", "unfolded"):
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
    models = ("LDA", "folded", "published")
    for start in (f"{model} {case}" for model in models for case in ("single", "batch of 4")):
        assert sum(line.startswith(start) for line in lines) == 1
    (line,) = [line for line in lines if line.startswith("folding: ")]
    assert "x the speed (" in line
    for start in ("single query: ", "batch of 4: "):
        (line,) = [line for line in lines if line.startswith(start)]
        assert "faster" in line or "no difference shown" in line


def test_a_saved_student_is_timed(database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from distill_core.students import ProjectionTransformer, save_student

    file = save_student(ProjectionTransformer(8, 2, 1, 16), tmp_path / "student.pt")
    lines, _ = timed(database, "--student", str(file), "--json", capsys=capsys)
    assert json.loads(lines[-1])["event"] == "finished"


@pytest.mark.parametrize("kind", ["memory", "mlp"])
def test_every_kind_is_timed_untrained_and_from_a_file(
    database: Path, tmp_path: Path, kind: StudentKind, capsys: pytest.CaptureFixture[str]
) -> None:
    from distill_core.students import new_student, save_student

    file = save_student(new_student(StudentConfig(kind=kind), 8, 4), tmp_path / "student.safetensors")
    for student in (kind, str(file)):
        lines, err = timed(database, "--student", student, "--json", capsys=capsys)
        last = json.loads(lines[-1])
        assert err == ""
        assert (last["event"], last["unfolded"]) == ("finished", None)
    lines, _ = timed(database, "--student", kind, capsys=capsys)
    assert sum(line.startswith("student single") for line in lines) == 1
    assert not any("folding" in line for line in lines)


def test_the_shape_options_reach_the_student(
    database: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from distill_core import latency
    from distill_core.students import MemoryStudent

    got: list[object] = []

    def recorded(teacher: object, student: object, *others: object) -> Iterator[object]:
        got.append(student)
        return iter(())

    monkeypatch.setattr(latency, "compare_latency", recorded)
    shape = ("--student", "memory", "--heads", "2", "--layers", "3", "--slots", "3", "--width", "6")
    timed(database, *shape, capsys=capsys)
    timed(database, "--student", "memory", capsys=capsys)
    one, other = got
    assert isinstance(one, MemoryStudent)
    assert isinstance(other, MemoryStudent)
    assert (one.num_heads, one.num_layers, one.slots, one.width) == (2, 3, 3, 6)
    assert (other.num_heads, other.num_layers, other.slots, other.width) == (1, 1, 4, 8), "at most N and d"


def test_heads_that_do_not_divide_the_width_are_one_sentence(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--student", "memory", "--width", "6", "--heads", "4")
    lines, err = timed(database, *options, capsys=capsys, code=2)
    assert (lines, err.count("\n")) == ([], 1)
    assert "H = 4 does not divide the width 6. Take one of 2, 3, 6." in err


def test_a_student_that_is_neither_kind_nor_file_is_one_sentence(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, err = timed(database, "--student", "transformer", capsys=capsys, code=2)
    assert (lines, err.count("\n")) == ([], 1)
    assert "no file of weights at transformer" in err


def test_a_student_of_another_dimension_is_refused(
    database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from distill_core.students import ProjectionTransformer, save_student

    file = save_student(ProjectionTransformer(6, 2, 1, 16), tmp_path / "student.safetensors")
    lines, err = timed(database, "--student", str(file), capsys=capsys, code=2)
    assert lines == []
    assert err.count("\n") == 1
    assert "dimension 6, the projection has 8" in err


def test_all_contestants_as_a_table_and_as_json(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, err = timed(database, "--all", capsys=capsys)
    assert err == ""
    assert lines[0].startswith("machine: ")
    for start in ("* LDA, NumPy ", "LDA, torch on cpu ", "student, published ", "student, folded "):
        assert sum(line.removeprefix("  ").startswith(start) for line in lines) <= 1
    (head,) = [line for line in lines if line.startswith("contestant")]
    (folded,) = [line for line in lines if "student, folded" in line]
    assert len(head) == len(folded)
    assert any("student, compiled: takes half a minute" in line for line in lines)
    assert any("The student is untrained" in line for line in lines)
    assert "MLPerf-like, shortened" in lines[-1]
    lines, _ = timed(database, "--all", "--json", capsys=capsys)
    last = json.loads(lines[-1])
    assert last["event"] == "finished"
    assert last["rows"][0]["cosine"] == pytest.approx(1.0, abs=1e-5)
    assert any(row["pareto_best"] for row in last["rows"])
    assert last["machine"]["cores"] >= 1


def test_ctrl_c_prints_the_rows_that_are_there(
    database: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from distill_core import latency
    from tests.tui import events

    class Interrupted:
        def __init__(self, *arguments: object) -> None:
            pass

        def __iter__(self) -> Iterator[object]:
            yield events.field_started()
            raise KeyboardInterrupt

        def result(self) -> object:
            return events.field_finished("interrupted")

    monkeypatch.setattr(latency, "FieldComparison", Interrupted)
    lines, err = timed(database, "--all", capsys=capsys, code=130)
    assert err.strip() == "Interrupted."
    assert any(line.startswith("* LDA, NumPy") for line in lines)
    assert lines[-1].endswith("interrupted, this is what was measured")


def test_compile_without_all_is_a_usage_error(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, err = timed(database, "--compile", capsys=capsys, code=2)
    assert lines == []
    assert "--compile needs --all" in err
