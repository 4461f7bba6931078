"""What a resume compares: all that the training reads of the database, and nothing else."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from distill_core.config import DataConfig, RunConfig, TrainingConfig
from distill_core.errors import RunError
from distill_core.export.contents import check_queries
from distill_core.runs import DataRecord, RecordedRun, RunFolder, load_checkpoint
from distill_core.students import EncoderConfig
from distill_core.training import EpochFinished
from tests.core.database_factory import write_lda_db

QUERY_LOG = "CREATE TABLE query_log (query_text TEXT, model_id INTEGER)"


@pytest.fixture(scope="module")
def left_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was left after two epochs, and its database beside it."""
    root = tmp_path_factory.mktemp("left")
    database = write_lda_db(root / "db", questions_per_head=10)
    run = RecordedRun.new(str(root / "runs"), config_of(database))
    events = iter(run)
    for event in events:
        if isinstance(event, EpochFinished) and event.epoch == 2:
            break
    events.close()
    return run.folder.path


@pytest.fixture
def folder(tmp_path: Path, left_run: Path) -> RunFolder:
    """A copy of it, whose database may be changed."""
    shutil.copytree(left_run.parent.parent / "db", tmp_path / "db")
    shutil.copytree(left_run, tmp_path / "runs" / left_run.name)
    run = RunFolder.open(tmp_path / "runs" / left_run.name)
    run.write_config(msgspec.structs.replace(run.read_config(), data=config_of(database_of(run)).data))
    return run


def config_of(database: Path) -> RunConfig:
    return RunConfig(
        data=DataConfig(database=str(database)),
        student=EncoderConfig(heads=2, layers=1, ff_dim=12),
        training=TrainingConfig(epochs=3, batch_size=16, seed=4, device="cpu"),
    )


def database_of(run: RunFolder) -> Path:
    return run.path.parent.parent / "db" / "lda.db"


def record_of(run: RunFolder) -> DataRecord:
    record = run.read_data()
    assert record is not None
    return record


def execute(database: Path, statements: Sequence[str]) -> None:
    connection = sqlite3.connect(database, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def negate_vectors(run: RunFolder) -> None:
    file = next((database_of(run).parent / "embeddings").glob("question_*.npy"))
    np.save(file, -np.load(file))


def commit_to_the_log_alone(run: RunFolder) -> None:
    """Change tau as a program does that is killed: the write-ahead log has it, the file's bytes stay."""
    database = database_of(run)
    execute(database, ["PRAGMA journal_mode = WAL"])
    before = database.read_bytes()
    other = database.parent / "other"
    other.mkdir()
    writer = sqlite3.connect(database, isolation_level=None)
    writer.execute("UPDATE multi_head_projections SET temperature = 0.5 WHERE mh_projection_id = 1")
    shutil.copyfile(f"{database}-wal", other / "lda.db-wal")
    writer.close()
    for name in ("-wal", "-shm"):
        Path(f"{database}{name}").unlink(missing_ok=True)
    database.write_bytes(before)
    shutil.copyfile(other / "lda.db-wal", f"{database}-wal")
    assert database.read_bytes() == before


def change(*statements: str) -> Callable[[RunFolder], None]:
    return lambda run: execute(database_of(run), statements)


@pytest.mark.parametrize(
    "harmless",
    [
        pytest.param(change("VACUUM"), id="vacuum"),
        pytest.param(change("PRAGMA journal_mode = WAL"), id="wal"),
        pytest.param(change(QUERY_LOG, "INSERT INTO query_log VALUES ('how', 1)"), id="query log"),
        pytest.param(change("UPDATE multi_head_projections SET recall_at_1 = 0.5, name = 'b'"), id="figures"),
        pytest.param(
            change("DELETE FROM multi_head_projections WHERE mh_projection_id = 2"), id="another one"
        ),
        pytest.param(change("UPDATE embeddings SET vector_path = 'x/' || vector_path"), id="stored paths"),
        pytest.param(lambda run: database_of(run).open("ab").write(b"\0" * 512), id="bytes at the end"),
    ],
)
def test_what_no_training_reads_keeps_nobody_from_going_on(
    folder: RunFolder, harmless: Callable[[RunFolder], None]
) -> None:
    harmless(folder)
    list(RecordedRun(folder))
    assert folder.is_finished


@pytest.mark.parametrize(
    ("harmful", "told"),
    [
        (change("UPDATE multi_head_projections SET temperature = 0.3"), "its temperature is 0.3, it was 0.1"),
        (commit_to_the_log_alone, "its temperature is 0.5, it was 0.1"),
        (change("DELETE FROM cluster_heads WHERE cluster_id = 4"), "its heads, questions or answers"),
        (change("DELETE FROM embeddings WHERE entity_type = 'question' AND entity_id = 7"), "its heads, "),
        (change("UPDATE cluster_questions SET cluster_id = 2 WHERE question_id = 3"), "its heads, questions"),
        (change("DELETE FROM embeddings WHERE entity_type = 'answer' AND entity_id = 2"), "its heads, "),
        (negate_vectors, "its heads, questions or answers"),
    ],
    ids=["tau", "tau in the log", "a head", "a question", "a cluster", "an answer", "vectors"],
)
def test_what_a_training_reads_must_be_as_it_was(
    folder: RunFolder, harmful: Callable[[RunFolder], None], told: str
) -> None:
    harmful(folder)
    metrics, checkpoint = folder.read_metrics().lines, load_checkpoint(folder.last_checkpoint)[1]
    with pytest.raises(RunError, match=f"has changed since {folder.name} was started: {told}"):
        list(RecordedRun(folder))
    assert folder.read_metrics().lines == metrics
    assert load_checkpoint(folder.last_checkpoint)[1] == checkpoint


def test_a_temperature_that_was_chosen_does_not_ask_for_the_stored_one(folder: RunFolder) -> None:
    config = folder.read_config()
    data = msgspec.structs.replace(config.data, temperature=0.1)
    folder.write_config(msgspec.structs.replace(config, data=data))
    change("UPDATE multi_head_projections SET temperature = 0.3")(folder)
    list(RecordedRun(folder))
    assert folder.is_finished


@pytest.mark.parametrize("known", ["vectors and bytes", "bytes"])
def test_a_run_of_an_older_version_goes_on(folder: RunFolder, known: str) -> None:
    old = msgspec.structs.replace(record_of(folder), content_sha256="")
    folder.write_data(old if known != "bytes" else msgspec.structs.replace(old, vectors_sha256=""))
    list(RecordedRun(folder))
    assert folder.is_finished


def test_a_run_that_knows_only_the_bytes_needs_the_very_same(folder: RunFolder) -> None:
    old = msgspec.structs.replace(record_of(folder), content_sha256="", vectors_sha256="")
    folder.write_data(old)
    change(QUERY_LOG)(folder)
    with pytest.raises(RunError, match="has changed since"):
        list(RecordedRun(folder))


def test_an_old_run_with_vectors_is_not_split_anew(folder: RunFolder) -> None:
    record = record_of(folder)
    rows = (*record.train[1:], 10**6)
    folder.write_data(msgspec.structs.replace(record, content_sha256="", train=rows))
    with pytest.raises(RunError, match="divide into other parts"):
        list(RecordedRun(folder))


def test_an_export_compares_on_the_test_queries_of_the_same_content_only(folder: RunFolder) -> None:
    config, record = folder.read_config(), record_of(folder)
    change("VACUUM", QUERY_LOG)(folder)
    assert check_queries(config, record, 8).num_test == len(record.test)
    negate_vectors(folder)
    assert check_queries(config, record, 8).num_test == 0
