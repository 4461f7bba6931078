"""What training tells while it runs: frozen events of plain numbers, strings and tuples."""

from __future__ import annotations

import msgspec

from distill_core.config import RunConfig
from distill_core.evaluation.metrics import Evaluation


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """The loss and its two terms, as means over queries."""

    loss: float
    mse: float
    cosine: float


class TrainEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """Base of the events; as JSON each carries its name under `event`."""


class RunStarted(TrainEvent, frozen=True, kw_only=True, tag="started"):
    """The data is read and split, the student is built, the first step is next."""

    config: RunConfig
    num_heads: int
    dimension: int
    temperature: float
    num_train: int
    num_validation: int
    num_test: int
    total_steps: int
    student_parameters: int
    teacher_parameters: int
    device: str
    threads: int


class StepsFinished(TrainEvent, frozen=True, kw_only=True, tag="steps"):
    """Progress inside an epoch, at most every 100 ms.

    Attributes:
        step: Steps done since the start.
        epoch: Epochs done, with the part of the present one.
        train: Means since the last event.
        samples_per_second: Training queries a second, pauses excluded.
        active_seconds: Time spent training and validating, pauses excluded.
        eta_seconds: Expected remaining time at the pace so far.
    """

    step: int
    epoch: float
    train: Terms
    samples_per_second: float
    active_seconds: float
    eta_seconds: float


class EpochFinished(TrainEvent, frozen=True, kw_only=True, tag="epoch"):
    """An epoch is trained and validated; `train` is its mean, dropout on, while weights moved."""

    epoch: int
    step: int
    train: Terms
    validation: Terms | None
    learning_rate: float
    samples_per_second: float
    active_seconds: float
    eta_seconds: float


class TestEvaluated(TrainEvent, frozen=True, kw_only=True, tag="tested"):
    """The held-out test queries, one by one: ids, and cosine of student and teacher."""

    __test__ = False  # the name means the test split, not a test of pytest

    question_ids: tuple[int, ...]
    cosines: tuple[float, ...]


class RunFinished(TrainEvent, frozen=True, kw_only=True, tag="finished"):
    """The last event of a run that was not stopped."""

    evaluation: Evaluation
    epochs: int
    active_seconds: float
    saved: str | None = None
