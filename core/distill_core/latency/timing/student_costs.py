"""What a student that exists costs to run, from its own shape."""

from __future__ import annotations

from distill_core.architecture import Cost, folded_encoder_cost, memory_cost, mlp_cost
from distill_core.students import MemoryStudent, MlpStudent, ProjectionTransformer


def running_cost(student: object) -> Cost | None:
    """Return the cost of a student as it is timed, folded where it folds; None where the kind is unknown."""
    match student:
        case ProjectionTransformer():
            return folded_encoder_cost(student.embed_dim, student.num_layers, student.ff_dim)
        case MemoryStudent():
            return memory_cost(
                student.embed_dim, student.num_heads, student.num_layers, student.slots, student.width
            )
        case MlpStudent():
            return mlp_cost(student.embed_dim, student.num_layers, student.width)
    return None
