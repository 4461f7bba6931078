from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import secrets
import shutil
import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from distill_core.config import DataConfig, RunConfig, SplitConfig, TrainingConfig
from distill_core.errors import DistillError, RunError
from distill_core.evaluation.metrics import CosineSummary, Evaluation
from distill_core.latency.crossover import Bracket, CrossoverFinished
from distill_core.latency.events import (
    ContestantRow,
    ContestantsFinished,
    LatencyFinished,
    MachineRecord,
    ModelLatency,
    Percentiles,
)
from distill_core.runs import (
    DataRecord,
    EvaluationRecord,
    RunFolder,
    RunNotes,
    RunState,
    database_sha256,
    package_versions,
)
from distill_core.students import EncoderConfig
from distill_core.students.spec import StudentConfig
from distill_core.training.events import RunFinished, TestEvaluated

CONFIG = RunConfig(
    data=DataConfig(database='/data/Größe "τ"\\n/n18/lda.db', mh_id=3),
    split=SplitConfig(split="cluster", validation_fraction=0.15),
    student=EncoderConfig(heads=2, layers=3),
    training=TrainingConfig(
        recipe="book", epochs=200, learning_rate=1e-300, cosine_weight=0.1 + 0.2, seed=2**32 - 1
    ),
)
DATA = DataRecord(
    database_sha256="ab" * 32,
    mh_id=3,
    temperature=0.1,
    train=(0, 2, 5),
    validation=(1,),
    test=(3, 4),
    packages={"torch": "2.6"},
)
NOTES = RunNotes(name="λ scan", tags=("a", "b"), annotation="two\nlines", pinned=True)
EVALUATION = EvaluationRecord(
    finished=RunFinished(
        evaluation=Evaluation(
            n=2, cosine=CosineSummary(mean=0.75, sd=0.1, min=0.5, p5=0.5, max=1.0), mse=0.2
        ),
        skill=0.625,
        epochs=4,
        active_seconds=1.5,
    ),
    tested=TestEvaluated(question_ids=(7, 9), cosines=(0.5, 1.0)),
)
_MODEL = ModelLatency(
    single_us=Percentiles(p50=10.0, p90=12.5, p99=20.0),
    batch_us_per_query=Percentiles(p50=1.0, p90=1.0, p99=2.0),
    single_qps=1e5,
    batch_qps=1e6,
    outliers=0,
)
LATENCY = LatencyFinished(
    lda=_MODEL,
    transformer=_MODEL,
    single_ratio=1.0,
    single_ratio_interval=(0.9, 1.1),
    batch_ratio=1.0,
    batch_ratio_interval=(0.9, 1.1),
    batch_size=64,
    device="cpu",
    threads=1,
    num_heads=18,
    steady=True,
)


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 9, 14, 10, 12, 3, 250_000, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


CROSSOVER = CrossoverFinished(
    fixed={"single": Bracket(low=4096, high=8192, reached=True, measured_to=65536)},
    grown={"single": Bracket(low=None, high=None, reached=False, measured_to=64)},
    curve=(),
    ended="complete",
    elapsed_seconds=59.5,
    unsteady=False,
)


CONTESTANTS = ContestantsFinished(
    rows=(ContestantRow(name="LDA, NumPy", cosine=1.0), ContestantRow(name="compiled", note="No compiler.")),
    batch_size=64,
    num_heads=18,
    device="cpu",
    machine=MachineRecord(
        cpu="A",
        cores=4,
        usable_cores=2,
        threads=1,
        blas=None,
        torch="2.9",
        torch_cpu_capability="AVX2",
        gpu=None,
        clock_mhz=None,
        load_average=0.5,
        system="Linux",
        python="3.11",
    ),
    ended="complete",
    steady=True,
)


def make_run(root: Path, clock: Clock | None = None, config: RunConfig = CONFIG) -> RunFolder:
    """A run with every file that has no tensors."""
    run = RunFolder.create(root, config, clock or Clock())
    run.write_data(DATA)
    run.write_notes(NOTES)
    run.write_evaluation(EVALUATION)
    run.write_result("latency", LATENCY)
    run.write_result("crossover", CROSSOVER)
    run.write_result("contestants", CONTESTANTS)
    run.log_path.write_text("started\n")
    with run.open_metrics() as metrics:
        for step in range(3):
            metrics.append({"event": "steps", "step": step, "loss": 0.5})
    return run


def test_a_new_run_has_a_readable_name_and_waits_to_be_trained(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "new" / "runs", CONFIG, Clock())
    assert run.path.parent == tmp_path / "new" / "runs"
    assert run.name[:-4] == "2026-09-14T101203-n18-"
    assert int(run.name[-4:], 16) >= 0
    assert run.read_state() == RunState(state="stopped", started=Clock().now, updated=Clock().now)
    assert (run.read_data(), run.read_evaluation(), run.read_latency()) == (None, None, None)
    assert run.read_notes() == RunNotes()
    assert run.read_metrics().lines == []


@pytest.mark.parametrize(
    ("database", "short"),
    [
        ("/x/My Corpus (2).db", "my-corpus-2"),
        ("lda.db", "run"),
        ("", "run"),
        ("/τ/lda.db", "run"),
        ("/a/" + "long-name-" * 9 + ".db", "long-name-long-name"),
    ],
)
def test_the_name_of_a_run_tells_its_database(tmp_path: Path, database: str, short: str) -> None:
    run = RunFolder.create(tmp_path, RunConfig(data=DataConfig(database=database)), Clock())
    assert run.name[:-4] == f"2026-09-14T101203-{short}-"


def test_two_runs_of_the_same_second_and_digits_get_different_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: Iterator[str] = iter(["aaaa", "aaaa", "aaaa", "bbbb", "cccc"])
    token_hex = secrets.token_hex
    monkeypatch.setattr(secrets, "token_hex", lambda size: next(drawn) if size == 2 else token_hex(size))
    first = RunFolder.create(tmp_path, CONFIG, Clock())
    before = first.read_state()
    assert RunFolder.create(tmp_path, CONFIG, Clock()).name.endswith("-bbbb")
    assert first.read_state() == before
    assert len(list(tmp_path.iterdir())) == 2


def test_a_run_that_cannot_be_made_whole_is_not_there_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", _failing(errno.ENOSPC))
        with pytest.raises(RunError, match="disk is full"):
            RunFolder.create(tmp_path, CONFIG, Clock())
    assert list(tmp_path.iterdir()) == []


def test_every_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    run = RunFolder.open(make_run(tmp_path).path)
    assert run.read_config() == CONFIG
    assert run.read_data() == DATA
    assert run.read_notes() == NOTES
    assert run.read_evaluation() == EVALUATION
    assert run.read_latency() == LATENCY
    assert run.read_crossover() == CROSSOVER
    assert run.read_contestants() == CONTESTANTS


def test_the_files_are_toml_and_json_that_others_can_read(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    settings = tomllib.loads((run.path / "config.toml").read_text())
    assert settings["version"] == 1
    assert settings["data"] == {"database": CONFIG.data.database, "mh_id": 3}
    assert settings["training"]["epochs"] == 200
    assert settings["training"]["cosine_weight"] == 0.1 + 0.2
    data = json.loads((run.path / "data.json").read_text())
    assert (data["train"], data["validation"], data["test"]) == ([0, 2, 5], [1], [3, 4])
    state = json.loads((run.path / "state.json").read_text())
    assert state["started"] == "2026-09-14T10:12:03.250000Z"


@pytest.mark.parametrize("settings", [DataConfig, SplitConfig, StudentConfig, TrainingConfig])
def test_a_setting_that_toml_cannot_spell_out_has_nothing_as_its_default(
    settings: type[msgspec.Struct],
) -> None:
    for field in msgspec.structs.fields(settings):
        if type(None) in get_args(get_args(field.type)[0]):
            assert field.default is None


def test_numbers_that_json_does_not_know_come_back_as_they_were(tmp_path: Path) -> None:
    run, nan, inf = make_run(tmp_path), float("nan"), float("inf")
    run.write_result(
        "latency", msgspec.structs.replace(LATENCY, single_ratio=nan, single_ratio_interval=(-inf, inf))
    )
    tested = TestEvaluated(question_ids=(7, 9), cosines=(nan, 1.0))
    finished = msgspec.structs.replace(EVALUATION.finished, skill=-inf)
    run.write_evaluation(EvaluationRecord(finished=finished, tested=tested))
    assert json.loads((run.path / "latency.json").read_text())["single_ratio"] == "nan"
    latency, evaluation = run.read_latency(), run.read_evaluation()
    assert latency is not None
    assert evaluation is not None
    assert math.isnan(latency.single_ratio)
    assert latency.single_ratio_interval == (-inf, inf)
    assert evaluation.finished == finished
    assert evaluation.tested is not None
    assert [str(cosine) for cosine in evaluation.tested.cosines] == ["nan", "1.0"]


def test_settings_of_an_old_layout_take_the_defaults_for_what_is_missing(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    (run.path / "config.toml").write_text('[data]\ndatabase = "a.db"\n[student]\nheads = 8\n')
    assert run.read_config() == RunConfig(data=DataConfig(database="a.db"), student=EncoderConfig(heads=8))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('version = 2\n[data]\ndatabase = "a"', "layout 2, this version knows layouts up to 1"),
        ('[data]\ndatabase = "a"\n[student]\nheads = 0', "cannot be used"),
        ('[data]\ndatabase = "a"\nunheard_of = 1', "cannot be used"),
        ('version = "new"', "damaged"),
        ("[data", "damaged"),
        ("", "cannot be used"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    run = make_run(tmp_path)
    (run.path / "config.toml").write_text(text)
    with pytest.raises(RunError, match=reason) as raised:
        run.read_config()
    assert "config.toml" in raised.value.message
    assert raised.value.hint


def _failing(number: int) -> Callable[..., Any]:
    def fail(*arguments: object, **named: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def _failing_after_a_part(number: int) -> Callable[..., int]:
    write, calls = os.write, iter(range(1000))

    def fail(descriptor: int, content: bytes) -> int:
        if next(calls) > 0:
            raise OSError(number, os.strerror(number))
        return write(descriptor, content[:5])

    return fail


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "disk is full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "read-only"),
        (errno.EIO, "Input/output error"),
    ],
)
@pytest.mark.parametrize("seam", ["open", "write", "fsync", "replace"])
def test_a_failed_write_keeps_the_file_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str, seam: str
) -> None:
    run = make_run(tmp_path)
    before = {path.name: path.read_bytes() for path in run.path.iterdir() if path.is_file()}
    with monkeypatch.context() as patch:
        patch.setattr(os, seam, _failing_after_a_part(number) if seam == "write" else _failing(number))
        for write in (
            lambda: run.write_config(RunConfig(data=DataConfig(database="other"))),
            lambda: run.write_notes(RunNotes(name="other")),
            lambda: run.mark("finished"),
        ):
            with pytest.raises(RunError, match=words) as raised:
                write()
            assert raised.value.hint
    assert {path.name: path.read_bytes() for path in run.path.iterdir() if path.is_file()} == before


def test_a_short_write_is_carried_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, write = make_run(tmp_path), os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:3]))
        run.write_notes(RunNotes(annotation="x" * 100))
    assert run.read_notes().annotation == "x" * 100


def test_a_deleted_folder_is_named(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    shutil.rmtree(run.path)
    for use in (lambda: run.write_notes(NOTES), run.beat, run.lock, run.open_metrics):
        with pytest.raises(DistillError, match="gone"):
            use()
    for read in (run.read_config, run.read_state):
        with pytest.raises(DistillError, match="missing"):
            read()
    with pytest.raises(RunError, match="There is no run in"):
        RunFolder.open(run.path)


def test_texts_that_are_no_unicode_are_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"config\.toml was not written"):
        RunFolder.create(tmp_path, RunConfig(data=DataConfig(database="/a/\udcff.db")), Clock())
    run = make_run(tmp_path)
    with pytest.raises(RunError, match=r"notes\.json was not written"):
        run.write_notes(RunNotes(annotation="\udcff"))
    assert run.read_notes() == NOTES


def test_marking_keeps_when_the_run_began(tmp_path: Path) -> None:
    clock = Clock()
    run = make_run(tmp_path, clock)
    clock.advance(90)
    written = run.mark("failed", "The loss is not a number.")
    assert run.read_state() == written
    assert (written.started, written.updated) == (Clock().now, Clock().now + timedelta(seconds=90))
    assert (written.state, written.error) == ("failed", "The loss is not a number.")
    assert written.pid == os.getpid()


def test_the_hash_of_a_database_is_that_of_its_bytes(tmp_path: Path) -> None:
    content = os.urandom(300_000)
    (tmp_path / "a.db").write_bytes(content)
    assert database_sha256(tmp_path / "a.db") == hashlib.sha256(content).hexdigest()
    with pytest.raises(RunError, match="missing"):
        database_sha256(tmp_path / "b.db")


def test_the_versions_of_the_packages_are_those_that_run() -> None:
    import numpy as np

    assert package_versions()["numpy"] == np.__version__
