"""What an export takes from a run: settings, metrics, facts of its student, and queries to check it by."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from distill_core.architecture import Shape
from distill_core.config import RunConfig, parse_config
from distill_core.database import open_database
from distill_core.errors import DistillError
from distill_core.runs.checkpoint_info import read_metadata
from distill_core.runs.folder import RunFolder
from distill_core.runs.provenance import what_differs
from distill_core.runs.records import DataRecord
from distill_core.teacher_data import read_questions
from distill_core.training.events import RunStarted

COLUMNS: dict[str, tuple[str, ...]] = {
    "train_loss": ("train", "loss"),
    "train_mse": ("train", "mse"),
    "train_cosine": ("train", "cosine"),
    "validation_loss": ("validation", "loss"),
    "validation_mse": ("validation", "mse"),
    "validation_cosine": ("validation", "cosine"),
    "mse_gradient_share": ("mse_gradient_share",),
    "learning_rate": ("learning_rate",),
    "samples_per_second": ("samples_per_second",),
    "active_seconds": ("active_seconds",),
}
"""The columns behind `epoch` and `step`, and where a line of the metrics has them."""


class EpochRow(NamedTuple):
    """One epoch.

    Attributes:
        values: By column; None where there is none, or where it was no number.
    """

    epoch: int
    step: int
    values: dict[str, float | None]


def epoch_rows(lines: Iterable[Mapping[str, object]]) -> tuple[EpochRow, ...]:
    """Return the epochs among the lines of a run's metrics, their steps ascending.

    Where a step is not after the one before, as after a cut that was not made, the later line counts.
    """
    rows: list[EpochRow] = []
    for line in lines:
        row = _row(line)
        if row is None:
            continue
        while rows and rows[-1].step >= row.step:
            rows.pop()
        rows.append(row)
    return tuple(rows)


def metrics_csv(rows: Iterable[EpochRow]) -> bytes:
    """Return the table as CSV, every number with all its digits."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("epoch", "step", *COLUMNS))
    for row in rows:
        values = (row.values[column] for column in COLUMNS)
        writer.writerow((row.epoch, row.step, *("" if value is None else repr(value) for value in values)))
    return text.getvalue().encode()


def _row(line: Mapping[str, object]) -> EpochRow | None:
    epoch, step = line.get("epoch"), line.get("step")
    if line.get("event") != "epoch" or type(epoch) is not int or type(step) is not int:
        return None
    return EpochRow(epoch, step, {column: _number(line, place) for column, place in COLUMNS.items()})


def _number(line: object, place: tuple[str, ...]) -> float | None:
    value = line
    for name in place:
        value = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentFacts:
    """A student in numbers.

    Attributes:
        kind: As in the settings.
        shape: The arguments that build it.
        dimension: d.
        parameters: As it was trained.
        folded_parameters: In its form for inference; None where that is the same.
    """

    kind: str
    shape: Shape
    dimension: int
    parameters: int
    folded_parameters: int | None


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


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `config.json`. None where the run does not tell.

    Attributes:
        student: Kind of the student.
        shape: The arguments that build it.
        dimension: d, of queries and projections alike.
        database_sha256: Of the teacher's database.
        temperature: The teacher's τ.
        num_heads: N of the teacher.
        settings: Of the run.
    """

    library_name: str = "distill-tui"
    run: str
    student: str | None
    shape: dict[str, int | float | str]
    dimension: int | None
    database_sha256: str | None
    temperature: float | None
    num_heads: int | None
    settings: RunConfig | None
    packages: dict[str, str]


def model_config(contents: RunContents, student: StudentFacts | None) -> bytes:
    """Return the content of `config.json`."""
    data, started = contents.data, contents.started
    config = ModelConfig(
        run=contents.name,
        student=student.kind if student else None,
        shape=dict(student.shape) if student else {},
        dimension=student.dimension if student else None,
        database_sha256=data.database_sha256 if data else None,
        temperature=data.temperature if data else None,
        num_heads=started.num_heads if started else None,
        settings=contents.config,
        packages=data.packages if data else {},
    )
    return msgspec.json.format(msgspec.json.encode(config)) + b"\n"


COUNT = 1000
_MOST_TEST = COUNT // 2


class CheckQueries(NamedTuple):
    """Queries (n, d); the first `num_test` are from the run's test part."""

    rows: NDArray[np.float32]
    num_test: int


def check_queries(config: RunConfig | None, data: DataRecord | None, dimension: int) -> CheckQueries:
    """Return 1,000 queries, half of them at most from the test part, the others random unit vectors.

    Without the database, or when it is not what it was, all are random.
    """
    test = _test_queries(config, data, dimension)
    random = np.random.default_rng(0).standard_normal((COUNT - len(test), dimension))
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    return CheckQueries(np.concatenate([test, random.astype(np.float32)]), len(test))


def _test_queries(config: RunConfig | None, data: DataRecord | None, dimension: int) -> NDArray[np.float32]:
    nothing = np.empty((0, dimension), np.float32)
    if config is None or data is None:
        return nothing
    try:
        with open_database(config.data.database) as database:
            labelled = read_questions(database, config.data.mh_id, config.data.temperature)
        if what_differs(data, labelled, config.data.database):
            return nothing
    except DistillError:
        return nothing
    queries = labelled.queries
    rows = np.array([row for row in data.test if 0 <= row < len(queries)][:_MOST_TEST], np.int64)
    return queries[rows] if queries.shape[1] == dimension else nothing
