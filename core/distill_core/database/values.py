"""SQLite values to Python ones: a column may hold any type, whatever the schema says."""

from __future__ import annotations

import math

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
