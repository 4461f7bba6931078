"""Made-up engine events for tests that need no engine."""

from __future__ import annotations

from distill_core.config import DataConfig, RunConfig, TrainingConfig
from distill_core.evaluation.metrics import CosineSummary, Evaluation
from distill_core.latency.events import BlockTimed, LatencyFinished, LatencyStarted, ModelLatency, Percentiles
from distill_core.training.events import (
    EpochFinished,
    RunFinished,
    RunStarted,
    StepsFinished,
    Terms,
    TestEvaluated,
)


def run_started(*, epochs: int = 10, database: str = "lda.db") -> RunStarted:
    return RunStarted(
        config=RunConfig(data=DataConfig(database=database), training=TrainingConfig(epochs=epochs)),
        num_heads=4,
        dimension=8,
        temperature=0.1,
        num_train=40,
        num_validation=6,
        num_test=12,
        total_steps=2 * epochs,
        student_parameters=1000,
        teacher_parameters=64,
        device="cpu",
        threads=1,
    )


def epoch_finished(epoch: int, *, loss: float = 0.5, cosine: float = 0.6) -> EpochFinished:
    return EpochFinished(
        epoch=epoch,
        step=2 * epoch,
        train=Terms(loss=loss, mse=loss / 10, cosine=cosine),
        validation=Terms(loss=loss + 0.1, mse=loss / 8, cosine=cosine - 0.1),
        learning_rate=1e-4,
        samples_per_second=1234.0,
        active_seconds=epoch * 0.5,
        eta_seconds=65.0,
    )


def steps_finished(epoch: float, *, active_seconds: float, loss: float = 0.5) -> StepsFinished:
    return StepsFinished(
        step=round(2 * epoch),
        epoch=epoch,
        train=Terms(loss=loss, mse=0.1, cosine=0.5),
        samples_per_second=1234.0,
        active_seconds=active_seconds,
        eta_seconds=1.0,
    )


def tested(question_ids: tuple[int, ...], cosines: tuple[float, ...]) -> TestEvaluated:
    return TestEvaluated(question_ids=question_ids, cosines=cosines)


def run_finished(*, mean: float = 0.93, low: float = 0.61, epochs: int = 10) -> RunFinished:
    return RunFinished(
        evaluation=Evaluation(
            n=3, cosine=CosineSummary(mean=mean, sd=0.004, min=low, p5=0.7, max=0.99), mse=0.0123
        ),
        epochs=epochs,
        active_seconds=5.0,
    )


def latency_started() -> LatencyStarted:
    return LatencyStarted(num_heads=4, dimension=8, batch_size=32, device="cpu", threads=1, blocks=80)


def block_timed(done: int) -> BlockTimed:
    return BlockTimed(done=done, total=80, model="lda", batch_size=1, median_us_per_query=20.0)


def latency_finished() -> LatencyFinished:
    def model(scale: float) -> ModelLatency:
        return ModelLatency(
            single_us=Percentiles(p50=20 * scale, p90=22 * scale, p99=30 * scale),
            batch_us_per_query=Percentiles(p50=2 * scale, p90=2.2 * scale, p99=3 * scale),
            single_qps=50_000 / scale,
            batch_qps=500_000 / scale,
            outliers=0,
        )

    return LatencyFinished(
        lda=model(1.0),
        transformer=model(61.0),
        single_ratio=61.0,
        single_ratio_interval=(58.0, 64.0),
        batch_ratio=61.0,
        batch_ratio_interval=(58.0, 64.0),
        batch_size=32,
        device="cpu",
        threads=1,
        num_heads=4,
        steady=True,
    )
