"""Reading an `lda.db`."""

from __future__ import annotations

from distill_core.database.demo import demo_database_path
from distill_core.database.lda_database import LdaDatabase
from distill_core.database.records import (
    Answer,
    EmbeddingModel,
    Head,
    Problem,
    Projection,
    Question,
    Remapping,
)

__all__ = [
    "Answer",
    "EmbeddingModel",
    "Head",
    "LdaDatabase",
    "Problem",
    "Projection",
    "Question",
    "Remapping",
    "demo_database_path",
]
