"""What the app knows of the runs on disk, as immutable snapshots that the UI thread owns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distill_core.runs import RunComparison, RunSummary


@dataclass(frozen=True, slots=True)
class RunsView:
    """The runs as they were listed last, newest first.

    Attributes:
        root: The folder that they are in; empty before the first listing.
        problem: Why the folder could not be listed.
    """

    runs: tuple[RunSummary, ...] = ()
    root: str = ""
    problem: str = ""

    def find(self, path: str | None) -> RunSummary | None:
        """Return the run in a folder."""
        return next((run for run in self.runs if run.path == path), None)

    @property
    def baseline(self) -> RunSummary | None:
        """The pinned run, which others are compared with."""
        return next((run for run in self.runs if run.pinned), None)


@dataclass(frozen=True, slots=True)
class RunRemarks:
    """What a row has no room for.

    Attributes:
        annotation: The user's text about the run.
        error: Why the run failed.
    """

    path: str
    annotation: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class ComparedRuns:
    """Runs beside the first of them.

    Attributes:
        paths: Of the runs, in the order of the comparison.
        comparison: None where it could not be made; `error` says why.
    """

    paths: tuple[str, ...] = ()
    comparison: RunComparison | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class RunCurve:
    """The validation cosine of a run over its steps."""

    name: str
    steps: tuple[int, ...]
    cosines: tuple[float, ...]
