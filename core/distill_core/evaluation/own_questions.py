"""What a teacher owes to the questions that judge it: each one's share in the centroid it is routed to.

The published tools make a centroid from all questions of its cluster, the judged ones too, so a question
finds its own head more easily than a new one would. Where a centroid can be made again from its questions,
the share of each is known, and the cosine to the centroid without it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distill_core.arrays import Ids, Matrix, Values
from distill_core.teacher import MultiHeadLDA
from distill_core.wording import plural

_SAME_DIRECTION = 1e-3
"""Distance of two unit vectors that are the same one: rounding to half precision moves one by 5e-4."""

_PASSES = 2
"""How often the published tools weigh a cluster's questions anew."""


@dataclass(frozen=True, slots=True)
class OwnQuestions:
    """Cosines of questions to the centroids of their own heads, without each question's share.

    Attributes:
        rows: (p,) which of the questions asked about, ascending.
        heads: (p,) a head of it.
        cosines: (p,) its cosine to this head's centroid without its share.
        known: (n,) whether all heads of a question are among them; so it is where it has none.
        gap: Why some questions are not known, in words; empty if all are.
    """

    rows: Ids
    heads: Ids
    cosines: Matrix
    known: NDArray[np.bool_]
    gap: str = ""


def own_questions(
    teacher: MultiHeadLDA, queries: Matrix, heads_of: Sequence[Sequence[int]], asked: Ids
) -> OwnQuestions:
    """Take each question's share out of the centroids of its heads.

    Args:
        teacher: The heads.
        queries: (M, d), all questions: the centroids were made of all of them.
        heads_of: For each of them the rows of the heads of its clusters; empty if nobody knows them.
        asked: (n,) the rows of the questions to do it for.
    """
    if not heads_of:
        return OwnQuestions(
            *(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32)),
            known=np.zeros(len(asked), np.bool_),
            gap="which questions belong to which head is not known",
        )
    members: defaultdict[int, list[int]] = defaultdict(list)
    for row, heads in enumerate(heads_of):
        for head in heads:
            members[head].append(row)
    places = {row: place for place, row in enumerate(asked.tolist())}
    known = np.ones(len(asked), np.bool_)
    found: list[tuple[int, int, float]] = []
    alone = other = 0
    for head in sorted({head for row in places for head in heads_of[row]}):
        mine = [(place, row) for place, row in enumerate(members[head]) if row in places]
        cosines = _without_each(queries[members[head]], teacher.centroids[head])
        if cosines is None:
            known[[places[row] for _, row in mine]] = False
            alone, other = alone + (len(members[head]) == 1), other + (len(members[head]) > 1)
        else:
            found += [(places[row], head, float(cosines[place])) for place, row in mine]
    found.sort()
    rows, columns, values = zip(*found, strict=True) if found else ((), (), ())
    return OwnQuestions(
        np.array(rows, np.int64),
        np.array(columns, np.int64),
        np.array(values, np.float32),
        known,
        _gap(alone, other),
    )


def _without_each(questions: Matrix, centroid: Matrix) -> Values | None:
    """Return each question's cosine (n,) to the centroid without its share; None where it is not known."""
    if len(questions) < 2:
        return None
    rows = np.asarray(questions, np.float64)
    target = np.asarray(centroid, np.float64) / np.linalg.norm(centroid)
    for weights in _weightings(rows):
        total = weights @ rows
        length = float(np.linalg.norm(total))
        if length > 0 and np.linalg.norm(total / length - target) <= _SAME_DIRECTION:
            rest = total - weights[:, None] * rows
            lengths = np.linalg.norm(rest, axis=1) * np.linalg.norm(rows, axis=1)
            return None if not lengths.all() else np.einsum("ij,ij->i", rest, rows) / lengths
    return None


def _weightings(rows: Values) -> Iterator[Values]:
    """Yield the ways to weigh the questions (n, d) of a cluster, each (n,): the published one first.

    That starts from the normalised mean c and sets c = normalise(sum_i w_i q_i) with w = softmax(q . c),
    twice, so that odd questions count less. The others are the mean of the questions and of their directions.
    """
    even = np.full(len(rows), 1.0 / len(rows))
    weights = even
    for _ in range(_PASSES):
        centre = weights @ rows
        scores = rows @ (centre / max(float(np.linalg.norm(centre)), 1e-300))
        powers = np.exp(scores - scores.max())
        weights = powers / powers.sum()
    yield weights
    yield even
    yield even / np.maximum(np.linalg.norm(rows, axis=1), 1e-300)


def _gap(alone: int, other: int) -> str:
    reasons = []
    if alone:
        reasons.append(f"{plural(alone, 'head')} had one question alone")
    if other:
        reasons.append(f"{plural(other, 'centroid')} cannot be made again from the questions")
    return " and ".join(reasons)
