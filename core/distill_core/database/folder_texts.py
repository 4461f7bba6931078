"""What people tell of a folder of vectors: a line for each head and question, temperatures and a model."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from distill_core.config import check_temperature
from distill_core.database.matrix_file import read_text_bytes, require_plain_file
from distill_core.database.problems import FEW_QUERIES, few_queries, note, one_head
from distill_core.database.records import Problem, Progress, Projection, Question
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
    """A line of `queries.jsonl`: the question, and what is known of it.

    Attributes:
        text: Of the question.
        head: The row of the head that answers it.
        weight: How often it is asked, beside the others; once by default.
    """

    text: str = ""
    head: int | None = None
    weight: float | None = None


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


class QuestionsByRow(Mapping[int, Question]):
    """The questions by row; each record is made when it is asked for, as there may be 300,000."""

    def __init__(self, lines: list[QuestionLine]) -> None:
        self._lines = lines

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self._lines)))

    def __contains__(self, row: object) -> bool:
        return isinstance(row, int) and 0 <= row < len(self._lines)

    def __getitem__(self, row: int) -> Question:
        if row not in self:
            raise KeyError(row)
        line = self._lines[row]
        clusters = () if line.head is None else (line.head,)
        return Question(id=row, text=line.text, length_type="", cluster_ids=clusters)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, QuestionsByRow) and self._lines == other._lines

    def __hash__(self) -> int:
        return id(self)


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


def require_heads(lines: Sequence[QuestionLine], path: Path, num_heads: int) -> None:
    """Raise a DatabaseError if a question names a head that is not there."""
    for number, line in enumerate(lines, 1):
        if line.head is not None and not 0 <= line.head < num_heads:
            raise DatabaseError(
                f"Line {number} of {path} names head {line.head}; there are heads 0 to {num_heads - 1}.",
                "Heads are the rows of centroids.npy, counted from 0.",
            )


def weights_of(lines: Sequence[QuestionLine], path: Path) -> NDArray[np.float64] | None:
    """Return how often each question is asked, (n,); None where no line says it.

    Raises:
        DatabaseError: A weight is no positive number.
    """
    if all(line.weight is None for line in lines):
        return None
    weights = np.array([1.0 if line.weight is None else line.weight for line in lines], np.float64)
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights > 0)))
    if wrong.size:
        raise DatabaseError(
            f"The weight in line {wrong[0] + 1} of {path} is {weights[wrong[0]]:g}, not a positive number.",
            "Write how often the question is asked, or leave its weight away.",
        )
    return weights


class FolderFacts(NamedTuple):
    """What is said of a folder of vectors.

    Attributes:
        num_heads: N.
        num_questions: M.
        with_questions: Heads that are some question's own.
        unknown_heads: Questions whose own head nobody knows.
        temperature: That is taken because none is given; None where one is.
        missing: Files of texts that are not there.
    """

    num_heads: int
    num_questions: int
    with_questions: int
    unknown_heads: int
    temperature: float | None
    missing: tuple[str, ...]


def folder_notes(facts: FolderFacts, projections: Iterable[Projection]) -> Iterator[Problem]:
    """Yield what is worth a look in a folder of vectors that can be used."""
    if facts.temperature is not None:
        message = f"No temperature is given; τ = {facts.temperature:g} is taken."
        yield note(None, message, "Name it in teacher.toml: temperatures = [0.1].")
    if "queries.jsonl" in facts.missing:
        message = "There is no queries.jsonl: the questions have no text, and their true heads are unknown."
        yield note(
            None, message, "Recall@1 and MRR cannot be told, nor may a split keep paraphrases together."
        )
    elif facts.unknown_heads:
        message = f"{facts.unknown_heads:,} of {facts.num_questions:,} questions name no head."
        yield note(None, message, "Recall@1 and MRR leave them out.")
    without = facts.num_heads - facts.with_questions
    if without and facts.unknown_heads < facts.num_questions:
        message = f"{without:,} of {facts.num_heads:,} heads are no question's own."
        yield note(None, message, "Nothing is asked that they should answer.")
    if "heads.jsonl" in facts.missing:
        yield note(None, "There is no heads.jsonl: the heads have no names, and the answers no text.")
    for projection in projections:
        if projection.num_heads == 1:
            yield one_head(projection.id)
        if projection.num_questions < FEW_QUERIES:
            yield few_queries(projection)
