"""What a finished run is worth to its sweep: its figures, and the latency of its student."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from distill_core.errors import TrainingError
from distill_core.latency.events import LatencyFinished
from distill_core.latency.measurement import LatencySettings
from distill_core.runs.folder import RunFolder
from distill_core.runs.measured import StudentToTime, keep
from distill_core.sweeps.trials import TrialResult
from distill_core.wording import plural

if TYPE_CHECKING:
    from distill_core.evaluation.retrieval import RetrievalTable
    from distill_core.students import Student
    from distill_core.teacher_data import TeacherData
    from distill_core.training import TrainingSession


def trial_result(folder: RunFolder, session: TrainingSession | None, blocks: int, host: str) -> TrialResult:
    """Return what a finished run is worth, its latency measured if it was not yet.

    Raises:
        TrainingError: Its cosine is not a number.
    """
    from distill_core.teacher_data import load_teacher_data

    config, evaluation = folder.read_config(), folder.read_evaluation()
    if evaluation is None or not math.isfinite(evaluation.finished.evaluation.cosine.mean):
        raise TrainingError(f"{folder.name} has no cosine.", "See its folder.")
    finished = evaluation.finished
    data = (session.data if session else None) or load_teacher_data(config.data, config.split)
    of_run = StudentToTime.of_run(folder, session.student if session else None)
    student = of_run.load(data.teacher.dimension, data.teacher.num_heads)
    latency = folder.read_latency()
    if latency is None and blocks:
        latency = _timed(folder, data, student, blocks)
    return TrialResult(
        cosine=finished.evaluation.cosine.mean,
        skill=finished.skill,
        agreement=_agreement(finished.retrieval),
        p90_us=latency.transformer.single_us.p90 if latency else None,
        lda_p90_us=latency.lda.single_us.p90 if latency else None,
        parameters=student.num_parameters,
        size_bytes=folder.best_checkpoint.stat().st_size,
        train_seconds=finished.active_seconds,
        machine=_machine(latency, host),
    )


def _timed(folder: RunFolder, data: TeacherData, student: Student, blocks: int) -> LatencyFinished | None:
    """Measure LDA and student side by side, and keep that in the run."""
    from distill_core.latency.timing.comparison import LatencyComparison

    training = folder.read_config().training
    settings = LatencySettings(blocks=blocks, device=training.device, threads=training.threads)
    comparison = LatencyComparison(data.teacher, student, data.queries, settings)
    for _ in comparison:
        pass
    keep(folder, comparison, with_samples=False)
    return comparison.result()


def _agreement(retrieval: RetrievalTable | None) -> float | None:
    scores = retrieval.of("student") if retrieval is not None else None
    if retrieval is None or scores is None or retrieval.telling_k is None:
        return None
    return scores.agreement(retrieval.telling_k).value


def _machine(latency: LatencyFinished | None, host: str) -> str:
    """Return in words what decides whether two latencies can be compared."""
    if latency is None or latency.machine is None:
        return host
    machine = latency.machine
    return ", ".join(filter(None, [host, machine.gpu or machine.cpu, plural(machine.threads, "thread")]))
