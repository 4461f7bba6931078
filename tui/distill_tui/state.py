"""What the app knows, as immutable snapshots. The UI thread owns and replaces them; no torch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from distill_core.config import SplitConfig, TrainingConfig
from distill_core.students.kinds import default_student
from distill_core.students.spec import StudentConfig

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from distill_core.database import Answer, Head, Problem, Projection, Question
    from distill_core.evaluation.health import HealthProbe, TeacherHealth
    from distill_core.evaluation.report import Assessment
    from distill_core.latency.crossover import CrossoverFinished, CrossoverPoint, CrossoverStarted
    from distill_core.latency.events import BlockTimed, LatencyFinished, LatencyStarted
    from distill_core.latency.field_events import FieldFinished, FieldStarted, FieldTimed
    from distill_core.teacher import MultiHeadLDA
    from distill_core.teacher_data import LabelledQuestions
    from distill_core.training.events import (
        BaselineFitted,
        EpochFinished,
        RunFinished,
        RunStarted,
        StepsFinished,
        TestEvaluated,
    )


class JobState(StrEnum):
    """Where a job of the engine stands. A new one may start only when the last is not active."""

    IDLE = "idle"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def is_active(self) -> bool:
        """Whether a thread is still at work on it."""
        return self in (JobState.RUNNING, JobState.PAUSED, JobState.STOPPING)


@dataclass(frozen=True, slots=True)
class DatabaseView:
    """An opened database, for the table of projections."""

    path: Path
    projections: tuple[Projection, ...]


@dataclass(frozen=True, slots=True)
class TeacherView:
    """A loaded projection with everything the screens show of it.

    Attributes:
        teacher: At the temperature that is looked at; runs use it, too.
        queries: (n, d) float32, in the order of `question_ids`.
        answers: The answers with their texts, by id.
        labelled: Queries, clusters and true answers, as the evaluation takes them.
        probe: Gives the health at any temperature in milliseconds.
        health: At the teacher's temperature.
        problems: Errors and notes of this projection.
    """

    path: Path
    projection: Projection
    teacher: MultiHeadLDA
    heads: tuple[Head, ...]
    question_ids: tuple[int, ...]
    questions: dict[int, Question]
    queries: NDArray[np.float32]
    answers: dict[int, Answer]
    labelled: LabelledQuestions
    probe: HealthProbe
    health: TeacherHealth
    problems: tuple[Problem, ...]

    @property
    def chosen_temperature(self) -> float | None:
        """The temperature, where it is not the stored one."""
        tau = self.teacher.temperature
        return None if tau == self.projection.temperature else tau

    def at(self, temperature: float) -> TeacherView:
        """Return the same projection at another temperature."""
        return replace(
            self,
            teacher=self.teacher.with_temperature(temperature),
            health=self.probe.at(temperature),
        )

    def question_text(self, question_id: int) -> str:
        """Return a question's text; a vector without a text says so."""
        question = self.questions.get(question_id)
        return question.text if question else f"(question {question_id} has no text)"

    def cluster_names(self, question_id: int) -> str:
        """Return the names of the clusters a question belongs to."""
        names = {head.cluster_id: head.cluster_name for head in self.heads}
        question = self.questions.get(question_id)
        return (
            ", ".join(names.get(cluster, f"cluster {cluster}") for cluster in question.cluster_ids)
            if question
            else ""
        )


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What the student screen sets."""

    split: SplitConfig = field(default_factory=SplitConfig)
    student: StudentConfig = field(default_factory=default_student)
    training: TrainingConfig = field(default_factory=TrainingConfig)


@dataclass(frozen=True, slots=True)
class WatchedRun:
    """A run that is not trained here, and is shown from its folder.

    Attributes:
        state: As the table of runs says it: `interrupted` is more than a `JobState` can tell.
    """

    name: str
    path: str
    state: str


@dataclass(frozen=True, slots=True)
class TrainingView:
    """The present or the last run, as far as its events have told.

    Attributes:
        watched: None for a run that is, or was, trained here.
        teacher: What the run was started on; the user may look at another projection meanwhile.
    """

    state: JobState = JobState.IDLE
    teacher: TeacherView | None = None
    started: RunStarted | None = None
    progress: EpochFinished | StepsFinished | None = None
    epoch: EpochFinished | None = None
    tested: TestEvaluated | None = None
    baselines: tuple[BaselineFitted, ...] = ()
    assessment: Assessment | None = None
    finished: RunFinished | None = None
    watched: WatchedRun | None = None
    error: str = ""
    trace: str = ""

    @property
    def planned_epochs(self) -> int | None:
        """The epochs after which the run ends at the latest; None before its first event."""
        return self.started.config.training.epochs if self.started else None

    @property
    def ended_early(self) -> bool:
        """Whether the run is over, and was over before the last epoch."""
        done = self.finished.epochs if self.finished else None
        return done is not None and done < (self.planned_epochs or 0)


@dataclass(frozen=True, slots=True)
class LatencyView:
    """The present or the last latency comparison.

    Attributes:
        trained: Whether the student is a run's; else an untrained one of the settings.
        run: The name of the run, if it is one that was opened from its folder.
    """

    state: JobState = JobState.IDLE
    started: LatencyStarted | None = None
    block: BlockTimed | None = None
    finished: LatencyFinished | None = None
    trained: bool = False
    run: str = ""
    error: str = ""
    trace: str = ""


@dataclass(frozen=True, slots=True)
class ContestantsView:
    """The present or the last comparison of all contestants.

    Attributes:
        finished: What was measured, also of a comparison that was stopped or failed.
        trained: Whether the student is the trained one.
        run: As in `LatencyView`.
    """

    state: JobState = JobState.IDLE
    started: FieldStarted | None = None
    round: FieldTimed | None = None
    finished: FieldFinished | None = None
    trained: bool = False
    run: str = ""
    error: str = ""
    trace: str = ""


@dataclass(frozen=True, slots=True)
class CrossoverView:
    """The present or the last search for the crossover.

    Attributes:
        point: The last one that was measured.
        finished: What was measured, also of a search that was stopped or failed.
        trained: Whether the student of fixed size is the trained one.
        run: As in `LatencyView`.
    """

    state: JobState = JobState.IDLE
    started: CrossoverStarted | None = None
    point: CrossoverPoint | None = None
    finished: CrossoverFinished | None = None
    trained: bool = False
    run: str = ""
    error: str = ""
    trace: str = ""
