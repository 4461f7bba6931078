"""The networks that learn the teacher's function, and their files."""

from distill_core.students.checkpoint import load_student, require_writable, save_student
from distill_core.students.encoder import ProjectionTransformer

__all__ = ["ProjectionTransformer", "load_student", "require_writable", "save_student"]
