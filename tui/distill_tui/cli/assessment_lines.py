"""An assessment in plain lines: the verdict, the ladder with the student among it, retrieval."""

from __future__ import annotations

from collections.abc import Iterator

from distill_core.evaluation.report import Assessment
from distill_core.evaluation.retrieval_table import RetrievalTable
from distill_core.evaluation.scores import Score
from distill_core.wording import estimate_words


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
    yield f"{'':34}{'mean cosine':>24}{'min':>9}{'skill':>26}{'parameters':>13}"
    for score in assessment.ranked():
        yield _score_line(score)
    if assessment.retrieval is not None:
        yield from _retrieval_lines(assessment.retrieval)


def _score_line(score: Score) -> str:
    label = "* student" if score.name == "student" else f"  {score.label}"
    low = "-" if score.cosine is None else f"{score.cosine.min:.4f}"
    return (
        f"{label:34}{estimate_words(score.mean_cosine, 4):>24}{low:>9}"
        f"{estimate_words(score.skill, 3):>26}{score.cost.parameters:>13,}"
    )


def _retrieval_lines(table: RetrievalTable) -> Iterator[str]:
    yield f"retrieval over {table.num_answers} answers; agreement is with the teacher's best answers"
    yield f"{'':34}{'agree@1':>10}{'agree@10':>10}{'recall@1':>10}{'recall@10':>10}{'MRR':>10}"
    for row in table.scores:
        figures = (row.agreement_at_1, row.agreement_at_10, row.recall_at_1, row.recall_at_10, row.mrr)
        texts = ["-" if figure.value is None else f"{figure.value:.3f}" for figure in figures]
        widths = (9, 9, 9, 10, 8)
        yield f"  {row.name:32}" + "".join(
            f"{text:>{width}}" for text, width in zip(texts, widths, strict=True)
        )
