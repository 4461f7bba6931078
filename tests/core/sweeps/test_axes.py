from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest

from distill_core.database import LdaDatabase
from distill_core.errors import SettingsError
from distill_core.sweeps.axes import Axes, checks, parse_axis
from distill_core.sweeps.plan import SweepRequest, make_grid, plan_sweep


def shape_of(mh_id: int) -> tuple[int, int]:
    return 96, 384


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("heads", "4", (4,)),
        ("heads", "2,4, 8", (2, 4, 8)),
        ("heads", "2,4,2", (2, 4)),
        ("heads", "1..4", (1, 2, 3, 4)),
        ("layers", "1..9/3,2", (1, 5, 9, 2)),
        ("cosine_weight", "0.1..0.9/5", (0.1, 0.3, 0.5, 0.7, 0.9)),
        ("learning_rate", "auto,1e-3", (None, 0.001)),
        ("temperature", "0.1", (0.1,)),
        ("student", "encoder,memory", ("encoder", "memory")),
        ("compiled", "true,false", (True, False)),
        ("storage", "int8", ("int8",)),
    ],
)
def test_values_lists_and_ranges(name: str, text: str, expected: tuple[object, ...]) -> None:
    assert parse_axis(name, text) == expected


def test_a_logarithmic_range_has_equal_ratios_and_its_ends() -> None:
    values = parse_axis("learning_rate", "1e-4..1e-2 log/5")
    assert (values[0], values[-1]) == (1e-4, 1e-2)
    ratios = [float(str(b)) / float(str(a)) for a, b in itertools.pairwise(values)]
    assert all(math.isclose(ratio, 10**0.5, rel_tol=1e-9) for ratio in ratios)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cosine_weight", "0.1..0.9"),
        ("cosine_weight", "0.9..0.1/3"),
        ("cosine_weight", "0..1 log/3"),
        ("cosine_weight", "0.1..0.9/1"),
        ("cosine_weight", "0.5..1.5/3"),
        ("learning_rate", "1e-4..inf/3"),
        ("heads", "a..b"),
        ("heads", "2,,4"),
        ("heads", "1..1000000"),
        ("student", "encoder,banana"),
    ],
)
def test_what_is_no_value_is_told_at_its_field(name: str, text: str) -> None:
    with pytest.raises(SettingsError) as raised:
        parse_axis(name, text)
    assert raised.value.field in (name, "kind")


def test_every_setting_of_every_group_is_an_axis() -> None:
    assert {"student", "mh_id", "temperature", "heads", "slots", "recipe", "split_seed"} <= checks().keys()
    assert "database" not in checks()


def test_h_of_the_published_encoder_is_merged_and_not_run() -> None:
    axes: Axes = {"student": ("encoder", "memory", "mlp"), "heads": (2, 4, 8), "layers": (1, 2, 3)}
    cells, merged, left_out = make_grid(axes, "lda.db", shape_of)
    kinds = [cell.settings["student"] for cell in cells]
    assert (kinds.count("encoder"), kinds.count("memory"), kinds.count("mlp")) == (3, 9, 3)
    assert [(axis.axis, axis.student) for axis in merged] == [("heads", "encoder"), ("heads", "mlp")]
    assert left_out == ()
    assert [cell.number for cell in cells] == list(range(15))


def test_a_routed_student_has_no_steps_that_a_learning_rate_could_change() -> None:
    axes: Axes = {"student": ("routed",), "learning_rate": (1e-3, 1e-2), "cosine_weight": (0.1, 0.9)}
    cells, merged, _ = make_grid(axes, "lda.db", shape_of)
    assert len(cells) == 1
    assert {axis.axis for axis in merged} == {"learning_rate", "cosine_weight"}


def test_slots_beyond_the_heads_are_one_experiment() -> None:
    cells, _, _ = make_grid({"student": ("memory",), "slots": (64, 96, 500, 900)}, "lda.db", shape_of)
    assert [cell.settings["slots"] for cell in cells] == [64, 96]


def test_what_does_not_fit_is_left_out_and_said() -> None:
    axes: Axes = {"student": ("memory",), "heads": (5, 4)}
    cells, _, left_out = make_grid(axes, "lda.db", shape_of)
    assert [cell.settings["heads"] for cell in cells] == [4]
    assert len(left_out) == 1
    assert "5" in left_out[0]


def test_nothing_that_fits_is_an_error() -> None:
    with pytest.raises(SettingsError, match="does not divide"):
        make_grid({"student": ("memory",), "heads": (5, 7)}, "lda.db", shape_of)


def test_too_many_combinations_are_an_error() -> None:
    many = tuple(number / 1000 for number in range(1, 1000))
    with pytest.raises(SettingsError, match="10,000"):
        make_grid({"cosine_weight": many, "learning_rate": many}, "lda.db", shape_of)


def test_runs_of_a_cell_differ_in_their_seed_and_share_their_split(small_db: Path) -> None:
    with LdaDatabase(small_db) as database:
        axes: Axes = {"seed": (7,), "split_seed": (3,), "heads": (2,)}
        plan = plan_sweep(SweepRequest(name="a", axes=axes, num_seeds=2), database)
    assert plan.seeds == (7, 8)
    one, two = (plan.cells[0].run_config(seed) for seed in plan.seeds)
    assert (one.training.seed, two.training.seed) == (7, 8)
    assert one.split == two.split
    assert one.split.split_seed == 3
    assert one.training.with_values(seed=0) == two.training.with_values(seed=0)


@pytest.mark.parametrize("name", ["", "a/b", "..", "-x", "a b", "x" * 41])
def test_names_that_cannot_be_part_of_a_folder(name: str, small_db: Path) -> None:
    with LdaDatabase(small_db) as database, pytest.raises(SettingsError, match="name of a sweep"):
        plan_sweep(SweepRequest(name=name, axes={}), database)
