"""All runs of a folder: list, find, name, pin, throw away."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from distill_core.config import RunConfig
from distill_core.errors import RunError
from distill_core.runs import liveness
from distill_core.runs.clock import Clock, utc_now
from distill_core.runs.file_errors import reason
from distill_core.runs.folder import RunFolder, absolute, is_run
from distill_core.runs.listing import RunListing
from distill_core.runs.liveness import Wait
from distill_core.runs.naming import changed_tags, checked_name, match_run
from distill_core.runs.records import RunNotes
from distill_core.runs.summary import RunSummary
from distill_core.runs.trash import Trash
from distill_core.user_folders import user_folder

ENVIRONMENT_VARIABLE = "DISTILL_TUI_RUNS"

AskedRun = str | os.PathLike[str] | RunFolder
"""A run, its folder, its name, or the beginning of its name."""


def default_root() -> Path:
    """Return where runs are kept: `$DISTILL_TUI_RUNS`, else `runs` in the user's data directory.

    Raises:
        RunError: There is no home directory.
    """
    if chosen := os.environ.get(ENVIRONMENT_VARIABLE):
        return absolute(chosen)
    folder = user_folder("data")
    if folder is None:
        raise RunError(
            "There is no home directory to keep the runs in.",
            f"Name a folder with --runs-dir or {ENVIRONMENT_VARIABLE}.",
        )
    return folder / "runs"


class RunStore:
    """The runs in one folder, which other processes and machines may write at the same time.

    Args:
        root: The folder; need not exist. By default `default_root()`.
        clock: Tells the time.

    Attributes:
        problem: Why the folder could not be listed last time; empty if it could.
    """

    def __init__(self, root: str | os.PathLike[str] | None = None, clock: Clock = utc_now) -> None:
        self.root = default_root() if root is None else absolute(root)
        self.problem = ""
        self._clock = clock
        self._trash = Trash(self.root)
        self._listing = RunListing(self.root, clock)
        self._trash_listing = RunListing(self._trash.path, clock)

    def create(self, config: RunConfig) -> RunFolder:
        """Make the folder of a new run.

        Raises:
            RunError: The disk is full, or the folder cannot be written.
        """
        return RunFolder.create(self.root, config, self._clock)

    def list(self) -> tuple[RunSummary, ...]:
        """Return the runs, newest first.

        Never raises: a damaged run says so in its row, a folder that cannot be listed in `problem`.
        """
        return self._read(self._listing)

    def watched(self, wait: Wait = time.sleep) -> tuple[RunSummary, ...]:
        """Return the runs as `list` does, once it is known which of those that say so are being trained.

        A process that cannot be looked up from here is watched for some seconds.
        """
        rows = self.list()
        while self.problem == "" and any(self._is_unsettled(row) for row in rows):
            wait(liveness.LOOK_SECONDS)
            rows = self.list()
        return rows

    def trashed(self) -> tuple[RunSummary, ...]:
        """Return the runs in the trash, newest first."""
        return self._read(self._trash_listing)

    def find(self, asked: AskedRun) -> RunFolder:
        """Return a run by its folder, its name, or an unambiguous beginning of its name.

        Raises:
            RunError: There is none, or several fit; the hint names them.
        """
        if isinstance(asked, RunFolder):
            return asked
        if not isinstance(asked, str) or os.sep in asked:
            return RunFolder.open(asked, self._clock)
        path = self._folder_called(asked) or match_run(asked, self.list())
        if path is None:
            raise RunError(f"There is no run {asked!r} in {self.root}.", "List the runs.")
        return RunFolder(path, self._clock)

    def rename(self, asked: AskedRun, name: str) -> RunNotes:
        """Give a run a name to show; its folder keeps its own.

        Raises:
            RunError: The name cannot be used or is taken, or there is no such run.
        """
        run = self.find(asked)
        others = (summary for summary in self.list() if summary.path != str(run.path))
        return self._change_notes(run, name=checked_name(name, others))

    def tag(self, asked: AskedRun, *tags: str, remove: Iterable[str] = ()) -> RunNotes:
        """Add tags to a run, and remove others.

        Raises:
            RunError: There is no such run, or its notes cannot be read or written.
        """
        run = self.find(asked)
        return self._change_notes(run, tags=changed_tags(run.read_notes().tags, tags, remove))

    def annotate(self, asked: AskedRun, annotation: str) -> RunNotes:
        """Replace the free text about a run.

        Raises:
            RunError: There is no such run, or its notes cannot be read or written.
        """
        return self._change_notes(self.find(asked), annotation=annotation)

    def pin(self, asked: AskedRun, *, pinned: bool = True) -> RunNotes:
        """Make a run the baseline, in place of the one before, or no longer.

        Raises:
            RunError: There is no such run, or notes cannot be read or written.
        """
        run = self.find(asked)
        notes = self._change_notes(run, pinned=pinned)
        for summary in self.list() if pinned else ():
            if summary.pinned and summary.path != str(run.path):
                self._change_notes(RunFolder(summary.path, self._clock), pinned=False)
        return notes

    def move_to_trash(self, asked: AskedRun) -> Path:
        """Move a run to the trash and return its place there, whose name `restore` takes.

        Raises:
            RunError: The run is being trained, is not of this store, or cannot be moved.
        """
        run = self.find(asked)
        if run.path.parent.resolve() != self.root.resolve():
            raise RunError(
                f"{run.path} is not among the runs in {self.root}.", "Delete its folder by other means."
            )
        with run.lock() as lock:
            lock.record(ended=True)  # its place changes, and it may come back
            return self._trash.move(run.path)

    def restore(self, name: str) -> RunFolder:
        """Take a run out of the trash, by the name of its folder there.

        Raises:
            RunError: It is not in the trash, its name is taken meanwhile, or it cannot be moved.
        """
        return RunFolder(self._trash.restore(name), self._clock)

    def empty_trash(self) -> int:
        """Delete what is in the trash for good; return how many runs that were.

        Raises:
            RunError: Something cannot be deleted.
        """
        return self._trash.empty()

    def _read(self, listing: RunListing) -> tuple[RunSummary, ...]:
        self.problem = ""
        try:
            return listing.read()
        except OSError as error:
            self.problem = f"The runs in {self.root} cannot be listed: {reason(error)}."
            return ()

    def _is_unsettled(self, row: RunSummary) -> bool:
        if row.state != "running":
            return False
        try:
            run = RunFolder(row.path, self._clock)
            return run.is_unsettled(run.read_state())
        except RunError:
            return False

    def _folder_called(self, name: str) -> Path | None:
        path = self.root / name
        return path if name and not name.startswith(".") and is_run(path) else None

    def _change_notes(self, run: RunFolder, **values: object) -> RunNotes:
        notes = msgspec.structs.replace(run.read_notes(), **values)
        run.write_notes(notes)
        return notes
