"""Made-up engine events for tests that need no engine."""

from __future__ import annotations

import msgspec

from distill_core.config import DataConfig, RunConfig, TrainingConfig
from distill_core.evaluation.metrics import CosineSummary, Evaluation
from distill_core.latency.crossover import (
    BreakEven,
    CrossoverFinished,
    CrossoverPoint,
    CrossoverStarted,
    StudentTime,
    summarised,
)
from distill_core.latency.events import (
    BlockTimed,
    ContestantRow,
    ContestantsFinished,
    ContestantsStarted,
    LatencyFinished,
    LatencyStarted,
    MachineRecord,
    ModelLatency,
    Percentiles,
    RoundTimed,
    UnfoldedLatency,
)
from distill_core.latency.measurement import TimeRatio
from distill_core.students import EncoderConfig
from distill_core.students.spec import StudentConfig
from distill_core.training.events import (
    EpochFinished,
    RunFinished,
    RunStarted,
    StepsFinished,
    Terms,
    TestEvaluated,
)
from distill_core.training.recipes import resolve


def run_started(
    *, epochs: int = 10, database: str = "lda.db", student: StudentConfig | None = None
) -> RunStarted:
    config = RunConfig(
        data=DataConfig(database=database),
        student=student or EncoderConfig(),
        training=TrainingConfig(recipe="book", epochs=epochs),
    )
    return RunStarted(
        config=resolve(config, 40),
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


def latency_finished(*, folds: bool = True) -> LatencyFinished:
    """Return a comparison: the student takes 61 times as long as the LDA, unfolded 183 times."""

    def model(scale: float) -> ModelLatency:
        return ModelLatency(
            single_us=Percentiles(p50=20 * scale, p90=22 * scale, p99=30 * scale),
            batch_us_per_query=Percentiles(p50=2 * scale, p90=2.2 * scale, p99=3 * scale),
            single_qps=50_000 / scale,
            batch_qps=500_000 / scale,
            outliers=3,
            single_p50_interval=(19 * scale, 21 * scale),
            single_p90_interval=(20 * scale, 25 * scale),
            batch_interval=(1.5 * scale, 2.5 * scale),
            offline_interval=(450_000 / scale, 550_000 / scale),
        )

    unfolded = UnfoldedLatency(
        **msgspec.structs.asdict(model(183.0)),
        single_ratio=3.0,
        single_ratio_interval=(2.9, 3.1),
        batch_ratio=3.0,
        batch_ratio_interval=(2.75, 3.25),
    )
    return LatencyFinished(
        lda=model(1.0),
        transformer=model(61.0),
        unfolded=unfolded if folds else None,
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


def machine(*, load: float | None = 0.2, usable_cores: int = 2) -> MachineRecord:
    return MachineRecord(
        cpu="Planted CPU",
        cores=2,
        usable_cores=usable_cores,
        threads=1,
        blas="openblas 0.3.31, 1 thread",
        torch="2.9.0+cpu",
        torch_cpu_capability="AVX2",
        gpu=None,
        clock_mhz=2_500.0,
        load_average=load,
        system="Linux x86_64",
        python="3.11.9",
    )


def crossover_started(of: MachineRecord | None = None) -> CrossoverStarted:
    return CrossoverStarted(
        machine=of or machine(),
        dimension=8,
        real_heads=4,
        max_heads=16_384,
        heads_that_fit=1_000_000,
        batch_sizes=(1, 32),
        budget_seconds=60.0,
        device="cpu",
        folded=True,
        grown_heads=4,
        break_even=BreakEven(
            fixed_flops=2_900, fixed_parameters=3_000, grown_flops=9_000, grown_parameters=9_100
        ),
    )


def crossover_point(num_heads: int, batch_size: int = 1, *, elapsed: float = 12.0) -> CrossoverPoint:
    """Return a point: the LDA takes 10 us and 0.1 us a head (a tenth in batches), the students 500, 2,000."""
    lda = (10 + 0.1 * num_heads) * (1.0 if batch_size == 1 else 0.1)

    def student(us: float, layers: int) -> StudentTime:
        ratio = us / lda
        return StudentTime(layers=layers, us=us, over_lda=TimeRatio(ratio, 0.95 * ratio, 1.05 * ratio))

    return CrossoverPoint(
        num_heads=num_heads,
        real_heads=min(num_heads, 4),
        batch_size=batch_size,
        lda_us=lda,
        fixed=student(500.0, 2),
        grown=student(2_000.0, 5),
        blocks=12,
        outliers=0,
        unsteady=False,
        refining=False,
        elapsed_seconds=elapsed,
        budget_seconds=60.0,
    )


def crossover_finished(ended: str = "complete") -> CrossoverFinished:
    """Return a search: single queries cross at 4,900 heads (who grows: at 19,900), batches never."""
    heads = [16 << power for power in range(11)]
    points = [crossover_point(n, size) for size in (1, 32) for n in heads]
    return summarised(points, ended=ended, machine=machine())


def contestants_started() -> ContestantsStarted:
    return ContestantsStarted(
        machine=machine(),
        num_heads=4,
        dimension=8,
        batch_size=32,
        device="cpu",
        contestants=("LDA, NumPy", "LDA, top 8", "student, published", "student, folded"),
    )


def contestants_timed(done: int) -> RoundTimed:
    return RoundTimed(done=done, total=40)


def contestants_finished(ended: str = "complete", *, steady: bool = True) -> ContestantsFinished:
    """Return four contestants and two that could not be timed; the LDA and its top 8 are Pareto-best."""

    def row(name: str, p90: float, per_second: float, parameters: int, cosine: float) -> ContestantRow:
        ratio = p90 / 100
        return ContestantRow(
            name=name,
            single_us=Percentiles(p50=0.9 * p90, p90=p90, p99=2 * p90),
            single_over_lda=TimeRatio(ratio, 0.95 * ratio, 1.05 * ratio),
            offline_per_second=per_second,
            offline_over_lda=TimeRatio(ratio, 0.95 * ratio, 1.05 * ratio),
            parameters=parameters,
            size_bytes=4 * parameters,
            cosine=cosine,
            outliers=7,
            pareto_best=name.startswith("LDA"),
        )

    return ContestantsFinished(
        rows=(
            row("LDA, NumPy", 100.0, 200_000.0, 64_000, 1.0),
            row("LDA, top 8", 80.0, 100_000.0, 64_000, 0.97),
            row("student, published", 900.0, 10_000.0, 2_000_000, 0.93),
            row("student, folded", 300.0, 30_000.0, 1_000_000, 0.93),
            ContestantRow(name="LDA, top 32 by faiss", note="does not work here: no index"),
            ContestantRow(name="student, compiled", note="takes half a minute"),
        ),
        batch_size=32,
        num_heads=4,
        device="cpu",
        machine=machine(),
        ended=ended,
        steady=steady,
    )
