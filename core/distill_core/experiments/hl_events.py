"""What the experiment of heads and layers is asked, tells and keeps in a file."""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path
from typing import Literal

import msgspec

from distill_core.errors import DistillError, SettingsError
from distill_core.evaluation.intervals import Estimate
from distill_core.students.kinds import STUDENT_KINDS, student_kind, student_settings
from distill_core.students.spec import StudentConfig

WITH_HEADS = tuple(name for name, kind in STUDENT_KINDS.items() if kind().flat_heads())
"""Kinds that have both H and L."""

STUDENTS = tuple(name for name in WITH_HEADS if STUDENT_KINDS[name].BY_GRADIENTS)
"""Those of them that learn by gradients, for teachers of any size."""

USUAL_TEACHER_HEADS = (8, 16)

BATCH_SIZE = 64
"""Half of what the recipe takes: a grid has many cells, and compares them with each other alone."""


class HlSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The grid of N, H and L, and everything that is the same in all of its cells.

    "H heads and L layers route like H^L flat heads" says nothing of slots. In the memory student H is what
    it is in the published one, the attention heads of a layer, and **K, the slots of a head, is fixed**:
    capacity grows with H and L alone. With K = 1 a head has nothing to choose from and H would be as inert
    as in the encoder; with K near N one head in one layer is the teacher itself and nothing is left to
    explain; so K is small. **The width that the heads share is fixed**, as in the published student, where H
    heads cut d into parts: H then changes how queries are routed, and the parameters by K + 1 a head, far
    below 1 %, so that H can be told apart from size. L cannot: a layer has parameters in every student.

    In the routed student H^L is the number of cells that stand for what is far. What is near is found in one
    way in all cells, and `timed` says what more of them cost.

    Attributes:
        students: Which kinds, of those that have heads.
        teacher_heads: The N, None in it for all; None alone for 8, 16 and all, as far as there are so many.
        heads: The H.
        layers: The L.
        seeds: How many; seeds 0, 1, ... fix split, chosen heads, first weights and batches.
        steps: Training steps of a cell, rounded up to whole epochs; the recipe is `strong` with batches of
            `BATCH_SIZE`.
        slots: K of the memory student.
        width: Dimensions that the memory's heads share, at most d.
        ff_dim: Of the encoder.
        timed: Whether each student is timed beside the LDA of as many heads.
        device: As in training.
        threads: CPU threads.
    """

    students: tuple[str, ...] = STUDENTS
    teacher_heads: tuple[int | None, ...] | None = None
    heads: tuple[int, ...] = (1, 2, 4)
    layers: tuple[int, ...] = (1, 2, 3)
    seeds: int = 3
    steps: int = 1500
    slots: int = 4
    width: int = 96
    ff_dim: int = 512
    timed: bool = False
    device: str = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        if not self.students or any(kind not in WITH_HEADS for kind in self.students):
            raise SettingsError(f"The students must be of {', '.join(WITH_HEADS)}.", field="students")
        for field, name in (
            ("students", "students"),
            ("heads", "heads H"),
            ("layers", "layers L"),
            ("teacher_heads", "teacher heads N"),
        ):
            _require_distinct(getattr(self, field), name, field)
        for field, name, least in (("seeds", "number of seeds", 1), ("steps", "number of steps", 1)):
            if getattr(self, field) < least:
                raise SettingsError(f"The {name} must be at least {least}.", field=field)
        if self.slots_matter and self.slots < 2:
            raise SettingsError(
                "A student with one slot a head has nothing to choose from.", "Take 2 or more.", field="slots"
            )

    def student(self, kind: str, heads: int, layers: int) -> StudentConfig:
        """Return the student of a cell."""
        fixed = {"ff_dim": self.ff_dim, "slots": self.slots, "width": self.width, "dropout": 0.0}
        alone = student_kind(kind).FIXED_BESIDE_SHAPE
        return student_settings(kind, {"heads": heads, "layers": layers, **fixed, **alone})

    @property
    def slots_matter(self) -> bool:
        """Whether a student takes part whose heads choose from slots."""
        return any("slots" in STUDENT_KINDS[kind].__struct_fields__ for kind in self.students)

    def chosen_teacher_heads(self, available: int) -> tuple[int, ...]:
        """Return the N, ascending and each once, for a projection of so many heads.

        Raises:
            SettingsError: An N is more than there are.
        """
        if self.teacher_heads is None:
            chosen = {count for count in USUAL_TEACHER_HEADS if count < available} | {available}
        else:
            chosen = {available if count is None else count for count in self.teacher_heads}
        if max(chosen) > available:
            raise SettingsError(
                f"The projection has {available} heads, fewer than N = {max(chosen)}.",
                "Take fewer, or all.",
                field="teacher_heads",
            )
        return tuple(sorted(chosen))

    def require_fitting(self, dimension: int, teacher_heads: tuple[int, ...]) -> None:
        """Check every cell before the first one is trained.

        Raises:
            SettingsError: An H does not divide what the heads share, or an N is too small for a student.
        """
        for kind in self.students:
            least = student_kind(kind).LEAST_HEADS
            if min(teacher_heads) < least:
                raise SettingsError(
                    f"With N = {min(teacher_heads)} the student {kind} is the LDA itself.",
                    f"Take an N of {least} or more.",
                    field="teacher_heads",
                )
            for heads, layers in product(self.heads, self.layers):
                self.student(kind, heads, layers).check(dimension)
        if self.slots_matter and min(teacher_heads) < self.slots:
            raise SettingsError(
                f"N = {min(teacher_heads)} is less than the K = {self.slots} slots of every cell.",
                "Take a larger N, or fewer slots.",
                field="slots",
            )


def _require_distinct(values: tuple[object, ...] | None, name: str, field: str) -> None:
    if values is None:
        return
    numbers = [value for value in values if isinstance(value, int)]
    if not values or len(set(values)) < len(values) or (numbers and min(numbers) < 1):
        raise SettingsError(f"The {name} must be different and at least 1, and one or more.", field=field)


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
        single_us, lda_single_us: Of one query, medians in alternating blocks; None where nothing was timed.
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
    single_us: float | None = None
    lda_single_us: float | None = None

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
        single_us, lda_single_us: Of one query, means over the seeds; None where nothing was timed.
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
    single_us: float | None = None
    lda_single_us: float | None = None


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


def read_hl_result(path: str | os.PathLike[str]) -> HlFinished:
    """Return what `experiment hl --out` wrote.

    Raises:
        DistillError: The file is missing, or is none of those.
    """
    file = Path(path)
    try:
        file = file.expanduser()
        return msgspec.json.decode(file.read_bytes(), type=HlFinished)
    except RuntimeError as error:
        raise DistillError(f"{file} cannot be found: there is no such home directory.") from error
    except OSError as error:
        raise DistillError(f"{file} cannot be read ({error.strerror}).", "Check the path.") from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise DistillError(
            f"{file} is no result of the experiment.", "'distill-tui experiment hl DB --out FILE' writes one."
        ) from error
