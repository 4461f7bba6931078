"""The shapes of a student: what means something for its kind, in short words, and which to choose from."""

from __future__ import annotations

from distill_core.architecture import (
    Candidate,
    candidate_architectures,
    default_shape,
    memory_slots,
    memory_width,
    student_cost,
)
from distill_core.config import UNUSED_SETTINGS, StudentConfig, StudentKind, require_fitting_heads
from distill_core.errors import SettingsError


def uses(kind: StudentKind, field: str) -> bool:
    """Tell whether a setting means something for a kind of student."""
    return field not in UNUSED_SETTINGS[kind]


def heads_fit(student: StudentConfig, dimension: int) -> bool:
    """Tell whether H divides what the heads share."""
    try:
        require_fitting_heads(student, dimension)
    except SettingsError:
        return False
    return True


def shape_words(student: StudentConfig, num_heads: int, dimension: int) -> str:
    """Return kind and shape of a student for a teacher of N heads, such as `encoder H 4 L 2`."""
    heads = f" H {student.heads}" if uses(student.kind, "heads") else ""
    words = f"{student.kind}{heads} L {student.layers}"
    if student.kind != "memory":
        return words
    slots, width = memory_slots(student.slots, num_heads), memory_width(student.width, dimension)
    return f"{words} K {slots} r {width}"


def shape_candidates(student: StudentConfig, num_heads: int, dimension: int) -> tuple[Candidate, ...]:
    """Return the H and L to choose from for a kind of student, each with what such a student costs.

    They follow H^L, with H that fits the kind. A memory may also have its default, one head in one layer. An
    mlp keeps its H, which means nothing there, and is offered each L once.
    """
    rules: dict[tuple[int, int], list[str]] = {}
    shared = memory_width(student.width, dimension) if student.kind == "memory" else dimension
    for found in candidate_architectures(num_heads, shared):
        heads = found.heads if uses(student.kind, "heads") else student.heads
        rules.setdefault((heads, found.layers), []).extend(found.rules)
    if student.kind == "memory":
        rules.setdefault(default_shape(student.kind, num_heads, dimension), []).append("default")
    return tuple(
        Candidate(
            heads=heads,
            layers=layers,
            flat_heads=heads**layers,
            cost=student_cost(student.with_values(heads=heads, layers=layers), dimension, num_heads),
            rules=tuple(names),
        )
        for (heads, layers), names in sorted(rules.items(), key=lambda item: (item[0][1], item[0][0]))
    )
