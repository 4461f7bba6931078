"""What the command line does for somebody who does not know it by heart."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from pathlib import Path

import pexpect
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from distill_core.config import DataConfig, RunConfig
from distill_core.device_names import missing_devices
from distill_core.runs import RecordedRun, RunFolder
from distill_core.runs.new_folder import run_id
from distill_tui.cli import commands, run, runs_command
from distill_tui.cli.output import table
from tests.tui.runs_on_disk import Made, make_run, store

Captured = pytest.CaptureFixture[str]


def told(arguments: list[str], capsys: Captured, code: int = 0) -> tuple[list[str], str]:
    capsys.readouterr()
    assert run(arguments) == code
    out, err = capsys.readouterr()
    return out.splitlines(), err


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["inspct"], "inspect"),
        (["trian", "x"], "train"),
        (["lateny", "--json"], "latency"),
        (["runs", "lst"], "list"),
    ],
)
def test_a_mistyped_command_is_told_what_is_meant(typed: list[str], meant: str, capsys: Captured) -> None:
    out, err = told(typed, capsys, 2)
    assert out == []
    assert f"Did you mean '{meant}'?" in err


def test_a_path_is_no_mistyped_command(capsys: Captured) -> None:
    _, err = told(["nowhere/lda.db"], capsys, 2)
    assert "Did you mean" not in err


def completed(words: list[str]) -> list[str]:
    """Return what bash is offered for the last word."""
    environment = {
        "_DISTILL_TUI_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["distill-tui", *words]),
        "COMP_CWORD": str(len(words)),
    }
    result = CliRunner().invoke(commands, [], env=environment, prog_name="distill-tui")
    return [line.partition(",")[2] for line in result.stdout.splitlines()]


def test_shells_complete_commands_values_and_runs() -> None:
    folder = make_run(Made("the best"))
    assert completed(["lat"]) == ["latency"]
    assert completed(["train", "--student", "m"]) == ["memory", "mlp"]
    assert completed(["train", "--device", "c"]) == ["cpu", "cuda"]
    assert completed(["attach", folder.id[:2]]) == [folder.id]
    assert completed(["attach", "the"]) == ["the best"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_what_the_shell_is_to_read(shell: str, capsys: Captured) -> None:
    if shell == "bash" and shutil.which("bash") is None:
        pytest.skip("there is no bash")
    lines, _ = told(["completion", shell], capsys)
    assert f"_DISTILL_TUI_COMPLETE={shell}_complete" in "\n".join(lines)


def test_runs_list_is_runs(capsys: Captured) -> None:
    make_run(Made("one"))
    assert told(["runs", "list"], capsys) == told(["runs"], capsys)
    assert told(["runs", "list", "--json"], capsys) == told(["runs", "--json"], capsys)


def test_a_run_answers_to_its_id_everywhere(capsys: Captured) -> None:
    folder = make_run(Made("one"))
    told(["runs", "tag", folder.id, "good"], capsys)
    assert folder.read_notes().tags == ("good",)
    told(["runs", "delete", folder.id], capsys)
    told(["runs", "restore", folder.id], capsys)
    assert [each.name for each in store().list()] == ["one"]
    assert told(["runs", "command", folder.id], capsys)[0][0].startswith("distill-tui train")


@pytest.mark.parametrize(
    ("folder", "short"),
    [
        ("2026-09-14T101203-n18-7f3a", "7f3a"),
        ("2026-09-14T101203-n18-7f3a-2", "7f3a"),
        ("2026-11-26T124542-h-and-l-c007-s0", "h-and-l-c007-s0"),
        ("my-best-run", "my-best-run"),
    ],
)
def test_the_id_is_what_tells_a_folder_from_others(folder: str, short: str) -> None:
    assert run_id(folder) == short


def test_attach_without_a_name_takes_the_one_in_training(
    database: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, err = told(["attach"], capsys, 2)
    assert "is being trained" in err
    make_run(Made("ended", cosines={1: 0.9}))
    going = RecordedRun(store().create(RunConfig(data=DataConfig(database=str(database)))))
    watched: list[str] = []

    def watch(folder: RunFolder) -> tuple[()]:
        watched.append(folder.id)
        return ()

    monkeypatch.setattr(runs_command, "watch", watch)
    with contextlib.closing(iter(going)) as events:
        next(events)
        told(["attach"], capsys)
    assert watched == [going.folder.id]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_table_of_runs_fits_the_terminal(
    width: int, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    made = [
        Made(f"a rather long name of run {seed}", seed, heads, seed, f"/data/{'n' * 40}{seed}/lda.db")
        for seed, heads in ((1, 4), (2, 8))
    ]
    ids = [make_run(one).id for one in made]
    lines, _ = told(["runs"], capsys)
    assert max(map(cell_len, lines)) <= width
    assert [line.split()[0] for line in lines[-2:]] == ids[::-1]
    assert "lambda 0.7" in " ".join(lines[:-3])
    assert {"H", "seed"} <= set(lines[-3].split())


CELL = st.text("ab-0.9µ", min_size=1, max_size=30)
ROWS = st.integers(1, 6).flatmap(
    lambda columns: st.lists(st.lists(CELL, min_size=columns, max_size=columns), min_size=1, max_size=4)
)


@given(ROWS, st.integers(12, 60))
def test_the_cells_of_a_table_never_touch_and_fit(rows: list[list[str]], width: int) -> None:
    lines = list(table(rows, left=range(len(rows[0])), width=width))
    assert all(cell_len(line) <= width for line in lines)
    for row, line in zip(rows, lines, strict=True):
        shown = line.split()
        assert len(shown) == len(lines[0].split())
        assert all(cell.startswith(part.removesuffix("…")) for cell, part in zip(row, shown, strict=False))


def test_doctor_names_what_there_is_and_what_to_mend(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", "40")
    lines, _ = told(["doctor", "--json"], capsys)
    found = {each["subject"]: each for each in map(json.loads, lines)}
    assert {"terminal", "colours", "torch", "device", "threads", "BLAS", "runs", "storage"} <= set(found)
    assert [subject for subject, each in found.items() if each["mend"] and subject != "encoding"] == []
    (tmp_path / "file").touch()
    monkeypatch.setenv("TERM", "dumb")
    lines, _ = told(["doctor", "--runs-dir", str(tmp_path / "file" / "runs")], capsys, 1)
    marked = [line.split()[1] for line in lines if line.startswith("!")]
    assert {"terminal", "runs"} <= set(marked)


def test_a_device_that_is_not_here_is_told_with_the_reason(tmp_path: Path) -> None:
    version = tmp_path / "version.py"
    version.write_text("cuda: Optional[str] = None\nhip: Optional[str] = None\n")
    assert missing_devices(tmp_path, version)["cuda"] == "the installed torch is built without CUDA"


def test_a_terminal_that_can_only_print_lines_gets_lines(database: Path) -> None:
    environment = {**os.environ, "TERM": "dumb"}
    child = pexpect.spawn(
        sys.executable, ["-m", "distill_tui", str(database)], encoding="utf-8", env=environment, timeout=60
    )
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert child.before is not None
    assert "4 heads" in child.before
    assert "\x1b" not in child.before


def test_the_teacher_and_the_baselines_are_called_as_in_the_ladder(database: Path, capsys: Captured) -> None:
    quick = ("--epochs", "1", "--ff-dim", "16", "--batch-size", "8")
    lines, _ = told(["train", str(database), *quick], capsys)
    start = next(number for number, line in enumerate(lines) if line.startswith("retrieval"))
    names = {line.split("  ")[1].strip() for line in lines[start + 2 :] if line.startswith("  ")}
    assert "nearest_query" not in names
    assert not any("_" in name for name in names)
