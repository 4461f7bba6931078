from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from distill_core.config import DataConfig, RunConfig
from distill_core.database import demo_database_path
from distill_core.errors import ExportError, OutputError
from distill_core.export.directory import ExportDirectory
from distill_core.outputs import Output
from distill_core.runs import RunStore
from distill_core.students import MlpStudent, save_student
from tests.core.database_factory import write_vector_folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with everything that no output may be written over."""
    monkeypatch.setenv("DISTILL_TUI_CACHE", str(tmp_path / "cache"))
    database = tmp_path / "lda.db"
    database.write_bytes(demo_database_path().read_bytes())
    (tmp_path / "link.safetensors").symlink_to(database)
    (tmp_path / "hard.safetensors").hardlink_to(database)
    np.save(tmp_path / "vectors.npy", np.ones(4, np.float32))
    (tmp_path / "vectors.npy").rename(tmp_path / "vectors.bin")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/0.vectors").write_bytes(b"kept")
    write_vector_folder(tmp_path / "folder")
    run = RunStore(tmp_path / "runs").create(RunConfig(data=DataConfig(database=str(database))))
    run.path.rename(tmp_path / "run")
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


PROTECTED = {
    "lda.db": "a database",
    "./no/../lda.db": "a database",
    "link.safetensors": "a database",
    "hard.safetensors": "a database",
    "lda.db-wal": "a database",
    "lda.db-journal": "a database",
    "vectors.bin": "a file of vectors",
    "embeddings/missing.NPY": "a file of vectors",
    "run/config.toml": "the run run",
    "run/state.json": "the run run",
    "run/checkpoints/new.safetensors": "the run run",
    "cache/0.vectors": "the cache",
    "folder/queries.jsonl": "a folder of vectors",
    "folder/centroids.npy": "a file of vectors",
    "folder/new/student.safetensors": "a folder of vectors",
    "pipe": "no plain file",
    "run": "is a folder",
    "lda.db/new.safetensors": "cannot be written",
    "n\0l": "cannot be written",
}


@pytest.mark.parametrize("name", PROTECTED)
def test_nothing_that_is_read_is_written_over_even_when_asked(place: Path, name: str) -> None:
    before = {file: file.read_bytes() for file in place.rglob("*") if file.is_file()}
    with pytest.raises(OutputError, match=PROTECTED[name]):
        Output(place / name, replace=True)
    with pytest.raises(OutputError, match=PROTECTED[name]):
        save_student(MlpStudent(4, 1, 3), place / name)
    assert {file: file.read_bytes() for file in place.rglob("*") if file.is_file()} == before


def test_a_device_is_not_replaced() -> None:
    with pytest.raises(OutputError, match="no plain file"):
        Output("/dev/null", replace=True)


def test_what_a_folder_of_vectors_links_to_is_no_output(tmp_path: Path) -> None:
    folder = write_vector_folder(tmp_path / "folder")
    (folder / "heads.jsonl").rename(tmp_path / "elsewhere")
    (folder / "heads.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="what is read"):
        Output(tmp_path / "elsewhere", replace=True, inputs=[folder])


def test_what_a_command_reads_is_no_output_by_any_of_its_names(tmp_path: Path) -> None:
    (tmp_path / "student").write_bytes(b"weights")
    (tmp_path / "other").hardlink_to(tmp_path / "student")
    for name in ("student", "other"):
        with pytest.raises(OutputError, match="what is read"):
            Output(tmp_path / name, replace=True, inputs=[None, tmp_path / "student"])


def test_a_file_that_exists_is_replaced_only_when_asked(tmp_path: Path) -> None:
    file = tmp_path / "new/folder/times.npz"
    output = Output(file)
    assert list(file.parent.iterdir()) == []
    assert output.write(b"first") == file
    output.write(b"second")  # its own
    with pytest.raises(OutputError, match=r"exists already.*--force"):
        Output(file)
    Output(file, replace=True).write(b"third")
    assert [entry.read_bytes() for entry in file.parent.iterdir()] == [b"third"]


def test_a_file_that_appeared_meanwhile_is_kept(tmp_path: Path) -> None:
    output = Output(tmp_path / "x.json")
    (tmp_path / "x.json").write_bytes(b"another's")
    with pytest.raises(OutputError, match="exists already"):
        output.write(b"ours")
    assert (tmp_path / "x.json").read_bytes() == b"another's"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    Output(tmp_path / "link").write(b"content")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"content"


def test_a_folder_with_settings_of_another_program_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("")
    Output(tmp_path / "student.safetensors").write(b"weights")


def test_an_export_goes_into_no_run_and_removes_only_its_own(place: Path) -> None:
    run = RunStore(place / "runs").create(RunConfig(data=DataConfig(database=str(place / "lda.db"))))
    with pytest.raises(ExportError, match="a folder of vectors, which is never written to"):
        ExportDirectory.claim(place / "folder/export", run)
    with pytest.raises(ExportError, match="inside a run"):
        ExportDirectory.claim(place / "run" / "export", run)

    from distill_core.export import ExportFinished, export_run

    def exported() -> ExportFinished:
        event = list(export_run(run, place / "export"))[-1]
        assert isinstance(event, ExportFinished)
        return event

    exported()
    (place / "export/model.pt").write_bytes(b"the user's")
    exported()
    assert (place / "export/model.pt").read_bytes() == b"the user's"
