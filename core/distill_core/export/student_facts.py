"""What an export says about a student. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from distill_core.architecture import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentFacts:
    """A student in numbers.

    Attributes:
        kind: As in the settings.
        shape: The arguments that build it.
        dimension: d.
        parameters: As it was trained.
        folded_parameters: In its form for inference; None where that is the same.
    """

    kind: str
    shape: Shape
    dimension: int
    parameters: int
    folded_parameters: int | None
