from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from platformdirs import PlatformDirs

from distill_core import user_folders
from distill_core.database import LdaDatabase
from distill_core.database.cache import MAX_ENTRIES, MIN_FILES, VectorCache
from distill_core.database.paths import FoundFile
from distill_core.database.vectors import Vectors, read_vectors
from distill_core.errors import VectorError
from tests.core.database_factory import write_lda_db
from tests.core.test_database_schema import execute

NUM_QUESTIONS = 4 * 75
LONG_AGO_NS = 1_600_000_000_000_000_000


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with more questions than are read without the cache, its files written long ago."""
    folder = tmp_path_factory.mktemp("original")
    write_lda_db(folder, questions_per_head=75, temperatures=(0.1,))
    for path in folder.rglob("*.npy"):
        os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
    return folder


@pytest.fixture
def database(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original, tmp_path / "data")  # keeps the times
    return tmp_path / "data/lda.db"


@pytest.fixture
def cache_dir(tmp_path: Path) -> Path:
    return tmp_path / "cache"


class Reads:
    """Counts how often the vector files are read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number = 0
        monkeypatch.setattr("distill_core.database.vector_store.read_vectors", self)

    def __call__(self, files: tuple[FoundFile, ...], dimension: int, *progress: object) -> Vectors:
        self.number += 1
        return read_vectors(files, dimension)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(monkeypatch)


def queries(database: Path, cache_dir: Path | None) -> Vectors:
    with LdaDatabase(database, cache_dir=cache_dir) as opened:
        ids, vectors = opened.queries(1)
    assert ids.tolist() == list(range(1, NUM_QUESTIONS + 1))
    return vectors


def entries(cache_dir: Path) -> list[Path]:
    return sorted(cache_dir.iterdir()) if cache_dir.exists() else []


def directly(database: Path) -> Vectors:
    """The vectors by an independent way: one np.load for each."""
    folder = database.parent / "embeddings"
    files = [folder / f"question_{number}_model_1.npy" for number in range(1, NUM_QUESTIONS + 1)]
    loaded: Vectors = np.stack([np.load(file) for file in files])
    return loaded


def question(database: Path, number: int) -> Path:
    return database.parent / f"embeddings/question_{number}_model_1.npy"


def test_the_second_time_no_vector_file_is_read(database: Path, cache_dir: Path, reads: Reads) -> None:
    first = queries(database, cache_dir)
    assert reads.number == 1
    second = queries(database, cache_dir)
    assert reads.number == 1
    assert np.array_equal(first, directly(database))
    assert np.array_equal(second, first)
    assert second.dtype == np.float32
    assert second.flags.writeable
    assert len(entries(cache_dir)) == 1


def test_nothing_is_written_beside_the_database(database: Path, cache_dir: Path) -> None:
    before = sorted(database.parent.rglob("*"))
    queries(database, cache_dir)
    assert sorted(database.parent.rglob("*")) == before
    assert len(entries(cache_dir)) == 1


def change_contents(path: Path) -> None:
    np.save(path, 2 * np.load(path))


def change_contents_but_not_the_time(path: Path) -> None:
    status = path.stat()
    np.save(path, 2 * np.load(path))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replace_with_a_copy(path: Path) -> None:
    copy = path.with_name("copy")
    shutil.copy2(path, copy)
    copy.replace(path)


def change_the_size(path: Path) -> None:
    status = path.stat()
    np.save(path, np.load(path).astype(np.float64))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize(
    "change", [change_contents, change_contents_but_not_the_time, replace_with_a_copy, change_the_size]
)
@pytest.mark.parametrize("number", [1, 150, NUM_QUESTIONS])
def test_any_changed_file_is_noticed(
    database: Path, cache_dir: Path, reads: Reads, change: object, number: int
) -> None:
    queries(database, cache_dir)
    assert callable(change)
    change(question(database, number))
    assert np.array_equal(queries(database, cache_dir), directly(database))
    assert reads.number == 2


def test_two_files_exchanged_are_noticed(database: Path, cache_dir: Path, reads: Reads) -> None:
    queries(database, cache_dir)
    one, two, spare = question(database, 1), question(database, 2), database.parent / "spare"
    one.rename(spare)
    two.rename(one)
    spare.rename(two)
    assert np.array_equal(queries(database, cache_dir), directly(database))
    assert reads.number == 2


def flip(content: bytes, position: int) -> bytes:
    return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]


@pytest.mark.parametrize("damage", ["empty", "truncated", "longer", "checksum", "number", "folder", "other"])
def test_a_damaged_entry_is_ignored_and_made_again(
    database: Path, cache_dir: Path, reads: Reads, damage: str
) -> None:
    queries(database, cache_dir)
    (entry,) = entries(cache_dir)
    content = entry.read_bytes()
    entry.unlink()
    if damage == "folder":
        entry.mkdir()
    else:
        entry.write_bytes(
            {
                "empty": b"",
                "truncated": content[:-1],
                "longer": content + b"x",
                "checksum": flip(content, 0),
                "number": flip(content, len(content) // 2),
                "other": b"\0" * len(content),
            }[damage]
        )
    assert np.array_equal(queries(database, cache_dir), directly(database))
    assert reads.number == 2
    if damage != "folder":
        assert entry.read_bytes() == content


def test_a_folder_that_cannot_be_made_is_no_error(database: Path, tmp_path: Path, reads: Reads) -> None:
    (tmp_path / "file").touch()
    queries(database, tmp_path / "file/cache")
    queries(database, tmp_path / "file/cache")
    assert reads.number == 2


def test_a_full_disk_is_no_error_and_leaves_nothing(
    database: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    queries(database, cache_dir)
    assert entries(cache_dir) == []


def test_an_entry_that_may_not_be_read_is_no_error(
    database: Path, cache_dir: Path, reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries(database, cache_dir)
    opened = Path.open

    def denied(self: Path, mode: str) -> object:
        if self.suffix == ".vectors":
            raise PermissionError(13, "Permission denied")
        return opened(self, mode)

    monkeypatch.setattr(Path, "open", denied)
    queries(database, cache_dir)
    assert reads.number == 2


def test_the_cache_may_be_deleted(database: Path, cache_dir: Path, reads: Reads) -> None:
    queries(database, cache_dir)
    shutil.rmtree(cache_dir)
    queries(database, cache_dir)
    assert reads.number == 2
    assert len(entries(cache_dir)) == 1


def test_old_entries_and_left_over_files_are_removed(database: Path, cache_dir: Path) -> None:
    cache_dir.mkdir()
    others = [cache_dir / f"{number:02d}.vectors" for number in range(MAX_ENTRIES)]
    others.append(cache_dir / "crashed.vectorsabc.tmp")
    for age, path in enumerate(others):
        path.touch()
        os.utime(path, ns=(LONG_AGO_NS - age, LONG_AGO_NS - age))
    (cache_dir / "not ours.txt").touch()
    queries(database, cache_dir)
    left = entries(cache_dir)
    assert others[0] in left
    assert others[MAX_ENTRIES - 2] in left
    assert others[MAX_ENTRIES - 1] not in left
    assert others[MAX_ENTRIES] not in left
    assert len(left) == MAX_ENTRIES + 1, "the entries and the file that is not ours"


def test_an_entry_that_is_used_counts_as_new(database: Path, cache_dir: Path) -> None:
    queries(database, cache_dir)
    (entry,) = entries(cache_dir)
    os.utime(entry, ns=(LONG_AGO_NS, LONG_AGO_NS))
    queries(database, cache_dir)
    assert entry.stat().st_mtime_ns > LONG_AGO_NS


def test_files_written_this_instant_are_not_kept(
    database: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time_ns", lambda: LONG_AGO_NS + 1_000_000)
    queries(database, cache_dir)
    assert entries(cache_dir) == []
    monkeypatch.setattr("time.time_ns", lambda: LONG_AGO_NS + 1_000_000_000)
    queries(database, cache_dir)
    assert len(entries(cache_dir)) == 1


def test_bad_vectors_are_never_kept(database: Path, cache_dir: Path) -> None:
    np.save(question(database, 7), np.zeros(8, np.float32))
    with LdaDatabase(database, cache_dir=cache_dir) as opened, pytest.raises(VectorError, match="all zero"):
        opened.queries(1)
    assert entries(cache_dir) == []


def test_a_wrong_dimension_is_an_error_not_a_want_of_memory(database: Path, cache_dir: Path) -> None:
    execute(database, "UPDATE embedding_models SET dimension = 1000000")
    with LdaDatabase(database, cache_dir=cache_dir) as opened:
        with pytest.raises(VectorError, match=r"has shape \(8,\)"):
            opened.queries(1)
        assert sum("has shape" in problem.message for problem in opened.problems()) == 4


def test_few_files_are_not_kept(tmp_path: Path, cache_dir: Path) -> None:
    assert MIN_FILES > 16
    with LdaDatabase(write_lda_db(tmp_path / "data"), cache_dir=cache_dir) as opened:
        opened.queries(1)
    assert entries(cache_dir) == []


def test_the_environment_names_the_folder(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(user_folders.ENVIRONMENT_VARIABLE, str(tmp_path / "chosen"))
    queries(database, None)
    assert len(entries(tmp_path / "chosen")) == 1


def test_the_argument_goes_before_the_environment(
    database: Path, tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(user_folders.ENVIRONMENT_VARIABLE, str(tmp_path / "chosen"))
    queries(database, cache_dir)
    assert (len(entries(tmp_path / "chosen")), len(entries(cache_dir))) == (0, 1)


def test_the_default_is_the_users_cache(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(user_folders.ENVIRONMENT_VARIABLE, "")
    monkeypatch.setattr(PlatformDirs, "user_cache_dir", str(tmp_path / "home/distill-tui"))
    queries(database, None)
    assert len(entries(tmp_path / "home/distill-tui")) == 1


def test_without_a_home_nothing_is_kept(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(user_folders.ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setattr(PlatformDirs, "user_cache_dir", "~/.cache/distill-tui")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    queries(database, None)
    assert list(Path.cwd().iterdir()) == []


def test_one_entry_for_each_list_of_files(tmp_path: Path) -> None:
    files = [FoundFile(f"/nowhere/{number}.npy", True, (1, 2, 3, number)) for number in range(MIN_FILES)]
    vectors = np.ones((MIN_FILES, 4), np.float32)
    store = VectorCache(tmp_path)
    store.store(files, vectors)
    loaded = store.load(files, 4)
    assert loaded is not None
    assert np.array_equal(loaded, vectors)
    assert store.load(files, 5) is None
    assert store.load(files[::-1], 4) is None
    assert store.load([*files, files[0]], 4) is None
