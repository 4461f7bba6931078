"""Which settings of runs differ, and by how much their students do, beyond chance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from distill_core.config import RunConfig
from distill_core.runs import RunFolder, compare_runs
from distill_core.runs.comparing import PairedQuery, paired_difference
from distill_core.students import EncoderConfig, MemoryConfig
from distill_core.students.kinds import student_settings
from distill_core.students.spec import StudentConfig
from tests.core.test_runs_folder import CONFIG, Clock


def differing(root: Path, *students: StudentConfig) -> dict[str, tuple[str, ...]]:
    runs = [RunFolder.create(root, with_student(student), Clock()) for student in students]
    return compare_runs(runs).settings


def with_student(student: StudentConfig) -> RunConfig:
    return CONFIG.with_values(student=student)


@pytest.mark.parametrize(
    ("kind", "unused", "used"),
    [
        ("encoder", {"slots": 7, "width": 12}, {"ff_dim": 64}),
        ("memory", {"ff_dim": 64, "dropout": 0.2}, {"slots": 7}),
        ("mlp", {"heads": 3, "slots": 7}, {"layers": 5}),
    ],
)
def test_settings_without_a_use_are_no_difference(
    tmp_path: Path, kind: str, unused: dict[str, float], used: dict[str, int]
) -> None:
    first = student_settings(kind, {})
    assert differing(tmp_path, first, student_settings(kind, unused)) == {}
    (name, value), *_ = used.items()
    changed = differing(tmp_path, first, first.with_values(**used))
    assert changed == {f"student.{name}": (str(first.value(name)), str(value))}


def test_a_setting_that_only_another_kind_has_is_shown(tmp_path: Path) -> None:
    settings = differing(tmp_path, EncoderConfig(), MemoryConfig(slots=9))
    assert settings["student.kind"] == ("encoder", "memory")
    assert settings["student.slots"] == ("", "9")
    assert settings["student.ff_dim"] == ("512", "")
    assert settings["student.heads"] == ("4", "1")


# Paired differences


def planted_pairs(count: int, per_cluster: int, rng: np.random.Generator) -> list[PairedQuery]:
    """Queries of a cluster differ alike, by 0 in truth."""
    shared = rng.normal(size=count)
    return [
        PairedQuery(float(shared[cluster] + 0.3 * rng.normal()), cluster)
        for cluster in range(count)
        for _ in range(per_cluster)
    ]


@pytest.mark.parametrize(("count", "per_cluster"), [(30, 3), (30, 8)])
def test_paraphrases_make_no_interval_narrow(count: int, per_cluster: int) -> None:
    """By query, the interval would hold the truth in 74 and 53 % of cases."""
    rng = np.random.default_rng(count)
    hits = 0
    for _ in range(60):
        found = paired_difference(planted_pairs(count, per_cluster, rng))
        assert found is not None
        assert (found.num_queries, found.num_clusters) == (count * per_cluster, count)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 0.0 <= found.high
    assert hits >= 53


def test_of_many_runs_that_equal_the_first_seldom_one_seems_better() -> None:
    """Of 20 by themselves in every third set one does."""
    rng = np.random.default_rng(5)
    alone = together = 0
    for _ in range(15):
        pairs = [planted_pairs(30, 2, rng) for _ in range(20)]
        better = [one for one in pairs if seems_better(one, 1)]
        alone += bool(better)
        together += any(seems_better(one, 20) for one in better)  # those intervals are wider
    assert alone >= 3
    assert together <= 2


def seems_better(pairs: list[PairedQuery], num_compared: int) -> bool:
    found = paired_difference(pairs, num_compared)
    return found is not None and found.low is not None and found.low > 0


def test_queries_without_known_clusters_are_resampled_by_themselves() -> None:
    found = paired_difference([PairedQuery(0.1, None), PairedQuery(0.3, None), PairedQuery(0.2, None)])
    assert found is not None
    assert (found.num_queries, found.num_clusters) == (3, None)
    assert found.mean == pytest.approx(0.2)
    assert found.low is not None
    assert found.low < 0.2


def test_nothing_and_one_cluster() -> None:
    assert paired_difference([]) is None
    one = paired_difference([PairedQuery(0.1, 7), PairedQuery(0.2, 7)])
    assert one is not None
    assert (one.low, one.high, one.num_clusters) == (None, None, 1)
