"""The epochs of a run as a table and in TensorBoard's own reader."""

from __future__ import annotations

import csv
import io
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from distill_core.export import export_run
from distill_core.export.contents import COLUMNS, RunContents, epoch_rows, metrics_csv
from distill_core.export.tensorboard_events import tensorboard_events
from distill_core.runs import RecordedRun, RunFolder
from tests.core.finished_run import copy_run, finish_run, stop_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return finish_run(tmp_path_factory.mktemp("run"))


def read_by_tensorboard(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return accumulator


def points(accumulator: EventAccumulator, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in accumulator.Scalars(tag)]


def epochs_of(run: RunFolder) -> list[dict[str, object]]:
    return [line for line in run.read_metrics().lines if line["event"] == "epoch"]


def test_tensorboard_reads_the_figures_of_the_run(tmp_path: Path, run: RunFolder) -> None:
    list(export_run(run, tmp_path))
    accumulator = read_by_tensorboard(tmp_path / "tensorboard")
    epochs = epochs_of(run)
    assert len(epochs) == 3
    for part, prefix in (("train", "train"), ("validation", "val")):
        for term in ("loss", "mse", "cosine"):
            expected = [(line["step"], line[part][term]) for line in epochs]  # type: ignore[index]
            told = points(accumulator, f"{prefix}/{term}")
            assert [step for step, _ in told] == [step for step, _ in expected]
            assert [value for _, value in told] == pytest.approx([value for _, value in expected], rel=1e-5)
    evaluation = run.read_evaluation()
    assert evaluation is not None
    last = epochs[-1]["step"]
    for tag, figure in (
        ("test/cosine", evaluation.finished.evaluation.cosine.mean),
        ("test/mse", evaluation.finished.evaluation.mse),
        ("test/skill", evaluation.finished.skill),
    ):
        ((step, value),) = points(accumulator, tag)
        assert step == last
        assert value == pytest.approx(figure, rel=1e-5)
    begin = run.read_state().started.timestamp()
    times = [event.wall_time for event in accumulator.Scalars("train/loss")]
    assert times == pytest.approx([begin + line["active_seconds"] for line in epochs])  # type: ignore[operator]


def test_tensorboard_shows_the_settings(tmp_path: Path, run: RunFolder) -> None:
    list(export_run(run, tmp_path))
    (content,) = read_by_tensorboard(tmp_path / "tensorboard").PluginTagToContent("hparams").values()
    start = HParamsPluginData.FromString(content).session_start_info
    assert start.group_name == run.name
    assert start.hparams["learning_rate"].number_value == 5e-3
    assert start.hparams["recipe"].string_value == "book"
    assert start.hparams["exclude_near_duplicates"].bool_value is False
    assert "exclude_near_duplicates" in start.hparams


def test_a_resumed_run_draws_one_line(tmp_path: Path) -> None:
    run = stop_run(tmp_path)
    list(export_run(run, tmp_path / "out"))
    half = points(read_by_tensorboard(tmp_path / "out" / "tensorboard"), "train/loss")
    assert len(half) == 2
    list(RecordedRun(RunFolder.open(run.path)))
    list(export_run(run, tmp_path / "out"))
    whole = points(read_by_tensorboard(tmp_path / "out" / "tensorboard"), "train/loss")
    steps = [step for step, _ in whole]
    assert len(whole) == 3
    assert steps == sorted(set(steps))
    assert whole[:2] == half


def test_a_loss_that_was_lost_is_left_out_and_the_rest_drawn(tmp_path: Path, run: RunFolder) -> None:
    copy = copy_run(run, tmp_path)
    with copy.open_metrics() as metrics:
        metrics.append(
            {"event": "epoch", "epoch": 4, "step": 999, "train": {"loss": float("nan"), "cosine": 0.5}}
        )
    (tmp_path / "events.out.tfevents.1.x").write_bytes(tensorboard_events(RunContents(copy)))
    accumulator = read_by_tensorboard(tmp_path)
    assert len(points(accumulator, "train/loss")) == 3
    assert points(accumulator, "train/cosine")[-1] == (999, 0.5)


def test_without_settings_and_results_the_epochs_are_there(tmp_path: Path, run: RunFolder) -> None:
    copy = copy_run(run, tmp_path)
    for file in ("state.json", "config.toml", "evaluation.json", "checkpoints/best.safetensors"):
        (copy.path / file).unlink()
    contents = RunContents(copy)
    assert set(contents.problems) == {"state", "settings"}
    (tmp_path / "events.out.tfevents.1.x").write_bytes(tensorboard_events(contents))
    accumulator = read_by_tensorboard(tmp_path)
    assert len(points(accumulator, "train/loss")) == 3
    assert "test/cosine" not in accumulator.Tags()["scalars"]


def line(epoch: object, step: object, **values: object) -> dict[str, object]:
    return {"event": "epoch", "epoch": epoch, "step": step, **values}


def test_lines_that_are_no_epochs_are_passed_over() -> None:
    lines = [
        {"event": "started", "epoch": 1, "step": 1},
        {},
        line(None, 1),
        line(1, "2"),
        line(True, 2),
        line(1, 2.0),
        line(1, 7, train="lost", validation=None, learning_rate=True),
    ]
    (row,) = epoch_rows(lines)
    assert (row.epoch, row.step) == (1, 7)
    assert set(row.values) == set(COLUMNS)
    assert set(row.values.values()) == {None}


def test_the_later_of_two_lines_of_a_step_counts() -> None:
    lines = [line(1, 10), line(2, 20), line(3, 30), line(2, 20, learning_rate=0.5), line(3, 31)]
    rows = epoch_rows(lines)
    assert [(row.epoch, row.step) for row in rows] == [(1, 10), (2, 20), (3, 31)]
    assert rows[1].values["learning_rate"] == 0.5


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30))))
def test_steps_only_go_forward_and_the_last_line_is_there(pairs: list[tuple[int, int]]) -> None:
    rows = epoch_rows([line(epoch, step) for epoch, step in pairs])
    assert all(one.step < other.step for one, other in pairwise(rows))
    if pairs:
        assert (rows[-1].epoch, rows[-1].step) == pairs[-1]


@given(st.lists(st.one_of(st.none(), st.floats()), max_size=8))
def test_the_table_keeps_every_digit(values: list[float | None]) -> None:
    rows = epoch_rows([line(1, step, learning_rate=value) for step, value in enumerate(values)])
    table = list(csv.DictReader(io.StringIO(metrics_csv(rows).decode())))
    told = [float(row["learning_rate"]) if row["learning_rate"] else None for row in table]
    finite = [value if value is not None and abs(value) < float("inf") else None for value in values]
    assert told == finite
