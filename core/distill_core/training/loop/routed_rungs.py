"""The ways to find near heads that a routed student's fit tries, all on the same labels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from distill_core.arrays import Ids, Matrix
from distill_core.evaluation.metrics import cosine_similarities
from distill_core.students.networks.code_index import CodeIndex
from distill_core.students.networks.head_rows import HeadRows
from distill_core.students.networks.routed import RoutedStudent
from distill_core.students.networks.routed_fields import Far
from distill_core.students.routed import LDA, RoutedConfig, Rung
from distill_core.teacher import MultiHeadLDA
from distill_core.training.loop.cells import Cells, grow_cells
from distill_core.training.loop.routed_fit import Near, fit_masses, fit_rest, merged, near_of
from distill_core.training.loop.routed_labels import Figures, Labeller, Labels, figures_of, some_of


class Fitted(NamedTuple):
    """A student on one rung of the ladder, and how near it comes to the validation labels.

    Attributes:
        student: Fitted.
        projections: (n, d), its own of the validation queries.
        figures: On them.
    """

    student: RoutedStudent
    projections: Matrix
    figures: Figures


class RungFitter:
    """Fits students of a teacher on rungs that share the tree, the codes and what was found for each label.

    Args:
        teacher: N heads.
        settings: Of the student.
        seed: Of tree and codes.
    """

    def __init__(self, teacher: MultiHeadLDA, settings: RoutedConfig, seed: int) -> None:
        self.keys = teacher.unit_centroids()
        self.labeller = Labeller(self.keys, teacher.answers)
        self._temperature, self._settings, self._seed = teacher.temperature, settings, seed
        self._answers = teacher.answers
        self._cells: Cells | None = None
        self._indexes: dict[int, CodeIndex] = {}
        self._stored: dict[bool, tuple[HeadRows, HeadRows]] = {}
        self._near: dict[tuple[Rung, str], Near] = {}
        self._masses: dict[Rung, Matrix] = {}
        self._nearest: Ids | None = None

    def lda(self) -> RoutedStudent:
        """Return the teacher itself as a student."""
        plain = HeadRows(self.keys), HeadRows(self._answers)
        return self._empty(LDA).fill(*plain, None, None)

    def recall(self, rung: Rung, validation: Labels) -> float | None:
        """Return the recall@1 of a scan on validation labels, which no fit changes; None of other rungs."""
        if rung.near != "scan":
            return None
        return self._near_of(self._unfitted(rung), validation, "validation").recall

    def fitted(self, rung: Rung, train: Labels, validation: Labels, spare: Labels | None = None) -> Fitted:
        """Return a student fitted on labels, the strengths of its ridges chosen on the validation labels.

        Args:
            rung: How near heads are found.
            train: Fitted on.
            validation: Judged on.
            spare: Further ones, for what the scan nearly misses.
        """
        if rung == LDA:
            student = self.lda()
            return self._judged(student, validation, 1.0)
        student = self._unfitted(rung)
        fields, cells = student.fields, self.cells
        near = self._near_of(student, train, "train")
        if rung not in self._masses:
            fit_masses(fields, cells, cells.order(), train, near)
            self._masses[rung] = fields.far.shift[: cells.number].copy()
        fields.far.shift[: cells.number] = self._masses[rung]
        if rung.near == "cells":  # which cells are nearest depends on how heavy they are
            near = near_of(fields, train, cells)
        judged = self._near_of(student, validation, "validation")
        fit_rest(fields, (train, near), (validation, judged))
        found = self._judged(student, validation, judged.recall)
        if spare is None or rung.near != "scan":
            return found
        return found._replace(figures=found.figures._replace(nearly=self._nearly(student, spare)))

    def _nearly(self, student: RoutedStudent, labels: Labels) -> float:
        """Return the smallest cosine where half as many candidates miss the best head, and of these alone."""
        rung, fields = student.rung, student.fields
        half = max(1, rung.refined // 2)
        narrow = self._empty(rung._replace(opened=min(rung.opened, half), refined=half))
        narrow.fill(fields.keys, fields.answers, fields.far, fields.index)
        missed = np.flatnonzero(~near_of(narrow.fields, labels, self.cells).hits)
        if not missed.size:
            return 1.0
        projections = narrow.project(labels.queries[missed])
        return float(cosine_similarities(projections, labels.targets[missed]).min())

    def restored(self, rung: Rung, linear: Matrix | None, shift: Matrix | None) -> RoutedStudent:
        """Return a student whose maps were fitted before; the LDA where there are none."""
        if linear is None or shift is None:
            return self.lda()
        student = self._unfitted(rung)
        student.fields.far.map[:], student.fields.far.shift[:] = linear, shift
        return student

    def state_dict(self) -> dict[str, Any]:
        """Return what was drawn or iterated to: the cells and the codes."""
        return {
            "cells": None if self._cells is None else self._cells.cell,
            "indexes": {count: (index.words, index.codes) for count, index in self._indexes.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over cells and codes."""
        if state["cells"] is not None:
            self._cells = Cells(state["cells"], self._number_of_cells)
        self._indexes = {count: CodeIndex(*arrays) for count, arrays in state["indexes"].items()}

    @property
    def cells(self) -> Cells:
        """The cells of the heads; grown when they are first needed."""
        if self._cells is None:
            self._cells = grow_cells(self.keys, self._settings.heads, self._settings.layers, self._seed)
        return self._cells

    @property
    def _number_of_cells(self) -> int:
        return min(self._settings.cells, len(self.keys))

    def _empty(self, rung: Rung) -> RoutedStudent:
        settings = self._settings
        return RoutedStudent(
            self.keys.shape[1],
            len(self.keys),
            settings.heads,
            settings.layers,
            **rung._asdict(),
            storage="float32" if rung == LDA else settings.storage,
            temperature=self._temperature,
        )

    def _unfitted(self, rung: Rung) -> RoutedStudent:
        far = merged(self.cells, self.keys, self._answers)
        by_cell = rung.near == "cells"
        if by_cell:
            far = Far(np.sort(far.cell), far.values, far.map, far.shift)
        return self._empty(rung).fill(*self._vectors(by_cell=by_cell), far, self._index(rung))

    def _vectors(self, *, by_cell: bool) -> tuple[HeadRows, HeadRows]:
        """Return the heads as they are stored, cell by cell where cells are opened."""
        if by_cell not in self._stored:
            rows: NDArray[np.int64] | slice = self.cells.order() if by_cell else slice(None)
            keys, answers = (
                HeadRows.stored(vectors[rows], self._settings.storage)
                for vectors in (self.keys, self._answers)
            )
            self._stored[by_cell] = keys, answers
        return self._stored[by_cell]

    def _index(self, rung: Rung) -> CodeIndex | None:
        if rung.near != "scan":
            return None
        if rung.codes not in self._indexes:
            self._indexes[rung.codes] = CodeIndex.fitted(self.keys, rung.codes, self._seed)
        return self._indexes[rung.codes]

    def _near_of(self, student: RoutedStudent, labels: Labels, part: str) -> Near:
        """Return what is near for labels; a scan is asked for those alone that have come since."""
        fields, rung = student.fields, student.rung
        if rung.near == "cells":
            return near_of(fields, labels, self.cells)
        known = self._near.get((rung, part))
        start = 0 if known is None else len(known.hits)
        if start < labels.number:
            more = near_of(fields, some_of(labels, slice(start, None)), self.cells)
            known = more if known is None else known.followed_by(more)
            self._near[rung, part] = known
        assert known is not None
        return known

    def _judged(self, student: RoutedStudent, validation: Labels, recall: float) -> Fitted:
        if self._nearest is None:
            self._nearest = self.labeller.nearest_answers(validation.targets)
        projections = student.project(validation.queries)
        figures = figures_of(projections, validation, self._nearest, self.labeller, recall)
        return Fitted(student, projections, figures)
