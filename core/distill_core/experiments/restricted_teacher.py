"""A teacher of fewer heads, with the same queries labelled anew by it. No torch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from distill_core.splits import Split
from distill_core.teacher import MultiHeadLDA
from distill_core.teacher_data import LabelledQuestions, TeacherData


def restricted(labelled: LabelledQuestions, split: Split, num_heads: int, seed: int) -> TeacherData:
    """Return the queries and their split with the labels of N heads, drawn from all by the seed.

    The heads of one seed are nested: those of a smaller N are among those of a larger one. Queries whose own
    head is not drawn stay; the drawn heads label them.

    Args:
        labelled: All heads; 1 <= N <= their number.
        split: Of the queries.
        num_heads: N.
        seed: Of the draw.
    """
    teacher = labelled.teacher
    order = np.random.default_rng(seed).permutation(teacher.num_heads)
    rows = np.sort(order[:num_heads])
    part = MultiHeadLDA(teacher.centroids[rows], teacher.answers[rows], teacher.temperature)
    return TeacherData(
        labelled=replace(labelled, teacher=part), targets=part.project(labelled.queries), split=split
    )
