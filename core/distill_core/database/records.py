"""What an `lda.db` holds, as plain records. No torch, no SQL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

Progress = Callable[[str, int, int], None]
"""Told what is read ("question vectors"), how much of it is, how much there is. May raise, to end that."""


def untold(what: str, done: int, total: int) -> None:
    """Tell nobody how far a reading is."""


class EmbeddingModel(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `embedding_models`."""

    id: int
    name: str
    dimension: int


class Projection(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `multi_head_projections`, with what belongs to it.

    Attributes:
        id: `mh_projection_id`.
        name: The projection's own name; may be empty.
        model_id: The projection's own embedding model; vectors of other models never mix in.
        model: The model's name.
        dimension: d, the length of every vector of the model.
        num_heads: N, counted from `cluster_heads`, not copied from the stored figure.
        temperature: tau as stored (the schema's default is 1.0).
        num_questions: Question embeddings of the model, which are the queries of this projection.
        created_at: As stored, for display.
        stored_num_heads: `num_heads` as stored, to compare with what was counted; None if not stored.
        recall_at_1: As the teacher's own tool measured it, for display; None if not stored.
        mrr: Mean reciprocal rank, likewise.
    """

    id: int
    name: str
    model_id: int
    model: str
    dimension: int
    num_heads: int
    temperature: float
    num_questions: int
    created_at: str = ""
    stored_num_heads: int | None = None
    recall_at_1: float | None = None
    mrr: float | None = None


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `cluster_heads` with its cluster's name. Heads are ordered by `cluster_id`."""

    cluster_id: int
    cluster_name: str
    num_questions: int
    has_matrix: bool


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `questions` with the clusters it belongs to (usually one)."""

    id: int
    text: str
    length_type: str
    cluster_ids: tuple[int, ...]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `answers` with the clusters it belongs to."""

    id: int
    text: str
    cluster_ids: tuple[int, ...]


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Something about the database that the user should know.

    Attributes:
        severity: "error": the projection (or the file) cannot be used; "warning": it may
            be another one than is meant; "note": it can be used, but look at this.
        message: One sentence that names the file or the row.
        hint: What to do about it; may be empty.
        mh_id: The projection it is about, or None for the whole database.
    """

    severity: str
    message: str
    hint: str = ""
    mh_id: int | None = None


class Remapping(msgspec.Struct, frozen=True, kw_only=True):
    """How the stored vector paths of one projection were found.

    Attributes:
        as_stored: Files found at the stored path, from the database's folder or the working directory.
        remapped: Files found elsewhere by the path rules.
        missing: Stored paths for which no file was found.
        places: The folders in which remapped files were found, most files first.
    """

    as_stored: int = 0
    remapped: int = 0
    missing: tuple[str, ...] = ()
    places: tuple[Path, ...] = ()
