"""What is asked of the runs on disk, each answered by a message. Runs on worker threads; no widget."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from distill_tui.run_messages import (
    CurvesRead,
    MeasurementsRead,
    RemarksRead,
    RunChanged,
    RunExported,
    RunsCompared,
    RunsListed,
    SettingsRead,
)
from distill_tui.runs.views import ComparedRuns, RunCurve, RunRemarks, RunsView

if TYPE_CHECKING:
    from distill_core.runs import RunFolder, RunStore

Change = Callable[["RunStore"], str]
"""Changes something on disk and returns what to tell the user; may be empty."""


class RunDesk:
    """The store of the runs, as the threads of the app use it. Every method may raise a `DistillError`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._store: RunStore | None = None

    @property
    def store(self) -> RunStore:
        """The one store, which remembers what it has read."""
        with self._lock:
            if self._store is None:
                from distill_core.runs import RunStore

                self._store = RunStore()
            return self._store

    def listed(self) -> RunsListed:
        """List the runs."""
        store = self.store
        return RunsListed(RunsView(store.list(), str(store.root), store.problem))

    def changed(self, change: Change) -> RunChanged:
        """Change something."""
        return RunChanged(change(self.store))

    def remarks(self, path: str) -> RemarksRead:
        """Read the annotation and the error of a run; what is damaged the listing tells."""
        from distill_core.errors import DistillError
        from distill_core.runs import RunFolder

        run = RunFolder(path)
        annotation = error = ""
        with contextlib.suppress(DistillError):
            annotation = run.read_notes().annotation
        with contextlib.suppress(DistillError):
            error = run.read_state().error
        return RemarksRead(RunRemarks(path, annotation, error))

    def compared(self, paths: Sequence[str]) -> RunsCompared:
        """Compare runs with the first of them."""
        from distill_core.errors import DistillError
        from distill_core.runs import RunFolder, compare_runs

        try:
            comparison = compare_runs([RunFolder(path) for path in paths])
        except DistillError as error:
            return RunsCompared(ComparedRuns(tuple(paths), None, str(error)))
        return RunsCompared(ComparedRuns(tuple(paths), comparison))

    def curves(self, paths: Sequence[str]) -> CurvesRead:
        """Read the validation cosines of runs."""
        from distill_core.runs import RunFolder

        return CurvesRead(tuple(_curve(RunFolder(path)) for path in paths))

    def measured(self, path: str) -> MeasurementsRead:
        """Read what was measured of a run's student."""
        from distill_core.runs import RunFolder

        run = RunFolder(path)
        return MeasurementsRead(path, run.read_latency(), run.read_crossover(), run.read_contestants())

    def settings(self, path: str) -> SettingsRead:
        """Read the settings of a run."""
        from distill_core.errors import DistillError
        from distill_core.runs import RunFolder
        from distill_core.runs.moved_database import locate_database

        run = RunFolder(path)
        with contextlib.suppress(DistillError):  # opening the database says what is wrong with it
            return SettingsRead(locate_database(run)[0])
        return SettingsRead(run.read_config())

    def exported(self, path: str, directory: Path) -> RunExported:
        """Write a run for others."""
        from distill_core.export import ExportFinished, PartLeftOut, export_run
        from distill_core.runs import RunFolder

        left_out: list[str] = []
        for event in export_run(RunFolder.open(path), directory):
            if isinstance(event, PartLeftOut):
                left_out.append(f"{event.part}: {event.reason}")
            elif isinstance(event, ExportFinished):
                directory = Path(event.directory)
        return RunExported(str(directory), tuple(left_out))


def _curve(run: RunFolder) -> RunCurve:
    from distill_tui.training.past_epochs import past_epochs

    validated = [(epoch.step, epoch.validation.cosine) for epoch in past_epochs(run) if epoch.validation]
    return RunCurve(
        run.read_notes().name or run.name,
        tuple(step for step, _cosine in validated),
        tuple(cosine for _step, cosine in validated),
    )
