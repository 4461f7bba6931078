"""The heads of a multi-head LDA projection, and how well it finds the answers of its own questions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Numbers = NDArray[np.float64]

CENTROID_PASSES = 2


@dataclass(frozen=True)
class Score:
    """What a projection achieves over its own questions.

    Attributes:
        recall_at_1: Share of questions whose nearest answer is one of their cluster.
        mrr: Mean of 1 / rank of the first answer of the question's cluster.
        effective_heads: exp(entropy of the routing weights), per question.
    """

    recall_at_1: float
    mrr: float
    effective_heads: Numbers


def centroid(questions: Vectors) -> Vectors:
    """Return the centroid (d,) of a cluster's question vectors (n, d).

    The method weighs the questions so that odd ones count less: starting from the normalised mean c, it sets
    c = normalise(sum_i w_i q_i) with w = softmax(q . c), twice.
    """
    vectors = questions.astype(np.float64)
    centre = _normalised(vectors.mean(axis=0))
    for _ in range(CENTROID_PASSES):
        centre = _normalised(_softmax(vectors @ centre) @ vectors)
    return centre.astype(np.float32)


def answer_embedding(answers: Vectors) -> Vectors:
    """Return the normalised mean (d,) of a cluster's answer vectors (m, d)."""
    return _normalised(answers.astype(np.float64).mean(axis=0)).astype(np.float32)


def score(
    questions: Vectors,
    answers: Vectors,
    true: NDArray[np.bool_],
    heads: tuple[Vectors, Vectors],
    temperature: float,
) -> Score:
    """Rank all answers by their cosine to the projection of each question.

    Args:
        questions: (n, d).
        answers: (m, d).
        true: (n, m), whether the answer belongs to the question's cluster.
        heads: Centroids (N, d) and answer embeddings (N, d).
        temperature: tau of the softmax over the heads.
    """
    centroids, head_answers = heads
    cosines = _normalised(questions.astype(np.float64)) @ _normalised(centroids.astype(np.float64)).T
    weights = _softmax(cosines / temperature)
    projected = weights @ head_answers.astype(np.float64)
    similarity = _normalised(projected) @ _normalised(answers.astype(np.float64)).T
    best_true = np.where(true, similarity, -np.inf).max(axis=1, keepdims=True)
    ranks = 1 + (similarity > best_true).sum(axis=1)
    entropy = -(weights * np.log(weights + 1e-300)).sum(axis=1)
    return Score(float((ranks == 1).mean()), float((1 / ranks).mean()), np.exp(entropy))


def _normalised(vectors: Numbers) -> Numbers:
    unit: Numbers = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return unit


def _softmax(scores: Numbers) -> Numbers:
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares: Numbers = powers / powers.sum(axis=-1, keepdims=True)
    return shares
