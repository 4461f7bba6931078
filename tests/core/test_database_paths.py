from __future__ import annotations

import os
from pathlib import Path

import pytest

from distill_core.database import LdaDatabase
from distill_core.database.paths import BUNDLED_DATA, FoundFile, PathRules
from tests.core.database_factory import write_lda_db


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a database, with the working directory elsewhere."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def place(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(path))


def find(folder: Path, stored: str) -> FoundFile | None:
    return PathRules(folder / "lda.db").find(stored)


def test_the_rules_are_tried_in_order(folder: Path) -> None:
    """Every place holds the file; each time the winner is removed, the next rule wins."""
    in_order = [
        folder / "old/run/q.npy",
        folder / "embeddings/old/run/q.npy",
        folder / "embeddings/q.npy",
        folder / "q.npy",
        Path.cwd() / "old/run/q.npy",
    ]
    place(*in_order)
    for number, expected in enumerate(in_order):
        found = find(folder, "old/run/q.npy")
        assert found is not None
        assert (found.path, found.as_stored) == (str(expected), number in (0, 4))
        expected.unlink()
    assert find(folder, "old/run/q.npy") is None


def test_a_folder_of_another_database_around_us_changes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both hold files of the same names; the one that is worked on is named on the command line."""
    other = folder.parent / "other"
    place(folder / "embeddings/q.npy", other / "embeddings/q.npy")
    monkeypatch.chdir(other)
    found = find(folder, "embeddings/q.npy")
    assert found is not None
    assert (found.path, found.as_stored) == (str(folder / "embeddings/q.npy"), True)


def test_the_database_of_the_working_directory_has_its_files_as_stored(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is where the database was made: paths from the working directory, into the database's folder."""
    place(folder / "embeddings/q.npy")
    monkeypatch.chdir(folder.parent)
    found = find(folder, f"{folder.name}/embeddings/q.npy")
    assert found is not None
    assert (found.path, found.as_stored) == (str(folder / "embeddings/q.npy"), True)


def test_the_bundled_demo_is_never_looked_for_in_the_working_directory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(folder / "embeddings/q.npy")
    monkeypatch.chdir(folder)
    assert PathRules(BUNDLED_DATA / "lda.db").find("embeddings/q.npy") is None
    assert PathRules(folder.parent / "lda.db").find("embeddings/q.npy") is not None


def test_an_absolute_path_is_used_as_stored(folder: Path, tmp_path: Path) -> None:
    place(tmp_path / "far/q.npy", folder / "embeddings/q.npy")
    found = find(folder, str(tmp_path / "far/q.npy"))
    assert found is not None
    assert (found.path, found.as_stored) == (str(tmp_path / "far/q.npy"), True)


def test_an_absolute_path_of_another_machine_is_found_by_name(folder: Path) -> None:
    place(folder / "embeddings/q.npy")
    found = find(folder, "/home/someone/else/q.npy")
    assert found is not None
    assert (found.path, found.as_stored) == (str(folder / "embeddings/q.npy"), False)


@pytest.mark.parametrize(
    "stored", [r"C:\data\embeddings\q.npy", r"embeddings\q.npy", r"..\old\q.npy", r"\\host\q.npy"]
)
def test_a_windows_path_is_found(folder: Path, stored: str) -> None:
    place(folder / "embeddings/q.npy")
    found = find(folder, stored)
    assert found is not None
    assert (found.path, found.as_stored) == (str(folder / "embeddings/q.npy"), False)


def test_a_relative_windows_path_keeps_its_folders(folder: Path) -> None:
    place(folder / "old/q.npy", folder / "embeddings/q.npy")
    found = find(folder, r"old\q.npy")
    assert found is not None
    assert found.path == str(folder / "old/q.npy")


def test_a_backslash_may_be_part_of_a_name(folder: Path) -> None:
    place(folder / r"odd\q.npy")
    found = find(folder, r"odd\q.npy")
    assert found is not None
    assert found.path == str(folder / r"odd\q.npy")


@pytest.mark.parametrize(
    "stored", ["", ".", "..", "/", "embeddings", "nul\0byte", "x" * 5000, "a/" * 3000, "\udcff"]
)
def test_what_is_no_file_is_not_found(folder: Path, stored: str) -> None:
    place(folder / "embeddings/q.npy")
    assert find(folder, stored) is None


def test_folders_pipes_and_dangling_links_are_not_files(folder: Path) -> None:
    (folder / "embeddings/folder.npy").mkdir(parents=True)
    os.mkfifo(folder / "embeddings/pipe.npy")
    (folder / "embeddings/link.npy").symlink_to(folder / "nowhere")
    assert [find(folder, name) for name in ("folder.npy", "pipe.npy", "link.npy")] == [None, None, None]


def test_a_linked_database_is_looked_for_beside_the_link_and_its_target(folder: Path, tmp_path: Path) -> None:
    place(folder / "embeddings/q.npy", folder / "embeddings/r.npy", tmp_path / "here/embeddings/r.npy")
    (folder / "lda.db").touch()
    link = tmp_path / "here/lda.db"
    link.symlink_to(folder / "lda.db")
    rules = PathRules(link)
    found = [rules.find("q.npy"), rules.find("r.npy")]
    assert [file and file.path for file in found] == [
        str(folder / "embeddings/q.npy"),
        str(tmp_path / "here/embeddings/r.npy"),
    ]


def test_a_folder_that_may_be_entered_but_not_listed_is_searched(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(folder / "embeddings/q.npy")

    def denied(_: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.scandir", denied)
    found = find(folder, "q.npy")
    assert found is not None
    assert found.path == str(folder / "embeddings/q.npy")
    assert find(folder, "absent.npy") is None


def test_a_working_directory_that_is_gone_does_not_matter(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(folder / "embeddings/q.npy")
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    found = find(folder, "old/q.npy")
    assert found is not None
    assert found.path == str(folder / "embeddings/q.npy")


def test_the_signature_changes_with_the_file(folder: Path) -> None:
    path = folder / "embeddings/q.npy"
    place(path)
    before = find(folder, "q.npy")
    status = path.stat()
    path.write_text(str(path).replace("q", "p"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = find(folder, "q.npy")
    assert before is not None
    assert after is not None
    assert before.signature[:2] == after.signature[:2], "size and time were to be equal"
    assert before.signature != after.signature


def test_the_database_tells_what_was_remapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = write_lda_db(tmp_path / "data")  # 16 questions, 4 answers, 4 heads with 2 files each
    (tmp_path / "data/embeddings/question_3_model_1.npy").unlink()
    (tmp_path / "data/embeddings/question_4_model_1.npy").rename(tmp_path / "data/question_4_model_1.npy")
    monkeypatch.chdir(tmp_path)
    with LdaDatabase(database) as opened:
        how = opened.remapping(1)
    assert (how.as_stored, how.remapped) == (0, 27)
    assert how.missing == ("playbooks/lda-training-data/embeddings/question_3_model_1.npy",)
    assert how.places == (tmp_path / "data/embeddings", tmp_path / "data")


def test_paths_relative_to_the_database_are_as_stored_from_any_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = write_lda_db(tmp_path / "data", path_style="beside")
    monkeypatch.chdir(tmp_path / "data")
    with LdaDatabase(database) as opened:
        assert (opened.remapping(1).as_stored, opened.remapping(1).remapped) == (28, 0)
        monkeypatch.chdir(tmp_path)
        assert (opened.remapping(1).as_stored, opened.remapping(1).remapped) == (28, 0)
