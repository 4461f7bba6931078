"""Every file of a run truncated and corrupted in many ways: the store lists all and names the damaged one."""

from __future__ import annotations

import json
import random
import shutil
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load

from distill_core.runs import CheckpointInfo, RunFolder, RunStore, save_checkpoint
from distill_core.runs.summary import RUN_FILES
from tests.core.test_runs_folder import Clock, make_run

JSON = [f"{name}.json" for name in ("data", "state", "notes", "evaluation")]
JSON += [f"{name}.json" for name in ("latency", "crossover", "contestants")]
CHECKPOINTS = ["checkpoints/last.safetensors", "checkpoints/best.safetensors"]
TOLD = ["config.toml", *JSON, "metrics.jsonl", *CHECKPOINTS]
FILES = [*TOLD, "log.txt", "heartbeat", "lock"]
REQUIRED = {"config.toml", "state.json"}


def make_whole_run(root: Path) -> RunFolder:
    run = make_run(root)
    for file in (run.last_checkpoint, run.best_checkpoint):
        save_checkpoint(
            file, {"weight": torch.arange(4.0)}, CheckpointInfo(step=1, epoch=1, metrics_offset_bytes=0)
        )
    run.beat()
    with run.lock():
        pass
    return run


def is_broken(name: str, content: bytes) -> bool:
    """Whether the standard library or the format's own reader refuses the content."""
    try:
        if name == "config.toml":
            tomllib.loads(content.decode())
        elif name in JSON:
            json.loads(content.decode())
        elif name == "metrics.jsonl":
            for line in content.split(b"\n")[:-1]:
                json.loads(line.decode())
        elif name in CHECKPOINTS:
            load(content)
    except (ValueError, RecursionError, SafetensorError):
        return True
    return False


def damages(rng: random.Random, whole: bytes) -> Iterator[bytes]:
    size = max(len(whole), 1)
    yield from (b"", b"\0" * size, b"null", b"[]", b"{}", b"5", b"\xff\xfe", b"[" * 50_000, whole + whole)
    for _ in range(5):
        yield whole[: rng.randrange(size)]
        at = rng.randrange(size)
        yield whole[:at] + bytes([rng.randrange(256)]) + whole[at + 1 :]
        yield whole[:at] + rng.randbytes(rng.randrange(1, 20)) + whole[at:]
        yield whole[:at] + b"\0" * (len(whole) - at)
        digits = [place for place, byte in enumerate(whole) if chr(byte).isdigit()] or [0]
        at = rng.choice(digits)
        yield whole[:at] + rng.choice([b"-", b"9" * 40, b'"', b"1e999", b"null", b"true"]) + whole[at + 1 :]


def test_the_list_reads_every_file_that_may_be_damaged() -> None:
    assert sorted(RUN_FILES) == sorted(TOLD)


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_named_and_the_rest_is_listed(tmp_path: Path, name: str) -> None:
    clock = Clock()
    other = make_whole_run(tmp_path)
    other.mark("finished")
    run = make_whole_run(tmp_path)
    file, rng = run.path / name, random.Random(name)
    whole, named, store = file.read_bytes(), 0, RunStore(tmp_path, clock)
    (sound,) = [summary for summary in store.list() if summary.path == str(other.path)]
    assert [summary.problem for summary in store.list()] == ["", ""]
    for content in damages(rng, whole):
        file.write_bytes(content)
        summaries = RunStore(tmp_path, clock).list()
        assert sound in summaries
        (damaged,) = [summary for summary in summaries if summary.path == str(run.path)]
        assert all(
            str(run.path / other_name) not in damaged.problem for other_name in FILES if other_name != name
        )
        if is_broken(name, content):
            assert str(file) in damaged.problem
            named += 1
    assert named >= (0 if name in ("log.txt", "heartbeat", "lock") else 10)


def _delete(path: Path) -> None:
    path.unlink()


def _put_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _put_a_dangling_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def _put_a_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("replace", [_delete, _put_a_folder, _put_a_dangling_link, _put_a_loop])
def test_a_file_that_is_none_raises_nothing(
    tmp_path: Path, name: str, replace: Callable[[Path], None]
) -> None:
    run = make_whole_run(tmp_path)
    replace(run.path / name)
    (summary,) = RunStore(tmp_path, Clock()).list()
    missing_is_fine = name not in REQUIRED and replace is _delete
    if missing_is_fine or name in ("log.txt", "heartbeat", "lock"):
        assert summary.problem == ""
    else:
        assert str(run.path / name) in summary.problem


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("data.json", b'"train":[', b'"train":["x",'),
        ("data.json", b'"database_sha256":"', b'"database_sha256":7,"other":"'),
        ("evaluation.json", b'"cosines":[', b'"cosines":[0.5,'),
        ("evaluation.json", b'"question_ids":[7,', b'"question_ids":["x",'),
        ("crossover.json", b'"fixed":{', b'"fixed":{"batch_32":5,'),
        ("latency.json", b'"single_ratio_interval":[', b'"single_ratio_interval":["x",'),
    ],
)
def test_json_that_does_not_say_what_it_should_is_named(
    tmp_path: Path, name: str, old: bytes, new: bytes
) -> None:
    run = make_whole_run(tmp_path)
    file = run.path / name
    assert old in file.read_bytes()
    file.write_bytes(file.read_bytes().replace(old, new, 1))
    (summary,) = RunStore(tmp_path, Clock()).list()
    assert str(file) in summary.problem


def test_several_damaged_files_are_all_named(tmp_path: Path) -> None:
    run = make_whole_run(tmp_path)
    for name in FILES:
        (run.path / name).write_bytes(b"{]\n")
    (summary,) = RunStore(tmp_path, Clock()).list()
    assert summary.state == "unknown"
    assert all(name in summary.problem for name in TOLD)


def test_a_damaged_run_can_be_found_and_thrown_away(tmp_path: Path) -> None:
    run = make_whole_run(tmp_path)
    for name in FILES:
        (run.path / name).write_bytes(b"{]\n")
    store = RunStore(tmp_path, Clock())
    store.move_to_trash(run.name)
    assert (store.list(), store.empty_trash()) == ((), 1)


def test_checkpoints_that_are_no_folder_raise_nothing(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    shutil.rmtree(run.checkpoints)
    run.checkpoints.write_text("")
    assert len(RunStore(tmp_path, Clock()).list()) == 1


def test_a_folder_of_runs_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = RunStore(tmp_path / "file")
    assert store.list() == ()
    assert str(tmp_path / "file") in store.problem
