"""What can go wrong, each with one sentence for the user and the way out."""

from __future__ import annotations


class DistillError(Exception):
    """An error that is the user's to solve: one clear sentence, and a hint on what to do.

    Attributes:
        message: One sentence that names the thing that is wrong.
        hint: What to do about it; may be empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class DatabaseError(DistillError):
    """The file is not a readable `lda.db`: not SQLite, another schema, empty tables, gone."""


class ProjectionNotFoundError(DatabaseError):
    """The database has no multi-head projection with the number asked for."""


class VectorError(DatabaseError):
    """A vector file is missing, truncated, pickled, of the wrong dimension, NaN or all zero."""


class TooFewQueriesError(DatabaseError):
    """The projection has too few queries to train on some and judge by others."""


class SettingsError(DistillError, ValueError):
    """A setting is out of its range or contradicts another one.

    A ValueError, so that msgspec adds the place where settings are read as a part of something larger.

    Attributes:
        field: The setting's name, so that a form can show the error beside it; may be empty.
    """

    def __init__(self, message: str, hint: str = "", *, field: str = "") -> None:
        super().__init__(message, hint)
        self.field = field


class CheckpointError(DistillError):
    """A file of weights cannot be read, or is for another student."""


class DeviceError(DistillError):
    """The device asked for is not there."""


class TrainingError(DistillError):
    """Training cannot go on: the loss is not a number any more."""


class RunError(DistillError):
    """A run's folder cannot be read, written or found, or the run is already being trained."""


class ExportError(DistillError):
    """A run cannot be exported to the folder asked for, or a part of it cannot be made."""
