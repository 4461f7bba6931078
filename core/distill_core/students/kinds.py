"""A student of the shape that the settings ask for."""

from __future__ import annotations

from distill_core.architecture import memory_slots, memory_width, mlp_width
from distill_core.config import StudentConfig, require_fitting_heads
from distill_core.students.networks.encoder import ProjectionTransformer
from distill_core.students.networks.memory import MemoryStudent
from distill_core.students.networks.mlp import MlpStudent
from distill_core.students.networks.student import Student


def new_student(config: StudentConfig, dimension: int, num_heads: int) -> Student:
    """Build an untrained student with torch's current random state.

    Args:
        config: Kind and shape; a dropout that is left to the recipe counts as none.
        dimension: d of the teacher.
        num_heads: N of the teacher: a memory never has more slots.

    Raises:
        SettingsError: H does not divide what the heads share.
    """
    require_fitting_heads(config, dimension)
    dropout = config.dropout or 0.0
    if config.kind == "memory":
        slots = memory_slots(config.slots, num_heads)
        width = memory_width(config.width, dimension)
        return MemoryStudent(dimension, config.heads, config.layers, slots, width)
    if config.kind == "mlp":
        width = mlp_width(dimension, config.layers, config.ff_dim)
        return MlpStudent(dimension, config.layers, width, dropout)
    return ProjectionTransformer(dimension, config.heads, config.layers, config.ff_dim, dropout)
