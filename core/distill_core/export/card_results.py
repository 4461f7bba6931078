"""What a model card says about how well a student does, and how fast. No torch."""

from __future__ import annotations

from collections.abc import Iterator

from distill_core.evaluation.metrics import Score
from distill_core.evaluation.report import Assessment
from distill_core.evaluation.retrieval import RetrievalScores, RetrievalTable
from distill_core.export.markdown import prose, table
from distill_core.latency.events import LatencyFinished, MachineRecord, ModelLatency
from distill_core.runs.records import EvaluationRecord
from distill_core.training.events import RunFinished
from distill_core.wording import estimate_words, faster_sentence, plural


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
        f"Judged on {assessment.n:,} test queries of {plural(assessment.num_clusters, 'cluster')}, "
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
    yield (
        f"Retrieval over {plural(retrieval.num_answers, 'answer')}: *agreement* is the share of the "
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
