"""The parts of a model card: its Markdown, where the student comes from, and what it was measured to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath

from distill_core.architecture import lda_cost
from distill_core.config import RunConfig, SplitConfig, TrainingConfig
from distill_core.evaluation.metrics import Score
from distill_core.evaluation.report import Assessment
from distill_core.evaluation.retrieval import RetrievalScores, RetrievalTable
from distill_core.export.contents import RunContents, StudentFacts
from distill_core.foreign_text import visible
from distill_core.latency.events import LatencyFinished, MachineRecord, ModelLatency
from distill_core.runs.records import DataRecord, EvaluationRecord
from distill_core.students.kinds import STUDENT_KINDS
from distill_core.training.events import RunFinished
from distill_core.wording import estimate_words, faster_sentence, plural

_SYNTAX = re.compile(
    r"[\\`*\[\]<>~$]|&(?=[#\w])|(?<!\w)_|_(?!\w)|:(?=//)|(?<=www)\.|^[#+=-]|(?<=^\d)[.)]", re.IGNORECASE
)
"""What would make links, images, HTML, headings or lists of a text from outside."""
_LONGEST_LINE, _LONGEST_CODE = 100_000, 1000


def prose(text: str) -> str:
    """Return text from outside as words in a line, which stand for nothing but themselves."""
    return _SYNTAX.sub(lambda found: f"\\{found[0]}", visible(text))


def document(blocks: Iterable[str]) -> bytes:
    """Return blocks as a file; what a terminal would obey is not in it, whatever the blocks hold."""
    lines = "\n\n".join(blocks).split("\n")
    return ("\n".join(visible(line, _LONGEST_LINE) for line in lines) + "\n").encode()


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, its first column to the left and the others to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(_row(cells) for cells in (header, rule, *rows))


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Return a list of named facts."""
    return "\n".join(f"- {name}: {value}" for name, value in rows)


def fenced(text: str, language: str = "") -> str:
    """Return text that is shown as it is, whatever it holds."""
    ticks = "`" * max(3, 1 + _longest_ticks(text))
    return f"{ticks}{language}\n{text}\n{ticks}"


def code(text: str) -> str:
    """Return text in a line that is shown as it is."""
    plain = " ".join(visible(text, _LONGEST_CODE).split())
    ticks = "`" * (1 + _longest_ticks(plain))
    space = " " if "`" in plain else ""
    return f"{ticks}{space}{plain}{space}{ticks}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _longest_ticks(text: str) -> int:
    longest = run = 0
    for letter in text:
        run = run + 1 if letter == "`" else 0
        longest = max(longest, run)
    return longest


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


def result_blocks(evaluation: EvaluationRecord) -> Iterator[str]:
    """Yield the paragraphs and tables about the test queries, the verdict first."""
    finished = evaluation.finished
    if finished.verdict is not None:
        yield f"**{prose(finished.verdict.sentence)}**"
        yield "\n".join(
            f"- {prose(line)}" for line in (*finished.verdict.reasons, finished.verdict.would_change)
        )
    if evaluation.assessed is None:
        yield _short_figures(finished)
        return
    assessment = evaluation.assessed.assessment
    yield (
        f"Judged on {assessment.n:,} test queries of {plural(assessment.num_clusters, 'cluster')}"
        f"{assessment.weights_words}, "
        f"{assessment.near_duplicates:,} of them with a near-duplicate in training. In brackets: 95 % "
        "intervals that resample clusters. Skill is 1 - (1 - cosine) / (1 - cosine of the constant): 1 is "
        "the teacher, 0 a constant. *Student minus it* is the paired difference in skill."
    )
    yield _ladder(assessment)
    if assessment.retrieval is not None:
        yield from _retrieval_blocks(assessment.retrieval, assessment)


def _short_figures(finished: RunFinished) -> str:
    mean, n = finished.evaluation.cosine.mean, finished.evaluation.n
    skill = "not defined" if finished.skill is None else f"{finished.skill:.3f}"
    return f"Mean cosine {mean:.4f} on {n:,} test queries, skill {skill}; no intervals."


def _ladder(assessment: Assessment) -> str:
    header = ("", "mean cosine", "lowest", "skill", "student minus it", "MSE", "parameters")
    return table(header, (_ladder_row(score) for score in assessment.ranked()))


def _ladder_row(score: Score) -> tuple[str, ...]:
    difference = score.skill_difference
    return (
        "**student**" if score.name == "student" else prose(score.label),
        estimate_words(score.mean_cosine, 4),
        "-" if score.cosine is None else f"{score.cosine.min:.4f}",
        estimate_words(score.skill, 3),
        "" if difference is None else estimate_words(difference, 3),
        "-" if score.mse.value is None else f"{score.mse.value:.3g}",
        f"{score.cost.parameters:,}",
    )


def _retrieval_blocks(retrieval: RetrievalTable, assessment: Assessment) -> Iterator[str]:
    chance = ", ".join(f"{level:.3f}" for level in retrieval.chance)
    ranked = retrieval.num_ranked
    sample = "" if ranked is None else f" for a sample of {ranked:,} queries"
    yield (
        f"Retrieval over {plural(retrieval.num_answers, 'answer')}{sample}: *agreement* is the share of the "
        f"teacher's best answers found (by chance {chance} at 1, 5 and 10); *recall* and MRR go by the true "
        f"answers of {retrieval.num_judged:,} queries."
    )
    labels = {score.name: prose(score.label) for score in assessment.baselines} | {"student": "**student**"}
    header = ("", "agreement@1", "agreement@5", "agreement@10", "recall@1", "recall@10", "MRR")
    yield table(
        header, (_retrieval_row(labels.get(row.name, prose(row.name)), row) for row in retrieval.scores)
    )


def _retrieval_row(label: str, row: RetrievalScores) -> tuple[str, ...]:
    agreement = (row.agreement_at_1, row.agreement_at_5, row.agreement_at_10)
    estimates = (*agreement, row.recall_at_1, row.recall_at_10, row.mrr)
    return label, *(estimate_words(estimate, 3) for estimate in estimates)


def latency_blocks(latency: LatencyFinished) -> Iterator[str]:
    """Yield the paragraphs and the table about the time a query takes, with the machine."""
    yield (
        f"On {prose(latency.device)} with {plural(latency.threads, 'thread')}, {latency.num_heads:,} heads, "
        f"single queries and batches of {latency.batch_size:,}; LDA and student in alternating blocks, "
        "warmed up."
    )
    yield _machine_words(latency.machine)
    header = ("microseconds a query", "p50", "p90", "p99", "queries/s")
    models = [("LDA", latency.lda), ("student", latency.transformer)]
    if latency.unfolded is not None:
        models = [("LDA", latency.lda), ("student, folded", latency.transformer)]
        models.append(("student, as trained", latency.unfolded))
    yield table(header, (row for name, model in models for row in _latency_rows(name, model)))
    yield (
        f"Single queries: {faster_sentence(latency.single_ratio, latency.single_ratio_interval)}. "
        f"In batches: {faster_sentence(latency.batch_ratio, latency.batch_ratio_interval)}."
    )
    if not latency.steady:
        yield "The machine was unsteady: blocks of one model disagree."


def _latency_rows(name: str, model: ModelLatency) -> Iterator[tuple[str, ...]]:
    cases = (
        (f"{name}, single", model.single_us, model.single_qps),
        (f"{name}, batch", model.batch_us_per_query, model.batch_qps),
    )
    for label, times, rate in cases:
        yield label, f"{times.p50:.1f}", f"{times.p90:.1f}", f"{times.p99:.1f}", f"{rate:,.0f}"


def _machine_words(machine: MachineRecord | None) -> str:
    if machine is None:
        return "The machine is not recorded."
    gpu = "" if machine.gpu is None else f", {machine.gpu}"
    busy = " It was busy with other work, too." if machine.is_busy else ""
    return prose(
        f"Machine: {machine.cpu}, {machine.usable_cores} of {plural(machine.cores, 'core')}{gpu}, "
        f"{machine.system}, {machine.blas or 'BLAS unknown'}, torch {machine.torch}, "
        f"Python {machine.python}.{busy}"
    )
