from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.app import App, ComposeResult

from distill_core import experiments
from distill_core.errors import TrainingError
from distill_core.experiments import HlCell, HlCellFinished, HlEvent, HlSettings, summarised
from distill_core.teacher_data import LabelledQuestions
from distill_tui.cli import run
from distill_tui.experiments import Against, HlChart, error_chart, mark_note, rows_of

SMALL = (
    *("--heads-list", "1,2", "--layers-list", "1,2", "--seeds", "1", "--steps", "40"),
    *("--slots", "2", "--width", "4", "--ff-dim", "8", "--students", "memory"),
)


def cell(number: int, heads: int, layers: int, error: float, seed: int = 0) -> HlCell:
    return HlCell(
        student="memory",
        teacher_heads=number,
        heads=heads,
        layers=layers,
        seed=seed,
        parameters=100 * layers,
        test_error=error,
        validation_error=error,
        constant_error=0.5,
        steps=40,
    )


GRID = summarised(
    [
        cell(number, heads, layers, 0.1 / (heads * layers) * (1 + seed / 2), seed)
        for seed, number, heads, layers in itertools.product((0, 1), (4, 8), (1, 4, 16), (1, 2))
    ]
)


def experimented(
    database: Path, *options: str, capsys: pytest.CaptureFixture[str], code: int = 0
) -> tuple[list[str], str]:
    assert run(["experiment", "hl", "--db", str(database), *options]) == code
    out, err = capsys.readouterr()
    return out.splitlines(), err


def test_json_has_one_event_a_line(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, err = experimented(database, *SMALL, "--temperature", "0.2", "--json", capsys=capsys)
    told = [json.loads(line) for line in lines]
    assert err == ""
    assert [event["event"] for event in told] == ["started", *["cell_finished"] * 4, "finished"]
    assert told[0]["temperature"] == 0.2
    assert told[0]["teacher_heads"] == [4]
    assert [event["cell"] for event in told[1:-1]] == told[-1]["cells"]
    (finding,) = told[-1]["findings"]
    assert {item["name"] for item in finding["explained"]} >= {"H", "L", "H^L", "parameters"}
    assert finding["sentence"]


def test_plain_lines_are_progress_a_table_and_a_sentence(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, err = experimented(database, *SMALL, "--teacher-heads", "2,all", "--chart", capsys=capsys)
    assert err == ""
    assert max(map(len, lines)) <= 110
    assert lines[0] == "8 students: memory; N = 2, 4; H = 1, 2; L = 1, 2; 1 seed"
    progress = [line for line in lines if "/8  seed" in line]
    assert len(progress) == 8
    head = next(number for number, line in enumerate(lines) if line.startswith("student  "))
    rows = [line.split() for line in lines[head + 1 : head + 9]]
    assert [row[:5] for row in rows] == [
        ["memory", str(number), str(layers), str(heads), str(heads**layers)]
        for number, layers, heads in itertools.product((2, 4), (1, 2), (1, 2))
    ]
    assert sum(line.startswith("memory: ") for line in lines) == 3
    assert sum(line.startswith("memory, N = ") for line in lines) == 2
    assert any(line.startswith("The experiment is complete. 8 students in ") for line in lines)


def test_the_result_is_written_out(
    database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "result.json"
    experimented(database, *SMALL, "--out", str(file), capsys=capsys)
    stored = json.loads(file.read_text())
    assert len(stored["cells"]) == len(stored["table"]) == 4
    assert stored["started"]["settings"]["steps"] == 40


def test_the_folder_of_the_result_is_looked_for_first(
    database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "no").touch()
    for file, why in ((tmp_path / "no" / "x.json", "cannot be written"), (database, "what is read")):
        lines, err = experimented(database, "--force", "--out", str(file), capsys=capsys, code=2)
        assert lines == []
        assert why in err


@pytest.mark.parametrize(("failure", "code"), [(KeyboardInterrupt, 130), (TrainingError, 1)])
def test_an_early_end_keeps_what_is_there(
    database: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    failure: type[BaseException],
    code: int,
) -> None:
    def broken(labelled: LabelledQuestions, settings: HlSettings) -> Iterator[HlEvent]:
        for number in (1, 2):
            yield HlCellFinished(
                cell=cell(4, number, 1, 0.1 / number), cells_done=number, num_cells=9, elapsed_seconds=8.0
            )
        raise failure("the loss is lost")

    monkeypatch.setattr(experiments, "run_hl", broken)
    file = tmp_path / "result.json"
    lines, err = experimented(database, "--json", "--out", str(file), capsys=capsys, code=code)
    last = json.loads(lines[-1])
    assert (last["event"], last["ended"], len(last["cells"])) == ("finished", "interrupted", 2)
    assert json.loads(file.read_text()) == last
    assert err.strip() in ("Interrupted.", "distill-tui: the loss is lost")


def test_the_options_reach_the_experiment(
    database: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[HlSettings] = []

    def recorded(labelled: LabelledQuestions, settings: HlSettings) -> Iterator[HlEvent]:
        got.append(settings)
        return iter(())

    monkeypatch.setattr(experiments, "run_hl", recorded)
    experimented(database, capsys=capsys)
    assert got.pop() == HlSettings()
    options = ("--heads-list", "1, 8", "--layers-list", "5", "--teacher-heads", "3,all", "--seeds", "7")
    more = ("--students", "encoder", "--steps", "9", "--slots", "5", "--width", "6", "--threads", "2")
    experimented(database, *options, *more, "--ff-dim", "11", capsys=capsys)
    assert got.pop() == HlSettings(
        students=("encoder",),
        heads=(1, 8),
        layers=(5,),
        teacher_heads=(3, None),
        seeds=7,
        steps=9,
        slots=5,
        width=6,
        ff_dim=11,
        threads=2,
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--heads-list", "1,x"], "'x' is not a whole number of at least 1; give a list such as 1,2,4."),
        (["--layers-list", ""], "'' is not a whole number"),
        (["--layers-list", "all"], "'all' is not a whole number"),
        (["--teacher-heads", "0"], "'0' is not a whole number of at least 1 or 'all'"),
        (["--heads-list", "2,2"], "The heads H must be different"),
        (["--students", "mlp"], "The students must be of encoder, memory, routed."),
        (["--teacher-heads", "99"], "The projection has 4 heads, fewer than N = 99."),
        (["--heads-list", "1,3"], "Heads H = 3 does not divide the dimension 8."),
        (["--students", "memory", "--width", "6", "--heads-list", "4"], "H = 4 does not divide the width 6."),
        (["--slots", "5"], "N = 4 is less than the K = 5 slots"),
        (["--chart", "--json"], "a chart is no JSON"),
        (["--temperature", "-1"], "Temperature"),
    ],
)
def test_wrong_lists_are_told_in_a_sentence(
    database: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    lines, err = experimented(database, *options, capsys=capsys, code=2)
    assert lines == []
    assert words in err
    assert "Traceback" not in err


@pytest.mark.parametrize("command", [["experiment"], ["experiment", "hl"]])
def test_the_commands_explain_themselves(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command, "--help"]) == 0
    out, _ = capsys.readouterr()
    assert out.startswith(f"Usage: distill-tui {' '.join(command)}")


# The chart


def inside(picture: str) -> list[str]:
    """Return the rows of the canvas, without the frame."""
    return [re.split("[│┤]", line, maxsplit=1)[1][:-1] for line in picture.split("\n")[1:-2]]


def test_marks_stand_at_their_place() -> None:
    picture = error_chart(rows_of(GRID, "memory", 8), "H^L", (80, 24))
    assert picture is not None
    places = {
        (x, y): mark for y, line in enumerate(inside(picture)) for x, mark in enumerate(line) if mark in "12"
    }
    assert sorted(places.values()) == ["1", "1", "1", "2", "2", "2"]
    ones = sorted(place for place, mark in places.items() if mark == "1")
    assert [y for _, y in ones] == sorted(y for _, y in ones), "the error falls to the right"
    steps = [right[0] - left[0] for left, right in itertools.pairwise(ones)]
    assert abs(steps[0] - steps[1]) <= 1, "1, 4 and 16 are evenly spaced on a log scale"


def test_the_spread_of_the_seeds_is_drawn() -> None:
    alone = summarised([GRID.cells[0]])
    both = summarised([GRID.cells[0], GRID.cells[12]])
    pictures = [error_chart(rows_of(result, "memory"), "H", (60, 20)) for result in (alone, both)]
    bars = [sum(line.count("│") for line in inside(picture or "")) for picture in pictures]
    assert bars[0] == 0
    assert bars[1] >= 5


@pytest.mark.parametrize(
    ("against", "note"),
    [("H", "marks: L"), ("H^L", "marks: L"), ("parameters", "marks: L"), ("L", "marks: H (a = 16)")],
)
def test_every_view_says_what_its_marks_are(against: Against, note: str) -> None:
    rows = rows_of(GRID, "memory")
    picture = error_chart(rows, against, (70, 16))
    assert mark_note(rows, against) == note
    assert picture is not None
    assert len(picture.split("\n")) == 16
    assert max(map(len, picture.split("\n"))) <= 70


def test_layers_are_whole_on_their_axis() -> None:
    picture = error_chart(rows_of(GRID, "memory"), "L", (78, 20))
    assert picture is not None
    assert picture.split("\n")[-1].split() == ["1", "2"]


def test_without_rows_or_room_nothing_is_drawn() -> None:
    assert error_chart([], "H", (80, 24)) is None
    assert error_chart(rows_of(GRID, "memory"), "H", (80, 5)) is None
    assert error_chart(rows_of(GRID, "memory"), "H", (12, 24)) is None
    assert HlChart().describe() == "no students yet"
    assert rows_of(GRID, "encoder") == []


def test_errors_of_zero_are_drawn() -> None:
    result = summarised([cell(4, 1, 1, 0.0), cell(4, 2, 1, 0.0)])
    assert error_chart(rows_of(result, "memory"), "H", (60, 20)) is not None


class ChartApp(App[None]):
    def __init__(self, chart: HlChart) -> None:
        super().__init__()
        self.chart = chart

    def compose(self) -> ComposeResult:
        yield self.chart


@pytest.mark.parametrize("size", [(120, 36), (80, 24), (30, 6), (1, 1)])
async def test_the_widget_takes_the_result_and_fits(size: tuple[int, int]) -> None:
    chart = HlChart(title="H^L = N")
    async with ChartApp(chart).run_test(size=size) as pilot:
        await pilot.pause()
        chart.result = GRID
        await pilot.pause()
        rows = [chart.render_line(y).text for y in range(chart.size.height)]
        assert max(map(len, rows)) <= size[0]
        if size[0] >= 80:
            assert rows[0].startswith("H^L = N  memory, N = 8  error against H^L  marks: L")
            assert "┌" in rows[1]
        chart.teacher_heads, chart.against = 4, "L"
        await pilot.pause()
        if size[0] >= 80:
            text = chart.render_line(0).text
            assert text.startswith("H^L = N  memory, N = 4  error against L  marks: H (a = 16)")
