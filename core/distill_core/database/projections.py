"""Choosing a projection, and what to say if there is none like it."""

from __future__ import annotations

from distill_core.config import check_temperature
from distill_core.database.records import Projection
from distill_core.database.rows import read_projections
from distill_core.database.schema import Tables
from distill_core.errors import DatabaseError, ProjectionNotFoundError, SettingsError

_SHOWN_IDS = 10


def list_projections(tables: Tables) -> tuple[Projection, ...]:
    """Return the projections that can be read, ordered by id.

    Raises:
        DatabaseError: There are projections, but none of them can be read.
    """
    readable, unreadable = read_projections(tables)
    if unreadable and not readable:
        raise unreadable[0][1]
    return readable


def find_projection(tables: Tables, mh_id: int) -> Projection:
    """Return one projection.

    Raises:
        ProjectionNotFoundError: There is none of this number; the message names those there are.
        DatabaseError: Its row cannot be read.
    """
    readable, unreadable = read_projections(tables)
    for projection in readable:
        if projection.id == mh_id:
            return projection
    for number, error in unreadable:
        if number == mh_id:
            raise error
    raise _not_found(tables, mh_id, [projection.id for projection in readable])


def stored_temperature(projection: Projection) -> float:
    """Return the stored tau.

    Raises:
        DatabaseError: No projection can be computed with it.
    """
    try:
        subject = f"The temperature of multi_head_projections row {projection.id}"
        return check_temperature(projection.temperature, subject)
    except SettingsError as error:
        raise DatabaseError(error.message, error.hint) from error


def _not_found(tables: Tables, mh_id: int, ids: list[int]) -> ProjectionNotFoundError:
    if not ids:
        return ProjectionNotFoundError(
            f"{tables.path} holds no multi-head projection that can be read.",
            "Train a multi-head projection first.",
        )
    shown = ", ".join(str(number) for number in ids[:_SHOWN_IDS])
    more = f" and {len(ids) - _SHOWN_IDS} more" if len(ids) > _SHOWN_IDS else ""
    return ProjectionNotFoundError(
        f"{tables.path} has no projection {mh_id}; it has {shown}{more}.", "Choose one of these."
    )
