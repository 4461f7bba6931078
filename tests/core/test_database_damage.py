"""Random damage: whatever the bytes, only a DistillError may come out."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from distill_core.database import LdaDatabase
from distill_core.errors import DistillError
from tests.core.database_factory import write_lda_db


def overwrite(content: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice([1, 4, 64])):
        content[rng.randrange(len(content))] = rng.randrange(256)


def cut(content: bytearray, rng: random.Random) -> None:
    del content[rng.randrange(len(content)) :]


def smear(content: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(content))
    length = min(rng.choice([16, 512, 4096]), len(content) - start)
    content[start : start + length] = rng.randbytes(length)


def read_everything(database: Path) -> int:
    """Call every method; return how many raised a DistillError. Anything else fails the test."""
    try:
        lda = LdaDatabase(database)
    except DistillError:
        return 1
    with lda:
        lda.problems()
        calls: list[Callable[[], object]] = [lda.models, lda.projections, lda.questions, lda.answer_records]
        for method in (lda.projection, lda.heads, lda.teacher, lda.queries, lda.answers, lda.remapping):
            calls.extend([functools.partial(method, 1), functools.partial(method, 2)])
        return sum(fails(call) for call in calls)


def fails(call: Callable[[], object]) -> bool:
    try:
        call()
    except DistillError as error:
        return bool(error.message)
    return False


@pytest.mark.parametrize("damage", [overwrite, cut, smear])
def test_a_damaged_database(tmp_path: Path, damage: Callable[[bytearray, random.Random], None]) -> None:
    database = write_lda_db(tmp_path, num_heads=2, questions_per_head=2)
    original = database.read_bytes()
    rng = random.Random(1)
    errors = 0
    for _ in range(60):
        content = bytearray(original)
        damage(content, rng)
        database.write_bytes(content)
        errors += read_everything(database)
    assert errors > 0, "no damage was noticed: the test proves nothing"


@pytest.mark.parametrize("damage", [overwrite, cut, smear])
def test_a_damaged_vector(tmp_path: Path, damage: Callable[[bytearray, random.Random], None]) -> None:
    database = write_lda_db(tmp_path, num_heads=2, questions_per_head=1)
    path = tmp_path / "embeddings/question_1_model_1.npy"
    original = path.read_bytes()
    rng = random.Random(2)
    errors = 0
    with LdaDatabase(database) as lda:
        for _ in range(300):
            content = bytearray(original)
            damage(content, rng)
            path.write_bytes(content)
            errors += fails(functools.partial(lda.queries, 1))
    assert errors > 30


@pytest.mark.parametrize("log", ["lda.db-wal", "lda.db-journal"])
def test_a_log_of_noise(tmp_path: Path, log: str) -> None:
    database = write_lda_db(tmp_path)
    rng = random.Random(3)
    for size in (1, 31, 32, 512, 5000, 100_000):
        (tmp_path / log).write_bytes(rng.randbytes(size))
        read_everything(database)
