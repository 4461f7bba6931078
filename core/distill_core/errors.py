"""What can go wrong, each with one sentence for the user and the way out."""

from __future__ import annotations

from distill_core.foreign_text import visible

_MESSAGE_CHARACTERS, _HINT_CHARACTERS = 300, 180


def told(message: str, hint: str = "") -> str:
    """Return a message and its hint for people, whatever names and values from outside they repeat."""
    return f"{visible(message, _MESSAGE_CHARACTERS)} {visible(hint, _HINT_CHARACTERS)}".strip()


def error_words(error: BaseException) -> str:
    """Say what went wrong: an error of ours in its own words, any other with its kind."""
    if isinstance(error, DistillError):
        return str(error)
    return told(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


class DistillError(Exception):
    """An error that is the user's to solve: one clear sentence, and a hint on what to do.

    Attributes:
        message: One sentence that names the thing that is wrong.
        hint: What to do about it; may be empty.

    As a string it is text for people: one line, of bounded length, without anything that a terminal obeys.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return told(self.message, self.hint)


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


class BusyError(RunError):
    """Another process trains the run."""


class TakenOverError(RunError):
    """Another process has taken over the run that this one was training."""


class SweepError(DistillError):
    """A sweep, or the storage of its ledger, cannot be found, read or worked at."""


class OutputError(DistillError):
    """A file cannot, or must not, be written where it is wanted."""


class ExportError(DistillError):
    """A run cannot be exported to the folder asked for, or a part of it cannot be made."""
