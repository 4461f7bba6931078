from __future__ import annotations

import errno
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest

from distill_core.database import connection as connection_module
from distill_core.database.connection import ReadOnlyConnection
from distill_core.errors import DatabaseError
from tests.core.database_factory import write_lda_db

COUNT = "SELECT COUNT(*) FROM questions"


def snapshot(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every file below a folder with its time, mode and bytes."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.stat().st_mode, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def read(path: Path, sql: str = COUNT) -> object:
    connection = ReadOnlyConnection(path)
    try:
        return connection.rows(sql)[0][0]
    finally:
        connection.close()


def interrupted(database: Path, folder: Path, *, journal_mode: str, commit: bool) -> Path:
    """Copy a database in the middle of a write, together with its log, as after a power cut."""
    writer = sqlite3.connect(database, isolation_level=None)
    writer.execute(f"PRAGMA journal_mode = {journal_mode}")
    writer.execute("PRAGMA cache_size = 1")  # pages go to disk before the commit
    writer.execute("BEGIN")
    for number in range(1000, 1200):
        writer.execute("INSERT INTO questions (question_id, text) VALUES (?, ?)", (number, "x" * 500))
    if commit:
        writer.execute("COMMIT")
    folder.mkdir()
    for path in database.parent.glob("lda.db*"):
        if not path.name.endswith("-shm"):
            shutil.copyfile(path, folder / path.name)
    writer.close()
    return folder / "lda.db"


def test_an_open_database_leaves_its_folder_untouched(tmp_path: Path) -> None:
    database = write_lda_db(tmp_path)
    before = snapshot(tmp_path)
    assert read(database) == 16
    assert snapshot(tmp_path) == before


def test_a_wal_database_gets_no_files_beside_it(tmp_path: Path) -> None:
    database = write_lda_db(tmp_path)
    with sqlite3.connect(database) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
    writer.close()
    before = snapshot(tmp_path)
    assert before["lda.db"][2][18:20] == b"\x02\x02", (
        "the database is not in WAL mode: the test proves nothing"
    )

    connection = ReadOnlyConnection(database)
    assert connection.rows(COUNT) == [(16,)]
    assert snapshot(tmp_path) == before
    connection.close()
    assert snapshot(tmp_path) == before


def test_an_empty_wal_file_is_left_alone(tmp_path: Path) -> None:
    database = write_lda_db(tmp_path)
    (tmp_path / "lda.db-wal").touch()
    before = snapshot(tmp_path)
    assert read(database) == 16
    assert snapshot(tmp_path) == before


def test_committed_rows_of_a_wal_file_are_read_and_nothing_is_written(tmp_path: Path) -> None:
    source = write_lda_db(tmp_path / "source")
    database = interrupted(source, tmp_path / "copy", journal_mode="WAL", commit=True)
    assert (database.parent / "lda.db-wal").stat().st_size > 0
    before = snapshot(database.parent)
    assert read(database) == 216
    assert snapshot(database.parent) == before


def test_a_half_written_transaction_is_undone_in_a_copy_only(tmp_path: Path) -> None:
    source = write_lda_db(tmp_path / "source")
    database = interrupted(source, tmp_path / "copy", journal_mode="DELETE", commit=False)
    assert (database.parent / "lda.db-journal").stat().st_size > 0
    before = snapshot(database.parent)
    assert read(database) == 16
    assert snapshot(database.parent) == before


def test_no_copy_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_lda_db(tmp_path / "source")
    database = interrupted(source, tmp_path / "copy", journal_mode="WAL", commit=True)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    connection = ReadOnlyConnection(database)
    assert list(temporary.iterdir()) == []
    connection.close()


def on_opening(monkeypatch: pytest.MonkeyPatch, suffix: str, act: Callable[[], object]) -> None:
    """Do something each time that a file is opened to be read."""
    opened = Path.open

    def open_after(path: Path, mode: str = "r") -> IO[Any]:
        if path.name.endswith(suffix) and mode == "rb":
            act()
        return opened(path, mode)

    monkeypatch.setattr(Path, "open", open_after)
    monkeypatch.setattr("time.sleep", lambda _: None)


def append(path: Path) -> None:
    with open(path, "ab") as file:  # noqa: PTH123 - the way that is not watched
        file.write(b"more")


def test_a_database_that_never_rests_is_being_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_lda_db(tmp_path / "source")
    database = interrupted(source, tmp_path / "copy", journal_mode="WAL", commit=True)
    on_opening(monkeypatch, "-wal", lambda: append(Path(f"{database}-wal")))
    with pytest.raises(DatabaseError, match="being written to at this moment"):
        ReadOnlyConnection(database)


def test_a_database_that_rests_after_a_while_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_lda_db(tmp_path / "source")
    database = interrupted(source, tmp_path / "copy", journal_mode="WAL", commit=True)
    writes = iter(range(7))
    on_opening(monkeypatch, "-wal", lambda: append(Path(f"{database}-wal")) if next(writes, None) else None)
    assert read(database) == 216


def test_a_log_that_vanishes_while_it_is_copied_is_no_longer_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = write_lda_db(tmp_path)
    wal = tmp_path / "lda.db-wal"
    wal.write_bytes(b"about to be checkpointed")
    on_opening(monkeypatch, "lda.db", lambda: wal.unlink(missing_ok=True))
    assert read(database) == 16


WRITER = """
import sqlite3, sys
writer = sqlite3.connect(sys.argv[1], isolation_level=None)
writer.execute("PRAGMA journal_mode = " + sys.argv[2])
writer.execute("PRAGMA cache_size = 1")
writer.execute("BEGIN IMMEDIATE")
for number in range(1000, 1000 + int(sys.argv[3])):
    writer.execute("INSERT INTO questions (question_id, text) VALUES (?, ?)", (number, "x" * 500))
print("in the middle", flush=True)
sys.stdin.read()
writer.execute("ROLLBACK")
"""


@pytest.mark.parametrize(
    ("journal_mode", "rows", "readable"),
    [
        ("WAL", 200, True),  # what is not committed is in the log, and not read
        ("DELETE", 0, True),  # a transaction that has written nothing yet
        ("DELETE", 200, False),
        ("TRUNCATE", 200, False),
        ("PERSIST", 200, False),
        ("MEMORY", 200, False),  # the journal is where nobody else sees it
    ],
)
def test_another_program_in_the_middle_of_a_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journal_mode: str, rows: int, readable: bool
) -> None:
    database = write_lda_db(tmp_path)
    monkeypatch.setattr("time.sleep", lambda _: None)
    arguments = [sys.executable, "-c", WRITER, str(database), journal_mode, str(rows)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "in the middle\n"
        before = snapshot(tmp_path)
        if readable:
            assert read(database) == 16
        else:
            with pytest.raises(DatabaseError, match="being written to at this moment"):
                ReadOnlyConnection(database)
        assert snapshot(tmp_path) == before
        writer.communicate("")
    assert read(database) == 16


def test_a_file_system_without_locks_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.lockf", no_locks)
    assert read(write_lda_db(tmp_path)) == 16


def test_an_sqlite_that_cannot_open_bytes_reads_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "_CAN_OPEN_BYTES", False)
    assert read(write_lda_db(tmp_path)) == 16


def test_all_readings_of_a_connection_are_of_one_moment(tmp_path: Path) -> None:
    database = write_lda_db(tmp_path)
    connection = ReadOnlyConnection(database)
    with sqlite3.connect(database) as writer:
        writer.execute("DELETE FROM questions")
    writer.close()
    assert connection.rows(COUNT) == [(16,)]
    connection.close()


def test_a_file_too_large_to_copy_is_read_in_place_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = write_lda_db(tmp_path)
    monkeypatch.setattr(connection_module, "MAX_IN_MEMORY_BYTES", 1000)
    connection = ReadOnlyConnection(database)
    assert connection.rows(COUNT) == [(16,)]
    os.utime(database, ns=(1, 1))
    with pytest.raises(DatabaseError, match="being written to at this moment"):
        connection.rows(COUNT)
    connection.close()


@pytest.mark.parametrize(
    "name", ["a b.db", "what?.db", "no#1.db", "100%25.db", "ü.db", "mode=rw&x.db", "'quoted'.db", "a;b.db"]
)
def test_odd_characters_in_the_path(tmp_path: Path, name: str) -> None:
    database = write_lda_db(tmp_path)
    odd = tmp_path / name
    odd.mkdir()
    target = odd / name
    shutil.copyfile(database, target)
    assert read(target) == 16
    assert sorted(path.name for path in odd.iterdir()) == [name]


def test_a_link_is_followed_to_the_log_of_its_target(tmp_path: Path) -> None:
    source = write_lda_db(tmp_path / "source")
    database = interrupted(source, tmp_path / "copy", journal_mode="WAL", commit=True)
    link = tmp_path / "link.db"
    link.symlink_to(database)
    assert read(link) == 216


def test_nothing_can_be_written(tmp_path: Path) -> None:
    connection = ReadOnlyConnection(write_lda_db(tmp_path))
    with pytest.raises(DatabaseError, match="readonly"):
        connection.rows("DELETE FROM questions")
    connection.close()


def test_another_thread_may_read(tmp_path: Path) -> None:
    connection = ReadOnlyConnection(write_lda_db(tmp_path))
    seen: list[object] = []
    thread = threading.Thread(target=lambda: seen.append(connection.rows(COUNT)))
    thread.start()
    thread.join()
    assert seen == [[(16,)]]
    connection.close()


def test_texts_that_are_not_utf8_are_shown_as_far_as_possible(tmp_path: Path) -> None:
    database = write_lda_db(tmp_path)
    with sqlite3.connect(database) as writer:
        writer.execute("UPDATE questions SET text = CAST(X'66ff6f' AS TEXT) WHERE question_id = 1")
    writer.close()
    assert read(database, "SELECT text FROM questions WHERE question_id = 1") == "f\ufffdo"


def bad_files(folder: Path) -> dict[str, tuple[Path, str]]:
    """Paths that are no database, with what must be said of each."""
    (folder / "text.db").write_text("hello, this is no database at all")
    (folder / "empty.db").touch()
    (folder / "header.db").write_bytes(b"SQLite format 3\x00")
    (folder / "garbage.db").write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000)
    (folder / "loop.db").symlink_to(folder / "loop.db")
    os.mkfifo(folder / "pipe.db")
    return {
        "text": (folder / "text.db", "is not an SQLite database"),
        "empty": (folder / "empty.db", "is an empty file"),
        "header only": (folder / "header.db", "is damaged|is not an"),
        "garbage": (folder / "garbage.db", "is damaged"),
        "folder": (folder, "is a folder, not a database"),
        "nothing": (folder / "absent.db", "There is no file"),
        "below a file": (folder / "text.db" / "lda.db", "cannot be opened"),
        "loop": (folder / "loop.db", "cannot be opened"),
        "pipe": (folder / "pipe.db", "is a device or a pipe"),
        "nul": (Path("a\0b"), "cannot be opened"),
        "too long": (folder / ("x" * 300), "cannot be opened"),
    }


@pytest.mark.parametrize(
    "which",
    [
        "text",
        "empty",
        "header only",
        "garbage",
        "folder",
        "nothing",
        "below a file",
        "loop",
        "pipe",
        "nul",
        "too long",
    ],
)
def test_each_bad_file_has_its_own_error(tmp_path: Path, which: str) -> None:
    path, message = bad_files(tmp_path)[which]
    with pytest.raises(DatabaseError) as caught:
        read(path)
    assert re.search(message, caught.value.message)
    assert str(path) in caught.value.message
    assert caught.value.hint


def test_a_folder_that_holds_a_database_says_which(tmp_path: Path) -> None:
    database = write_lda_db(tmp_path)
    with pytest.raises(DatabaseError) as caught:
        ReadOnlyConnection(tmp_path)
    assert caught.value.hint == f"Open {database}."


def test_permission_denied_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = write_lda_db(tmp_path)

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)  # root may read everything, so the mode alone proves nothing
    with pytest.raises(DatabaseError, match=r"may not be read: permission denied") as caught:
        ReadOnlyConnection(database)
    assert str(database) in caught.value.message


def test_a_damaged_page_is_reported_by_the_query_that_meets_it(tmp_path: Path) -> None:
    database = write_lda_db(tmp_path)
    content = bytearray(database.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    database.write_bytes(content)
    connection = ReadOnlyConnection(database)
    with pytest.raises(DatabaseError, match="is damaged"):
        connection.rows(COUNT)
    connection.close()


def test_a_closed_connection_says_so(tmp_path: Path) -> None:
    connection = ReadOnlyConnection(write_lda_db(tmp_path))
    connection.close()
    connection.close()
    with pytest.raises(DatabaseError, match="closed"):
        connection.rows(COUNT)


def test_a_full_disk_while_copying_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = write_lda_db(tmp_path)
    (tmp_path / "lda.db-wal").write_bytes(b"x")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DatabaseError, match="No space left on device"):
        ReadOnlyConnection(database)
