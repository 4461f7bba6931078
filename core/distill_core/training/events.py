"""What training tells while it runs: frozen events of plain numbers, strings and tuples."""

from __future__ import annotations

from typing import Any

import msgspec

from distill_core.config import RunConfig
from distill_core.evaluation.metrics import CosineSummary, Evaluation
from distill_core.evaluation.report import Assessment
from distill_core.evaluation.retrieval import RetrievalTable
from distill_core.evaluation.verdict import Verdict


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """The loss and what it is made of, as means over queries.

    Attributes:
        loss: (1 - lambda) MSE + lambda (1 - cosine).
        mse: The MSE as the loss takes it.
        cosine: Of student and teacher, the larger the better: 1 where they are alike.
    """

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


class RunNoted(TrainEvent, frozen=True, kw_only=True, tag="note"):
    """Something about the run that its user should know, in a sentence: it was taken over, or moved."""

    words: str


class BaselineFitted(TrainEvent, frozen=True, kw_only=True, tag="baseline"):
    """A rung of the ladder is fitted, before training.

    Attributes:
        name: Short and stable: "constant", "ridge", "top_2", ...
        label: In words.
        validation_cosine: Its mean cosine on the validation queries, which the live chart shows; the ridge's
            strength was chosen on them.
    """

    name: str
    label: str
    validation_cosine: float


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
    """An epoch is trained and validated; `train` is its mean, dropout on, while weights moved.

    Attributes:
        mse_gradient_share: Of the MSE term, at the student's output on the validation queries; the cosine
            term has the rest. None without validation.
    """

    epoch: int
    step: int
    train: Terms
    validation: Terms | None
    mse_gradient_share: float | None = None
    learning_rate: float
    samples_per_second: float
    active_seconds: float
    eta_seconds: float


class TestEvaluated(TrainEvent, frozen=True, kw_only=True, tag="tested"):
    """The held-out test queries, one by one.

    Attributes:
        question_ids: (n,).
        cosines: (n,) of student and teacher.
        teacher_answers: (n,) id of the answer nearest to the teacher's projection; empty without answers.
        student_answers: (n,) likewise, to the student's.
        clusters: (n,) the cluster of each; empty in what an older version wrote.
        weights: (n,) how often each is asked; empty where each counts once.
    """

    __test__ = False  # the name means the test split, not a test of pytest

    question_ids: tuple[int, ...]
    cosines: tuple[float, ...]
    teacher_answers: tuple[int, ...] = ()
    student_answers: tuple[int, ...] = ()
    clusters: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()


class Assessed(TrainEvent, frozen=True, kw_only=True, tag="assessed"):
    """The student is judged on the test queries, with intervals, beside the baselines."""

    assessment: Assessment


class BaselineResult(msgspec.Struct, frozen=True, kw_only=True):
    """A baseline on the test queries, in short; `cosine` is None where its output is not a number."""

    cosine: CosineSummary | None
    skill: float | None


class RunFinished(TrainEvent, frozen=True, kw_only=True, tag="finished"):
    """The last event: the figures of `Assessed` in short.

    Attributes:
        skill: 1 is the teacher, 0 a constant; None where a constant is perfect.
        skill_interval: 95 %, None where there are too few clusters.
        facts: What this kind of student tells of itself beyond its scores: plain values by name.
    """

    evaluation: Evaluation
    skill: float | None = None
    skill_interval: tuple[float, float] | None = None
    baselines: dict[str, BaselineResult] = {}
    retrieval: RetrievalTable | None = None
    verdict: Verdict | None = None
    epochs: int
    active_seconds: float
    saved: str | None = None
    facts: dict[str, Any] = {}
