"""An assessment in plain lines: the verdict, the ladder with the student among it, retrieval."""

from __future__ import annotations

from collections.abc import Iterator

from distill_core.evaluation.metrics import Score
from distill_core.evaluation.report import Assessment
from distill_core.evaluation.retrieval import RetrievalTable
from distill_core.wording import estimate_words
from distill_tui.cli.output import table


def assessment_lines(assessment: Assessment) -> Iterator[str]:
    """Yield the whole assessment, best contestant first."""
    yield f"verdict: {assessment.verdict.sentence}"
    for reason in assessment.verdict.reasons:
        yield f"  {reason}"
    yield f"  {assessment.verdict.would_change}"
    yield (
        f"judged on {assessment.n} test queries of {assessment.num_clusters} clusters, "
        f"{assessment.near_duplicates} with a near-duplicate in training; 95 % intervals in brackets"
    )
    header = ("", "mean cosine", "min", "skill", "parameters")
    yield from table([header, *map(_score_row, assessment.ranked())])
    if assessment.retrieval is not None:
        yield from _retrieval_lines(assessment.retrieval)


def _score_row(score: Score) -> tuple[str, ...]:
    label = "* student" if score.name == "student" else f"  {score.label}"
    low = "-" if score.cosine is None else f"{score.cosine.min:.4f}"
    return (
        label,
        estimate_words(score.mean_cosine, 4),
        low,
        estimate_words(score.skill, 3),
        f"{score.cost.parameters:,}",
    )


def _retrieval_lines(retrieval: RetrievalTable) -> Iterator[str]:
    yield f"retrieval over {retrieval.num_answers} answers; agreement is with the teacher's best answers"
    rows: list[tuple[str, ...]] = [("", "agree@1", "agree@10", "recall@1", "recall@10", "MRR")]
    for row in retrieval.scores:
        figures = (row.agreement_at_1, row.agreement_at_10, row.recall_at_1, row.recall_at_10, row.mrr)
        rows.append(
            (f"  {row.name}", *("-" if figure.value is None else f"{figure.value:.3f}" for figure in figures))
        )
    yield from table(rows)
