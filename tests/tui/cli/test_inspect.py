from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from distill_tui.cli import run
from tests.core.database_factory import write_lda_db, write_vector_folder
from tests.core.test_database_schema import execute


def inspected(database: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    assert run(["inspect", str(database), "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    (line,) = out.splitlines()
    contents: dict[str, object] = json.loads(line)
    return contents


def test_json_has_the_models_the_projections_and_the_problems(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    database = write_lda_db(
        tmp_path, num_heads=4, dimension=8, questions_per_head=6, temperatures=(0.1, 1.0), path_style="beside"
    )
    contents = inspected(database, capsys)
    assert contents["models"] == [{"id": 1, "name": "model-1", "dimension": 8}]
    shared = {"model": "model-1", "dimension": 8, "num_heads": 4, "num_questions": 24}
    projections = contents["projections"]
    assert isinstance(projections, list)
    assert len(projections) == 2
    for found, temperature in zip(projections, (0.1, 1.0), strict=True):
        number = projections.index(found) + 1
        expected = {"id": number, "name": f"projection {number}", "temperature": temperature, **shared}
        assert {name: found[name] for name in expected} == expected
    assert contents["problems"] == []
    assert contents["path"] == str(database)
    assert contents["sha256"] == hashlib.sha256(database.read_bytes()).hexdigest()


def test_two_models_keep_their_projections_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database = write_lda_db(tmp_path, dimension=(8, 6), temperatures=(0.5,))
    contents = inspected(database, capsys)
    projections = contents["projections"]
    assert isinstance(projections, list)
    assert [(row["id"], row["model"], row["dimension"]) for row in projections] == [
        (1, "model-1", 8),
        (2, "model-2", 6),
    ]


def test_a_problem_names_its_projection_and_does_not_fail(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    execute(database, "UPDATE multi_head_projections SET temperature = -1 WHERE mh_projection_id = 2")
    problems = inspected(database, capsys)["problems"]
    assert isinstance(problems, list)
    (error,) = [problem for problem in problems if problem["severity"] == "error"]
    assert error["mh_id"] == 2
    assert "-1" in error["message"]


def test_plain_lines_say_the_same(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", "--db", str(database)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "\x1b" not in out
    lines = out.splitlines()
    assert lines[0] == str(database)
    assert "model 1: model-1, 8 dimensions" in lines
    assert any(
        line.startswith("projection 1: projection 1, 4 heads, temperature 0.1, 24 questions")
        for line in lines
    )


def test_files_that_are_not_at_their_stored_paths_are_a_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["inspect", str(write_lda_db(tmp_path / "stale", path_style="stale"))])
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("note") and "not at their stored paths" in line for line in lines)


def test_it_prints_the_health_of_each_teacher(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["inspect", str(database)])
    lines = capsys.readouterr().out.splitlines()
    assert sum("effective heads" in line for line in lines) == 2


def test_a_name_without_end_leaves_the_figures_in_view(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = "x" * 5000
    execute(
        database,
        f"UPDATE embedding_models SET name = '{long}'",
        f"UPDATE multi_head_projections SET name = '{long}'",
    )
    assert run(["inspect", str(database)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 500
    assert sum("4 heads, temperature 0.1, 24 questions" in line for line in lines) == 1
    assert sum("8 dimensions" in line for line in lines) == 1


def test_a_folder_of_vectors_is_inspected_like_a_database(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contents = inspected(write_vector_folder(tmp_path), capsys)
    assert [projection["temperature"] for projection in contents["projections"]] == [0.1, 1.0]  # type: ignore[attr-defined]
    assert contents["num_questions"] == 24
    assert contents["problems"] == []


def test_what_a_folder_without_texts_cannot_tell_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", str(write_vector_folder(tmp_path, texts=False))]) == 0
    out = capsys.readouterr().out
    assert "their true heads are unknown. Recall@1 and MRR cannot be told" in out
    assert "who finds a true answer" not in out


def test_a_teacher_that_finds_less_than_none_hears_it_first(
    reference_db: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The published tools' own database, at the temperature that they give by default, and at a good one."""
    database = str(reference_db / "n30" / "lda.db")
    assert run(["inspect", database, "--temperature", "1.0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    told = [lines[row + 1] for row, line in enumerate(lines) if line.startswith("projection")]
    assert len(told) == 2
    for line in told:
        assert line.startswith("  warning: The LDA finds less than no projection at all")
    named = [float(line.split()[5].rstrip(",")) for line in lines if "temperature that finds most" in line]
    assert len(named) == 2
    assert all(0.02 <= tau <= 0.1 for tau in named)
    assert run(["inspect", database, "--temperature", "0.03"]) == 0
    assert "finds less" not in capsys.readouterr().out


def test_the_figures_stand_beside_those_without_the_teacher(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["inspect", str(database)])
    lines = capsys.readouterr().out.splitlines()
    for name in ("LDA", "LDA, left out", "bare query", "nearest head", "nearest, left out"):
        (first, *_rest) = [line for line in lines if line.strip().startswith(f"{name}  ")]
        assert first.count("[") == 3
    findings = inspected(database, capsys)["health"]["2"]["findings"]  # type: ignore[index]
    assert findings["num_judged"] == 24
    assert findings["num_clusters"] == 4
    assert {"lda", "query", "nearest", "left_out", "finds_less", "behind"} <= set(findings)


def test_another_temperature_is_for_every_projection(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", str(database), "--temperature", "0.3", "--json"]) == 0
    health = json.loads(capsys.readouterr().out)["health"]
    assert [found["temperature"] for found in health.values()] == [0.3, 0.3]
    assert run(["inspect", str(database), "--temperature", "-1"]) == 2
