"""A run judged by the engine itself, with a student that is made up: no training, no torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distill_core.config import DataConfig, RunConfig
from distill_core.evaluation.report import Assessment
from distill_core.teacher_data import load_teacher_data
from distill_core.training.events import Assessed, BaselineFitted, TrainEvent
from distill_core.training.judging import fit_ladder, judge_student
from tests.tui import events

NOISE = 0.3
"""How far the made-up student is from the teacher, in lengths of its projections."""


def judged_run(database: Path, mh_id: int = 1, *, noise: float = NOISE) -> tuple[TrainEvent, ...]:
    """Return the events of a run of ten epochs whose student is the teacher plus noise."""
    config = RunConfig(data=DataConfig(database=str(database), mh_id=mh_id))
    data = load_teacher_data(config.data, config.split)
    baselines = tuple(fit_ladder(data, config.training.seed))

    def student(queries: NDArray[np.float32]) -> NDArray[np.float32]:
        projections = data.teacher.project(queries)
        scatter = np.random.default_rng(5).normal(size=projections.shape)
        scale = noise * np.linalg.norm(projections, axis=1, keepdims=True) / np.sqrt(projections.shape[1])
        noisy: NDArray[np.float32] = (projections + scale * scatter).astype(np.float32)
        return noisy

    return (
        events.run_started(),
        *(
            BaselineFitted(name=rung.name, label=rung.label, validation_cosine=0.3 + 0.09 * number)
            for number, rung in enumerate(baselines)
        ),
        *(events.epoch_finished(epoch, loss=1 / epoch, cosine=1 - 0.8 / epoch) for epoch in range(1, 11)),
        *judge_student(data, config, student, baselines, (10, 5.0)),
    )


def assessment_of(told: tuple[TrainEvent, ...]) -> Assessment:
    """Return the assessment among the events of a run."""
    return next(event.assessment for event in told if isinstance(event, Assessed))
