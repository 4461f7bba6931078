from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from distill_core.runs import RunFolder
from distill_core.sweeps.storage import ENVIRONMENT_VARIABLE
from distill_tui.cli import run
from tests.core.database_factory import write_lda_db

TINY = ["--student", "mlp,memory", "--heads", "1,2", "--layers", "1", "--width", "4", "--slots", "3"]
QUICK = ["--ff-dim", "12", "--recipe", "book", "--epochs", "2", "--device", "cpu", "--seeds", "2"]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return write_lda_db(tmp_path / "db", questions_per_head=10)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "runs"
    monkeypatch.setenv("DISTILL_TUI_RUNS", str(root))
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
    return root


def objects(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def sweep(*arguments: str) -> int:
    return run(["sweep", *arguments])


def test_a_grid_is_run_shown_listed_and_exported(
    database: Path, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep("run", str(database), "--name", "g", *TINY, *QUICK, "--json") == 0
    *trials, finished = objects(capsys)
    assert [(trial["event"], trial["cell"], trial["seed"]) for trial in trials] == [
        ("trial", cell, seed) for cell in range(3) for seed in range(2)
    ]
    assert finished["event"] == "finished"
    assert (finished["name"], finished["state"], len(finished["cells"])) == ("g", "finished", 3)
    assert [axis["axis"] for axis in finished["merged_axes"]] == ["heads"]
    for cell in finished["cells"]:
        assert cell["state"] == "finished"
        assert (cell["seeds"], len(cell["runs"])) == (2, 2)
        cosines = [trial["cosine"] for trial in trials if trial["cell"] == cell["number"]]
        assert cell["cosine"]["mean"] == pytest.approx(sum(cosines) / 2)
        assert [cell["cosine"]["low"], cell["cosine"]["high"]] == sorted(cosines)
        assert cell["p90_us"] > 0
        assert cell["parameters"] > 0
    best = max(finished["cells"], key=lambda cell: cell["cosine"]["mean"])
    assert finished["best"]["settings"] == best["settings"]
    assert finished["frontier"]

    assert sweep("show", "g", "--json") == 0
    (shown,) = objects(capsys)
    assert shown == {**finished, "event": "sweep"}

    assert sweep("show", "g") == 0
    text = capsys.readouterr().out
    assert "memory H 2 L 1" in text
    assert "heads 1, 2 of mlp run as one" in text

    assert sweep("list") == 0
    assert "g      finished   6/6" in capsys.readouterr().out

    _exported(tmp_path, finished)


def _exported(folder: Path, finished: dict[str, Any]) -> None:
    table, picture, page = (folder / f"out.{suffix}" for suffix in ("csv", "svg", "html"))
    for file in (table, picture, page):
        assert sweep("export", "g", "--to", str(file)) == 0
    with table.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    means = [cell["cosine"]["mean"] for cell in finished["cells"]]
    assert [float(row["cosine_mean"]) for row in rows] == pytest.approx(means)
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")
    assert "<svg" in page.read_text()
    assert sweep("export", "g", "--to", str(table)) == 2
    assert sweep("export", "g", "--to", str(folder / "out.pdf")) == 2


def test_processes_of_their_own_share_the_work(
    database: Path, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = [*QUICK, "--student", "mlp", "--layers", "1,2", "--no-latency", "--workers", "2"]
    assert sweep("run", str(database), *quick, "--json") == 0
    *trials, finished = objects(capsys)
    assert sorted((trial["cell"], trial["seed"]) for trial in trials) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert (finished["name"], finished["state"], finished["done"]) == ("sweep-1", "finished", 4)
    assert finished["cells"][0]["p90_us"] is None
    states = [RunFolder(path).read_state() for path in runs.iterdir() if (path / "state.json").exists()]
    assert [state.state for state in states] == ["finished"] * 4


def test_a_stopped_sweep_is_gone_on_with(
    database: Path, runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("distill_tui.cli.sweep_command.watch_crew", lambda *arguments, **options: 0)
    quick = [*QUICK, "--student", "mlp", "--layers", "1", "--no-latency"]
    assert sweep("run", str(database), "--name", "g", *quick) == 0
    assert sweep("stop", "g") == 0
    capsys.readouterr()
    assert sweep("show", "g", "--json") == 0
    assert objects(capsys)[0]["state"] == "stopped"
    assert sweep("work", "g", "--json") == 0
    assert [(told["event"], told["state"]) for told in objects(capsys)] == [("trial", "finished")] * 2


@pytest.mark.parametrize(
    "wrong",
    [
        ["--heads", "2,,4"],
        ["--cosine-weight", "0.1..0.9"],
        ["--cosine-weight", "2"],
        ["--student", "banana"],
        ["--student", "memory", "--heads", "3"],
        ["--name", "a/b"],
        ["--storage", "mysql://h/d"],
        ["--seeds", "0"],
    ],
)
def test_wrong_usage_makes_nothing(wrong: list[str], database: Path, runs: Path) -> None:
    assert sweep("run", str(database), *wrong) == 2
    assert not runs.exists() or not list(runs.iterdir())


@pytest.mark.parametrize("command", [["show"], ["work"], ["stop"], ["export", "--to", "x.csv"]])
def test_a_sweep_that_is_not_there(
    command: list[str], runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep(command[0], "x", *command[1:]) == 2
    assert "There is no sweep 'x'" in capsys.readouterr().err


def test_a_script_for_slurm(
    database: Path, runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("distill_tui.cli.sweep_command.watch_crew", lambda *arguments, **options: 0)
    sweep("run", str(database), "--name", "g", "--student", "mlp", "--layers", "1,2")
    capsys.readouterr()
    assert sweep("work", "g", "--print-slurm") == 0
    script = capsys.readouterr().out
    assert script.startswith("#!/bin/bash\n#SBATCH")
    assert "#SBATCH --gres=gpu:1" in script
    assert script.rstrip().endswith("srun distill-tui sweep work g")
