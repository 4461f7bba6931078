from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from distill_core.latency import ContestantsFinished, LatencyFinished
from distill_core.latency.timing.calls import TimedCalls
from distill_core.runs import RunFolder
from distill_core.students.kinds import student_settings
from distill_tui.cli import run
from distill_tui.cli.run_loop import MeasurementStopped, StopAtOnce
from tests.core.finished_run import finish_run

QUICK = ("--blocks", "2", "--ff-dim", "8", "--batch-size", "4")


class NothingMeasured:
    """A comparison that ends at once."""

    name, result_type, milestones = "latency", LatencyFinished, ()

    def __iter__(self) -> Iterator[object]:
        return iter(())

    def result(self) -> None:
        """Nothing was measured."""


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
    (line,) = [line for line in lines if line.startswith("outliers ")]
    assert re.search(r": LDA [\d,]+, folded [\d,]+, published [\d,]+$", line)
    assert lines[-1] == "single-stream and offline, MLPerf-like, shortened"
    (line,) = [line for line in lines if line.startswith("folding: ")]
    assert "x the speed (" in line
    for start in ("single-stream: ", "offline, batch of 4: "):
        (line,) = [line for line in lines if line.startswith(start)]
        assert "faster" in line or "no difference shown" in line


def test_a_saved_student_is_timed(database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from distill_core.students import ProjectionTransformer, save_student

    file = save_student(ProjectionTransformer(8, 2, 1, 16), tmp_path / "student.pt")
    lines, _ = timed(database, "--student", str(file), "--json", capsys=capsys)
    assert json.loads(lines[-1])["event"] == "finished"


@pytest.mark.parametrize("kind", ["memory", "mlp"])
def test_every_kind_is_timed_untrained_and_from_a_file(
    database: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from distill_core.students import new_student, save_student

    file = save_student(new_student(student_settings(kind, {}), 8, 4), tmp_path / "student.safetensors")
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

    def noted(teacher: object, student: object, *others: object) -> NothingMeasured:
        got.append(student)
        return NothingMeasured()

    monkeypatch.setattr(latency, "LatencyComparison", noted)
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
    assert "for a run: --run NAME" in err


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
    assert head.count("outliers") == 1
    assert any(line.startswith("x LDA: over LDA, NumPy; ") for line in lines)
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
        name, result_type, milestones = "contestants", ContestantsFinished, ()

        def __init__(self, *arguments: object) -> None:
            pass

        def __iter__(self) -> Iterator[object]:
            yield events.contestants_started()
            raise KeyboardInterrupt

        def result(self) -> object:
            return events.contestants_finished("interrupted")

        def samples(self) -> dict[str, object]:
            return {}

    monkeypatch.setattr(latency, "ContestantsComparison", Interrupted)
    lines, err = timed(database, "--all", capsys=capsys, code=130)
    assert err.strip() == "Interrupted."
    assert any(line.startswith("* LDA, NumPy") for line in lines)
    assert lines[-1].endswith("interrupted, this is what was measured")


def test_compile_without_all_is_a_usage_error(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, err = timed(database, "--compile", capsys=capsys, code=2)
    assert lines == []
    assert "--compile needs --all" in err


# Stopped


@pytest.mark.parametrize("options", [(), ("--all",)])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU"])
def test_a_signal_keeps_and_prints_what_was_measured(
    database: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    name: str,
) -> None:
    """The signal comes inside a block of the third round."""
    number, blocks = getattr(signal, name), count()
    time_block = TimedCalls.time_block

    def stopped(timed: TimedCalls) -> None:
        if next(blocks) == 40:
            signal.raise_signal(number)
        time_block(timed)

    monkeypatch.setattr(TimedCalls, "time_block", stopped)
    before = signal.getsignal(number)
    lines, err = timed(database, "--blocks", "8", "--json", *options, capsys=capsys, code=128 + number)
    last = json.loads(lines[-1])
    assert (last["event"], last["ended"]) == ("finished", "interrupted")
    assert err == "Interrupted.\n"
    assert signal.getsignal(number) is before


def test_a_signal_before_the_first_round_prints_no_result(
    database: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TimedCalls, "warm_up", lambda timed: signal.raise_signal(signal.SIGTERM))
    lines, err = timed(database, "--json", capsys=capsys, code=143)
    assert [json.loads(line)["event"] for line in lines] == ["started"]
    assert err == "Interrupted.\n"


def test_a_signal_that_was_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopAtOnce():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_only_a_second_ctrl_c_leaves_while_what_there_is_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []
    monkeypatch.setattr(os, "_exit", left.append)
    with StopAtOnce():
        with pytest.raises(MeasurementStopped):
            signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)
        assert left == []
        signal.raise_signal(signal.SIGINT)
    assert left == [129]


# Of a run


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return finish_run(tmp_path_factory.mktemp("timed"))


def timed_run(
    run_to_time: RunFolder, *options: str, capsys: pytest.CaptureFixture[str], code: int = 0
) -> tuple[list[str], str]:
    arguments = ["latency", "--run", str(run_to_time.path), "--blocks", "2", "--batch-size", "4"]
    assert run([*arguments, *options]) == code
    out, err = capsys.readouterr()
    return out.splitlines(), err


def test_a_run_is_timed_with_its_student_and_keeps_the_result(
    run_folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, err = timed_run(run_folder, "--json", capsys=capsys)
    assert err == ""
    kept = run_folder.read_latency()
    assert msgspec.json.decode(lines[-1], type=LatencyFinished) == kept
    with np.load(run_folder.path / "latency_samples.npz") as samples:
        assert {"lda, batch 1", "lda, batch 4", "transformer, batch 1"} <= set(samples)
        assert all(len(samples[name]) > 0 for name in samples)
    lines, _ = timed_run(run_folder, "--all", capsys=capsys)
    contestants = run_folder.read_contestants()
    assert contestants is not None
    assert contestants.ended == "complete"
    assert f"kept in {run_folder.path}/contestants.json" in lines
    assert not any("untrained" in line for line in lines)
    with np.load(run_folder.path / "contestants_samples.npz") as samples:
        assert "LDA, NumPy, batch 4" in samples


def test_the_student_and_the_temperature_are_the_runs(
    run_folder: RunFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from distill_core import latency
    from distill_core.students import load_student

    got: list[Any] = []

    def noted(*arguments: object) -> NothingMeasured:
        got.extend(arguments)
        return NothingMeasured()

    monkeypatch.setattr(latency, "LatencyComparison", noted)
    timed_run(run_folder, capsys=capsys)
    teacher, student, queries, _ = got
    best = load_student(run_folder.best_checkpoint)
    np.testing.assert_array_equal(student.project(queries[:3]), best.project(queries[:3]))
    data = run_folder.read_data()
    assert data is not None
    assert teacher.temperature == data.temperature


def test_an_interrupted_measurement_leaves_a_complete_one(
    run_folder: RunFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    timed_run(run_folder, "--json", capsys=capsys)
    kept, blocks = run_folder.read_latency(), count()
    time_block = TimedCalls.time_block

    def stopped(timed: TimedCalls) -> None:
        if next(blocks) == 7:
            raise KeyboardInterrupt
        time_block(timed)

    monkeypatch.setattr(TimedCalls, "time_block", stopped)
    _, err = timed_run(run_folder, "--json", capsys=capsys, code=130)
    assert "latency.json keeps an earlier result, which is more complete" in err
    assert run_folder.read_latency() == kept
    assert kept is not None


@pytest.mark.parametrize("option", [("--student", "mlp"), ("--mh-id", "1"), ("--layers", "2")])
def test_what_the_run_decides_is_not_asked_again(
    run_folder: RunFolder, capsys: pytest.CaptureFixture[str], option: tuple[str, str]
) -> None:
    lines, err = timed_run(run_folder, *option, capsys=capsys, code=2)
    assert lines == []
    assert f"leave out {option[0]}" in err


def test_samples_go_into_a_file_without_a_run(
    database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    timed(database, "--samples", str(tmp_path / "times.npz"), capsys=capsys)
    with np.load(tmp_path / "times.npz") as samples:
        assert "transformer, batch 4" in samples
    for file, why in (("times.npz/no.npz", "cannot be written"), ("times.npz", "exists already")):
        lines, err = timed(database, "--samples", str(tmp_path / file), capsys=capsys, code=2)
        assert lines == []
        assert why in err
    lines, err = timed(database, "--samples", str(database), "--force", capsys=capsys, code=2)
    assert lines == []
    assert "what is read" in err
