"""What the experiment on H^L = N tells: frozen events of plain numbers and strings."""

from __future__ import annotations

from typing import Literal

import msgspec

from distill_core.evaluation.intervals import Estimate
from distill_core.experiments.hl_settings import HlSettings

Ended = Literal["complete", "interrupted"]


class HlCell(msgspec.Struct, frozen=True, kw_only=True):
    """One trained student.

    Attributes:
        teacher_heads: N.
        heads: H.
        layers: L.
        parameters: Of the student as it is trained.
        test_error: 1 - mean cosine on the test queries, which nothing was chosen by.
        validation_error: The same on the queries watched while training.
        constant_error: Test error of the mean training target, whatever the query.
        steps: Training steps done.
    """

    student: str
    teacher_heads: int
    heads: int
    layers: int
    seed: int
    parameters: int
    test_error: float
    validation_error: float
    constant_error: float
    steps: int

    @property
    def flat_heads(self) -> int:
        """H^L."""
        return int(self.heads**self.layers)


class HlRow(msgspec.Struct, frozen=True, kw_only=True):
    """All seeds of one student, N, H and L.

    Attributes:
        flat_heads: H^L.
        test_error: Mean over the seeds.
        lowest, highest: Over the seeds.
        constant_error: Of the mean training target, mean over the seeds.
        seeds: How many.
    """

    student: str
    teacher_heads: int
    heads: int
    layers: int
    flat_heads: int
    parameters: int
    test_error: float
    lowest: float
    highest: float
    constant_error: float
    seeds: int


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the error one quantity explains.

    Attributes:
        name: As shown.
        r2: Share of the variance of log error, with its bootstrap interval; no value where it does not vary.
        slope: Change of log error with log of the quantity; below 0 the error falls.
        behind_best: R2 of the best one minus this one, from the same draws; no value for the best itself.
    """

    name: str
    r2: Estimate
    slope: float | None
    behind_best: Estimate


class StudentFinding(msgspec.Struct, frozen=True, kw_only=True):
    """What the cells of one kind of student say.

    Attributes:
        explained: Each quantity alone, after the means of each N are taken out.
        equal_flat: Error of the deeper over that of the shallower of two students with the same H^L, the
            geometric mean over all such pairs of one N and seed; the claim says 1. No value without a pair.
        across_teachers: H^L / N with one line for all N, of the variance that includes N's.
        ceiling: Share of the variance that a function of N, H and L can explain at most; the rest is seeds.
        spread_over_heads: Largest relative difference of the error over H, all else equal; None for one H.
        spread_over_seeds: Largest relative difference over the seeds, all else equal; None for one seed.
        sentence: What follows, for a reader.
    """

    student: str
    cells: int
    explained: tuple[Explained, ...]
    equal_flat: Estimate
    across_teachers: Explained
    ceiling: float | None
    spread_over_heads: float | None
    spread_over_seeds: float | None
    sentence: str


class HlEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """Base of the events; as JSON each carries its name under `event`."""


class HlStarted(HlEvent, frozen=True, kw_only=True, tag="started"):
    """The grid is checked, the first cell is next.

    Attributes:
        settings: As asked for.
        teacher_heads: The N, in numbers.
        num_train, num_validation, num_test: Queries, the same in every cell of a seed.
        steps: Of a cell, in whole epochs.
    """

    settings: HlSettings
    teacher_heads: tuple[int, ...]
    dimension: int
    temperature: float
    num_train: int
    num_validation: int
    num_test: int
    steps: int
    num_cells: int


class HlTraining(HlEvent, frozen=True, kw_only=True, tag="training"):
    """A cell is being trained; comes some ten times a second, so that a stop is soon heard.

    Attributes:
        cells_done: Before this one.
        step: Of this cell.
    """

    cells_done: int
    num_cells: int
    step: int


class HlCellFinished(HlEvent, frozen=True, kw_only=True, tag="cell_finished"):
    """A cell is trained and judged."""

    cell: HlCell
    cells_done: int
    num_cells: int
    elapsed_seconds: float


class HlFinished(HlEvent, frozen=True, kw_only=True, tag="finished"):
    """The result.

    Attributes:
        cells: Every trained student, in the order of training.
        table: The same with the seeds put together, by student, N, L and H.
        findings: One for each kind of student.
        ended: Before or after the last cell.
        started: What was asked for, so that a stored result says it; None if nobody passed it on.
    """

    cells: tuple[HlCell, ...]
    table: tuple[HlRow, ...]
    findings: tuple[StudentFinding, ...]
    ended: Ended
    elapsed_seconds: float
    started: HlStarted | None = None
