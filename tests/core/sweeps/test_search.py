from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from distill_core.database import open_database
from distill_core.errors import SettingsError
from distill_core.students import STUDENT_KINDS
from distill_core.sweeps.axes import Value
from distill_core.sweeps.events import CellShown, FrontierPoint, Spread
from distill_core.sweeps.ledger import SweepLedger
from distill_core.sweeps.plan import SweepPlan, SweepRequest, plan_sweep
from distill_core.sweeps.results import frontier, paired_interval, to_take
from distill_core.sweeps.search import (
    Prospect,
    add_trial,
    chosen_cell,
    chosen_settings,
    config_of,
    is_over_time,
)
from distill_core.sweeps.storage import storage_place
from distill_core.sweeps.trials import TrialResult, WorkerRecord
from distill_core.training.events import EpochFinished, Terms
from tests.core.sweeps.conftest import TINY

HERE = WorkerRecord.here()


@pytest.fixture
def search(small_db: Path) -> SweepPlan:
    return planned(small_db, trials=4)


def planned(database: Path, **others: object) -> SweepPlan:
    axes = {**TINY, "ff_dim": (12, 24), "layers": (1, 2)}
    request = {"axes": axes, "search": "frontier", "blocks": 0, **others}
    with open_database(database) as opened:
        return plan_sweep(SweepRequest(name="f", **request), opened)  # type: ignore[arg-type]


def entered(plan: SweepPlan, folder: Path) -> SweepLedger:
    return SweepLedger.create(storage_place(None, folder), plan)


def test_only_what_has_a_choice_is_asked_for(search: SweepPlan) -> None:
    asked: dict[str, tuple[Value, ...]] = {}

    def last(name: str, values: Sequence[Value]) -> Value:
        asked[name] = tuple(values)
        return values[-1]

    settings = chosen_settings(search, last)
    assert asked["mlp ff_dim"] == (12, 24)
    assert "student" not in asked
    assert "mlp epochs" not in asked
    assert settings["ff_dim"] == 24
    assert settings["epochs"] == 3
    assert "heads" not in settings


def test_who_takes_up_a_trial_repeats_what_was_chosen(search: SweepPlan, tmp_path: Path) -> None:
    ledger = entered(search, tmp_path)
    claim = ledger.claim(HERE)
    assert claim is not None
    cell = chosen_cell(ledger, claim.trial)
    claim.give_back()
    others = [ledger.claim(HERE) for _ in range(4)]
    again = next(found for found in others if found and found.trial.cell == cell.number)
    assert chosen_cell(ledger, again.trial) == cell


def test_what_was_tried_before_is_not_run_again(small_db: Path, tmp_path: Path) -> None:
    plan = planned(small_db, trials=2, axes={**TINY, "cosine_weight": (0.5,), "learning_rate": (1e-3,)})
    ledger = entered(plan, tmp_path)
    first, second = ledger.claim(HERE), ledger.claim(HERE)
    assert first is not None
    assert second is not None
    chosen_cell(ledger, first.trial)
    with pytest.raises(SettingsError, match="the same as cell 0"):
        chosen_cell(ledger, second.trial)


def test_a_time_that_is_over_drops_what_waits(small_db: Path, tmp_path: Path) -> None:
    plan = msgspec.structs.replace(planned(small_db, trials=3, minutes=5), id="2001-01-01T000000-f")
    ledger = entered(plan, tmp_path)
    assert is_over_time(ledger)
    assert {trial.state for trial in ledger.current().values()} == {"dropped"}


def test_a_search_by_time_alone_goes_on(small_db: Path, tmp_path: Path) -> None:
    ledger = entered(planned(small_db, minutes=5), tmp_path)
    assert not is_over_time(ledger)
    assert ledger.claim(HERE) is None
    assert add_trial(ledger)
    assert ledger.claim(HERE) is not None
    assert not add_trial(entered(msgspec.structs.replace(planned(small_db, trials=1), name="g"), tmp_path))


def epoch(step: int, error: float) -> EpochFinished:
    terms = Terms(loss=error, mse=error, cosine=1 - error)
    return EpochFinished(
        epoch=1,
        step=step,
        train=terms,
        validation=terms,
        learning_rate=1e-3,
        samples_per_second=1.0,
        active_seconds=1.0,
        eta_seconds=0.0,
    )


@pytest.mark.parametrize(
    ("mine", "rival", "step", "error", "is_doubted"),
    [
        ((24, 2), (12, 1), 50, 0.21, True),
        ((24, 2), (12, 1), 50, 0.19, False),  # not twice as bad
        ((24, 2), (12, 1), 49, 0.21, False),  # too early to say
        ((12, 1), (24, 2), 50, 0.21, False),  # the rival is larger
        ((12, 1), (12, 1), 50, 0.21, False),  # of the same size
    ],
)
def test_what_cannot_reach_the_frontier(  # noqa: PLR0917
    mine: tuple[int, int],
    rival: tuple[int, int],
    step: int,
    error: float,
    is_doubted: bool,
    search: SweepPlan,
    tmp_path: Path,
) -> None:
    ledger = entered(search, tmp_path)
    claim = ledger.claim(HERE)
    assert claim is not None
    ledger.choose(claim.trial, lambda choose: {"student": "mlp", "ff_dim": rival[0], "layers": rival[1]})
    claim.finish(TrialResult(cosine=0.9))
    prospect = Prospect(ledger, config_of(search, {"student": "mlp", "ff_dim": mine[0], "layers": mine[1]}))
    prospect._steps = 100
    assert bool(prospect.doubt(epoch(step, error))) is is_doubted


def cell(number: int, error: float, p90_us: float, size: int, machine: str = "a") -> CellShown:
    cosine = Spread(mean=1 - error, low=1 - error, high=1 - error)
    return CellShown(
        number=number,
        settings={},
        state="finished",
        seeds=1,
        done=1,
        cosine=cosine,
        p90_us=p90_us,
        size_bytes=size,
        machine=machine,
    )


def test_the_frontier_is_what_no_other_beats() -> None:
    rng = random.Random(0)
    figures = [(rng.randint(1, 9) / 16, float(rng.randint(1, 9)), rng.randint(1, 9)) for _ in range(60)]
    cells = [cell(number, *figure) for number, figure in enumerate(figures)]
    expected = {
        number
        for number, figure in enumerate(figures)
        if not any(
            all(a <= b for a, b in zip(other, figure, strict=True)) and other != figure for other in figures
        )
    }
    assert {point.cell for point in frontier(cells)} == expected
    assert len(expected) < len(cells)


def test_two_machines_have_a_frontier_each() -> None:
    cells = [cell(0, 0.1, 5.0, 10), cell(1, 0.2, 6.0, 20, machine="b"), cell(2, 0.2, 6.0, 20)]
    assert [point.cell for point in frontier(cells)] == [0, 1]


def test_the_run_to_take_is_the_fastest_that_is_good_enough() -> None:
    points = [
        FrontierPoint(cell=n, settings={}, error=e, p90_us=t, size_bytes=1, parameters=1, machine="", runs=())
        for n, (e, t) in enumerate([(0.5, 1.0), (0.019, 2.0), (0.01, 3.0)])
    ]
    taken = to_take(points)
    assert taken is not None
    assert taken.cell == 1
    assert to_take([]) is None


def test_intervals_of_many_comparisons_are_wider_than_that_of_one() -> None:
    differences = np.random.default_rng(1).normal(0.1, 1.0, 400)
    one, many = (paired_interval(differences, count) for count in (1, 40))
    assert one.mean == many.mean == pytest.approx(differences.mean())
    assert many.low < one.low < one.mean < one.high < many.high
    half = 1.96 * differences.std(ddof=1) / 20  # of a mean of 400
    assert one.high - one.low == pytest.approx(2 * half, rel=0.1)


def test_a_frontier_is_that_of_one_teacher(small_db: Path) -> None:
    with pytest.raises(SettingsError, match="one teacher"):
        planned(small_db, axes={"temperature": (0.1, 0.2)})


@pytest.mark.parametrize("kind", list(STUDENT_KINDS))
@pytest.mark.parametrize("pick", [0, -1])
def test_every_kind_has_sizes_that_fit(kind: str, pick: int, small_db: Path) -> None:
    plan = planned(small_db, axes={}, trials=1)
    values = chosen_settings(plan, lambda name, choices: kind if name == "student" else choices[pick])
    assert config_of(plan, values).student.kind == kind
