from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

import distill_core
from distill_core.runs import RunFolder, RunStore
from distill_core.students import load_student
from distill_tui.cli import run
from distill_tui.cli.train_command import run_config, train
from tests.core.finished_run import finish_run, stop_run

FILES = {
    *("model.safetensors", "model_folded.safetensors", "model.onnx", "config.toml", "config.json"),
    *("metrics.csv", "README.md", "tensorboard/events.out.tfevents.0000000000.distill-tui"),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return finish_run(tmp_path_factory.mktemp("finished"))


def exported(
    finished: RunFolder, to: Path, *options: str, capsys: pytest.CaptureFixture[str], code: int = 0
) -> tuple[list[str], str]:
    root = finished.path.parent
    assert run(["export", finished.name, "--runs-dir", str(root), "--to", str(to), *options]) == code
    out, err = capsys.readouterr()
    return out.splitlines(), err


def test_each_file_is_a_line_and_the_student_loads_in_one(
    finished: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, err = exported(finished, tmp_path / "out", capsys=capsys)
    assert err == ""
    assert {line.split()[1].rstrip(":") for line in lines[:-1]} == FILES
    assert all(line.startswith("wrote ") for line in lines[:-1])
    assert lines[-1] == f"exported {finished.name}: 8 files in {tmp_path / 'out'}"
    assert any(re.search(r"model.onnx: opset 17, .* on 1,000 queries, 8 of them", line) for line in lines)
    queries = np.random.default_rng(0).standard_normal((5, 8)).astype(np.float32)
    np.testing.assert_allclose(
        distill_core.load(tmp_path / "out").project(queries),
        load_student(finished.best_checkpoint).project(queries),
        rtol=0,
        atol=1e-5,
    )


def test_json_has_one_event_a_line(
    finished: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, _ = exported(finished, tmp_path, "--json", "--pt", capsys=capsys)
    events = [json.loads(line) for line in lines]
    assert {event["file"] for event in events if event["event"] == "written"} == FILES | {"model.pt"}
    assert events[-1]["event"] == "finished"
    assert events[-1]["report"]["run"] == finished.name
    assert events[-1]["report"]["onnx"]["difference"] <= 1e-5


def test_parts_can_be_left_out(
    finished: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, _ = exported(finished, tmp_path, "--no-onnx", "--no-tensorboard", capsys=capsys)
    assert not any("onnx" in line or "tensorboard" in line for line in lines)
    assert not (tmp_path / "model.onnx").exists()
    assert not (tmp_path / "tensorboard").exists()


def test_a_missing_extra_is_one_line_and_no_failure(
    finished: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    lines, _ = exported(finished, tmp_path, capsys=capsys)
    (line,) = [line for line in lines if line.startswith("left out")]
    assert (
        line == "left out onnx: This needs onnxruntime. Install the extra: pip install 'distill-tui[onnx]'."
    )


def test_a_run_is_found_by_the_beginning_of_its_name_and_by_its_folder(
    finished: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTILL_TUI_RUNS", str(finished.path.parent))
    for asked in (finished.name[:-4], str(finished.path)):
        assert run(["export", asked, "--to", str(tmp_path / "out"), "--no-onnx"]) == 0
    capsys.readouterr()


@pytest.mark.parametrize(
    ("asked", "words"), [("nothing", "There is no run 'nothing'"), ("/nowhere/run", "There is no run in")]
)
def test_an_unknown_run_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: str, words: str
) -> None:
    assert run(["export", asked, "--runs-dir", str(tmp_path), "--to", str(tmp_path / "out")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert not (tmp_path / "out").exists()


def test_a_folder_with_other_things_is_refused(
    finished: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    lines, err = exported(finished, tmp_path, capsys=capsys, code=2)
    assert lines == []
    assert "is not empty and holds no export. Choose a new or an empty folder." in err


def test_without_weights_the_rest_is_written_and_the_code_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped = stop_run(tmp_path)
    stopped.best_checkpoint.unlink()
    lines, _ = exported(stopped, tmp_path / "out", capsys=capsys, code=1)
    assert any(line.startswith("left out weights: ") for line in lines)
    assert (tmp_path / "out" / "metrics.csv").exists()


def test_to_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", "run"]) == 2
    assert "--to" in capsys.readouterr().err


def test_the_command_of_the_card_asks_for_the_same_settings(
    finished: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exported(finished, tmp_path, "--no-onnx", capsys=capsys)
    card = (tmp_path / "README.md").read_text()
    block = card.partition("```sh\n")[2].partition("```")[0]
    words = shlex.split(block.replace("\\\n", " "))
    assert words[:2] == ["distill-tui", "train"]
    context = train.make_context("train", words[2:])
    asked = run_config(context.params)
    assert asked == finished.read_config()


def test_the_command_of_the_card_trains_the_same_student(
    finished: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exported(finished, tmp_path / "out", "--no-onnx", capsys=capsys)
    block = (tmp_path / "out" / "README.md").read_text().partition("```sh\n")[2].partition("```")[0]
    words = shlex.split(block.replace("\\\n", " "))[1:]
    assert run([*words, "--runs-dir", str(tmp_path / "runs")]) == 0
    capsys.readouterr()
    (again,) = RunStore(tmp_path / "runs").list()
    ours, theirs = (
        load_student(RunFolder.open(path).best_checkpoint) for path in (again.path, finished.path)
    )
    for name, weight in theirs.state_dict().items():
        np.testing.assert_array_equal(ours.state_dict()[name].numpy(), weight.numpy())
