"""What people tell of a folder of vectors: a line for each head and question, temperatures and a model."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from distill_core.config import check_temperature
from distill_core.database.matrix_file import read_text_bytes, require_plain_file
from distill_core.database.records import Progress
from distill_core.database.rows import DEFAULT_TEMPERATURE
from distill_core.errors import DatabaseError, SettingsError

_UNKNOWN_MODEL = "unknown model"
_TOLD_EVERY = 20_000
_REPAIR = "Correct it, or take the file away: vectors alone will do."


class HeadLine(msgspec.Struct, frozen=True, gc=False):
    """A line of `heads.jsonl`: what a head is called, and its answer; both may be missing."""

    title: str = ""
    name: str = ""
    text: str = ""

    @property
    def caption(self) -> str:
        """What to call the head."""
        return self.title or self.name or self.text


class QuestionLine(msgspec.Struct, frozen=True, gc=False):
    """A line of `queries.jsonl`: the question, and the row of the head that answers it, if that is known."""

    text: str = ""
    head: int | None = None


Line = TypeVar("Line", HeadLine, QuestionLine)


class LineFile(Generic[Line]):
    """A file of one JSON value a line, for the rows of a file of vectors.

    A line is an object, or the text alone; what else an object holds is left alone.
    """

    def __init__(self, path: Path, line_type: type[Line]) -> None:
        self._path = path
        self._type: type[Line] = line_type
        self._decoder: msgspec.json.Decoder[Line | str] = msgspec.json.Decoder(line_type | str)

    def read(self, rows: int, of: str, progress: Progress) -> list[Line] | None:
        """Return a line for each row; None where there is no such file.

        Args:
            rows: How many lines are wanted.
            of: The file that has so many rows, for the message.
            progress: Is told how far it is.

        Raises:
            DatabaseError: A line cannot be read, or their number is another.
        """
        if not _is_there(self._path):
            return None
        lines = read_text_bytes(self._path).split(b"\n")
        while lines and not lines[-1].strip():
            lines.pop()
        if len(lines) != rows:
            raise DatabaseError(
                f"{self._path} has {len(lines):,} lines, {of} has {rows:,} rows.",
                "Give it one line for each row, in the same order.",
            )
        found = []
        for number, line in enumerate(lines, 1):
            found.append(self._line(number, line))
            if number % _TOLD_EVERY == 0:
                progress(f"lines of {self._path.name}", number, rows)
        return found

    def _line(self, number: int, line: bytes) -> Line:
        try:
            value = self._decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise DatabaseError(
                f'Line {number} of {self._path} is not an object with "text": {error}.', _REPAIR
            ) from error
        return self._type(text=value) if isinstance(value, str) else value


class TeacherNotes(msgspec.Struct, frozen=True):
    """What `teacher.toml` says.

    Attributes:
        temperatures: One at least; each makes a projection.
        model: That embedded the texts.
        name: Of the projections; may be empty.
        is_told: Whether a temperature was given; otherwise it is that of the published schema.
    """

    temperatures: tuple[float, ...] = (DEFAULT_TEMPERATURE,)
    model: str = _UNKNOWN_MODEL
    name: str = ""
    is_told: bool = False


def read_teacher_notes(path: Path) -> TeacherNotes:
    """Return what the file says, and where it says nothing what is taken instead.

    Raises:
        DatabaseError: It is no TOML, or a temperature in it is no positive number.
    """
    if not _is_there(path):
        return TeacherNotes()
    try:
        values = tomllib.loads(read_text_bytes(path).decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DatabaseError(f"{path} is no TOML: {error}.", _REPAIR) from error
    given = values.get("temperatures", values.get("temperature"))
    told = () if given is None else given if isinstance(given, list) else [given]
    temperatures = tuple(dict.fromkeys(_temperature(value, path) for value in told))
    return TeacherNotes(
        temperatures=temperatures or (DEFAULT_TEMPERATURE,),
        model=_text(values, "model", path) or _UNKNOWN_MODEL,
        name=_text(values, "name", path),
        is_told=bool(temperatures),
    )


def _temperature(value: object, path: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DatabaseError(
            f"A temperature in {path} is {value!r}, not a number.", "Write temperatures = [0.1, 0.05]."
        )
    try:
        return check_temperature(value, f"A temperature in {path}")
    except SettingsError as error:
        raise DatabaseError(error.message, error.hint) from error


def _text(values: dict[str, object], key: str, path: Path) -> str:
    value = values.get(key, "")
    if not isinstance(value, str):
        raise DatabaseError(f"The {key} in {path} is {value!r}, not a text.", f'Write {key} = "...".')
    return value


def _is_there(path: Path) -> bool:
    """Tell whether there is anything; what is no plain file is an error, not left out."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError:
        pass
    require_plain_file(path)
    return True
