"""From stored paths to checked vectors: find the files, use the cache, else read them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from distill_core.database.cache import VectorCache
from distill_core.database.paths import FoundFile, PathRules
from distill_core.database.records import Remapping
from distill_core.database.vectors import Vectors, read_vectors
from distill_core.errors import VectorError

_ATTEMPTS = 3
"""Readings of vectors of which some change meanwhile."""


class Located(NamedTuple):
    """The files of some stored paths, and the stored paths without a file, both in the order given."""

    found: tuple[FoundFile, ...]
    missing: tuple[str, ...]

    def remapping(self) -> Remapping:
        """Return how they were found."""
        places = Counter(file.folder for file in self.found if not file.as_stored)
        remapped = places.total()
        return Remapping(
            as_stored=len(self.found) - remapped,
            remapped=remapped,
            missing=self.missing,
            places=tuple(Path(folder) for folder, _ in places.most_common()),
        )


class VectorStore:
    """The vector files of one database."""

    def __init__(self, database: Path, cache: VectorCache) -> None:
        self._database = database
        self._cache = cache

    def locate(self, stored_paths: Sequence[str]) -> Located:
        """Look for the files, now: nothing is remembered from one look to the next."""
        rules = PathRules(self._database)
        looked_up = [(stored, rules.find(stored)) for stored in stored_paths]
        return Located(
            tuple(file for _, file in looked_up if file is not None),
            tuple(stored for stored, file in looked_up if file is None),
        )

    def load(self, stored_paths: Sequence[str], dimension: int, kind: str) -> Vectors:
        """Return the vectors of the stored paths, in order, of shape (len(stored_paths), dimension).

        Args:
            stored_paths: As the database gives them.
            dimension: d of the model.
            kind: What they are, for the message: "question vectors".

        Raises:
            VectorError: Some are missing, one cannot be read or is not a usable vector, or another program
                keeps on writing to them.
        """
        for _ in range(_ATTEMPTS):
            located = self.locate(stored_paths)
            if located.missing:
                raise self._missing(located, kind)
            vectors = self._cache.load(located.found, dimension)
            if vectors is not None:
                return vectors
            try:
                vectors = read_vectors(located.found, dimension)
            except VectorError:
                if located == self.locate(stored_paths):
                    raise
                continue
            if located == self.locate(stored_paths):
                self._cache.store(located.found, vectors)
                return vectors
        raise VectorError(
            f"The {kind} of {self._database} are being written to at this moment.",
            "Open it again when the other program has finished.",
        )

    def _missing(self, located: Located, kind: str) -> VectorError:
        number, total = len(located.missing), len(located.missing) + len(located.found)
        first = located.missing[0] or "an empty path"
        folder = self._database.parent
        return VectorError(
            f"{number} of {total} {kind} are missing, the first is {first}: looked there, in {folder} and in "
            f"{folder / 'embeddings'}.",
            "Copy the embeddings folder beside the database.",
        )
