"""The epochs of a run as a table of numbers, and as CSV. No torch."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

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
