"""What the app knows of the runs on disk, and what can be done with them; threads do it."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from distill_core.config import RunConfig
from distill_core.errors import DistillError
from distill_core.wording import plural
from distill_tui.runs.meanwhile import read_news
from distill_tui.teacher.desk import TeacherView, is_same
from distill_tui.ui.desk import Desk

if TYPE_CHECKING:
    from distill_core.runs import RunComparison, RunStore, RunSummary
    from distill_tui.app import DistillApp
    from distill_tui.training.curves import RunCurve

Change = Callable[["RunStore"], str]
"""Changes something on disk and returns what to tell the user; may be empty."""


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


class RunsDesk(Desk["RunsView | None"]):
    """The runs as they were listed last; None before that.

    Attributes:
        remarks: On the run under the cursor.
        compared: The marked runs.
    """

    def __init__(self, app: DistillApp) -> None:
        super().__init__(None)
        self._app = app
        self._lock = threading.Lock()
        self._store: RunStore | None = None
        self._has_listed = False
        self._deleted: list[list[str]] = []
        """Names in the trash of what was deleted here at once, oldest first."""
        self._waiting: RunConfig | None = None
        """Settings that wait for their projection to be read."""
        self.remarks: Desk[RunRemarks | None] = Desk(None)
        self.compared: Desk[ComparedRuns] = Desk(ComparedRuns())

    @property
    def wanted_projection(self) -> int | None:
        """The projection that settings wait for."""
        return None if self._waiting is None else self._waiting.data.mh_id

    def cost_beside(self, threads: int, cores: int | None = None) -> str:
        """Say what a run more would cost those that are trained by now; empty where nothing, or none is.

        Args:
            threads: Of each; 0 for all that there are.
            cores: Of this machine; None to ask the system.
        """
        others = sum(run.state == "running" for run in (self.view.runs if self.view else ()))
        cores = cores or os.cpu_count() or 1
        slower = (others + 1) * (threads or cores) / cores
        if not others or slower <= 1:
            return ""
        return (
            f"{plural(others, 'run')} {'is' if others == 1 else 'are'} being trained. With one more on the "
            f"{plural(cores, 'core')} of this machine, each would take about {slower:.1f} times as long."
        )

    def list(self) -> None:
        """Read the runs; what is shown stays until they are read."""
        is_first, self._has_listed = not self._has_listed, True

        def work() -> tuple[RunsView, str]:
            store = self._opened_store()
            view = RunsView(store.list(), str(store.root), store.problem)
            return view, read_news(view.runs, store.root) if is_first else ""

        self._app.jobs.ask(work, self._show_list, self._app.complain("Runs not listed"), "list")

    def _show_list(self, listed: tuple[RunsView, str]) -> None:
        view, news = listed
        self.publish(view)
        if news:
            self._app.notify(news, title="While you were away", timeout=20)

    def read_remarks(self, path: str) -> None:
        """Read what a row has no room for."""
        failed = self._app.complain("Run not read")
        self._app.jobs.ask(partial(_remarks, path), self.remarks.publish, failed, "remarks")

    def compare(self, paths: Sequence[str]) -> None:
        """Compare runs with the first of them; fewer than two are no comparison."""
        if len(paths) < 2:
            self.compared.publish(ComparedRuns())
            return
        failed = self._app.complain("Runs not compared")
        self._app.jobs.ask(partial(_compared, tuple(paths)), self.compared.publish, failed, "compare")

    def show_curves(self, runs: Sequence[RunSummary]) -> None:
        """Read the validation cosines of runs, and show them on the train screen."""
        failed = self._app.complain("Curves not read")
        self._app.jobs.ask(partial(_curves, tuple(runs)), self._show_curves, failed, "curves")

    def export(self, directories: Mapping[str, Path]) -> None:
        """Write runs for others, one after another, each into its directory."""
        self._app.busy_with.publish(f"exporting to {next(iter(directories.values())).name}")

        def work() -> list[tuple[Path, tuple[str, ...]]]:
            return [_exported(path, directory) for path, directory in directories.items()]

        self._app.jobs.ask(work, self._say_exported, self._say_not_exported, group="runs")

    def take_settings(self, path: str) -> None:
        """Take over the settings of a run, and its teacher."""

        def work() -> RunConfig:
            from distill_core.runs import RunFolder
            from distill_core.runs.provenance import locate_database

            run = RunFolder(path)
            with contextlib.suppress(DistillError):  # opening the database says what is wrong with it
                return locate_database(run)[0]
            return run.read_config()

        self._app.jobs.ask(
            work, self.take_config, self._app.complain("Settings not taken over"), group="runs"
        )

    def rename(self, run: RunSummary, name: str) -> None:
        """Give a run another name."""
        self._change(lambda store: _silently(store.rename(run.path, name)), "Not renamed")

    def retag(self, runs: Sequence[RunSummary], before: Iterable[str], after: Iterable[str]) -> None:
        """Give runs the tags that were added to `before`, and take away those that are missing from it."""
        wanted, known = list(after), set(before)

        def change(store: RunStore) -> str:
            for run in runs:
                store.tag(run.path, *wanted, remove=known - set(wanted))
            return f"Tagged {plural(len(runs), 'run')}." if len(runs) > 1 else ""

        self._change(change, "Not tagged")

    def annotate(self, run: RunSummary, text: str) -> None:
        """Replace the text about a run."""
        self._change(lambda store: _silently(store.annotate(run.path, text.strip())), "Not annotated")

    def pin(self, run: RunSummary) -> None:
        """Make a run the baseline, or no longer if it is."""

        def change(store: RunStore) -> str:
            store.pin(run.path, pinned=not run.pinned)
            return f"{run.name} is {'no longer ' if run.pinned else ''}the baseline."

        self._change(change, "Not pinned")

    def pause(self, run: RunSummary) -> None:
        """Have a run's process save and leave; of one that nobody trains, start a process that goes on."""

        def change(store: RunStore) -> str:
            from distill_core.runs.detached import ask_to_leave
            from distill_tui.cli.run_loop import detach

            folder = store.find(run.path)
            if folder.shown_state() != "running":
                detach(folder)
                return f"{run.name} goes on in a process of its own."
            ask_to_leave(folder)
            return f"{run.name} is saved, and waits; p goes on."

        self._change(change, "Not paused")

    def stop(self, run: RunSummary) -> None:
        """Have a run's process save and leave, if it has one, and judge what the student has learnt."""

        def change(store: RunStore) -> str:
            from distill_core.runs.detached import ask_to_leave
            from distill_core.runs.recording.judged import judge_as_it_is

            folder = store.find(run.path)
            if folder.shown_state() == "running":
                ask_to_leave(folder)
            for _ in judge_as_it_is(folder):
                pass
            return f"{run.name} is stopped and judged as it is."

        self._change(change, "Not stopped")

    def delete(self, runs: Sequence[RunSummary]) -> None:
        """Move runs to the trash; `restore_last` takes all of them out again."""

        def change(store: RunStore) -> str:
            self._deleted.append([])
            for run in runs:
                self._deleted[-1].append(store.move_to_trash(run.path).name)
            words = f"{runs[0].name} is" if len(runs) == 1 else f"{len(runs)} runs are"
            return f"{words} in the trash; u takes {'it' if len(runs) == 1 else 'them'} out."

        self._change(change, "Not deleted")

    def restore_last(self) -> None:
        """Take what was deleted last out of the trash: here, or else before."""

        def change(store: RunStore) -> str:
            trashed = [Path(run.path).name for run in store.trashed()]
            if not trashed:
                return "The trash is empty."
            here = [there for names in self._deleted if (there := [n for n in names if n in trashed])]
            back = [store.restore(name).name for name in (here[-1] if here else [trashed[0]])]
            return f"{back[0]} is back." if len(back) == 1 else f"{len(back)} runs are back."

        self._change(change, "Not restored")

    def restore(self, run: RunSummary) -> None:
        """Take one run out of the trash."""
        self._change(lambda store: f"{store.restore(Path(run.path).name).name} is back.", "Not restored")

    def read_trash(self, then: Callable[[tuple[RunSummary, ...]], object]) -> None:
        """Read what is in the trash, newest first."""
        failed = self._app.complain("Trash not read")
        self._app.jobs.ask(lambda: self._opened_store().trashed(), then, failed, "runs")

    def read_command(self, path: str, then: Callable[[str], object]) -> None:
        """Read the command that trains anew with a run's settings."""
        self._app.jobs.ask(partial(_command, path), then, self._app.complain("Run not read"), "remarks")

    def empty_trash(self) -> None:
        """Delete what is in the trash for good."""
        self._change(
            lambda store: f"Deleted {plural(store.empty_trash(), 'run')} for good.", "Trash not emptied"
        )

    def take_config(self, config: RunConfig) -> None:
        """Take over settings at once where their projection is open, else once it is."""
        app = self._app
        app.switch_mode("student")
        view, path = app.teacher.view, Path(config.data.database)
        if view is not None and view.is_teacher_of(config):
            self._take(view, config)
            return
        self._waiting = config
        database = app.teacher.database.view
        if database is not None and is_same(database.path, path):
            app.teacher.choose_projection(config.data.mh_id)
        else:
            app.teacher.open(path)

    def take_waiting_settings(self, view: TeacherView) -> None:
        """Take over the settings that have waited for this projection; and list the runs ahead of time."""
        if self.view is None:
            self.list()
        waiting, self._waiting = self._waiting, None
        if waiting is not None and view.is_teacher_of(waiting):
            self._take(view, waiting)
        elif waiting is not None:
            words = "Another projection was opened."
            self._app.notify(words, title="Settings not taken over", severity="warning")

    def forget_waiting_settings(self) -> None:
        """Let go of settings whose projection cannot be read."""
        self._waiting = None

    def _take(self, view: TeacherView, config: RunConfig) -> None:
        self._app.student.take(config)
        self._app.teacher.publish(view.at(config.data.temperature or view.projection.temperature))
        self._app.notify("They are on screen 2; ctrl+t trains.", title="Settings taken over")

    def _opened_store(self) -> RunStore:
        """Return the one store, which remembers what it has read; for worker threads."""
        with self._lock:
            if self._store is None:
                from distill_core.runs import RunStore

                self._store = RunStore()
            return self._store

    def _change(self, change: Change, title: str) -> None:
        failed = self._app.complain(title)
        self._app.jobs.ask(lambda: change(self._opened_store()), self._say_changed, failed, group="runs")

    def _say_changed(self, words: str) -> None:
        if words:
            self._app.notify(words, markup=False)
        if self.remarks.view is not None:
            self.read_remarks(self.remarks.view.path)
        self.list()

    def _show_curves(self, curves: tuple[RunCurve, ...]) -> None:
        if not any(curve.steps for curve in curves):
            self._app.notify("None of these runs has validated an epoch yet.", severity="warning")
            return
        self._app.training.curves.publish(curves)
        self._app.switch_mode("train")

    def _say_exported(self, exported: Sequence[tuple[Path, tuple[str, ...]]]) -> None:
        self._app.busy_with.publish("")
        lines = [f"{directory}." for directory, _left_out in exported]
        lines += dict.fromkeys(f"Without {part}" for _directory, left_out in exported for part in left_out)
        self._app.notify(" ".join(lines), title="Exported", timeout=12, markup=False)

    def _say_not_exported(self, error: DistillError) -> None:
        self._app.busy_with.publish("")
        self._app.complain("Not exported")(error)


def _silently(_done: object) -> str:
    return ""


def _command(path: str) -> str:
    from distill_core.export.card import train_command
    from distill_core.runs import RunFolder

    return train_command(RunFolder(path).read_config())


def _remarks(path: str) -> RunRemarks:
    """Read the annotation and the error of a run; what is damaged the listing tells."""
    from distill_core.runs import RunFolder

    run = RunFolder(path)
    annotation = error = ""
    with contextlib.suppress(DistillError):
        annotation = run.read_notes().annotation
    with contextlib.suppress(DistillError):
        error = run.read_state().error
    return RunRemarks(path, annotation, error)


def _compared(paths: tuple[str, ...]) -> ComparedRuns:
    from distill_core.runs import RunFolder, compare_runs

    try:
        comparison = compare_runs([RunFolder(path) for path in paths])
    except DistillError as error:
        return ComparedRuns(paths, None, str(error))
    return ComparedRuns(paths, comparison)


def _curves(runs: tuple[RunSummary, ...]) -> tuple[RunCurve, ...]:
    from distill_core.runs import RunFolder
    from distill_tui.runs.rows import short_labels
    from distill_tui.training.curves import RunCurve
    from distill_tui.training.histories import past_epochs

    def curve(run: RunSummary, name: str, setting_name: str) -> RunCurve:
        epochs = [epoch for epoch in past_epochs(RunFolder(run.path)) if epoch.validation]
        return RunCurve(
            name,
            tuple(epoch.step for epoch in epochs),
            tuple(epoch.validation.cosine for epoch in epochs if epoch.validation),
            run.settings_id,
            setting_name,
        )

    names = zip(short_labels(runs), short_labels(runs, with_seeds=False), strict=True)
    return tuple(curve(run, *both) for run, both in zip(runs, names, strict=True))


def _exported(path: str, directory: Path) -> tuple[Path, tuple[str, ...]]:
    """Write a run for others; return where to, and what is missing, each with the reason."""
    from distill_core.export import ExportFinished, PartLeftOut, export_run
    from distill_core.runs import RunFolder

    left_out: list[str] = []
    for event in export_run(RunFolder.open(path), directory):
        if isinstance(event, PartLeftOut):
            left_out.append(f"{event.part}: {event.reason}")
        elif isinstance(event, ExportFinished):
            directory = Path(event.directory)
    return directory, tuple(left_out)
