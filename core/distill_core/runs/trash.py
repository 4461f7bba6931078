"""Where deleted runs lie until the trash is emptied."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

from distill_core.errors import RunError
from distill_core.runs.file_errors import writing_error
from distill_core.runs.folder import is_run


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
