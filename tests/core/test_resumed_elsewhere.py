"""Runs that go on in another place: the database was moved, the machine or the packages are others."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from distill_core.config import DataConfig, RunConfig, TrainingConfig
from distill_core.errors import RunError
from distill_core.experiments.hl_events import read_hl_result
from distill_core.latency.events import MachineRecord
from distill_core.runs import Attempt, RecordedRun, RunFolder, default_root
from distill_core.runs.provenance import differing_words, locate_database
from distill_core.students import MlpConfig
from distill_core.training import RunNoted
from distill_core.user_folders import cache_folder
from tests.core.database_factory import write_lda_db, write_vector_folder
from tests.core.test_runs_folder import DATA

MACHINE = MachineRecord(
    cpu="Xeon",
    cores=8,
    usable_cores=8,
    threads=4,
    blas="openblas 0.3",
    torch="2.6",
    torch_cpu_capability="AVX512",
    gpu=None,
    clock_mhz=None,
    load_average=None,
    system="Linux x86_64",
    python="3.11",
)
BEFORE = Attempt(number=1, host="gpu-1", device="cpu", machine=MACHINE, packages={"torch": "2.6"})


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run that was stopped, on a database in `old`."""
    monkeypatch.chdir(tmp_path)
    config = RunConfig(
        data=DataConfig(database=str(write_lda_db(tmp_path / "old", questions_per_head=10))),
        student=MlpConfig(layers=1, ff_dim=8),
        training=TrainingConfig(recipe="book", epochs=3, batch_size=16, device="cpu"),
    )
    recorded = RecordedRun(RunFolder.create(tmp_path / "runs", config))
    for event in (events := iter(recorded)):
        if getattr(event, "step", 0):
            break
    events.close()
    return recorded.folder


@pytest.mark.parametrize("place", ["new", "deep/down/old", "runs/beside"])
def test_a_moved_database_is_found_and_recorded(run: RunFolder, tmp_path: Path, place: str) -> None:
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "old").rename(tmp_path / place)
    new = tmp_path / place / "lda.db"
    run_again = RecordedRun(run, database=new if place.startswith("deep") else None)
    notes = [event.words for event in run_again if isinstance(event, RunNoted)]
    assert any(f"lda.db and is {new} now; it holds the same" in note for note in notes)
    assert run.read_config().data.database == str(new)
    assert run.attempts()[-1].database == str(new)
    assert run.attempts()[-1].notes == tuple(notes)
    assert run.shown_state() == "finished"


def test_a_folder_of_vectors_that_was_renamed_is_found_by_its_content(tmp_path: Path) -> None:
    folder = write_vector_folder(tmp_path / "old", questions_per_head=10)
    config = RunConfig(
        data=DataConfig(database=str(folder)),
        student=MlpConfig(layers=1, ff_dim=8),
        training=TrainingConfig(recipe="book", epochs=3, batch_size=16, device="cpu"),
    )
    recorded = RecordedRun(RunFolder.create(tmp_path / "runs", config))
    for event in (events := iter(recorded)):
        if getattr(event, "step", 0):
            break
    events.close()
    write_vector_folder(tmp_path / "another", questions_per_head=10, seed=1)
    folder.rename(tmp_path / "renamed")
    notes = [event.words for event in RecordedRun(recorded.folder) if isinstance(event, RunNoted)]
    assert any(f"was {folder} and is {tmp_path / 'renamed'} now; it holds the same" in note for note in notes)
    assert recorded.folder.shown_state() == "finished"


@pytest.mark.parametrize("given", [True, False])
def test_another_database_is_not_taken_for_a_moved_one(run: RunFolder, tmp_path: Path, given: bool) -> None:
    shutil.rmtree(tmp_path / "old")
    other = write_lda_db(tmp_path / "new", questions_per_head=9)
    with pytest.raises(RunError, match="has changed since" if given else "is missing, and no database"):
        locate_database(run, other if given else None)
    assert run.read_config().data.database == str(tmp_path / "old/lda.db")


def test_a_run_that_another_process_trains_is_not_changed(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "old").rename(tmp_path / "new")
    run.mark("running")
    config, moved = locate_database(RunFolder(run.path))
    assert config.data.database == str(tmp_path / "new/lda.db")
    assert moved
    assert run.read_config().data.database == str(tmp_path / "old/lda.db")


def test_each_attempt_records_its_machine_and_tells_what_differs(run: RunFolder) -> None:
    first = run.attempts()[0]
    assert first.machine is not None
    assert first.packages["torch"] == first.machine.torch
    other = msgspec.structs.replace(first.machine, torch_cpu_capability="ALTIVEC", threads=77)
    changed = msgspec.structs.replace(first, machine=other)
    (run.path / "attempts/1.json").write_bytes(msgspec.json.encode(changed))
    notes = [event.words for event in RecordedRun(run) if isinstance(event, RunNoted)]
    assert len(notes) == 1
    for words in (f"CPU capability {first.machine.torch_cpu_capability}, before ALTIVEC", "before 77"):
        assert words in notes[0]
    assert run.attempts()[1].notes == tuple(notes)
    assert [attempt.ended for attempt in run.attempts()] == [True, True]


def replaced(**values: object) -> Attempt:
    return msgspec.structs.replace(BEFORE, number=2, machine=msgspec.structs.replace(MACHINE, **values))


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (replaced(torch_cpu_capability="AVX2"), "CPU capability AVX2, before AVX512"),
        (replaced(cpu="EPYC"), "CPU EPYC, before Xeon"),
        (replaced(threads=1), "threads 1, before 4"),
        (replaced(blas="mkl 2024"), "BLAS mkl 2024, before openblas 0.3"),
        (replaced(gpu="H100"), "GPU H100, before none"),
        (msgspec.structs.replace(BEFORE, packages={"torch": "2.7"}), "torch 2.7, before 2.6"),
        (msgspec.structs.replace(BEFORE, host="gpu-2"), ""),  # a name alone changes no bit
        (replaced(load_average=3.0, clock_mhz=800.0), ""),
        (Attempt(number=2), ""),
    ],
)
def test_only_what_can_change_a_bit_is_told(now: Attempt, words: str) -> None:
    told = differing_words([BEFORE, now], None)
    assert (words in told) if words else told == ""


def test_packages_of_a_run_without_attempts_are_compared_too() -> None:
    """`data.json` of an older version says torch 2.6."""
    now = msgspec.structs.replace(BEFORE, packages={"torch": "2.7"})
    assert "torch 2.7, before 2.6" in differing_words([now], DATA)


def test_without_a_home_there_is_one_sentence_and_no_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither HOME nor an entry in the list of users, as for a service."""

    def nobody(uid: int) -> object:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr("pwd.getpwuid", nobody)
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "DISTILL_TUI_CACHE", "DISTILL_TUI_RUNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    assert cache_folder() is None
    with pytest.raises(RunError, match="no home directory to keep the runs in") as raised:
        default_root()
    assert "--runs-dir" in raised.value.hint
    with pytest.raises(RunError, match="there is no such home directory"):
        RunFolder("~/runs/one")
    with pytest.raises(Exception, match="there is no such home directory"):
        read_hl_result("~/result.json")
    assert list(tmp_path.iterdir()) == []
