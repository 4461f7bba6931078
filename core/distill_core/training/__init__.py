"""Teaching a student the teacher's function."""

from distill_core.training.distillation import train_distillation
from distill_core.training.events import (
    EpochFinished,
    RunFinished,
    RunStarted,
    StepsFinished,
    Terms,
    TestEvaluated,
    TrainEvent,
)
from distill_core.training.loss import LossTerms, distillation_loss
from distill_core.training.session import TrainingSession, train

__all__ = [
    "EpochFinished",
    "LossTerms",
    "RunFinished",
    "RunStarted",
    "StepsFinished",
    "Terms",
    "TestEvaluated",
    "TrainEvent",
    "TrainingSession",
    "distillation_loss",
    "train",
    "train_distillation",
]
