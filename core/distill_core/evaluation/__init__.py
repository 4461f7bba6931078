"""Judging a student: metrics on held-out queries."""

from distill_core.evaluation.metrics import CosineSummary, Evaluation, cosine_similarities, evaluate

__all__ = ["CosineSummary", "Evaluation", "cosine_similarities", "evaluate"]
