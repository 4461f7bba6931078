"""What version 0.1.0 left on disk, written by it and stored here, still opens and gives its own figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from distill_core.export import load
from distill_core.runs import RunFolder, RunStore
from distill_core.students import load_student
from distill_tui import cli
from tests.core.database_factory import write_lda_db

OLD = Path(__file__).parent / "core/old_version"
WORDS = {"encoder": "encoder H 2 L 1", "memory": "memory H 1 L 1 K 3 r 4", "mlp": "mlp L 1"}
KINDS = tuple(WORDS)


def run_of(kind: str) -> RunFolder:
    return RunFolder.open(OLD / "runs" / f"2026-11-24T2324-{kind}")


@pytest.mark.parametrize("kind", KINDS)
def test_settings_and_state_of_a_run_are_read(kind: str) -> None:
    run = run_of(kind)
    config = run.read_config()
    assert config.student.words(8, 4) == WORDS[kind]
    assert (config.training.recipe, config.training.epochs) == ("book", 2)
    assert run.read_state().state == "finished"
    lines = run.read_metrics().lines
    assert [line["epoch"] for line in lines if line["event"] == "epoch"] == [1, 2]


def test_the_runs_are_listed_without_a_complaint() -> None:
    rows = RunStore(OLD / "runs").list()
    assert sorted(row.student for row in rows) == sorted(KINDS)
    assert {row.state for row in rows} == {"finished"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_student_is_judged_as_the_old_version_judged_it(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTILL_TUI_CACHE", str(tmp_path / "cache"))
    database = write_lda_db(
        tmp_path / "db", num_heads=4, dimension=8, questions_per_head=10, path_style="beside"
    )
    run = run_of(kind)
    assert cli.run(["evaluate", str(run.best_checkpoint), "--db", str(database), "--json"]) == 0
    *_others, last = capsys.readouterr().out.splitlines()
    then = run.read_evaluation()
    assert then is not None
    assert json.loads(last)["evaluation"]["cosine"]["mean"] == pytest.approx(
        then.finished.evaluation.cosine.mean, abs=1e-6
    )


@pytest.mark.parametrize("kind", KINDS)
def test_an_export_is_loaded(kind: str) -> None:
    queries = np.random.default_rng(3).normal(size=(5, 8)).astype(np.float32)
    expected = load_student(run_of(kind).best_checkpoint).project(queries)
    np.testing.assert_allclose(load(OLD / "exports" / kind).project(queries), expected, rtol=1e-4, atol=1e-6)
