from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_core.errors import RunError
from distill_core.runs import MetricsFollower, MetricsWriter, RunFolder
from distill_core.runs.metrics import count_damaged, read_metrics
from tests.core.test_runs_folder import CONFIG, Clock


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, CONFIG, Clock())


def append(run: RunFolder, *steps: int) -> int:
    with run.open_metrics() as metrics:
        for step in steps:
            metrics.append({"step": step})
        return metrics.offset_bytes


def steps(lines: list[dict[str, object]]) -> list[object]:
    return [line["step"] for line in lines]


def test_each_line_can_be_read_as_soon_as_it_is_written(run: RunFolder) -> None:
    with run.open_metrics() as metrics:
        metrics.append({"step": 1, "loss": float("nan")})
        assert run.metrics_path.read_bytes() == b'{"step":1,"loss":null}\n'
        metrics.append({"step": 2})
        metrics.sync()
        assert metrics.offset_bytes == 23 + 11
    assert steps(run.read_metrics().lines) == [1, 2]
    assert run.read_metrics(23) == ([{"step": 2}], 34, 0, False)


def test_a_partial_last_line_is_left_for_later_and_cut_off_by_the_next_writer(run: RunFolder) -> None:
    append(run, 1)
    with run.metrics_path.open("ab") as file:
        file.write(b'{"step":2,"lo')
    assert run.read_metrics() == ([{"step": 1}], 11, 0, False)
    append(run, 3)
    assert run.metrics_path.read_bytes() == b'{"step":1}\n{"step":3}\n'


@pytest.mark.parametrize("size", [5, 8191, 8192, 8193, 20_000])
@pytest.mark.parametrize("lines", [b"", b'{"step":1}\n', b"{}\n" * 6000])
def test_however_long_the_partial_line_is_only_it_is_cut_off(tmp_path: Path, size: int, lines: bytes) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_bytes(lines + b"x" * size)
    MetricsWriter(file).close()
    assert file.read_bytes() == lines


@pytest.mark.parametrize("line", [b"{]", b"5", b"[1]", b"null", b'{"a":"\xff"}', b"\0\0\0", b"", b"[" * 9999])
def test_a_damaged_line_is_passed_over_and_counted(run: RunFolder, line: bytes) -> None:
    run.metrics_path.write_bytes(b'{"step":1}\n' + line + b'\n{"step":2}\n')
    chunk = run.read_metrics()
    assert (steps(chunk.lines), chunk.damaged) == ([1, 2], 1)


@given(st.lists(st.integers(1, 60), max_size=20))
def test_a_follower_sees_each_line_once_wherever_the_writing_pauses(
    tmp_path_factory: pytest.TempPathFactory, pauses: list[int]
) -> None:
    file = tmp_path_factory.mktemp("follow") / "metrics.jsonl"
    content = b"".join(b'{"step":%d}\n' % step for step in range(40))
    follower, seen, offset = MetricsFollower(file), [], 0
    for pause in [*pauses, len(content)]:
        with file.open("ab") as handle:
            handle.write(content[offset : offset + pause])
        offset += pause
        chunk = follower.poll()
        assert not chunk.restarted
        seen += steps(chunk.lines)
    assert seen == list(range(40))


def test_a_follower_begins_again_when_the_file_was_cut_back(run: RunFolder) -> None:
    follower = run.follow_metrics()
    assert follower.poll().lines == []
    offset = append(run, 1, 2)
    append(run, 3, 4)
    assert steps(follower.poll().lines) == [1, 2, 3, 4]
    assert run.cut_metrics(offset, 0) == ""
    append(run, 5, 6, 7, 8)  # as long as before, and longer
    chunk = follower.poll()
    assert (steps(chunk.lines), chunk.restarted) == ([1, 2, 5, 6, 7, 8], True)
    run.metrics_path.unlink()
    assert follower.poll() == ([], 0, 0, True)


def test_lines_after_the_checkpoint_are_cut_off_and_none_doubled(run: RunFolder) -> None:
    offset = append(run, 1, 2)
    append(run, 3)
    with run.metrics_path.open("ab") as file:
        file.write(b'{"st')
    assert run.cut_metrics(offset, 0) == ""
    append(run, 3, 4)
    assert steps(run.read_metrics().lines) == [1, 2, 3, 4]
    assert run.cut_metrics(0, 0) == ""
    assert run.metrics_path.read_bytes() == b""


def epochs_of(run: RunFolder) -> list[object]:
    return [line.get("epoch", line["event"]) for line in run.read_metrics().lines]


@pytest.mark.parametrize("offset", [1, 30, 10**6])
@pytest.mark.parametrize("written", [[1, 2, 1, 2, 3, 3], [1, 2, 3], [3, 1, 2, 99]])
def test_lines_of_two_writers_are_sorted_out_up_to_the_checkpoint(
    run: RunFolder, written: list[int], offset: int
) -> None:
    with run.open_metrics() as metrics:
        metrics.append({"event": "started"})
        metrics.append({"event": "baseline", "name": "ridge"})
        for epoch in written:
            metrics.append({"event": "epoch", "epoch": epoch})
    problem = run.cut_metrics(offset, 3)
    assert "its lines up to epoch 3 were sorted out." in problem
    assert epochs_of(run) == ["started", "baseline", 1, 2, 3]


def test_epochs_that_have_no_line_are_counted(run: RunFolder) -> None:
    with run.open_metrics() as metrics:
        for epoch in (1, 2, 5):
            metrics.append({"event": "epoch", "epoch": epoch})
    problem = run.cut_metrics(metrics.offset_bytes, 5)
    assert "of 2 epochs there is no line" in problem
    assert epochs_of(run) == [1, 2, 5]


def test_metrics_that_were_never_written_can_only_be_cut_back_to_nothing(run: RunFolder) -> None:
    assert run.cut_metrics(0, 0) == ""
    with pytest.raises(RunError, match="missing"):
        run.cut_metrics(11, 1)


@pytest.mark.parametrize("kept", [0, 4])
def test_a_full_disk_leaves_no_part_of_a_line(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    append(run, 1)
    write, calls = os.write, iter([True, False])

    def full(descriptor: int, content: bytes) -> int:
        if kept and next(calls):
            return write(descriptor, content[:kept])
        raise OSError(errno.ENOSPC, "No space left on device")

    with run.open_metrics() as metrics:
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            with pytest.raises(RunError, match="disk is full"):
                metrics.append({"step": 2})
        metrics.append({"step": 3})
    assert run.metrics_path.read_bytes() == b'{"step":1}\n{"step":3}\n'
    assert read_metrics(run.metrics_path).damaged == 0


def test_metrics_that_cannot_be_read_are_named(run: RunFolder) -> None:
    run.metrics_path.mkdir()
    for use in (run.read_metrics, run.follow_metrics().poll, run.open_metrics):
        with pytest.raises(RunError, match=r"metrics\.jsonl"):
            use()


@pytest.mark.parametrize(
    ("damaged", "count"),
    [
        ((), 0),
        ((b"{]",), 1),
        ((b'{"a":1', b'"b":2}'), 2),  # together they would be an object
        ((b'{"a":"x', b'y"}'), 2),
        ((b'{"a":"\xff"}', b"5", b""), 3),
    ],
)
@pytest.mark.parametrize("sound", [0, 1, 3000])
@pytest.mark.parametrize("first", [True, False])
def test_damage_at_either_end_is_counted_however_long_the_file(
    tmp_path: Path, damaged: tuple[bytes, ...], count: int, sound: int, *, first: bool
) -> None:
    file = tmp_path / "metrics.jsonl"
    parts = [[*damaged], [b'{"step":1}'] * sound]
    file.write_bytes(b"".join(line + b"\n" for part in parts[:: 1 if first else -1] for line in part) + b'{"')
    assert count_damaged(file) == count
