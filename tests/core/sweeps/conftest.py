"""A small database, and the places where a ledger may lie."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.postgres_server import PostgresServer, server_program

from distill_core.database import LdaDatabase
from distill_core.sweeps.axes import Axes
from distill_core.sweeps.plan import SweepPlan, SweepRequest, plan_sweep
from distill_core.sweeps.storage import StoragePlace, storage_place
from tests.core.database_factory import write_lda_db

TINY: Axes = {
    "student": ("mlp",),
    "layers": (1,),
    "ff_dim": (12,),
    "recipe": ("book",),
    "epochs": (3,),
    "batch_size": (16,),
    "device": ("cpu",),
}


@pytest.fixture(scope="session")
def small_db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lda_db(tmp_path_factory.mktemp("db"), questions_per_head=10)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    if server_program() is None:
        pytest.skip("there is no PostgreSQL server here: apt-get install postgresql")
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "journal", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> StoragePlace:
    """Each kind of storage; names of sweeps differ, as all tests share one server."""
    if request.param == "postgresql":
        return storage_place(request.getfixturevalue("postgres").url, tmp_path)
    return storage_place(str(tmp_path / ("s.db" if request.param == "sqlite" else "s.log")), tmp_path)


@pytest.fixture
def plan(request: pytest.FixtureRequest, small_db: Path) -> SweepPlan:
    """Two cells with two seeds, of a name that no other test has."""
    return small_plan(small_db, f"s{abs(hash(request.node.name)) % 10**9}")


def small_plan(database: Path, name: str, **others: object) -> SweepPlan:
    request = {"axes": {**TINY, "cosine_weight": (0.2, 0.8)}, "num_seeds": 2, "blocks": 0, **others}
    with LdaDatabase(database) as opened:
        return plan_sweep(SweepRequest(name=name, **request), opened)  # type: ignore[arg-type]
