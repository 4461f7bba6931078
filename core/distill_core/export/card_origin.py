"""What a model card says about teacher, student and training. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from distill_core.architecture import lda_cost
from distill_core.config import RunConfig, SplitConfig, TrainingConfig
from distill_core.export.contents import RunContents
from distill_core.export.markdown import code, facts, prose
from distill_core.export.student_facts import StudentFacts
from distill_core.runs.records import DataRecord
from distill_core.students.kinds import STUDENT_KINDS

_UNKNOWN = "not recorded"


def teacher_blocks(contents: RunContents, student: StudentFacts | None) -> Iterator[str]:
    """Yield the list of what is known of the teacher."""
    config, data, started = contents.config, contents.data, contents.started
    dimension = started.dimension if started else student.dimension if student else None
    rows = [
        ("Database", _database(config)),
        ("SHA-256", code(data.database_sha256) if data else _UNKNOWN),
        ("Projection", str(config.data.mh_id) if config else _UNKNOWN),
        ("Heads N", f"{started.num_heads:,}" if started else _UNKNOWN),
        ("Dimension d", f"{dimension:,}" if dimension else _UNKNOWN),
        ("Temperature τ", f"{data.temperature:g}" if data else _UNKNOWN),
    ]
    if started is not None:
        cost = lda_cost(started.num_heads, started.dimension)
        rows.append(("Size", f"{cost.parameters:,} numbers, {cost.flops:,} operations a query"))
    yield facts(rows)


def _database(config: RunConfig | None) -> str:
    if config is None:
        return _UNKNOWN
    path = PurePath(config.data.database)
    return code(str(PurePath(path.parent.name, path.name)))


def student_blocks(student: StudentFacts | None) -> Iterator[str]:
    """Yield kind, shape and size of the student."""
    if student is None:
        return
    rows = [
        ("Kind", prose(student.kind)),
        ("Shape", ", ".join(f"{prose(name)} {_shown(value)}" for name, value in student.shape.items())),
        ("Parameters", f"{student.parameters:,}"),
    ]
    if student.folded_parameters is not None:
        rows.append(("Parameters folded", f"{student.folded_parameters:,}"))
    yield facts(rows)
    note = STUDENT_KINDS[student.kind].CARD_NOTE
    if note:
        yield note


def _shown(value: float | str) -> str:
    return prose(value) if isinstance(value, str) else f"{value:g}"


def training_blocks(contents: RunContents) -> Iterator[str]:
    """Yield the loss, the split and how long the student was trained."""
    config = contents.config
    if config is None:
        return
    training = config.training
    rows = [
        ("Loss", _loss(training)),
        ("Recipe", training.recipe),
        ("Split", _split(config.split, contents.data)),
        ("Seed", str(training.seed)),
        ("Epochs", _epochs(contents)),
        ("Batch", str(training.batch_size or _UNKNOWN)),
        ("Learning rate", f"{training.learning_rate:g}" if training.learning_rate else _UNKNOWN),
    ]
    if contents.started is not None:
        rows.append(("Device", prose(contents.started.device)))
    yield facts(rows)


def _loss(training: TrainingConfig) -> str:
    weight, reduction = training.cosine_weight, training.mse_reduction or "mean"
    return f"{1 - weight:g} · MSE + {weight:g} · (1 - cosine), MSE as {reduction} over d"


def _split(split: SplitConfig, data: DataRecord | None) -> str:
    words = f"by {split.split} ({'whole clusters unseen' if split.split == 'cluster' else 'at random'})"
    if data is not None:
        words += f": {len(data.train):,} train, {len(data.validation):,} validation, {len(data.test):,} test"
    if split.exclude_near_duplicates:
        words += "; judged without test queries that nearly stand in the training part"
    return words


def _epochs(contents: RunContents) -> str:
    planned = contents.config.training.epochs if contents.config else None
    done = contents.rows[-1].epoch if contents.rows else 0
    return f"{done:,}" if planned is None else f"{done:,} of {planned:,}"
