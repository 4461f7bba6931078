"""Makes the labelled questions of a test from arrays."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import ArrayLike

from distill_core.evaluation import AnswerIndex
from distill_core.teacher import MultiHeadLDA
from distill_core.teacher_data import LabelledQuestions


def labelled(
    teacher: MultiHeadLDA,
    queries: ArrayLike,
    answers: AnswerIndex | None = None,
    true_answers: Sequence[Collection[int]] = (),
    heads_of: Sequence[int] = (),
) -> LabelledQuestions:
    """Return queries (n, d) with their true answers, and the one head and cluster of each, where given.

    Without heads every query is a cluster of its own.
    """
    rows = np.asarray(queries, np.float32)
    return LabelledQuestions(
        teacher=teacher,
        question_ids=np.arange(1, len(rows) + 1),
        queries=rows,
        clusters=np.array(heads_of or range(len(rows)), np.int64),
        answers=answers,
        true_answers=tuple(map(frozenset, true_answers)) or tuple(frozenset[int]() for _ in rows),
        heads_of=tuple((head,) for head in heads_of),
    )
