from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from distill_core.errors import DeviceError
from distill_core.latency import (
    Bracket,
    CrossoverEvent,
    CrossoverFinished,
    CrossoverPoint,
    CrossoverSettings,
    CrossoverStarted,
    Measurement,
)
from distill_core.latency.timing import crossover
from distill_core.latency.timing.crossover_contestants import CrossoverContestants
from distill_core.latency.timing.crossover_search import CrossoverSearch
from distill_core.runs import RunFolder
from distill_tui.cli import measuring, run
from distill_tui.text import bracket_words
from tests.core.finished_run import finish_run
from tests.core.latency.planted_times import PlantedClock, PlantedContestants

HEADS_US = 1.0
"""The LDA takes 100 us and this for each head; the fixed student 1,100 us, the one that grows never wins."""


class PlantedSearch(CrossoverSearch):
    """The search with planted times, and something that happens after some points."""

    fails_after = 10_000
    failure: type[BaseException] = KeyboardInterrupt

    def __init__(self, contestants: CrossoverContestants, **options: Any) -> None:  # noqa: ANN401 - whatever the search takes
        clock = PlantedClock()
        planted = PlantedContestants(
            clock,
            lambda n, size: 100 + HEADS_US * n,
            lambda n, size: 1_100.0,
            lambda n, size: 1e6 if n > 1 else 1.0,
        )
        super().__init__(planted, **{**options, "clock": clock})

    def __iter__(self) -> Iterator[CrossoverPoint]:
        points = super().__iter__()
        yield from islice(points, self.fails_after)
        if self.fails_after < 10_000:
            raise self.failure("the device is gone")


@pytest.fixture(autouse=True)
def planted(monkeypatch: pytest.MonkeyPatch) -> type[PlantedSearch]:
    search = type("Search", (PlantedSearch,), {})
    monkeypatch.setattr(crossover, "CrossoverSearch", search)
    return search


class NothingMeasured(Measurement[CrossoverEvent, CrossoverFinished]):
    """A search that ends at once."""

    name, result_type = "crossover", CrossoverFinished

    def __iter__(self) -> Iterator[CrossoverEvent]:
        return iter(())

    def result(self) -> None:
        """Nothing was measured."""

    def samples(self) -> dict[str, NDArray[np.float64]]:
        return {}

    def is_better_than(self, kept: CrossoverFinished | None) -> bool:
        return False


def searched(
    database: Path, *options: str, capsys: pytest.CaptureFixture[str], code: int = 0
) -> tuple[list[str], str]:
    arguments = ["crossover", "--db", str(database), "--budget", "9000", "--max-heads", "4096", *options]
    assert run(arguments) == code
    out, err = capsys.readouterr()
    return out.splitlines(), err


def test_json_ends_with_the_brackets(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, err = searched(database, "--json", capsys=capsys)
    told = [json.loads(line) for line in lines]
    assert err == ""
    assert [event["event"] for event in told] == ["started", *["point"] * (len(told) - 2), "finished"]
    last = told[-1]
    for case in ("single", "batch_8", "batch_32", "batch_256"):
        assert last[case]["reached"]
        assert last[case]["low"] <= 1_000 <= last[case]["high"]
        assert not last["grown"][case]["reached"]
    assert len(last["curve"]) == len(told) - 2
    assert told[0]["machine"]["cores"] >= 1


def test_plain_lines_say_the_brackets_in_words(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, err = searched(database, capsys=capsys)
    assert err == ""
    assert max(map(len, lines)) <= 130
    assert any("4 heads of the projection come first" in line for line in lines)
    for curve in ("fixed", "grown"):
        (line,) = [line for line in lines if line.startswith(f"by arithmetic, {curve}: ")]
        assert re.search(r"operations from N = [\d,]+ on, as many parameters from N = [\d,]+ on", line)
    (table,) = [number for number, line in enumerate(lines) if line.split()[:2] == ["N", "batch"]]
    first = lines[table + 1].split()
    assert first[:3] == ["16", "1", "116.0"]
    assert first[3] == "9.48"
    assert len(lines[table]) == len(lines[table + 1])
    fixed = lines.index("crossover, student of fixed size:")
    assert lines[fixed + 1].startswith("  single queries  from ")
    assert lines[fixed + 4].startswith("  batches of 256  from ")
    grown = lines.index("crossover, student that grows:")
    assert lines[grown + 1] == "  single queries  none up to 4,096 heads"
    assert lines[-1].startswith("The search is complete. ")


@pytest.mark.parametrize("as_json", [False, True])
def test_ctrl_c_prints_what_is_there(
    database: Path, capsys: pytest.CaptureFixture[str], planted: type[PlantedSearch], as_json: bool
) -> None:
    planted.fails_after = 6
    lines, err = searched(database, *(["--json"] if as_json else []), capsys=capsys, code=130)
    assert err.strip() == "Interrupted."
    if as_json:
        last = json.loads(lines[-1])
        assert (last["event"], last["ended"], len(last["curve"])) == ("finished", "interrupted", 6)
        expected = {"low": 32, "high": None, "reached": False, "measured_to": 32, "limited_by": "interrupted"}
        assert last["single"] == expected
    else:
        words = "  single queries  not reached before the stop, measured up to 32 heads"
        assert words in lines
        assert lines[-1].startswith("Interrupted; this is what was measured. 6 points")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_stops_at_once(
    database: Path,
    capsys: pytest.CaptureFixture[str],
    planted: type[PlantedSearch],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    number = getattr(signal, name)
    planted.fails_after = 6
    monkeypatch.setattr(planted, "failure", staticmethod(lambda words: signal.raise_signal(number)))
    lines, err = searched(database, "--json", capsys=capsys, code=128 + number)
    last = json.loads(lines[-1])
    assert (last["event"], last["ended"], len(last["curve"])) == ("finished", "interrupted", 6)
    assert err == "Interrupted.\n"


def test_ctrl_c_before_the_first_point_ends_with_empty_brackets(
    database: Path, capsys: pytest.CaptureFixture[str], planted: type[PlantedSearch]
) -> None:
    planted.fails_after = 0
    lines, err = searched(database, "--json", capsys=capsys, code=130)
    assert [json.loads(line)["event"] for line in lines] == ["started", "finished"]
    assert err.strip() == "Interrupted."
    last = json.loads(lines[-1])
    nothing = {"low": None, "high": None, "reached": False, "measured_to": 0, "limited_by": "interrupted"}
    for brackets in (last, last["grown"]):
        assert all(brackets[case] == nothing for case in ("single", "batch_8", "batch_32", "batch_256"))
    assert last["curve"] == []


def test_ctrl_c_while_loading_ends_with_empty_brackets_too(
    database: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(measuring, "what_is_timed", interrupted)
    lines, _ = searched(database, "--json", capsys=capsys, code=130)
    (line,) = lines
    assert json.loads(line)["batch_32"]["reached"] is False


def test_a_budget_that_is_too_small_is_told_for_each_size(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, err = searched(database, "--budget", "0.001", capsys=capsys)
    assert err == ""
    for name in ("single queries  ", "batches of 8    ", "batches of 32   ", "batches of 256  "):
        assert lines.count(f"  {name}not measured within the budget") == 2
    lines, _ = searched(database, "--budget", "0.001", "--json", capsys=capsys)
    last = json.loads(lines[-1])
    assert (last["event"], last["ended"], last["single"]["measured_to"]) == ("finished", "budget", 0)
    lines, _ = searched(database, "--budget", "60", capsys=capsys)
    assert any("not reached within the budget, measured up to" in line for line in lines)


def test_a_device_that_fails_leaves_what_was_measured(
    database: Path, capsys: pytest.CaptureFixture[str], planted: type[PlantedSearch]
) -> None:
    planted.fails_after, planted.failure = 6, DeviceError
    lines, err = searched(database, capsys=capsys, code=2)
    assert "  single queries  not reached before the stop, measured up to 32 heads" in lines
    assert err == "distill-tui: the device is gone\n"


def test_heads_that_do_not_fit_are_refused_with_the_number_that_does(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, err = searched(database, "--max-heads", "1000000000000", capsys=capsys, code=2)
    assert lines == []
    assert err.count("\n") == 1
    assert "1,000,000,000,000 heads of dimension 8 do not fit in the free memory; " in err


def test_the_options_reach_the_search(
    database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from distill_core import latency
    from distill_core.students import ProjectionTransformer, save_student

    file = save_student(ProjectionTransformer(8, 2, 3, 16), tmp_path / "student.pt")
    got: list[Any] = []

    def noted(*arguments: object) -> NothingMeasured:
        got.extend(arguments)
        return NothingMeasured()

    monkeypatch.setattr(latency, "Crossover", noted)
    searched(database, "--student", str(file), "--seed", "5", "--threads", "2", capsys=capsys)
    teacher, student, queries, settings = got
    assert settings == CrossoverSettings(max_heads=4096, budget_seconds=9000.0, threads=2, seed=5)
    assert (teacher.num_heads, student.num_layers, np.shape(queries)) == (4, 3, (24, 8))
    got.clear()
    searched(database, "--heads", "4", "--layers", "2", capsys=capsys)
    assert (got[1].num_heads, got[1].num_layers) == (4, 2)
    got.clear()
    searched(database, "--student", "mlp", "--layers", "3", capsys=capsys)
    assert (got[1].KIND, got[1].num_layers) == ("mlp", 3)


@pytest.mark.parametrize("options", [["--budget", "0"], ["--max-heads", "0"], ["--device", "gpu"]])
def test_wrong_usage_leaves_with_2(
    database: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    lines, err = searched(database, *options, capsys=capsys, code=2)
    assert lines == []
    assert "Error: " in err


def test_the_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["crossover", "--help"]) == 0
    out, _ = capsys.readouterr()
    assert out.startswith("Usage: distill-tui crossover")
    for option in ("--db", "--student", "--max-heads", "--budget", "--device", "--threads", "--json"):
        assert option in out


@pytest.mark.parametrize(
    ("bracket", "words"),
    [
        (Bracket(low=100, high=120, reached=True, measured_to=500), "from 100 to 120 heads"),
        (Bracket(low=64, high=None, reached=False, measured_to=1024), "none up to 1,024 heads"),
        (
            Bracket(low=None, high=16, reached=True, measured_to=16),
            "the student is faster from the first measured N on, 16",
        ),
        (Bracket(low=None, high=None, reached=False, measured_to=0), "not measured"),
    ],
)
def test_brackets_in_words(bracket: Bracket, words: str) -> None:
    assert bracket_words(bracket) == words


def test_the_started_event_is_one_json_line(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, _ = searched(database, "--json", capsys=capsys)
    started = json.loads(lines[0])
    assert set(started) == {*CrossoverStarted.__struct_fields__, "event"}


def test_no_more_real_heads_are_announced_than_are_timed(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, _ = searched(database, "--max-heads", "3", capsys=capsys)
    assert "all heads are real ones: the projection has 4" in lines
    assert not any("come first" in line for line in lines)


def search_run(folder: RunFolder, *options: str, code: int = 0) -> None:
    arguments = ["crossover", "--run", str(folder.path), "--budget", "9000", "--max-heads", "4096"]
    assert run([*arguments, *options]) == code


def test_a_run_keeps_the_crossover_of_its_student_and_the_more_complete_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], planted: type[PlantedSearch]
) -> None:
    folder = finish_run(tmp_path)
    for stopped_after, points in ((6, 6), (9, 9), (3, 9)):
        planted.fails_after = stopped_after
        search_run(folder, code=130)
        kept = folder.read_crossover()
        assert kept is not None
        assert (kept.ended, len(kept.curve)) == ("interrupted", points)
    assert "keeps an earlier result" in capsys.readouterr().err
    planted.fails_after = 10_000
    search_run(folder, "--max-heads", "16")
    kept = folder.read_crossover()
    assert kept is not None
    assert (kept.ended, len(kept.curve)) == ("complete", 4), "a complete one goes before more points"
    with np.load(folder.path / "crossover_samples.npz") as samples:
        assert "lda, N 16, batch 32" in samples
