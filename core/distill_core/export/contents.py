"""What a run's folder says about its student, as far as it can be read. No torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from distill_core.config import RunConfig, parse_config
from distill_core.errors import DistillError
from distill_core.export.metrics_table import epoch_rows
from distill_core.runs.checkpoint_info import read_metadata
from distill_core.runs.folder import RunFolder
from distill_core.training.events import RunStarted

T = TypeVar("T")


class RunContents:
    """The records of a run, read once; None where there is none, or where it is damaged.

    Attributes:
        name: Of the run's folder.
        title: The user's name for it, else the folder's.
        config: The settings; those beside the weights where the run's own file is damaged.
        rows: The epochs.
        problems: Why something that is there cannot be used, by its name.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.problems: dict[str, str] = {}
        self.name = folder.name
        self.config = self._try("settings", folder.read_config) or _config_beside_weights(folder)
        self.state = self._try("state", folder.read_state)
        self.data = self._try("data", folder.read_data)
        notes = self._try("notes", folder.read_notes)
        self.title = notes.name if notes and notes.name else folder.name
        self.evaluation = self._try("evaluation", folder.read_evaluation)
        self.latency = self._try("latency", folder.read_latency)
        lines, damaged = self._try("metrics", lambda: _lines(folder)) or ([], 0)
        if damaged:
            self.problems["metrics"] = f"{folder.metrics_path} is damaged in {damaged} of its lines."
        self.rows = epoch_rows(lines)
        self.started = next((event for line in lines if (event := _started(line))), None)

    def _try(self, name: str, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except DistillError as error:
            self.problems[name] = str(error)
            return None


def _lines(folder: RunFolder) -> tuple[list[dict[str, Any]], int]:
    chunk = folder.read_metrics()
    return chunk.lines, chunk.damaged


def _started(line: dict[str, Any]) -> RunStarted | None:
    try:
        return msgspec.convert(line, RunStarted)
    except msgspec.ValidationError:
        return None


def _config_beside_weights(folder: RunFolder) -> RunConfig | None:
    try:
        return parse_config(msgspec.json.decode(read_metadata(folder.best_checkpoint)["config"]))
    except (DistillError, KeyError, TypeError, msgspec.DecodeError):
        return None
