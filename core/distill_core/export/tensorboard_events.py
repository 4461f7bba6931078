"""The epochs of a run as a file that TensorBoard reads. No torch."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from datetime import datetime

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.plugins.hparams.metadata import PLUGIN_DATA_VERSION, PLUGIN_NAME, SESSION_START_INFO_TAG
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionStartInfo
from tensorboard.summary.writer.record_writer import RecordWriter

from distill_core.config import RunConfig
from distill_core.export.contents import EpochRow, RunContents
from distill_core.foreign_text import visible

TAGS = {
    "train_loss": "train/loss",
    "train_mse": "train/mse",
    "train_cosine": "train/cosine",
    "validation_loss": "val/loss",
    "validation_mse": "val/mse",
    "validation_cosine": "val/cosine",
    "mse_gradient_share": "val/mse_gradient_share",
    "learning_rate": "train/learning_rate",
    "samples_per_second": "sys/samples_per_second",
}
"""What TensorBoard calls the columns of the table."""

_Record = tuple[float, int, Summary]
"""Seconds since 1970, step, what to show."""


def tensorboard_events(contents: RunContents) -> bytes:
    """Return the content of an event file: settings, a point for each number of each epoch, test figures.

    The same run gives the same bytes, and steps only go forward, however often it was resumed.
    """
    target = io.BytesIO()
    writer = RecordWriter(target)
    started = contents.state.started if contents.state else None
    for event in _events(contents, started):
        writer.write(event.SerializeToString())
    return target.getvalue()


def _events(contents: RunContents, started: datetime | None) -> Iterator[Event]:
    begin = started.timestamp() if started else 0.0
    yield Event(wall_time=begin, file_version="brain.Event:2")
    if contents.config is not None:
        yield Event(wall_time=begin, step=0, summary=_settings(contents.config, contents.name, begin))
    for row in contents.rows:
        yield Event(
            wall_time=begin + (row.values["active_seconds"] or 0.0), step=row.step, summary=_point(row)
        )
    evaluation = contents.evaluation
    if evaluation is None:
        return
    figures = {
        "test/cosine": evaluation.finished.evaluation.cosine.mean,
        "test/mse": evaluation.finished.evaluation.mse,
        "test/skill": evaluation.finished.skill,
    }
    last = contents.rows[-1] if contents.rows else None
    yield Event(
        wall_time=begin + evaluation.finished.active_seconds,
        step=last.step if last else 0,
        summary=_scalars(figures),
    )


def _point(row: EpochRow) -> Summary:
    return _scalars({tag: row.values[column] for column, tag in TAGS.items()})


def _scalars(values: dict[str, float | None]) -> Summary:
    return Summary(
        value=[
            Summary.Value(tag=tag, simple_value=value)
            for tag, value in values.items()
            if value is not None and math.isfinite(value)
        ]
    )


def _settings(config: RunConfig, name: str, begin: float) -> Summary:
    """Return what TensorBoard's table of hyperparameters shows."""
    start = SessionStartInfo(group_name=visible(name), start_time_secs=begin)
    for group in (config.split, config.student, config.training):
        for field in group.__struct_fields__:
            value = getattr(group, field)
            if isinstance(value, bool):
                start.hparams[field].bool_value = value
            elif isinstance(value, int | float):
                start.hparams[field].number_value = value
            elif value is not None:
                start.hparams[field].string_value = visible(str(value))
    data = HParamsPluginData(version=PLUGIN_DATA_VERSION, session_start_info=start)
    plugin = SummaryMetadata.PluginData(
        plugin_name=PLUGIN_NAME, content=data.SerializeToString(deterministic=True)
    )
    metadata = SummaryMetadata(plugin_data=plugin)
    return Summary(value=[Summary.Value(tag=SESSION_START_INFO_TAG, metadata=metadata)])
