"""`config.json`: what a program needs to know of a model, and all settings of its run. No torch."""

from __future__ import annotations

import msgspec

from distill_core.config import RunConfig
from distill_core.export.contents import RunContents
from distill_core.export.student_facts import StudentFacts


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `config.json`. None where the run does not tell.

    Attributes:
        student: Kind of the student.
        shape: The arguments that build it.
        dimension: d, of queries and projections alike.
        database_sha256: Of the teacher's database.
        temperature: The teacher's τ.
        num_heads: N of the teacher.
        settings: Of the run.
    """

    library_name: str = "distill-tui"
    run: str
    student: str | None
    shape: dict[str, int | float | str]
    dimension: int | None
    database_sha256: str | None
    temperature: float | None
    num_heads: int | None
    settings: RunConfig | None
    packages: dict[str, str]


def model_config(contents: RunContents, student: StudentFacts | None) -> bytes:
    """Return the content of `config.json`."""
    data, started = contents.data, contents.started
    config = ModelConfig(
        run=contents.name,
        student=student.kind if student else None,
        shape=dict(student.shape) if student else {},
        dimension=student.dimension if student else None,
        database_sha256=data.database_sha256 if data else None,
        temperature=data.temperature if data else None,
        num_heads=started.num_heads if started else None,
        settings=contents.config,
        packages=data.packages if data else {},
    )
    return msgspec.json.format(msgspec.json.encode(config)) + b"\n"
