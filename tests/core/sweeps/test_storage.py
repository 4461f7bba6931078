from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from distill_core.errors import OutputError, SweepError
from distill_core.sweeps.ledger import SweepLedger
from distill_core.sweeps.plan import SweepPlan
from distill_core.sweeps.storage import (
    ENVIRONMENT_VARIABLE,
    StoragePlace,
    mend_journal,
    open_storage,
    storage_place,
)
from distill_core.sweeps.studies import sweep_names
from distill_core.sweeps.trials import WorkerRecord


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (None, ("sqlite", "/runs/sweeps.db")),
        ("/a/b.db", ("sqlite", "/a/b.db")),
        ("/a/b.log", ("journal", "/a/b.log")),
        ("sqlite:////a/b", ("sqlite", "/a/b")),
        ("journal:////a/b", ("journal", "/a/b")),
        ("postgresql://u@h/d", ("postgresql", "postgresql+psycopg://u@h/d")),
        ("postgresql+psycopg://u@h/d", ("postgresql", "postgresql+psycopg://u@h/d")),
    ],
)
def test_where_a_ledger_lies(asked: str | None, expected: tuple[str, str]) -> None:
    place = storage_place(asked, Path("/runs"))
    assert tuple(place) == expected
    assert storage_place(place.url, Path("/elsewhere")) == place


def test_the_environment_names_it_where_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "postgresql://u@h/d")
    assert storage_place(None, Path("/runs")).kind == "postgresql"
    assert storage_place("/a.db", Path("/runs")).kind == "sqlite"


@pytest.mark.parametrize("asked", ["mysql://u@h/d", "sqlite://", "redis://h", "journal://"])
def test_what_is_no_storage(asked: str) -> None:
    with pytest.raises(SweepError, match="no storage"):
        storage_place(asked, Path("/runs"))


def test_a_password_is_shown_nowhere() -> None:
    place = storage_place("postgresql://me:secret@h/d", Path("/runs"))
    assert "secret" not in place.shown
    with pytest.raises(SweepError) as raised:
        storage_place("mysql://me:secret@h/d", Path("/runs"))
    assert "secret" not in str(raised.value)


def test_a_server_that_is_not_there_is_told_at_once(plan: SweepPlan, tmp_path: Path) -> None:
    place = storage_place(f"postgresql://postgres@/x?host={tmp_path}", tmp_path)
    with pytest.raises(SweepError, match="does not answer"):
        SweepLedger.create(place, plan)


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_the_users_database_is_never_written_to(kind: str, small_db: Path, plan: SweepPlan) -> None:
    before = small_db.read_bytes()
    with pytest.raises(SweepError, match="not written to"):
        SweepLedger.create(storage_place(f"{kind}:///{small_db}", small_db), plan)
    assert small_db.read_bytes() == before


def test_a_ledger_in_a_run_is_refused(plan: SweepPlan, tmp_path: Path) -> None:
    for name in ("config.toml", "state.json"):
        (tmp_path / name).touch()
    with pytest.raises(OutputError, match="belongs to the run"):
        SweepLedger.create(storage_place(str(tmp_path / "x.log"), tmp_path), plan)


def test_two_writers_of_sqlite_never_read_before_both_write(plan: SweepPlan, tmp_path: Path) -> None:
    """The lock is taken when a transaction begins: a second connection then waits, here for no time."""
    place = storage_place(None, tmp_path)
    SweepLedger.create(place, plan)
    storage = open_storage(place)
    begun = storage.engine.connect()  # type: ignore[attr-defined]
    begun.exec_driver_sql("SELECT 1")
    other = sqlite3.connect(place.address, timeout=0)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("BEGIN IMMEDIATE")
    begun.close()
    other.close()


def torn(place: StoragePlace) -> None:
    with Path(place.address).open("ab") as file:
        file.write(b'{"op_code":4,"worker_')


def test_a_torn_last_line_of_the_journal_is_mended(plan: SweepPlan, tmp_path: Path) -> None:
    place = storage_place(str(tmp_path / "s.log"), tmp_path)
    ledger = SweepLedger.create(place, plan)
    torn(place)
    assert sweep_names(place) == (plan.name,)
    claim = ledger.claim(WorkerRecord.here())
    assert claim is not None
    torn(place)
    claim.give_back()
    assert SweepLedger(place, plan.name).current()[0, 0].state == "waiting"
    assert all(json.loads(line) for line in Path(place.address).read_text().splitlines())


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"", b""), (b"a\n", b"a\n"), (b"a\nb", b"a\n"), (b"b", b""), (b"a\n" + b"x" * 200_000, b"a\n")],
)
def test_only_what_does_not_end_is_cut_off(content: bytes, expected: bytes, tmp_path: Path) -> None:
    file = tmp_path / "s.log"
    file.write_bytes(content)
    mend_journal(file)
    assert file.read_bytes() == expected


def test_a_lock_that_was_left_behind_is_broken(
    plan: SweepPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = storage_place(str(tmp_path / "s.log"), tmp_path)
    ledger = SweepLedger.create(place, plan)
    lock = Path(f"{place.address}.lock")
    lock.touch()
    moments = iter(range(0, 10_000, 3))  # each look at the clock 3 s later
    monkeypatch.setattr("optuna.storages.journal._file.time.monotonic", lambda: next(moments))
    monkeypatch.setattr("optuna.storages.journal._file.time.sleep", lambda seconds: None)
    assert ledger.claim(WorkerRecord.here()) is not None
    assert not lock.exists()


def test_nothing_is_printed_by_optuna(
    plan: SweepPlan, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    SweepLedger.create(storage_place(str(tmp_path / "s.db"), tmp_path), plan)
    assert capfd.readouterr() == ("", "")
    assert {path.name for path in tmp_path.iterdir()} <= {"s.db", "s.db-wal", "s.db-shm"}
