"""The model card of an exported student, as the Hugging Face hub reads it."""

from __future__ import annotations

import json
import os
import shlex
import string
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from distill_core.config import RunConfig
from distill_core.export.card_parts import (
    code,
    document,
    facts,
    fenced,
    latency_blocks,
    prose,
    result_blocks,
    student_blocks,
    teacher_blocks,
    training_blocks,
)
from distill_core.export.contents import RunContents, StudentFacts
from distill_core.export.directory import CONFIG_TOML, FOLDED, ONNX, WEIGHTS, OnnxCheck
from distill_core.foreign_text import visible

_LETTERS = string.ascii_letters + string.digits + "/._-+,:@%= "


def train_command(config: RunConfig) -> str:
    """Return the command with every setting."""
    lines = [f"distill-tui train {shell_word(config.data.database)}", *_options(config)]
    return " \\\n  ".join(lines)


def shell_word(text: str) -> str:
    r"""Return a text as one word of a shell; one that a terminal would obey as `$'\x1b'`, byte by byte."""
    if visible(text, len(text)) == text:
        return shlex.quote(text)
    words = (chr(byte) if chr(byte) in _LETTERS else f"\\x{byte:02x}" for byte in os.fsencode(text))
    return "$'" + "".join(words) + "'"


def _options(config: RunConfig) -> Iterator[str]:
    for group in (config.data, config.student, config.training, config.split):
        if group is config.student:
            yield f"--student {config.student.kind}"
        for field in msgspec.structs.fields(group):
            if not field.required:
                yield from _valued(field.name, getattr(group, field.name))


def _valued(field: str, value: object) -> Iterator[str]:
    option = f"--{field.replace('_', '-')}"
    if value is True:
        yield option
    elif value is not None and value is not False:
        yield f"{option} {shell_word(str(value))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a model card is made from.

    Attributes:
        student: None without weights.
        written: The files beside the card.
        left_out: Why a part is missing.
        onnx: None without `model.onnx`.
    """

    contents: RunContents
    student: StudentFacts | None
    written: tuple[str, ...]
    left_out: dict[str, str]
    onnx: OnnxCheck | None


def model_card(card: Card) -> bytes:
    """Return `README.md`, with a header for programs."""
    blocks = [_header(card.contents), f"# {prose(card.contents.title)}", *_opening(card.contents)]
    for heading, section in (
        ("How to load", _loading(card)),
        ("Teacher", teacher_blocks(card.contents, card.student)),
        ("Student", student_blocks(card.student)),
        ("Training", training_blocks(card.contents)),
        ("Results", _results(card.contents)),
        ("Latency", _latency(card.contents)),
        ("Limits", _limits(card.contents)),
        ("How to reproduce", _reproduction(card)),
        ("Left out", _missing(card)),
    ):
        inside = list(section)
        blocks += [f"## {heading}", *inside] if inside else []
    return document(blocks)


def onnx_words(check: OnnxCheck) -> str:
    """Say how an ONNX model was checked."""
    return (
        f"opset {check.opset}, differs from torch by at most {check.difference:.1e} of the largest output on "
        f"{check.queries:,} queries, {check.test_queries:,} of them from the test part"
    )


def _header(contents: RunContents) -> str:
    """Return YAML, each value of it as JSON, which YAML includes."""
    fields: dict[str, object] = {
        "license": "unknown",
        "library_name": "distill-tui",
        "pipeline_tag": "feature-extraction",
        "tags": ["distillation", "semantic-search", "multi-head-lda"],
    }
    if contents.evaluation is not None:
        fields["metrics"] = ["cosine_similarity", "skill"]
    lines = (f"{name}: {json.dumps(value)}" for name, value in fields.items())
    return "\n".join(("---", *lines, "---"))


def _opening(contents: RunContents) -> Iterator[str]:
    keeps_heads = contents.config is not None and contents.config.student.KEEPS_HEADS
    yield (
        "A student distilled from a multi-head LDA projection: it maps a query's embedding to where its "
        "answer is to be looked for, `softmax(cos(q, centroids) / τ) @ answers`, "
        f"without {'computing all' if keeps_heads else 'holding'} the heads."
    )
    evaluation = contents.evaluation
    if evaluation is not None and evaluation.finished.verdict is not None:
        yield f"> {prose(evaluation.finished.verdict.sentence)}"


def _loading(card: Card) -> Iterator[str]:
    if card.student is None:
        return
    yield fenced(
        "import distill_core\n\n"
        'student = distill_core.load("path/to/this/folder")\n'
        f"projections = student.project(queries)  # NumPy (n, {card.student.dimension}) in and out",
        "python",
    )
    yield _weights_words(card)
    if ONNX in card.written and card.onnx is not None:
        yield f"{code(ONNX)}: {onnx_words(card.onnx)}."
        yield fenced(
            "import onnxruntime\n\n"
            f'session = onnxruntime.InferenceSession("{ONNX}")\n'
            '(projections,) = session.run(None, {"queries": queries})  # float32',
            "python",
        )


def _weights_words(card: Card) -> str:
    if FOLDED in card.written:
        return (
            f"`load` takes {code(FOLDED)}, the same function with everything linear multiplied out. "
            f"{code(WEIGHTS)} has the weights as trained."
        )
    return f"The weights are in {code(WEIGHTS)}."


def _results(contents: RunContents) -> Iterator[str]:
    if contents.evaluation is None:
        yield "This student was not judged on the test queries: its run has not come to its end."
    else:
        yield from result_blocks(contents.evaluation)


def _latency(contents: RunContents) -> Iterator[str]:
    if contents.latency is None:
        yield "Not measured."
    else:
        yield from latency_blocks(contents.latency)


def _limits(contents: RunContents) -> Iterator[str]:
    lines = [
        "It stands in for this one teacher at this temperature; other heads or another temperature need "
        "another student.",
        "Queries must come from the embedding model of the database, at the same scale.",
        "It was judged on queries like those of the database; for others the figures say nothing.",
    ]
    if contents.evaluation is not None and contents.evaluation.assessed is not None:
        assessment = contents.evaluation.assessed.assessment
        lines.append(
            f"The intervals tell how far {assessment.n:,} test queries may mislead, not how another seed, "
            "another split or other data would do."
        )
    if contents.state is not None and contents.state.state != "finished":
        why = f" ({prose(contents.state.error)})" if contents.state.error else ""
        lines.append(f"The run is not finished{why}; these are its best weights so far.")
    yield "\n".join(f"- {line}" for line in lines)


def _reproduction(card: Card) -> Iterator[str]:
    contents = card.contents
    if contents.config is None:
        return
    yield fenced(train_command(contents.config), "sh")
    if CONFIG_TOML in card.written:
        yield "Or from the settings in this folder:"
        yield fenced(
            "from pathlib import Path\n\n"
            "from distill_core import train\n"
            "from distill_core.runs.records import read_config\n\n"
            f'for event in train(read_config(Path("{CONFIG_TOML}"))):\n'
            "    print(event)",
            "python",
        )
    if contents.data is not None:
        versions = ", ".join(prose(f"{name} {version}") for name, version in contents.data.packages.items())
        yield f"Made with {versions}."
    if contents.started is not None and contents.started.device == "cpu":
        yield "On the same kind of CPU the same versions give the same weights to the last bit."


def _missing(card: Card) -> Iterator[str]:
    if card.left_out:
        yield facts((prose(name), code(why)) for name, why in card.left_out.items())
