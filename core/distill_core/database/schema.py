"""The tables of an `lda.db` and the columns that matter. The schema has no version mark, so look."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from distill_core.database.connection import ReadOnlyConnection
from distill_core.errors import DatabaseError

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

_HINT = "This may be another kind of database, or one made by another version of the tool."


class Tables:
    """Reads tables of which some columns, or the whole table, may be missing.

    Raises:
        DatabaseError: A required table or column is missing.
    """

    def __init__(self, connection: ReadOnlyConnection) -> None:
        self._connection = connection
        self._columns = {table: self._columns_of(table) for table in (*REQUIRED, *OPTIONAL)}
        self._check_required()

    @property
    def path(self) -> Path:
        """The database, for messages."""
        return self._connection.path

    @property
    def missing(self) -> tuple[str, ...]:
        """The optional tables that are not there, or lack what they are for."""
        return tuple(
            table for table, needed in OPTIONAL.items() if not self._columns[table].issuperset(needed)
        )

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
