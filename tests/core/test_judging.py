from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from distill_core.config import DataConfig, RunConfig, SplitConfig, TrainingConfig
from distill_core.evaluation import Assessment
from distill_core.students import EncoderConfig, load_student, read_run_config, save_student
from distill_core.teacher_data import TeacherData, load_teacher_data, split_queries
from distill_core.training import Assessed, RunFinished, TestEvaluated, TrainingSession
from distill_core.training.judging import Project, fit_ladder, judge_student
from tests.core.database_factory import write_lda_db

Floats = NDArray[np.floating]
HEADS, QUESTIONS, ANSWERS, SEED = 8, 6, 3, 4


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    """A run over 48 questions of 8 clusters, with 24 answers."""
    database = write_lda_db(
        tmp_path / "db",
        num_heads=HEADS,
        questions_per_head=QUESTIONS,
        answers_per_head=ANSWERS,
        path_style="beside",
    )
    return RunConfig(
        data=DataConfig(database=str(database)),
        student=EncoderConfig(heads=2, layers=1, ff_dim=12),
        training=TrainingConfig(epochs=3, batch_size=16, learning_rate=1e-3, seed=SEED, device="cpu"),
        split=SplitConfig(split_seed=SEED),
    )


def load(config: RunConfig) -> TeacherData:
    return load_teacher_data(config.data, config.split)


def judged(
    data: TeacherData, config: RunConfig, project: Project
) -> tuple[TestEvaluated, Assessment, RunFinished]:
    tested, assessed, finished = judge_student(data, config, project, tuple(fit_ladder(data, SEED)))
    assert isinstance(tested, TestEvaluated)
    assert isinstance(assessed, Assessed)
    assert isinstance(finished, RunFinished)
    return tested, assessed.assessment, finished


def trained(config: RunConfig) -> tuple[TrainingSession, Assessment, RunFinished]:
    session = TrainingSession(config)
    *_, assessed, finished = session
    assert isinstance(assessed, Assessed)
    assert isinstance(finished, RunFinished)
    return session, assessed.assessment, finished


# By brute force: plain loops over the vectors as they lie in the files


def vectors(config: RunConfig, pattern: str, count: int) -> list[Floats]:
    folder = Path(config.data.database).parent / "embeddings"
    return [np.load(folder / pattern.format(number)).astype(np.float64) for number in range(1, count + 1)]


def cosine(one: Floats, other: Floats) -> float:
    return float(one @ other) / math.sqrt(float(one @ one) * float(other @ other))


class BruteForce:
    """The teacher, the split and the simple rungs of the ladder, written down again."""

    def __init__(self, config: RunConfig, temperature: float = 0.1) -> None:
        self.queries = vectors(config, "question_{}_model_1.npy", HEADS * QUESTIONS)
        self.answers = vectors(config, "answer_{}_model_1.npy", HEADS * ANSWERS)
        self.centroids = vectors(config, "mh_1_cluster_{}_centroid.npy", HEADS)
        self.head_answers = vectors(config, "mh_1_cluster_{}_answer.npy", HEADS)
        self.temperature = temperature
        split = split_queries(HEADS * QUESTIONS, seed=config.split.split_seed)
        self.train, self.test = split.train.tolist(), split.test.tolist()

    def mixed(self, query: Floats, best: int = HEADS) -> Floats:
        """Return the teacher's answer, by the best heads alone."""
        cosines = [cosine(query, centroid) for centroid in self.centroids]
        kept = sorted(range(HEADS), key=lambda head: -cosines[head])[:best]
        weights = [math.exp(cosines[head] / self.temperature) for head in kept]
        total: Floats = sum(
            (weight * self.head_answers[head] for weight, head in zip(weights, kept, strict=True)),
            start=np.zeros(8),
        ) / sum(weights)
        return total

    def outputs(self) -> dict[str, list[Floats]]:
        """Return what teacher and rungs say to each test query."""
        judged = [self.queries[row] for row in self.test]
        known = [self.queries[row] for row in self.train]
        labels = [self.mixed(query) for query in known]
        nearest = [max(range(len(known)), key=lambda row: cosine(query, known[row])) for query in judged]
        constant: Floats = sum(labels, start=np.zeros(8)) / len(labels)
        return {
            "teacher": [self.mixed(query) for query in judged],
            "constant": [constant for _ in judged],
            "query": judged,
            "nearest_query": [labels[row] for row in nearest],
            "nearest_centroid": [self.mixed(query, best=1) for query in judged],
            "top_2": [self.mixed(query, best=2) for query in judged],
        }

    def ranking(self, output: Floats) -> list[int]:
        return sorted(
            range(len(self.answers)),
            key=lambda place: (-round(cosine(output, self.answers[place]), 9), place),
        )

    def retrieval(self, outputs: list[Floats], teacher: list[Floats], rows: list[int]) -> dict[str, float]:
        found: dict[str, list[float]] = {}
        for row, output, target in zip(rows, outputs, teacher, strict=True):
            mine, wanted = self.ranking(output), self.ranking(target)
            true = [row // QUESTIONS * ANSWERS + number for number in range(ANSWERS)]
            rank = min(mine.index(place) + 1 for place in true)
            figures = {f"agreement_at_{k}": len(set(mine[:k]) & set(wanted[:k])) / k for k in (1, 5, 10)}
            figures |= {"recall_at_1": rank <= 1, "recall_at_10": rank <= 10, "mrr": 1 / rank}
            for name, value in figures.items():
                found.setdefault(name, []).append(value)
        return {name: sum(values) / len(values) for name, values in found.items()}


def cosines(outputs: Sequence[Floats] | Floats, targets: list[Floats]) -> list[float]:
    return [cosine(np.asarray(o, np.float64), t) for o, t in zip(outputs, targets, strict=True)]


def test_the_finished_figures_equal_brute_force(config: RunConfig) -> None:
    session, assessment, finished = trained(config)
    brute = BruteForce(config)
    outputs = brute.outputs()
    teacher = outputs.pop("teacher")
    assert session.student is not None
    queries = np.stack([brute.queries[row] for row in brute.test])
    for rung in session.baselines:
        if rung.name not in outputs:  # ridge and merged heads have tests of their own
            outputs[rung.name] = list(rung.predict(queries).astype(np.float64))
    student = list(session.student.project(queries).astype(np.float64))

    flat = sum(1 - value for value in cosines(outputs["constant"], teacher))
    own = cosines(student, teacher)
    assert finished.skill == pytest.approx(1 - sum(1 - value for value in own) / flat, abs=1e-5)
    assert finished.evaluation.skill == pytest.approx(finished.skill, abs=1e-9)
    assert finished.evaluation.cosine.mean == pytest.approx(np.mean(own), abs=1e-6)
    assert finished.skill is not None
    assert finished.skill_interval is not None
    low, high = finished.skill_interval
    assert low < finished.skill < high
    assert (low, high) == (assessment.student.skill.low, assessment.student.skill.high)
    assert assessment.verdict == finished.verdict

    ladder = [
        "constant",
        "query",
        "nearest_query",
        "nearest_centroid",
        "top_2",
        "ridge",
        "low_rank_2",
        "low_rank_3",
        "merged_2",
        "merged_4",
    ]
    assert list(finished.baselines) == ladder
    for name, result in finished.baselines.items():
        theirs = cosines(outputs[name], teacher)
        assert result.cosine is not None
        assert result.cosine.mean == pytest.approx(np.mean(theirs), abs=1e-5)
        assert result.cosine.min == pytest.approx(min(theirs), abs=1e-5)
        assert result.skill == pytest.approx(1 - sum(1 - value for value in theirs) / flat, abs=1e-5)

    table = finished.retrieval
    assert table is not None
    assert (table.num_answers, table.num_judged) == (24, 10)
    assert table.chance == pytest.approx((1 / 24, 5 / 24, 10 / 24))
    assert [scores.name for scores in table.scores] == ["teacher", "student", *ladder]
    for scores in table.scores:
        outputs_ = {"teacher": teacher, "student": student, **outputs}[scores.name]
        for figure, value in brute.retrieval(outputs_, teacher, brute.test).items():
            assert getattr(scores, figure).value == pytest.approx(value, abs=1e-9), (scores.name, figure)


def test_a_student_that_is_the_teacher_has_skill_one(config: RunConfig) -> None:
    data = load(config)
    tested, _, finished = judged(data, config, data.teacher.project)
    assert tested.cosines == pytest.approx([1.0] * 10)
    assert finished.skill == pytest.approx(1.0)
    assert finished.skill_interval is not None
    assert finished.skill_interval[1] == pytest.approx(1.0)
    tested_clusters = np.unique(data.labelled.clusters[data.split.test], return_counts=True)[1]
    effective = tested_clusters.sum() ** 2 / (tested_clusters**2).sum()
    assert finished.skill_interval[0] == pytest.approx(0.025 ** (1 / effective), rel=0.1)
    assert finished.evaluation.mse == pytest.approx(0.0, abs=1e-12)
    assert finished.evaluation.r2 == pytest.approx(1.0)
    assert finished.evaluation.relative_norm == pytest.approx(1.0)
    assert finished.retrieval is not None
    teacher, student = finished.retrieval.of("teacher"), finished.retrieval.of("student")
    assert teacher is not None
    assert student is not None
    assert msgspec.structs.replace(student, name="teacher") == teacher
    assert [student.agreement(k).value for k in (1, 5, 10)] == [1.0, 1.0, 1.0]


def test_a_constant_student_has_skill_zero(config: RunConfig) -> None:
    data = load(config)
    mean = data.targets[data.split.train].mean(axis=0)
    tested, _, finished = judged(data, config, lambda queries: np.tile(mean, (len(queries), 1)))
    assert finished.skill == pytest.approx(0.0, abs=1e-5)
    assert finished.skill_interval is not None
    assert finished.skill_interval[0] <= 1e-6
    assert finished.skill_interval[1] >= -1e-6
    assert finished.evaluation.r2 == pytest.approx(0.0, abs=1e-5)
    assert finished.baselines["constant"].skill == pytest.approx(0.0, abs=1e-5)
    assert finished.baselines["constant"].cosine is not None
    assert finished.baselines["constant"].cosine.mean == pytest.approx(np.mean(tested.cosines))
    assert finished.verdict is not None
    assert finished.verdict.kind == "keep_lda"


def test_a_student_that_does_not_compute_is_still_judged(config: RunConfig) -> None:
    data = load(config)
    _, assessment, finished = judged(data, config, lambda queries: np.full_like(queries, np.nan))
    assert (finished.skill, finished.skill_interval) == (None, None)
    assert assessment.student.broken == 10
    assert finished.verdict is not None
    assert finished.verdict.rule == "broken student"


def test_the_costs_are_those_of_the_two_shapes(config: RunConfig) -> None:
    data = load(config)
    _, assessment, _ = judged(data, config, data.teacher.project)
    # folded, with biases: two maps of 8 x 8, feed-forward 8 x 12 and back, one norm
    assert assessment.student.cost.parameters == 2 * 72 + (96 + 12 + 96 + 8) + 16


def test_without_usable_answers_a_run_is_judged_without_retrieval(config: RunConfig) -> None:
    (Path(config.data.database).parent / "embeddings" / "answer_5_model_1.npy").unlink()
    _, assessment, finished = trained(config)
    assert finished.retrieval is None
    assert assessment.retrieval is None
    assert finished.verdict is not None
    assert finished.skill is not None


def test_the_temperature_of_the_settings_labels_trains_and_judges(config: RunConfig) -> None:
    warm = config.with_values(data=config.data.with_values(temperature=0.6))
    data = load(warm)
    tested, _, _ = judged(data, warm, lambda queries: queries)
    brute = BruteForce(warm, temperature=0.6)
    outputs = brute.outputs()
    assert tested.cosines == pytest.approx(cosines(outputs["query"], outputs["teacher"]), abs=1e-6)
    cold, _, _ = judged(load(config), config, lambda queries: queries)
    assert np.abs(np.subtract(tested.cosines, cold.cosines)).max() > 0.01
    started = next(iter(TrainingSession(warm)))
    assert getattr(started, "temperature", None) == 0.6


# Near-duplicates across the split


def at_cosine(query: Floats, wanted: float, rng: np.random.Generator) -> Floats:
    """Return a vector of another length whose cosine to a query is the one wanted."""
    unit = query / np.linalg.norm(query)
    across = rng.normal(size=len(query))
    across -= (across @ unit) * unit
    return 2.5 * (wanted * unit + math.sqrt(1 - wanted**2) * across / np.linalg.norm(across))


@pytest.fixture
def with_duplicates(config: RunConfig) -> RunConfig:
    """Some test queries nearly repeat a training query, others nearly do not, one repeats a watched one."""
    rng = np.random.default_rng(0)
    split = split_queries(HEADS * QUESTIONS, seed=SEED)
    queries = vectors(config, "question_{}_model_1.npy", HEADS * QUESTIONS)
    repeated = split.train.tolist()
    for row, source, wanted in (
        (split.test[0], repeated[0], 0.9999),
        (split.test[3], repeated[7], 0.981),
        (split.test[4], repeated[9], 0.979),
        (split.test[6], int(split.validation[0]), 0.9999),
    ):
        file = Path(config.data.database).parent / "embeddings" / f"question_{row + 1}_model_1.npy"
        np.save(file, at_cosine(queries[source], wanted, rng).astype(np.float32))
    return config


def test_excluding_near_duplicates_drops_exactly_those_of_training_queries(
    with_duplicates: RunConfig,
) -> None:
    config = with_duplicates
    brute = BruteForce(config)
    closest = {
        row: max(cosine(brute.queries[row], brute.queries[other]) for other in brute.train)
        for row in brute.test
    }
    kept = [row for row in brute.test if closest[row] <= 0.98]
    assert brute.test[0] not in kept
    assert brute.test[3] not in kept
    assert brute.test[4] in kept
    assert brute.test[6] in kept
    assert 2 <= len(kept) < len(brute.test)

    _, everything, finished = trained(config)
    assert everything.n == finished.evaluation.n == 10
    assert everything.near_duplicates == 10 - len(kept)

    excluding = config.with_values(split=SplitConfig(exclude_near_duplicates=True, split_seed=SEED))
    data = load(excluding)
    tested, assessment, finished = judged(data, excluding, lambda queries: queries)
    assert list(tested.question_ids) == [row + 1 for row in kept]
    assert tested.cosines == pytest.approx(
        [cosine(brute.queries[row], brute.mixed(brute.queries[row])) for row in kept], abs=1e-6
    )
    assert assessment.n == finished.evaluation.n == len(assessment.student_cosines) == len(kept)
    assert assessment.near_duplicates == 0
    assert assessment.num_clusters == len({row // QUESTIONS for row in kept})
    assert finished.retrieval is not None
    student = finished.retrieval.of("student")
    assert student is not None
    expected = brute.retrieval(
        [brute.queries[row] for row in kept], [brute.mixed(brute.queries[row]) for row in kept], kept
    )
    for figure, value in expected.items():
        assert getattr(student, figure).value == pytest.approx(value, abs=1e-9), figure
    assert finished.retrieval.num_judged == len(kept)


def test_a_test_part_of_nothing_but_near_duplicates_judges_all_the_same(config: RunConfig) -> None:
    excluding = config.with_values(split=SplitConfig(exclude_near_duplicates=True, split_seed=SEED))
    split = split_queries(HEADS * QUESTIONS, seed=SEED)
    folder = Path(config.data.database).parent / "embeddings"
    for row, source in zip(split.test.tolist(), split.train.tolist(), strict=False):
        copied = np.load(folder / f"question_{source + 1}_model_1.npy")
        np.save(folder / f"question_{row + 1}_model_1.npy", copied)
    data = load(excluding)
    tested, assessment, _ = judged(data, excluding, data.teacher.project)
    assert len(tested.question_ids) == assessment.n == assessment.near_duplicates == 10


# Saved, and judged again


def by_default(config: RunConfig) -> RunConfig:
    return config


def by_cluster_at_another_temperature(config: RunConfig) -> RunConfig:
    return config.with_values(
        data=config.data.with_values(temperature=0.4),
        split=SplitConfig(split="cluster", test_fraction=0.3, exclude_near_duplicates=True),
    )


@pytest.mark.parametrize("settings", [by_default, by_cluster_at_another_temperature])
def test_a_saved_student_is_judged_again_as_it_was(
    config: RunConfig, tmp_path: Path, settings: Callable[[RunConfig], RunConfig]
) -> None:
    session, assessment, finished = trained(settings(config))
    assert session.student is not None
    file = save_student(session.student, tmp_path / "student.safetensors", session.config)
    saved = read_run_config(file)
    assert saved == session.config
    student = load_student(file)
    _, again, figures = judged(load(saved), saved, student.fold().project)
    assert again == assessment
    assert msgspec.structs.replace(finished, epochs=0, active_seconds=0.0) == figures


def test_a_student_of_a_teacher_that_blends_all_heads_hears_that_none_is_better(config: RunConfig) -> None:
    """The teacher itself as its student: nothing could copy it better."""
    hot = msgspec.structs.replace(config, data=config.data.with_values(temperature=20.0))
    data = load(hot)
    verdict = judged(data, hot, data.teacher.project)[1].verdict
    assert verdict.rule == "finds less than none"
    assert "finds less than no projection" in verdict.sentence
    assert "The LDA finds most at temperature" in verdict.would_change
