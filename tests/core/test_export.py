"""Exports of whole runs: what is written agrees with the run, and what cannot be written is named."""

from __future__ import annotations

import contextlib
import csv
import errno
import json
import os
import sqlite3
import sys
import tomllib
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime
import pytest
import torch
from safetensors import safe_open

from distill_core.config import RunConfig, parse_config
from distill_core.errors import ExportError
from distill_core.export import (
    ExportEvent,
    ExportFinished,
    ExportParts,
    ExportReport,
    PartLeftOut,
    PartWritten,
    export_run,
    load,
)
from distill_core.runs import RunFolder, atomic_files
from distill_core.students import load_student
from tests.core.finished_run import copy_run, finish_run, stop_run

ALWAYS = {"model.safetensors", "config.toml", "config.json", "metrics.csv", "README.md", "export.json"}
EVENTS = "tensorboard/events.out.tfevents.0000000000.distill-tui"
KINDS: tuple[str, ...] = ("encoder", "memory", "mlp")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunFolder]:
    return {kind: finish_run(tmp_path_factory.mktemp(kind), kind) for kind in KINDS}


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def said_by(folder: Path) -> dict[str, object]:
    """The files, but for the order of the names in the header of safetensors, drawn anew each time."""
    return {
        name: (_header(content), content[8 + _header_length(content) :])
        if name.endswith(".safetensors")
        else content
        for name, content in files_in(folder).items()
    }


def _header_length(content: bytes) -> int:
    return int.from_bytes(content[:8], "little")


def _header(content: bytes) -> object:
    return json.loads(content[8 : 8 + _header_length(content)])


def report_of(events: list[ExportEvent]) -> ExportReport:
    assert isinstance(events[-1], ExportFinished)
    return events[-1].report


def random_queries(n: int = 50) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.random.default_rng(7).standard_normal((n, 8)).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_every_form_of_the_weights_projects_as_the_run_does(
    tmp_path: Path, runs: dict[str, RunFolder], kind: str
) -> None:
    run = runs[kind]
    before = {
        name: (content, (run.path / name).stat().st_mtime_ns) for name, content in files_in(run.path).items()
    }
    events = list(export_run(run, tmp_path / "out", ExportParts(reference=True)))
    after = {
        name: (content, (run.path / name).stat().st_mtime_ns) for name, content in files_in(run.path).items()
    }
    assert after == before, "an export only reads the run"

    own = {"model_folded.safetensors", "model.pt"} if kind == "encoder" else set()
    assert set(files_in(tmp_path / "out")) == ALWAYS | {"model.onnx", EVENTS} | own
    queries = random_queries()
    with torch.no_grad():
        expected = load_student(run.best_checkpoint)(torch.from_numpy(queries)).numpy()
    scale = np.abs(expected).max()
    forms = ["", "model.safetensors", *own]
    for form in forms:
        np.testing.assert_allclose(
            load(tmp_path / "out" / form).project(queries), expected, rtol=0, atol=1e-5 * scale
        )
    session = onnxruntime.InferenceSession(tmp_path / "out" / "model.onnx")
    (projected,) = session.run(None, {"queries": queries})
    np.testing.assert_allclose(projected, expected, rtol=0, atol=1e-5 * scale)
    check = report_of(events).onnx
    assert check is not None
    assert (check.queries, check.test_queries, check.opset) == (1000, 8, 17)
    assert 0 <= check.difference <= 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_the_weights_are_those_of_the_run_to_the_bit(
    tmp_path: Path, runs: dict[str, RunFolder], kind: str
) -> None:
    list(export_run(runs[kind], tmp_path))
    ours, its = tmp_path / "model.safetensors", runs[kind].best_checkpoint
    with safe_open(ours, framework="np") as exported, safe_open(its, framework="np") as kept:
        assert set(exported.keys()) == set(kept.keys())
        for name in kept.keys():  # noqa: SIM118 - no mapping
            assert np.array_equal(exported.get_tensor(name), kept.get_tensor(name))
        assert exported.metadata() == kept.metadata()


def test_settings_are_those_of_the_run(tmp_path: Path, runs: dict[str, RunFolder]) -> None:
    run = runs["encoder"]
    list(export_run(run, tmp_path))
    settings = tomllib.loads((tmp_path / "config.toml").read_text())
    assert settings.pop("version") == 1
    assert parse_config(settings) == run.read_config()
    told = json.loads((tmp_path / "config.json").read_text())
    assert msgspec.convert(told["settings"], RunConfig) == run.read_config()
    data = run.read_data()
    assert data is not None
    assert told["database_sha256"] == data.database_sha256
    assert (told["student"], told["dimension"], told["num_heads"], told["temperature"]) == (
        "encoder",
        8,
        4,
        0.1,
    )
    shape = {"embed_dim": 8, "num_heads": 2, "num_layers": 2, "ff_dim": 12, "dropout": 0.1}
    assert told["shape"] == shape


def test_the_table_of_metrics_has_every_epoch_with_all_digits(
    tmp_path: Path, runs: dict[str, RunFolder]
) -> None:
    run = runs["encoder"]
    list(export_run(run, tmp_path))
    with (tmp_path / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    epochs = [line for line in run.read_metrics().lines if line["event"] == "epoch"]
    assert len(rows) == len(epochs) == 3
    for row, line in zip(rows, epochs, strict=True):
        assert (int(row["epoch"]), int(row["step"])) == (line["epoch"], line["step"])
        for part in ("train", "validation"):
            for term in ("loss", "mse", "cosine"):
                assert float(row[f"{part}_{term}"]) == line[part][term]
        for name in ("learning_rate", "samples_per_second", "active_seconds", "mse_gradient_share"):
            assert float(row[name]) == line[name]


def test_the_events_tell_each_file_once_and_the_report_keeps_them(
    tmp_path: Path, runs: dict[str, RunFolder]
) -> None:
    events = list(export_run(runs["memory"], tmp_path, ExportParts(reference=True)))
    written = [event.file for event in events if isinstance(event, PartWritten)]
    left_out = {event.part: event.reason for event in events if isinstance(event, PartLeftOut)}
    assert {*written, "export.json"} == set(files_in(tmp_path))
    assert set(left_out) == {"folded weights", "reference"}
    assert all("memory" in why for why in left_out.values())
    kept = msgspec.json.decode((tmp_path / "export.json").read_bytes(), type=ExportReport)
    assert kept == report_of(events)
    assert kept.complete
    assert kept.has_weights
    assert (list(kept.files), kept.left_out) == (written, left_out)


def test_an_export_again_is_the_same_and_drops_what_is_no_longer_asked_for(
    tmp_path: Path, runs: dict[str, RunFolder]
) -> None:
    run = runs["encoder"]
    list(export_run(run, tmp_path))
    first = said_by(tmp_path)
    (tmp_path / "LICENSE").write_text("mine")
    list(export_run(run, tmp_path))
    assert said_by(tmp_path) == {**first, "LICENSE": b"mine"}
    list(export_run(run, tmp_path, ExportParts(reference=True)))
    assert "model.pt" in files_in(tmp_path)
    list(export_run(run, tmp_path, ExportParts(onnx=False, tensorboard=False)))
    assert set(files_in(tmp_path)) == ALWAYS | {"model_folded.safetensors", "LICENSE"}
    assert not (tmp_path / "tensorboard").exists()
    assert "onnxruntime" not in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime", "tensorboard"])
def test_without_an_extra_the_rest_is_written(
    tmp_path: Path, runs: dict[str, RunFolder], monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    for module in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, missing, None)
    events = list(export_run(runs["encoder"], tmp_path))
    part, file = ("tensorboard", EVENTS) if missing == "tensorboard" else ("onnx", "model.onnx")
    reason = report_of(events).left_out[part]
    assert reason == f"This needs {missing}. Install the extra: pip install 'distill-tui[{part}]'."
    whole = ALWAYS | {"model_folded.safetensors", "model.onnx", EVENTS}
    assert set(files_in(tmp_path)) == whole - {file}
    assert reason in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize(
    "content", [{"notes.txt": "mine"}, {"export.json": "{}"}, {"export.json": "[5"}, {".git": ""}]
)
def test_a_folder_with_other_things_is_left_alone(
    tmp_path: Path, runs: dict[str, RunFolder], content: dict[str, str]
) -> None:
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    before = files_in(tmp_path)
    with pytest.raises(ExportError, match="is not empty and holds no export") as raised:
        list(export_run(runs["encoder"], tmp_path))
    assert raised.value.hint
    assert files_in(tmp_path) == before


def test_the_export_of_another_run_is_left_alone(tmp_path: Path, runs: dict[str, RunFolder]) -> None:
    list(export_run(runs["mlp"], tmp_path))
    before = files_in(tmp_path)
    with pytest.raises(ExportError, match=f"of another run, {runs['mlp'].name}"):
        list(export_run(runs["encoder"], tmp_path))
    assert files_in(tmp_path) == before


@pytest.mark.parametrize("place", [".", "export", "checkpoints", "a/b"])
def test_nothing_is_exported_into_a_run(runs: dict[str, RunFolder], place: str) -> None:
    run = runs["encoder"]
    before = files_in(run.path)
    with pytest.raises(ExportError, match="is inside a run"):
        list(export_run(run, run.path / place))
    assert files_in(run.path) == before


def test_a_link_into_a_run_is_seen_through(tmp_path: Path, runs: dict[str, RunFolder]) -> None:
    (tmp_path / "link").symlink_to(runs["encoder"].path)
    with pytest.raises(ExportError, match="is inside a run"):
        list(export_run(runs["encoder"], tmp_path / "link" / "export"))


def test_a_file_is_no_folder(tmp_path: Path, runs: dict[str, RunFolder]) -> None:
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ExportError, match="cannot be made"):
            list(export_run(runs["encoder"], place))
    assert (tmp_path / "file").read_text() == "mine"


def test_a_read_only_folder_is_one_sentence(
    tmp_path: Path, runs: dict[str, RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def refuse(path: object, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_WRONLY:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return opened(path, flags, mode)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ExportError, match="read-only") as raised:
        list(export_run(runs["encoder"], tmp_path / "out"))
    assert "Choose another folder" in raised.value.hint
    assert files_in(tmp_path) == {}


def test_a_disk_that_fills_up_at_any_write_spoils_nothing(
    tmp_path: Path, runs: dict[str, RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each write fails once, half done; what is there is whole, and the export can be repeated."""
    run, write_all = runs["encoder"], atomic_files.write_all
    list(export_run(run, tmp_path / "whole"))
    whole = said_by(tmp_path / "whole")
    told: list[str] = []
    for fail_at in range(1, 30):
        count = 0

        def failing(descriptor: int, content: bytes, at: int = fail_at) -> None:
            nonlocal count
            count += 1
            if count == at:
                os.write(descriptor, content[: len(content) // 2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            write_all(descriptor, content)

        target = tmp_path / f"full{fail_at}"
        monkeypatch.setattr(atomic_files, "write_all", failing)
        try:
            list(export_run(run, target))
        except ExportError as error:
            told.append(error.message)
        monkeypatch.setattr(atomic_files, "write_all", write_all)
        there = said_by(target)
        assert all(whole[name] == content for name, content in there.items() if name != "export.json")
        assert ("model.safetensors" in there) == (fail_at > 2)
        list(export_run(run, target))
        assert said_by(target) == whole
        if count < fail_at:
            break
    assert len(told) >= 8
    assert all("disk is full" in words for words in told)


def test_an_export_that_was_broken_off_is_known_and_taken_up(
    tmp_path: Path, runs: dict[str, RunFolder]
) -> None:
    events = iter(export_run(runs["encoder"], tmp_path))
    next(events)
    events.close()  # type: ignore[attr-defined]
    report = msgspec.json.decode((tmp_path / "export.json").read_bytes(), type=ExportReport)
    assert (report.run, report.complete) == (runs["encoder"].name, False)
    (tmp_path / ".model.onnx.0123456789abcdef.tmp").write_text("half")  # as a killed process leaves it
    assert report_of(list(export_run(runs["encoder"], tmp_path))).complete


def test_what_only_a_killed_process_left_is_no_foreign_thing(
    tmp_path: Path, runs: dict[str, RunFolder]
) -> None:
    (tmp_path / ".export.json.0123456789abcdef.tmp").write_text("half")
    assert report_of(list(export_run(runs["encoder"], tmp_path))).complete


def test_a_stopped_run_is_exported_without_results(tmp_path: Path) -> None:
    run = stop_run(tmp_path)
    report = report_of(list(export_run(run, tmp_path / "out")))
    assert report.left_out == {}
    card = (tmp_path / "out" / "README.md").read_text()
    assert "was not judged on the test queries" in card
    assert "The run is not finished; these are its best weights so far." in card
    assert "Epochs: 2 of 3" in card
    assert "Not measured." in card
    queries = random_queries()
    expected = load_student(run.best_checkpoint).project(queries)
    np.testing.assert_allclose(load(tmp_path / "out").project(queries), expected, rtol=0, atol=1e-5)


def test_a_run_that_never_was_trained_leaves_its_settings(tmp_path: Path, runs: dict[str, RunFolder]) -> None:
    run = RunFolder.create(tmp_path / "runs", runs["encoder"].read_config())
    report = report_of(list(export_run(run, tmp_path / "out")))
    assert not report.has_weights
    assert "has no weights yet" in report.left_out["weights"]
    assert set(report.files) == {"config.toml", "config.json", "metrics.csv", EVENTS, "README.md"}


DAMAGES = {
    "garbage": b"\xff\xfe{",
    "empty": b"",
    "null": b"null",
    "object": b"{}",
    "nested": b"[" * 50_000,
}
NAMES = {
    "config.toml": "settings",
    "state.json": "state",
    "data.json": "data",
    "notes.json": "notes",
    "evaluation.json": "evaluation",
    "latency.json": "latency",
    "checkpoints/best.safetensors": "weights",
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", NAMES)
def test_a_damaged_file_is_named_and_the_rest_is_exported(
    tmp_path: Path, runs: dict[str, RunFolder], file: str, damage: str
) -> None:
    run = copy_run(runs["encoder"], tmp_path)
    (run.path / file).write_bytes(DAMAGES[damage])
    if (file, damage) == ("config.toml", "empty"):
        (run.path / file).write_text("[data]\n")
    report = report_of(list(export_run(run, tmp_path / "out", ExportParts(onnx=False))))
    if (file, damage) == ("notes.json", "object"):
        assert report.left_out == {}, "every field of it has a default"
        return
    assert set(report.left_out) == {NAMES[file]}
    assert file.rpartition("/")[2] in report.left_out[NAMES[file]]
    assert ("model.safetensors" in report.files) == (NAMES[file] != "weights")
    assert (tmp_path / "out" / "config.toml").read_bytes() == (
        runs["encoder"].path / "config.toml"
    ).read_bytes()
    assert report.left_out[NAMES[file]] in (tmp_path / "out" / "README.md").read_text()


def test_damaged_lines_of_the_metrics_are_counted_and_passed_over(
    tmp_path: Path, runs: dict[str, RunFolder]
) -> None:
    run = copy_run(runs["encoder"], tmp_path)
    first, *others = run.metrics_path.read_bytes().splitlines(keepends=True)
    run.metrics_path.write_bytes(b"".join([first, b"{torn\n", *others, b'{"event":"epoch","ep']))
    report = report_of(list(export_run(run, tmp_path / "out")))
    assert report.left_out == {"metrics": f"{run.metrics_path} is damaged in 1 of its lines."}
    list(export_run(runs["encoder"], tmp_path / "whole"))
    for file in ("metrics.csv", EVENTS):
        assert (tmp_path / "out" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def test_a_gone_database_leaves_random_queries_to_check_on(tmp_path: Path) -> None:
    run = finish_run(tmp_path)
    database = Path(run.read_config().data.database)
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE multi_head_projections SET temperature = 2 * temperature")
    changed = report_of(list(export_run(run, tmp_path / "changed")))
    database.unlink()
    gone = report_of(list(export_run(run, tmp_path / "gone")))
    for report in (changed, gone):
        assert report.left_out == {}
        assert report.onnx is not None
        assert (report.onnx.queries, report.onnx.test_queries) == (1000, 0)
