"""Choosing a projection, and what to say if there is none like it."""

from __future__ import annotations

import math

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


def check_temperature(projection: Projection) -> float:
    """Return the stored tau.

    Raises:
        DatabaseError: It is not positive and finite.
    """
    tau = projection.temperature
    if math.isfinite(tau) and tau > 0:
        return tau
    raise DatabaseError(
        f"The temperature of multi_head_projections row {projection.id} is {tau}, not a positive number.",
        "Choose a temperature yourself; 0.1 is a common one.",
    )


def choose_temperature(projection: Projection, chosen: float | None) -> float:
    """Return the tau chosen, or the stored one if none is.

    Raises:
        SettingsError: The one chosen is not positive and finite.
        DatabaseError: None is chosen and the stored one is not.
    """
    if chosen is None:
        return check_temperature(projection)
    if math.isfinite(chosen) and chosen > 0:
        return chosen
    hint = "Common values are 0.1 and 1.0."
    raise SettingsError(f"The temperature {chosen} is not a positive number.", hint, field="temperature")


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
