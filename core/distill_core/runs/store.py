"""All runs in one folder: by name, with names, tags and notes to change, and a trash for deleted ones."""

from __future__ import annotations

import itertools
import os
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from distill_core.config import RunConfig
from distill_core.errors import RunError
from distill_core.runs import liveness
from distill_core.runs.atomic_files import reason, writing_error
from distill_core.runs.folder import RunFolder, absolute, is_run
from distill_core.runs.listing import RunListing
from distill_core.runs.liveness import Wait
from distill_core.runs.new_folder import Clock, utc_now
from distill_core.runs.records import RunNotes
from distill_core.runs.summary import RunSummary
from distill_core.user_folders import user_folder


class Trash:
    """A hidden folder beside the runs, so that deleting is a rename."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.path = root / ".trash"

    def move(self, run: Path) -> Path:
        """Move a run's folder into the trash and return its place there.

        Raises:
            RunError: The folder cannot be moved.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            return run.rename(self._free_place(run.name))
        except OSError as error:
            raise writing_error(run, error) from error

    def restore(self, name: str) -> Path:
        """Move a run back under its name in the trash and return its folder.

        Raises:
            RunError: It is not in the trash, its name is taken, or it cannot be moved.
        """
        place = self.path / name
        if name not in self._names() or not is_run(place):
            raise RunError(f"There is no run {name!r} in the trash.", "List the trash.")
        back = self._root / name
        if os.path.lexists(back):
            raise RunError(f"There is already a run {name} in {self._root}.", "Rename its folder first.")
        try:
            return place.rename(back)
        except OSError as error:
            raise writing_error(back, error) from error

    def empty(self) -> int:
        """Delete everything in the trash for good and return how much that was.

        Raises:
            RunError: Something cannot be deleted; the rest stays.
        """
        names = self._names()
        for name in names:
            place = self.path / name
            try:
                if place.is_dir() and not place.is_symlink():
                    shutil.rmtree(place)
                else:
                    place.unlink()
            except OSError as error:
                raise RunError(
                    f"{place} was not deleted: {error.strerror or error}.", "Check its permissions."
                ) from error
        return len(names)

    def _names(self) -> list[str]:
        try:
            return sorted(entry.name for entry in self.path.iterdir())
        except OSError:
            return []

    def _free_place(self, name: str) -> Path:
        names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
        return next(place for place in map(self.path.joinpath, names) if not os.path.lexists(place))


MAX_NAME_CHARACTERS = 80
_NAMED_IN_HINT = 5


def names_of(summary: RunSummary) -> set[str]:
    """Return the names that a run answers to: the folder's, the user's, and the short one."""
    return {summary.name, Path(summary.path).name, summary.id}


def match_run(asked: str, summaries: Sequence[RunSummary]) -> str | None:
    """Return the path of the run with a name, or with the only name that begins so; None if there is none.

    Raises:
        RunError: Several runs fit; the hint names them.
    """
    if not asked:
        return None
    exact = [summary for summary in summaries if asked in names_of(summary)]
    found = exact or [
        summary for summary in summaries if any(name.startswith(asked) for name in names_of(summary))
    ]
    if len(found) > 1:
        raise RunError(f"{asked} fits {len(found)} runs.", f"Take one of {_listed(found)}.")
    return found[0].path if found else None


def checked_name(name: str, others: Iterable[RunSummary]) -> str:
    """Return a name for a run without blanks around it.

    Raises:
        RunError: It is empty, too long, not printable, looks like a path, or another run has it.
    """
    stripped = name.strip()
    hint = f"Take 1 to {MAX_NAME_CHARACTERS} printable characters, no slash."
    if not stripped:
        raise RunError("A run's name cannot be empty.", hint)
    if len(stripped) > MAX_NAME_CHARACTERS:
        raise RunError(f"A run's name cannot have {len(stripped)} characters.", hint)
    if "/" in stripped or not stripped.isprintable():
        raise RunError(f"{stripped!r} cannot be a run's name.", hint)
    if any(stripped in (other.name, Path(other.path).name) for other in others):
        raise RunError(f"Another run has the name {stripped}.", "Take another name.")
    return stripped


def changed_tags(tags: Iterable[str], add: Iterable[str], remove: Iterable[str]) -> tuple[str, ...]:
    """Return tags in the order given, each once, without blanks around them, and no empty ones."""
    removed = {tag.strip() for tag in remove}
    wanted = dict.fromkeys(tag.strip() for tag in (*tags, *add))
    return tuple(tag for tag in wanted if tag and tag not in removed)


def _listed(summaries: Sequence[RunSummary]) -> str:
    names = [Path(summary.path).name for summary in summaries[:_NAMED_IN_HINT]]
    more = len(summaries) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


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
        """Take a run out of the trash, by a name that it answers to or the beginning of one.

        Raises:
            RunError: It is not in the trash, several fit, its name is taken meanwhile, or it cannot be moved.
        """
        found = match_run(name, self.trashed())
        return RunFolder(self._trash.restore(Path(found).name if found else name), self._clock)

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
