"""The settings that a student was built from, read off the student itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from distill_core.architecture import mlp_width
from distill_core.config import StudentConfig

if TYPE_CHECKING:
    from distill_core.students import Student

_FIELDS = {
    "num_heads": "heads",
    "num_layers": "layers",
    "ff_dim": "ff_dim",
    "slots": "slots",
    "width": "width",
    "dropout": "dropout",
}
_MOST_FF = 65536


def student_config(student: Student) -> StudentConfig:
    """Return the settings that give a student of this shape, for a file that holds no run.

    An mlp is sized by the feed-forward width of the encoder that it stands against: the smallest that gives
    at least its width.
    """
    shape = {_FIELDS[name]: value for name, value in student.shape.items() if name in _FIELDS}
    if student.KIND == "mlp":
        width = cast(int, shape.pop("width"))
        shape["ff_dim"] = _equal_ff_dim(student.embed_dim, cast(int, shape["layers"]), width)
    return StudentConfig(kind=student.KIND).with_values(**shape)


def _equal_ff_dim(dimension: int, layers: int, width: int) -> int:
    low, high = 1, _MOST_FF
    while low < high:
        middle = (low + high) // 2
        if mlp_width(dimension, layers, middle) >= width:
            high = middle
        else:
            low = middle + 1
    return low
