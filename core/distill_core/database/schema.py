"""The tables of an `lda.db`, the columns that matter and their values. The schema has no version mark."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar, cast

from distill_core.database.connection import ReadOnlyConnection
from distill_core.errors import DatabaseError

_INT64 = range(-(2**63), 2**63)


def integer(value: object, where: str) -> int:
    """Return a whole number.

    Args:
        value: What SQLite gave: int, float, str, bytes or None.
        where: The table, row and column, for the message.

    Raises:
        DatabaseError: The value is no whole number of at most 64 bits.
    """
    try:
        number = int(value) if isinstance(value, int | str) else _whole(value)
    except ValueError:
        number = None
    if number is None or number not in _INT64:
        raise _unreadable(value, where, "a whole number")
    return number


def real(value: object, where: str) -> float:
    """Return a number, which may be infinite but not NaN (SQLite has none, a text may say it).

    Raises:
        DatabaseError: The value is no number.
    """
    try:
        number = float(value) if isinstance(value, int | float | str) else None
    except (ValueError, OverflowError):
        number = None
    if number is None or math.isnan(number):
        raise _unreadable(value, where, "a number")
    return number


def text(value: object) -> str:
    """Return a text; NULL is empty, bytes that are no UTF-8 are shown as replacement characters."""
    if value is None:
        return ""
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)


def optional_integer(value: object) -> int | None:
    """Return a whole number, or None for NULL and for anything else: for figures that are only shown."""
    try:
        return integer(value, "")
    except DatabaseError:
        return None


def optional_real(value: object) -> float | None:
    """Return a number, or None for NULL and for anything else: for figures that are only shown."""
    try:
        return real(value, "")
    except DatabaseError:
        return None


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, float) and value.is_integer() else None


def _unreadable(value: object, where: str, wanted: str) -> DatabaseError:
    shown = "NULL" if value is None else repr(value)
    shown = shown if len(shown) <= 40 else f"{shown[:37]}..."
    return DatabaseError(
        f"{where} is {shown}, not {wanted}.", "Correct that row, or make the database again."
    )


REQUIRED = {
    "embedding_models": ("model_id", "dimension"),
    "multi_head_projections": ("mh_projection_id", "model_id"),
    "cluster_heads": ("mh_projection_id", "cluster_id", "centroid_path", "answer_emb_path"),
    "embeddings": ("model_id", "entity_type", "entity_id", "vector_path"),
}
"""Without these there is no teacher and no query."""

OPTIONAL = {
    "questions": ("question_id", "text"),
    "answers": ("answer_id", "text"),
    "qa_clusters": ("cluster_id", "name"),
    "cluster_questions": ("cluster_id", "question_id"),
    "cluster_answers": ("cluster_id", "answer_id"),
}
"""Texts and clusters: a table that lacks one of these columns counts as missing."""

UNMISSED = {"query_log": ("query_text",)}
"""What was asked: nobody is told where there is none."""

_HINT = "This may be another kind of database, or one made by another version of the tool."


Asked = ParamSpec("Asked")
Found = TypeVar("Found")


def once(
    read: Callable[Concatenate[Tables, Asked], Found],
) -> Callable[Concatenate[Tables, Asked], Found]:
    """Let what is read of tables be read once for each question: a connection holds one moment of them."""

    @wraps(read)
    def known(tables: Tables, *args: Asked.args, **kwargs: Asked.kwargs) -> Found:
        key = (read.__name__, args, tuple(kwargs.items()))
        if key not in tables.known:
            tables.known[key] = read(tables, *args, **kwargs)
        return cast(Found, tables.known[key])

    return cast(Callable[Concatenate[Tables, Asked], Found], known)


class Tables:
    """Reads tables of which some columns, or the whole table, may be missing.

    Attributes:
        known: What was read before, by what was asked; nobody changes it. See `once`.

    Raises:
        DatabaseError: A required table or column is missing.
    """

    def __init__(self, connection: ReadOnlyConnection) -> None:
        self._connection = connection
        self.known: dict[object, object] = {}
        self._columns = {table: self._columns_of(table) for table in (*REQUIRED, *OPTIONAL, *UNMISSED)}
        self._check_required()

    @property
    def path(self) -> Path:
        """The database, for messages."""
        return self._connection.path

    @property
    def missing(self) -> tuple[str, ...]:
        """The optional tables that are not there, or lack what they are for."""
        return tuple(table for table, needed in OPTIONAL.items() if not self.has(table, needed))

    def has(self, table: str, columns: Iterable[str]) -> bool:
        """Tell whether a table of this module is there with all of some columns."""
        return self._columns[table].issuperset(columns)

    def select(
        self,
        table: str,
        columns: Sequence[str],
        *,
        order_by: Sequence[str],
        equal: tuple[str, object] | None = None,
    ) -> list[tuple[object, ...]]:
        """Return the rows of a table in a fixed order.

        Args:
            table: One of the tables of this module.
            columns: What to read; a column that the table lacks is None in every row.
            order_by: The order; columns that the table lacks are left out.
            equal: A column and the value that it must have.

        Returns:
            No rows if an optional table is missing.
        """
        if table in self.missing:
            return []
        there = self._columns[table]
        wanted = ", ".join(column if column.lower() in there else "NULL" for column in columns)
        order = ", ".join(column for column in order_by if column.lower() in there)
        condition = f" WHERE {equal[0]} = ?" if equal else ""
        return self._connection.rows(
            f"SELECT {wanted} FROM {table}{condition} ORDER BY {order}", (equal[1],) if equal else ()
        )

    def count(
        self, table: str, counted: str, *, group_by: str, equal: tuple[str, object] | None = None
    ) -> dict[object, int]:
        """Return the number of rows (`counted` is "*") or of distinct values of a column in each group."""
        condition = f" WHERE {equal[0]} = ?" if equal else ""
        number = "COUNT(*)" if counted == "*" else f"COUNT(DISTINCT {counted})"
        rows = self._connection.rows(
            f"SELECT {group_by}, {number} FROM {table}{condition} GROUP BY {group_by} ORDER BY {group_by}",
            (equal[1],) if equal else (),
        )
        return {group: int(str(count)) for group, count in rows}

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _columns_of(self, table: str) -> frozenset[str]:
        rows = self._connection.rows("SELECT name FROM pragma_table_info(?) ORDER BY cid", (table,))
        return frozenset(str(name).lower() for (name,) in rows)

    def _check_required(self) -> None:
        path = self._connection.path
        for table, needed in REQUIRED.items():
            if not self._columns[table]:
                raise DatabaseError(f"{path} is not an lda.db: it has no table {table}.", _HINT)
            for column in needed:
                if column not in self._columns[table]:
                    raise DatabaseError(f"{path} is not an lda.db: {table} has no column {column}.", _HINT)
