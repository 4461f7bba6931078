from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from scipy import stats

from distill_core.config import RunConfig
from distill_core.database import LdaDatabase
from distill_core.devices import OwnRandomState
from distill_core.errors import SettingsError
from distill_core.experiments import (
    Explained,
    HlCell,
    HlCellFinished,
    HlEvent,
    HlFinished,
    HlSettings,
    HlStarted,
    HlTraining,
    StudentFinding,
    hl,
    restricted,
    run_hl,
    summarised,
)
from distill_core.experiments.hl_regression import EXPLAINERS
from distill_core.students import MemoryStudent
from distill_core.teacher import MultiHeadLDA
from distill_core.teacher_data import LabelledQuestions, TeacherData, read_questions, split_queries
from distill_core.training.loop.training_setup import Training, make_training
from tests.core.database_factory import write_lda_db

NUMBERS, HEADS, LAYERS, SEEDS = (8, 16, 30), (1, 2, 4, 8), (1, 2, 3), 3
TINY = HlSettings(
    teacher_heads=(4, None), heads=(1, 2), layers=(1, 2), seeds=2, steps=40, slots=2, width=4, ff_dim=8
)


def planted(
    log_error: Callable[[int, int, int], float], *, kind: str = "memory", noise: float = 0.05, seed: int = 0
) -> list[HlCell]:
    """Cells of the whole grid whose log error is a function of N, H, L, and noise."""
    rng = np.random.default_rng(seed)
    return [
        HlCell(
            student="encoder" if kind == "encoder" else "memory",
            teacher_heads=number,
            heads=heads,
            layers=layers,
            seed=which,
            parameters=1000 * layers + 5 * heads,
            test_error=math.exp(log_error(number, heads, layers) + noise * rng.standard_normal()),
            validation_error=0.1,
            constant_error=0.5,
            steps=100,
        )
        for which, number, heads, layers in itertools.product(range(SEEDS), NUMBERS, HEADS, LAYERS)
    ]


def finding_of(cells: list[HlCell]) -> StudentFinding:
    (finding,) = summarised(cells).findings
    return finding


def explained_by(cells: list[HlCell], name: str) -> Explained:
    return next(item for item in finding_of(cells).explained if item.name == name)


def dummies_r2(cells: list[HlCell], quantity: Callable[[HlCell], float]) -> tuple[float, float]:
    """R2 beyond the N's and slope, by least squares with a column for each N; and not by demeaning."""
    errors = np.log([cell.test_error for cell in cells])
    columns = np.array([[cell.teacher_heads == number for number in NUMBERS] for cell in cells], float)
    both = np.column_stack((columns, [quantity(cell) for cell in cells]))
    solution, *_ = np.linalg.lstsq(both, errors, rcond=None)
    without, *_ = np.linalg.lstsq(columns, errors, rcond=None)
    left, all_left = errors - both @ solution, errors - columns @ without
    return 1 - float(left @ left) / float(all_left @ all_left), float(solution[-1])


@pytest.fixture
def labelled(tmp_path: Path) -> LabelledQuestions:
    path = write_lda_db(tmp_path / "db", num_heads=6, dimension=8, questions_per_head=4)
    with LdaDatabase(path) as database:
        return read_questions(database, 1)


# The analysis


@pytest.mark.parametrize(
    ("name", "quantity"),
    [
        ("H", lambda cell: math.log(cell.heads)),
        ("L", lambda cell: cell.layers),
        ("H·L", lambda cell: math.log(cell.heads * cell.layers)),
        ("H^L", lambda cell: math.log(cell.heads**cell.layers)),
        ("min(H^L, N)", lambda cell: math.log(min(cell.heads**cell.layers, cell.teacher_heads))),
        ("parameters", lambda cell: math.log(cell.parameters)),
    ],
)
def test_r2_and_slope_are_those_of_least_squares_with_a_column_for_each_n(
    name: str, quantity: Callable[[HlCell], float]
) -> None:
    cells = planted(lambda n, h, layers: 0.3 * math.log(n) - 0.4 * math.log(h) - 0.1 * layers, noise=0.3)
    found = explained_by(cells, name)
    r2, slope = dummies_r2(cells, quantity)
    assert found.r2.value == pytest.approx(r2, abs=1e-9)
    assert found.slope == pytest.approx(slope, abs=1e-9)
    assert found.r2.low is not None
    assert found.r2.high is not None
    assert 0 <= found.r2.low <= r2 <= found.r2.high <= 1


def test_every_quantity_is_tried_under_its_name() -> None:
    names = [item.name for item in finding_of(planted(lambda n, h, layers: -h)).explained]
    assert names == list(EXPLAINERS)


def test_one_line_for_all_n_is_a_plain_correlation() -> None:
    cells = planted(lambda n, h, layers: 0.2 * math.log(n) - 0.4 * layers * math.log(h), noise=0.3)
    ratios = [math.log(cell.heads**cell.layers / cell.teacher_heads) for cell in cells]
    expected = stats.linregress(ratios, np.log([cell.test_error for cell in cells]))
    found = finding_of(cells).across_teachers
    assert found.r2.value == pytest.approx(expected.rvalue**2, abs=1e-9)
    assert found.slope == pytest.approx(expected.slope, abs=1e-9)


def test_the_interval_covers_what_new_cells_would_give() -> None:
    """The R2 of 40 other draws of the noise lie in the interval of one of them nearly always."""

    def law(n: int, heads: int, layers: int) -> float:
        return -0.3 * math.log(heads) - 0.2 * layers

    interval = explained_by(planted(law, noise=0.2), "H").r2
    others = [dummies_r2(planted(law, noise=0.2, seed=seed), lambda cell: math.log(cell.heads))[0]
              for seed in range(1, 41)]  # fmt: skip
    assert interval.low is not None
    assert interval.high is not None
    assert sum(interval.low <= other <= interval.high for other in others) >= 36
    assert interval.high - interval.low < 0.4


def test_the_ceiling_is_what_the_mean_of_each_cell_explains() -> None:
    cells = planted(lambda n, h, layers: math.sin(n + 3 * h + 5 * layers), noise=0.5)
    groups: dict[tuple[int, int, int], list[float]] = {}
    for cell in cells:
        key = cell.teacher_heads, cell.heads, cell.layers
        groups.setdefault(key, []).append(math.log(cell.test_error))
    left = sum(float(np.var(errors)) * len(errors) for errors in groups.values())
    total = 0.0
    for number in NUMBERS:
        errors = [math.log(cell.test_error) for cell in cells if cell.teacher_heads == number]
        total += float(np.var(errors)) * len(errors)
    assert finding_of(cells).ceiling == pytest.approx(1 - left / total)


def test_h_to_the_l_is_named_where_it_is_planted() -> None:
    finding = finding_of(planted(lambda n, h, layers: math.log(n) - 0.5 * layers * math.log(h)))
    assert finding.sentence.startswith("H^L explains more of the error than anything else tried: R2 ")
    assert (
        "The error falls as H^L grows. Of two students with the same H^L the deeper one has "
        in finding.sentence
    )


def test_students_of_equal_h_to_the_l_err_alike_where_the_claim_is_planted() -> None:
    def ratio(cells: list[HlCell]) -> tuple[float, float, float]:
        found = finding_of(cells).equal_flat
        assert found.value is not None
        assert found.low is not None
        assert found.high is not None
        return found.low, found.value, found.high

    low, value, high = ratio(planted(lambda n, h, layers: -0.5 * layers * math.log(h)))
    assert low < 1 < high
    assert value == pytest.approx(1, abs=0.03)
    # (4, 1) and (2, 2), (8, 1) and (2, 3), (8, 2) and (4, 3): the deeper has 1/2, 1/4, 1/2 of the heads.
    low, value, high = ratio(planted(lambda n, h, layers: -0.5 * math.log(h)))
    assert value == pytest.approx((2 * 4 * 2) ** (0.5 / 3), rel=0.03)
    assert 1 < low < value < high


def test_one_head_at_several_depths_is_no_pair() -> None:
    cells = [cell for cell in planted(lambda n, h, layers: -layers) if cell.heads == 1]
    assert finding_of(cells).equal_flat.value is None


def test_h_to_the_l_that_stops_at_n_counts_as_the_claim() -> None:
    finding = finding_of(planted(lambda n, h, layers: -0.5 * min(layers * math.log(h), math.log(n))))
    assert finding.sentence.startswith("min(H^L, N) explains more of the error than anything else tried")


def test_another_quantity_is_named_with_its_lead() -> None:
    finding = finding_of(planted(lambda n, h, layers: -0.5 * math.log(h)))
    assert finding.sentence.startswith("H explains more of the error than min(H^L, N) does: R2 ")
    assert "The error falls as H grows. The error falls as min(H^L, N) grows." in finding.sentence
    behind = {item.name: item.behind_best for item in finding.explained}
    assert behind["H"].value is None
    for name in ("H^L", "min(H^L, N)", "L", "parameters"):
        low = behind[name].low
        assert low is not None
        assert low > 0


def test_an_error_that_rises_is_said_to_rise() -> None:
    finding = finding_of(planted(lambda n, h, layers: 0.5 * layers * math.log(h)))
    assert "The error rises as H^L grows." in finding.sentence


def test_pure_noise_cannot_be_told_apart() -> None:
    finding = finding_of(planted(lambda n, h, layers: 0.0, noise=1.0))
    assert "cannot be told apart from" in finding.sentence


def test_one_layer_cannot_tell_h_from_h_to_the_l() -> None:
    cells = [cell for cell in planted(lambda n, h, layers: -math.log(h)) if cell.layers == 1]
    finding = finding_of(cells)
    assert explained_by(cells, "L").r2.value is None
    assert "cannot be told apart from H (" in finding.sentence


@pytest.mark.parametrize("count", [1, 2])
def test_too_little_says_so(count: int) -> None:
    cells = planted(lambda n, h, layers: -h)[:1] * count
    finding = finding_of(cells)
    assert finding.sentence == "Too little varied to say what explains the error."
    assert all(item.r2.value is None for item in finding.explained)


def test_nothing_at_all_is_an_empty_result() -> None:
    result = summarised([], ended="interrupted")
    assert (result.cells, result.table, result.findings) == ((), (), ())


def test_an_error_of_zero_has_a_logarithm() -> None:
    cells = planted(lambda n, h, layers: -h)
    cells[0] = msgspec.structs.replace(cells[0], test_error=0.0)
    assert explained_by(cells, "H").r2.value is not None


def test_the_encoder_is_said_to_be_inert_with_the_measured_spreads() -> None:
    cells = planted(lambda n, h, layers: -layers, kind="encoder", noise=0.0)
    cells = [
        msgspec.structs.replace(cell, test_error=cell.test_error * (1.0 + 1.25 * (cell.seed == 2)))
        for cell in cells
    ]
    finding = finding_of(cells)
    assert finding.spread_over_heads == 0.0
    assert finding.spread_over_seeds == pytest.approx(1.25)
    assert "the errors differ over H by at most 0 %, over the seeds by up to 125 %" in finding.sentence
    assert "it owes to L" in finding.sentence


def test_the_spread_over_heads_is_the_largest_of_all() -> None:
    cells = planted(lambda n, h, layers: 0.0, kind="encoder", noise=0.0)
    cells[0] = msgspec.structs.replace(cells[0], test_error=1.5)
    finding = finding_of(cells)
    assert finding.spread_over_heads == pytest.approx(0.5)
    assert finding.spread_over_seeds == pytest.approx(0.5)


def test_the_table_holds_mean_and_range_of_the_seeds() -> None:
    cells = planted(lambda n, h, layers: -h, noise=0.5)
    table = summarised(cells).table
    assert len(table) == len(NUMBERS) * len(HEADS) * len(LAYERS)
    row = next(row for row in table if (row.teacher_heads, row.heads, row.layers) == (16, 4, 2))
    errors = [
        cell.test_error for cell in cells if (cell.teacher_heads, cell.heads, cell.layers) == (16, 4, 2)
    ]
    assert (row.flat_heads, row.seeds, row.parameters) == (16, 3, 2020)
    assert row.test_error == pytest.approx(np.mean(errors))
    assert (row.lowest, row.highest) == (min(errors), max(errors))


# The restricted teacher


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("num_heads", [1, 4, 6])
def test_a_restricted_teacher_is_the_formula_over_its_own_heads(
    labelled: LabelledQuestions, num_heads: int, seed: int
) -> None:
    split = split_queries(len(labelled.queries), seed=seed)
    data = restricted(labelled, split, num_heads, seed)
    whole = labelled.teacher
    kept = [k for k in range(6) if any((whole.centroids[k] == row).all() for row in data.teacher.centroids)]
    assert len(kept) == num_heads
    for query, target in zip(labelled.queries, data.targets, strict=True):
        scores = [
            float(query @ whole.centroids[k])
            / float(np.linalg.norm(query) * np.linalg.norm(whole.centroids[k]))
            for k in kept
        ]
        powers = [math.exp(score / whole.temperature) for score in scores]
        expected = sum(
            (power / sum(powers) * whole.answers[k] for power, k in zip(powers, kept, strict=True)),
            np.zeros(8),
        )
        np.testing.assert_allclose(target, expected, atol=1e-5)
    assert data.queries is labelled.queries
    assert data.split is split


def test_heads_are_drawn_by_the_seed_and_nested(labelled: LabelledQuestions) -> None:
    split = split_queries(len(labelled.queries))

    def drawn(num_heads: int, seed: int) -> set[bytes]:
        rows = restricted(labelled, split, num_heads, seed).teacher.centroids
        return {row.tobytes() for row in rows}

    for seed in range(4):
        assert drawn(2, seed) < drawn(4, seed) < drawn(6, seed)
    assert len({frozenset(drawn(2, seed)) for seed in range(8)}) > 1


# The experiment


def test_the_grid_is_trained_and_judged(labelled: LabelledQuestions) -> None:
    events = list(run_hl(labelled, msgspec.structs.replace(TINY, heads=(2,), layers=(2,), seeds=1)))
    started, finished = events[0], events[-1]
    assert isinstance(started, HlStarted)
    assert isinstance(finished, HlFinished)
    assert (started.teacher_heads, started.dimension, started.num_cells) == ((4, 6), 8, 4)
    assert (started.num_train, started.num_validation, started.num_test) == (17, 2, 5)
    cells = [event.cell for event in events if isinstance(event, HlCellFinished)]
    assert tuple(cells) == finished.cells
    assert finished.ended == "complete"
    assert finished.started == started
    grid = itertools.product(("encoder", "memory"), (4, 6), (2,), (2,), (0,))
    assert sorted(grid) == sorted(
        (cell.student, cell.teacher_heads, cell.heads, cell.layers, cell.seed) for cell in cells
    )
    assert {cell.steps for cell in cells} == {started.steps}
    assert [event.cells_done for event in events if isinstance(event, HlCellFinished)] == [1, 2, 3, 4]
    assert {finding.student for finding in finished.findings} == {"encoder", "memory"}


def test_heads_are_inert_in_the_encoder_and_count_in_the_memory(labelled: LabelledQuestions) -> None:
    settings = msgspec.structs.replace(TINY, teacher_heads=(None,), heads=(1, 2, 4), layers=(2,), seeds=1)
    (*_, finished) = run_hl(labelled, settings)
    assert isinstance(finished, HlFinished)
    errors: dict[str, set[float]] = {"encoder": set(), "memory": set()}
    for cell in finished.cells:
        errors[cell.student].add(cell.test_error)
    assert len(errors["encoder"]) == 1
    assert len(errors["memory"]) == 3
    assert "differ over H by at most 0 %" in finished.findings[0].sentence


def test_the_error_is_that_of_the_kept_student_on_the_test_queries(
    labelled: LabelledQuestions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MemoryStudent, "project", lambda self, queries: np.asarray(queries)[:, ::-1])
    settings = msgspec.structs.replace(
        TINY, students=("memory",), teacher_heads=(4,), heads=(1,), layers=(1,), seeds=1
    )
    (*_, finished) = run_hl(labelled, settings)
    assert isinstance(finished, HlFinished)
    (cell,) = finished.cells
    split = split_queries(len(labelled.queries), seed=0)
    data = restricted(labelled, split, 4, 0)

    def error(guesses: np.ndarray, rows: np.ndarray) -> float:
        truths = data.targets[rows].astype(float)
        cosines = [
            float(guess @ truth) / math.sqrt(float(guess @ guess) * float(truth @ truth))
            for guess, truth in zip(guesses.astype(float), truths, strict=True)
        ]
        return 1 - sum(cosines) / len(cosines)

    assert cell.test_error == pytest.approx(error(labelled.queries[split.test, ::-1], split.test), abs=1e-6)
    assert cell.validation_error == pytest.approx(
        error(labelled.queries[split.validation, ::-1], split.validation), abs=1e-6
    )
    constant = np.tile(data.targets[split.train].astype(float).mean(axis=0), (len(split.test), 1))
    assert cell.constant_error == pytest.approx(error(constant, split.test), abs=1e-6)
    assert cell.parameters == 8 * 4 * 2 + 2 * 2 * 4 + 2 + 1 + 8


def test_the_seed_of_a_cell_fixes_split_heads_and_training(
    labelled: LabelledQuestions, monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[tuple[RunConfig, TeacherData]] = []

    def recorded(config: RunConfig, data: TeacherData, random_state: OwnRandomState) -> Training:
        got.append((config, data))
        return make_training(config, data, random_state)

    monkeypatch.setattr(hl, "make_training", recorded)
    list(run_hl(labelled, msgspec.structs.replace(TINY, students=("memory",), heads=(2,), layers=(1,))))
    assert [(config.training.seed, data.teacher.num_heads) for config, data in got] == [
        *((0, 4), (0, 6)),
        *((1, 4), (1, 6)),
    ]
    for config, data in got:
        seed = config.training.seed
        split = split_queries(len(labelled.queries), seed=seed)
        assert np.array_equal(data.split.test, split.test)
        assert np.array_equal(data.split.train, split.train)
        expected = restricted(labelled, split, data.teacher.num_heads, seed)
        assert np.array_equal(data.teacher.centroids, expected.teacher.centroids)
        assert config.training.recipe == "strong"


def test_all_cells_of_a_memory_have_k_slots_and_one_width(
    labelled: LabelledQuestions, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes: list[tuple[int, int]] = []

    def start(student: MemoryStudent, teacher: MultiHeadLDA, seed: int = 0) -> None:
        shapes.append((student.slots, student.width))

    monkeypatch.setattr(MemoryStudent, "start_from", start)
    (*_, finished) = run_hl(labelled, msgspec.structs.replace(TINY, students=("memory",), seeds=1))
    assert shapes == [(2, 4)] * 8
    assert isinstance(finished, HlFinished)
    grid = itertools.product(("memory",), (4, 6), (1, 2), (1, 2))
    assert sorted(grid) == sorted(
        (row.student, row.teacher_heads, row.heads, row.layers) for row in finished.table
    )


def test_to_stop_is_to_stop_pulling(labelled: LabelledQuestions) -> None:
    events: list[HlEvent] = []
    state = torch.get_rng_state()
    experiment = run_hl(labelled, TINY)
    for event in experiment:
        events.append(event)
        if sum(isinstance(past, HlCellFinished) for past in events) == 3:
            break
    experiment.close()
    cells = [event.cell for event in events if isinstance(event, HlCellFinished)]
    result = summarised(cells, ended="interrupted")
    assert (result.ended, result.cells) == ("interrupted", tuple(cells))
    assert len(result.table) == 3
    assert torch.equal(torch.get_rng_state(), state)


def test_a_cell_is_heard_of_while_it_trains(labelled: LabelledQuestions) -> None:
    settings = msgspec.structs.replace(TINY, seeds=1, steps=60)
    events = list(itertools.takewhile(lambda event: not isinstance(event, HlCellFinished),
                                      run_hl(labelled, settings)))  # fmt: skip
    training = [event for event in events if isinstance(event, HlTraining)]
    assert training[-1].step == 60
    assert all(event.cells_done == 0 for event in training)


def test_a_seed_gives_the_same_cells_again(labelled: LabelledQuestions) -> None:
    settings = msgspec.structs.replace(
        TINY, students=("memory",), teacher_heads=(4,), heads=(2,), layers=(1,)
    )
    one, other = (list(run_hl(labelled, settings))[-1] for _ in range(2))
    assert isinstance(one, HlFinished)
    assert isinstance(other, HlFinished)
    assert one.cells == other.cells
    assert len({cell.test_error for cell in one.cells}) == len(one.cells)


def test_events_survive_json(labelled: LabelledQuestions) -> None:
    settings = msgspec.structs.replace(TINY, students=("memory",), teacher_heads=(4,), seeds=1)
    for event in run_hl(labelled, settings):
        assert msgspec.json.decode(msgspec.json.encode(event), type=type(event)) == event


# The settings


@pytest.mark.parametrize(
    ("settings", "field", "words"),
    [
        ({"students": ()}, "students", "encoder, memory, routed"),
        ({"students": ("mlp",)}, "students", "encoder, memory, routed"),
        ({"students": ("memory", "memory")}, "students", "must be different"),
        ({"heads": ()}, "heads", "heads H must be different and at least 1"),
        ({"heads": (2, 2)}, "heads", "heads H must be different and at least 1"),
        ({"layers": (0,)}, "layers", "layers L must be different and at least 1"),
        ({"teacher_heads": (-1, None)}, "teacher_heads", "teacher heads N must be different"),
        ({"seeds": 0}, "seeds", "number of seeds must be at least 1"),
        ({"steps": 0}, "steps", "number of steps must be at least 1"),
        ({"slots": 1}, "slots", "nothing to choose from"),
    ],
)
def test_a_wrong_grid_is_told_at_once(settings: dict[str, object], field: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        HlSettings(**settings)  # type: ignore[arg-type]
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"teacher_heads": (7,)}, "The projection has 6 heads, fewer than N = 7"),
        ({"teacher_heads": (2, 4), "slots": 3}, "N = 2 is less than the K = 3 slots"),
        ({"heads": (1, 3)}, "Heads H = 3 does not divide the dimension 8"),
        ({"heads": (1, 8)}, "Heads H = 8 does not divide the width 4"),
        ({"layers": (1, 65)}, "Layers L"),
    ],
)
def test_a_grid_that_does_not_fit_is_told_before_the_first_cell(
    labelled: LabelledQuestions, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        next(run_hl(labelled, msgspec.structs.replace(TINY, **changes)))


@pytest.mark.parametrize(
    ("available", "expected"), [(30, (8, 16, 30)), (16, (8, 16)), (10, (8, 10)), (4, (4,))]
)
def test_the_usual_teachers_are_those_that_there_are(available: int, expected: tuple[int, ...]) -> None:
    assert HlSettings().chosen_teacher_heads(available) == expected


def test_all_is_not_trained_twice() -> None:
    assert HlSettings(teacher_heads=(None, 18, 8)).chosen_teacher_heads(18) == (8, 18)
