from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from distill_core.config import DataConfig, RunConfig
from distill_core.runs import RunFolder
from distill_tui.cli import run
from tests.tui import events


def new_run(root: Path, name: str, cpu: str) -> RunFolder:
    folder = RunFolder.create(root, RunConfig(data=DataConfig(database="lda.db")))
    folder.write_notes(msgspec.structs.replace(folder.read_notes(), name=name))
    machine = msgspec.structs.replace(events.machine(), cpu=cpu)
    folder.write_result("latency", msgspec.structs.replace(events.latency_finished(), machine=machine))
    return folder


def compared(tmp_path: Path, *folders: RunFolder, options: tuple[str, ...] = ()) -> None:
    names = [str(folder.path) for folder in folders]
    assert run(["runs", "compare", *names, *options]) == 0


def test_latency_and_crossover_stand_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "runs"
    here, there = new_run(root, "here", "Planted CPU"), new_run(root, "there", "Planted CPU")
    here.write_result("crossover", events.crossover_finished())
    compared(tmp_path, here, there)
    lines = capsys.readouterr().out.splitlines()
    speeds = "LDA 22.0 us, student 1,342.0 us"
    crossover = "single queries from 4,096 to 8,192 heads; batches of 32 none up to 16,384 heads"
    assert f"  here: {speeds}; {crossover}" in lines
    assert f"  there: {speeds}" in lines
    assert not any("machines" in line for line in lines)


def test_different_machines_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "runs"
    runs = new_run(root, "here", "Planted CPU"), new_run(root, "there", "Another CPU")
    compared(tmp_path, *runs)
    lines = capsys.readouterr().out.splitlines()
    start = lines.index("measured on different machines:")
    assert lines[start + 1].startswith("  here: Planted CPU at 2,500 MHz, 2 of 2 cores, 1 thread, openblas")
    assert lines[start + 2].startswith("  there: Another CPU")
    compared(tmp_path, *runs, options=("--json",))
    told = json.loads(capsys.readouterr().out)
    assert [speed["machine"]["cpu"] for speed in told["speeds"]] == ["Planted CPU", "Another CPU"]
