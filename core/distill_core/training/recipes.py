"""What a recipe sets where the user leaves it to the recipe. No torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from distill_core.config import MseReduction, Recipe, RunConfig, TrainingConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeValues:
    """The values of a recipe; one of `epochs` and `steps` is None.

    Attributes:
        epochs: Rounds over the training queries.
        steps: Training steps, whatever the number of queries.
    """

    epochs: int | None
    steps: int | None
    batch_size: int
    learning_rate: float
    dropout: float
    mse_reduction: MseReduction


RECIPES: dict[Recipe, RecipeValues] = {
    "book": RecipeValues(
        epochs=200, steps=None, batch_size=32, learning_rate=1e-4, dropout=0.1, mse_reduction="mean"
    ),
    "strong": RecipeValues(
        epochs=None, steps=3000, batch_size=128, learning_rate=3e-3, dropout=0.0, mse_reduction="mean"
    ),
}


STRONG_MIN_STEPS = 20
"""`strong` has at least these steps in an epoch: it draws its queries, and validating takes time, too."""

STRONG_MAX_STEPS = 100
"""And at most these: an epoch is when the run is validated, kept and seen by others."""


def steps_per_epoch(num_train: int, batch_size: int) -> int:
    """Return the steps in which as many queries are trained on as the training part has."""
    return math.ceil(num_train / batch_size)


def strong_steps_per_epoch(num_train: int, batch_size: int) -> int:
    """Return the steps of an epoch of `strong`, which draws its queries and need not count them."""
    return min(max(STRONG_MIN_STEPS, steps_per_epoch(num_train, batch_size)), STRONG_MAX_STEPS)


def resolve(config: RunConfig, num_train: int) -> RunConfig:
    """Return the settings with nothing left to the recipe, for a training part of `num_train` queries."""
    student, values = config.student, RECIPES[config.training.recipe]
    left = {
        name: getattr(values, name)
        for name in student.__struct_fields__
        if student.value(name) is None and name in values.__slots__
    }
    return config.with_values(
        training=resolve_training(config.training, num_train), student=student.with_values(**left)
    )


def resolve_training(training: TrainingConfig, num_train: int) -> TrainingConfig:
    """Return the settings of the training alone with nothing left to the recipe."""
    values = RECIPES[training.recipe]
    batch_size = training.batch_size or values.batch_size
    epochs = training.epochs or values.epochs
    if epochs is None:
        epochs = math.ceil((values.steps or 1) / strong_steps_per_epoch(num_train, batch_size))
    return training.with_values(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=training.learning_rate or values.learning_rate,
        mse_reduction=training.mse_reduction or values.mse_reduction,
    )
