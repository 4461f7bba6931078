"""Which settings of runs differ: those that their students make use of."""

from __future__ import annotations

from pathlib import Path

import pytest

from distill_core.config import RunConfig
from distill_core.runs import RunFolder, compare_runs
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
