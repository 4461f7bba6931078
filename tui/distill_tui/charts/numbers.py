"""Numbers as short labels."""

from __future__ import annotations

import math

THOUSANDS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
DIGITS = 4
INTEGER_DIGITS = 3
"""Below a thousand of its unit a number has up to three digits before the point, and they all count."""
SMALLEST_PLAIN = 1e-3
"""Below this a label is written with an exponent."""


def short_number(value: float, digits: int = DIGITS) -> str:
    """Write a number with up to `digits` digits: 0.05, 1e-4, 2.5k; NaN and infinities by name."""
    if not math.isfinite(value):
        return {math.inf: "inf", -math.inf: "-inf"}.get(value, "NaN")
    size = abs(value)
    if size >= 1e12 or 0 < size < SMALLEST_PLAIN:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}e{int(exponent)}"
    scale, unit = next(((s, u) for s, u in THOUSANDS if size >= s), (1.0, ""))
    return f"{value / scale:.{max(digits, INTEGER_DIGITS)}g}{unit}"


def share_number(value: float) -> str:
    """Write a number in few cells: one below 1 with three decimals and no zero before them, `.858`."""
    plain = f"{value:.3f}"
    is_share = abs(value) >= SMALLEST_PLAIN and plain.removeprefix("-").startswith("0.")
    return plain.replace("0.", ".", 1) if is_share else short_number(value)
