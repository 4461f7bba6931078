"""The engine of distill-tui: teacher, students, training, evaluation and latency, without a user interface.

The names below are loaded when they are first used, so that importing this package stays cheap
and the parts that need torch load it only when they are asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distill_core.architecture import optimal_architecture
    from distill_core.config import RunConfig
    from distill_core.database import LdaDatabase, demo_database_path
    from distill_core.errors import DistillError
    from distill_core.latency import compare_latency
    from distill_core.students import ProjectionTransformer
    from distill_core.teacher import MultiHeadLDA
    from distill_core.training import train, train_distillation

_HOMES = {
    "DistillError": "distill_core.errors",
    "LdaDatabase": "distill_core.database",
    "MultiHeadLDA": "distill_core.teacher",
    "ProjectionTransformer": "distill_core.students",
    "RunConfig": "distill_core.config",
    "compare_latency": "distill_core.latency",
    "demo_database_path": "distill_core.database",
    "optimal_architecture": "distill_core.architecture",
    "train": "distill_core.training",
    "train_distillation": "distill_core.training",
}

__all__ = [
    "DistillError",
    "LdaDatabase",
    "MultiHeadLDA",
    "ProjectionTransformer",
    "RunConfig",
    "compare_latency",
    "demo_database_path",
    "optimal_architecture",
    "train",
    "train_distillation",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
