"""What worker threads tell about the runs on disk. All past tense, all plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from distill_core.config import RunConfig
    from distill_core.latency.crossover import CrossoverFinished
    from distill_core.latency.events import ContestantsFinished, LatencyFinished
    from distill_core.runs import Seen
    from distill_tui.runs.views import ComparedRuns, RunCurve, RunRemarks, RunsView
    from distill_tui.runs.watching import Watching


class RunsListed(Message):
    """The folder of the runs was read."""

    def __init__(self, view: RunsView) -> None:
        super().__init__()
        self.view = view


class RunChanged(Message):
    """Something was changed on disk; `words` say what."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.words = words


class RemarksRead(Message):
    """What a row has no room for was read of one run."""

    def __init__(self, remarks: RunRemarks) -> None:
        super().__init__()
        self.remarks = remarks


class RunsCompared(Message):
    """The marked runs were compared."""

    def __init__(self, compared: ComparedRuns) -> None:
        super().__init__()
        self.compared = compared


class MeasurementsRead(Message):
    """What was measured of a run that is opened was read; None for what was not."""

    def __init__(
        self,
        path: str,
        latency: LatencyFinished | None,
        crossover: CrossoverFinished | None,
        contestants: ContestantsFinished | None,
    ) -> None:
        super().__init__()
        self.path = path
        self.latency = latency
        self.crossover = crossover
        self.contestants = contestants


class CurvesRead(Message):
    """The validation cosines of the marked runs were read."""

    def __init__(self, curves: tuple[RunCurve, ...]) -> None:
        super().__init__()
        self.curves = curves


class SettingsRead(Message):
    """The settings of a run were read, to be used for a new one."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__()
        self.config = config


class RunExported(Message):
    """A run was written for others.

    Attributes:
        left_out: What is missing, each with the reason.
    """

    def __init__(self, directory: str, left_out: tuple[str, ...]) -> None:
        super().__init__()
        self.directory = directory
        self.left_out = left_out


class RunWorkFailed(Message):
    """Something that was asked of a run could not be done."""

    def __init__(self, title: str, error: str) -> None:
        super().__init__()
        self.title = title
        self.error = error


class RunSeen(Message):
    """A watched run was looked at, and there was something new.

    Attributes:
        watching: Which watching tells it; an earlier one may have a late word.
        seen: None if the folder cannot be looked at; `error` says why.
    """

    def __init__(self, watching: Watching, seen: Seen | None, error: str = "") -> None:
        super().__init__()
        self.watching = watching
        self.seen = seen
        self.error = error
