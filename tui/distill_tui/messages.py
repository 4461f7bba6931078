"""What crosses from the engine's thread to the app, and between screens. All past tense, all plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from distill_core.latency.crossover import CrossoverEvent
    from distill_core.latency.events import ContestantsEvent, LatencyEvent
    from distill_core.training.events import RunStarted, TrainEvent
    from distill_tui.state import DatabaseView, JobState, TeacherView


class DatabaseOpened(Message):
    """A database was opened and its projections were read."""

    def __init__(self, view: DatabaseView) -> None:
        super().__init__()
        self.view = view


class TeacherLoaded(Message):
    """A projection's vectors were read; it can be looked at and distilled."""

    def __init__(self, view: TeacherView) -> None:
        super().__init__()
        self.view = view


class LoadFailed(Message):
    """A database or a projection could not be used."""

    def __init__(self, error: str, hint: str) -> None:
        super().__init__()
        self.error = error
        self.hint = hint


class TrainingProgressed(Message):
    """Training told something; events arrive in order, many at a time."""

    def __init__(self, events: tuple[TrainEvent, ...]) -> None:
        super().__init__()
        self.events = events


class JudgedAgain(Message):
    """The last student was judged with its measured cost, or could not be.

    Attributes:
        run: The first event of the run it is about; another run may have started since.
    """

    def __init__(self, run: RunStarted, events: tuple[TrainEvent, ...], error: str = "") -> None:
        super().__init__()
        self.run = run
        self.events = events
        self.error = error


class LatencyProgressed(Message):
    """The latency comparison told something."""

    def __init__(self, events: tuple[LatencyEvent, ...]) -> None:
        super().__init__()
        self.events = events


class CrossoverProgressed(Message):
    """The search for the crossover told something."""

    def __init__(self, events: tuple[CrossoverEvent, ...]) -> None:
        super().__init__()
        self.events = events


class ContestantsProgressed(Message):
    """The comparison of all contestants told something."""

    def __init__(self, events: tuple[ContestantsEvent, ...]) -> None:
        super().__init__()
        self.events = events


class JobEnded(Message):
    """The thread of a job has said its last word; exactly one for each job.

    Attributes:
        job: "training", "latency", "crossover" or "contestants".
        outcome: FINISHED, STOPPED or FAILED.
        error: One sentence for the user when it failed.
        trace: The traceback, when it failed in a way that nobody foresaw.
    """

    def __init__(self, job: str, outcome: JobState, error: str = "", trace: str = "") -> None:
        super().__init__()
        self.job = job
        self.outcome = outcome
        self.error = error
        self.trace = trace


class StudentSaved(Message):
    """The student's weights were written, or could not be."""

    def __init__(self, path: str, error: str = "") -> None:
        super().__init__()
        self.path = path
        self.error = error
