"""Runs that are written down: cut off anywhere, they end in the same bits."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import torch

from distill_core.config import DataConfig, Recipe, RunConfig, TrainingConfig
from distill_core.errors import RunError, TrainingError
from distill_core.runs import (
    RecordedRun,
    RunFolder,
    RunWatcher,
    atomic_files,
    liveness,
    load_checkpoint,
)
from distill_core.runs.recording import recorded_run
from distill_core.students import EncoderConfig, MlpConfig, load_student
from distill_core.training import (
    Assessed,
    EpochFinished,
    RunFinished,
    RunStarted,
    TestEvaluated,
    TrainEvent,
    TrainingSession,
)
from distill_core.training.loop import trainer
from distill_core.training.loop.trainer import Trainer
from tests.core.database_factory import write_lda_db

TIMES = {"samples_per_second", "active_seconds", "eta_seconds"}


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    return RunConfig(
        data=DataConfig(database=str(write_lda_db(tmp_path / "db", questions_per_head=10))),
        student=EncoderConfig(heads=2, layers=1, ff_dim=12, dropout=0.1),
        training=TrainingConfig(epochs=4, batch_size=16, learning_rate=5e-3, seed=4, device="cpu"),
    )


@pytest.fixture(autouse=True)
def an_event_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "_EVENT_SECONDS", 0.0)


def ticking() -> Iterator[float]:
    now = 0.0
    while True:
        yield now
        now += 16.0  # every second look is more than 30 s after the last


def new_run(root: Path, config: RunConfig) -> RecordedRun:
    clock = ticking()
    return RecordedRun(RunFolder.create(root, config), seconds=lambda: next(clock))


def again(run: RecordedRun) -> RecordedRun:
    clock = ticking()
    return RecordedRun(RunFolder.open(run.folder.path), seconds=lambda: next(clock))


def without_times(value: object) -> object:
    if isinstance(value, dict):
        return {name: without_times(item) for name, item in value.items() if name not in TIMES}
    return value


def outcome(folder: RunFolder) -> tuple[object, ...]:
    """All that a run ends in, but for times."""
    evaluation = folder.read_evaluation()
    assert evaluation is not None
    weights = load_student(folder.best_checkpoint).state_dict()
    state, info = load_checkpoint(folder.last_checkpoint)
    return (
        [without_times(line) for line in folder.read_metrics().lines],
        {name: weight.tolist() for name, weight in weights.items()},
        without_times(msgspec.to_builtins(evaluation)),
        {name: weight.tolist() for name, weight in state["learner"]["student"].items()},
        state["random"]["cpu"].tolist(),
        (info.step, info.epoch),
        folder.read_data(),
        folder.shown_state(),
    )


def test_a_run_leaves_all_it_is_made_of(tmp_path: Path, config: RunConfig) -> None:
    run = new_run(tmp_path / "runs", config)
    events = list(run)
    folder = run.folder
    plain = list(TrainingSession(config))
    numbers = [without_times(msgspec.to_builtins(event)) for event in events]
    assert numbers == [without_times(msgspec.to_builtins(event)) for event in plain]
    lines = folder.read_metrics().lines
    assert [line["event"] for line in lines] == ["started", *["baseline"] * 9, *["epoch"] * 4, "finished"]
    assert folder.shown_state() == "finished"
    started = events[0]
    assert isinstance(started, RunStarted)
    assert folder.read_config() == started.config
    data = folder.read_data()
    assert data is not None
    assert sorted(data.train + data.validation + data.test) == list(range(40))
    assert data.packages["torch"] == torch.__version__
    evaluation = folder.read_evaluation()
    assert evaluation is not None
    assert evaluation.finished == events[-1]
    assert isinstance(evaluation.tested, TestEvaluated)
    assert isinstance(evaluation.assessed, Assessed)
    student = run.session.student if run.session else None
    assert student is not None
    for name, weight in load_student(folder.best_checkpoint).state_dict().items():
        assert torch.equal(weight, student.state_dict()[name])


@pytest.mark.parametrize("recipe", ["strong", "book"])
@pytest.mark.parametrize("pulled", [1, 3, 9, 20, 33, 70])
def test_a_stopped_run_goes_on_to_the_same_bits(
    tmp_path: Path, config: RunConfig, recipe: Recipe, pulled: int
) -> None:
    epochs = 4 if recipe == "strong" else 40
    config = config.with_values(training=config.training.with_values(recipe=recipe, epochs=epochs))
    whole = new_run(tmp_path / "whole", config)
    list(whole)
    run = new_run(tmp_path / "cut", config)
    events = iter(run)
    for _ in range(pulled):
        next(events)
    events.close()
    assert run.folder.shown_state() == "stopped"
    list(again(run))
    assert outcome(run.folder) == outcome(whole.folder)


def test_a_run_cut_off_without_warning_goes_on_from_its_checkpoint(tmp_path: Path, config: RunConfig) -> None:
    """As after a kill: nothing is saved at the end, lines behind the checkpoint are there."""
    config = config.with_values(training=config.training.with_values(epochs=2))
    whole = new_run(tmp_path / "whole", config)
    list(whole)
    for pulled in range(1, 46, 4):
        run = new_run(tmp_path / f"cut{pulled}", config)
        events = iter(run)
        for _ in range(pulled):
            next(events)
        copy = tmp_path / f"copy{pulled}"
        _copy_folder(run.folder.path, copy)
        events.close()
        with (copy / "metrics.jsonl").open("ab") as file:
            file.write(b'{"event":"epoch","epoch":99}\n{"event":"epo')
        left = RecordedRun(RunFolder.open(copy))
        list(left)
        assert outcome(left.folder) == outcome(whole.folder)


def _copy_folder(source: Path, target: Path) -> None:
    for file in source.rglob("*"):
        if file.is_file():
            place = target / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file.read_bytes())


def test_a_finished_run_is_not_resumed(tmp_path: Path, config: RunConfig) -> None:
    run = new_run(tmp_path, config)
    list(run)
    with pytest.raises(RunError, match="is finished; there is nothing to resume"):
        list(again(run))


def test_a_run_is_not_trained_twice_at_once(tmp_path: Path, config: RunConfig) -> None:
    run = new_run(tmp_path, config)
    events = iter(run)
    next(events)
    with pytest.raises(RunError, match="already being trained"):
        list(again(run))
    events.close()


def test_a_lost_loss_keeps_the_last_good_checkpoint(
    tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path, config)
    events = iter(run)
    for event in events:
        if isinstance(event, EpochFinished) and event.epoch == 3:
            break
    good, info = load_checkpoint(run.folder.last_checkpoint)
    assert info.epoch >= 2
    assert run.session is not None
    assert isinstance(run.session._trainer, Trainer)
    with torch.no_grad():
        next(run.session._trainer.learner.student.parameters()).fill_(float("nan"))
    with pytest.raises(TrainingError, match="not a number any more at step"):
        list(events)
    assert run.folder.shown_state() == "failed"
    assert "at step" in run.folder.read_state().error
    kept, same = load_checkpoint(run.folder.last_checkpoint)
    assert same == info
    for name, weight in good["learner"]["student"].items():
        assert torch.equal(kept["learner"]["student"][name], weight)


@pytest.mark.parametrize("factor", [float("nan"), 1e12])
def test_weights_that_are_lost_in_the_last_step_of_an_epoch_are_not_kept(
    tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch, factor: float
) -> None:
    """The loss of that step was taken before it, so only the validation can tell."""
    config = config.with_values(
        training=config.training.with_values(recipe="book", epochs=8, cosine_weight=0.0)
    )
    step = trainer.Trainer._step

    def losing(self: trainer.Trainer, batch: object) -> None:
        step(self, batch)  # type: ignore[arg-type]
        if self.step == 5 * self._batches.per_epoch:
            with torch.no_grad():
                self.learner.student.output_proj.weight.mul_(factor)  # type: ignore[union-attr, operator]

    monkeypatch.setattr(trainer.Trainer, "_step", losing)
    monkeypatch.setattr(
        recorded_run, "CHECKPOINT_SECONDS", 0.0
    )  # one is due at every epoch, the lost one too
    run = new_run(tmp_path, config)
    with pytest.raises(TrainingError, match=r"The last good checkpoint, of step \d+, is kept") as raised:
        list(run)
    state, info = load_checkpoint(run.folder.last_checkpoint)
    assert f"of step {info.step}," in str(raised.value)
    assert info.epoch == 4
    for weights in (state["learner"]["student"], load_student(run.folder.best_checkpoint).state_dict()):
        assert all(torch.isfinite(weight).all() and weight.abs().max() < 1e3 for weight in weights.values())


def test_a_stop_just_after_the_weights_were_lost_keeps_those_before(
    tmp_path: Path, config: RunConfig
) -> None:
    """The loss of the last step was still a number: only the weights themselves can tell."""
    run = new_run(tmp_path, config)
    events = iter(run)
    for event in events:
        if isinstance(event, EpochFinished) and event.epoch == 3:
            break
    before = load_checkpoint(run.folder.last_checkpoint)[1]
    next(events)
    assert run.session is not None
    assert isinstance(run.session._trainer, Trainer)
    with torch.no_grad():
        next(run.session._trainer.learner.student.parameters()).fill_(float("nan"))
    events.close()
    assert run.folder.shown_state() == "stopped"
    state, info = load_checkpoint(run.folder.last_checkpoint)
    assert info == before
    assert all(torch.isfinite(weight).all() for weight in state["learner"]["student"].values())


def test_a_loss_that_explodes_in_the_first_epoch_is_no_result(tmp_path: Path, config: RunConfig) -> None:
    training = config.training.with_values(
        recipe="book", epochs=30, learning_rate=10.0, cosine_weight=0.0, mse_reduction="sum"
    )
    mlp = MlpConfig(layers=3, ff_dim=64)
    run = new_run(tmp_path, config.with_values(training=training, student=mlp))
    with pytest.raises(TrainingError, match="The loss has exploded at step"):
        list(run)
    assert run.folder.shown_state() == "failed"


def test_the_best_weights_are_there_before_the_last_checkpoint(
    tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is killed between the two has weights for whatever checkpoint there is."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(recorded_run, "save_checkpoint", killed)
    run = new_run(tmp_path, config)
    with pytest.raises(KeyboardInterrupt):
        list(run)
    assert load_student(run.folder.best_checkpoint) is not None
    assert not run.folder.last_checkpoint.exists()


def test_a_run_whose_weights_are_gone_writes_them_again(tmp_path: Path, config: RunConfig) -> None:
    """Trained to the end and cut off before it was judged."""
    whole = new_run(tmp_path / "whole", config)
    list(whole)
    run = new_run(tmp_path / "cut", config)
    for event in (events := iter(run)):
        if isinstance(event, TestEvaluated):
            break
    events.close()
    run.folder.best_checkpoint.unlink()
    list(again(run))
    assert outcome(run.folder) == outcome(whole.folder)


@pytest.mark.parametrize("content", [b"", b"{", None])
def test_a_damaged_state_keeps_nobody_from_going_on(
    tmp_path: Path, config: RunConfig, content: bytes | None
) -> None:
    whole = new_run(tmp_path / "whole", config)
    list(whole)
    run = new_run(tmp_path / "cut", config)
    events = iter(run)
    for _ in range(30):
        next(events)
    events.close()
    state = run.folder.path / "state.json"
    state.unlink() if content is None else state.write_bytes(content)
    list(again(run))
    assert outcome(run.folder) == outcome(whole.folder)


def test_what_a_stopped_run_was_judged_at_is_kept(tmp_path: Path, config: RunConfig) -> None:
    run = new_run(tmp_path, config)
    events = iter(run)
    for _ in range(30):
        next(events)
    events.close()
    *_, finished = run.conclude()
    evaluation = run.folder.read_evaluation()
    assert evaluation is not None
    assert evaluation.finished == finished
    assert run.folder.shown_state() == "stopped"


def test_only_a_run_that_nobody_trains_is_discarded(tmp_path: Path, config: RunConfig) -> None:
    run = new_run(tmp_path, config)
    with run.folder.lock():
        assert not run.discard_if_empty()
        assert run.folder.path.is_dir()
    assert run.discard_if_empty()
    assert not run.folder.path.exists()


@pytest.mark.parametrize("error", [MemoryError("no room"), torch.OutOfMemoryError("no room")])
def test_too_little_memory_is_one_sentence(
    tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    run = new_run(tmp_path, config)
    events = iter(run)
    for _ in range(30):
        next(events)
    assert run.session is not None

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(run.session._trainer, "_step", fail)
    with pytest.raises(TrainingError, match="The memory does not suffice at step"):
        list(events)
    assert run.folder.shown_state() == "failed"
    list(again(run))
    assert run.folder.shown_state() == "finished"


def test_a_disk_that_fills_up_at_any_write_loses_nothing(
    tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each write to a run's folder fails once; then there is room again and the run goes on."""
    config = config.with_values(training=config.training.with_values(epochs=2))
    whole = new_run(tmp_path / "whole", config)
    list(whole)
    write_all = atomic_files.write_all
    fail_at = 0
    failed = True
    told: list[str] = []
    while failed:
        fail_at += 1
        failed, count = False, 0

        def failing(descriptor: int, content: bytes, at: int = fail_at) -> None:
            nonlocal count, failed
            count += 1
            if count == at:
                failed = True
                os.write(descriptor, content[: len(content) // 2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            write_all(descriptor, content)

        for module in _modules_with("write_all"):
            monkeypatch.setattr(module, "write_all", failing)
        root = tmp_path / f"full{fail_at}"
        try:
            run = new_run(root, config)
        except RunError as error:
            told.append(str(error))
            continue
        try:
            list(run)
        except RunError as error:
            told.append(str(error))
        for module in _modules_with("write_all"):
            monkeypatch.setattr(module, "write_all", write_all)
        if failed and run.folder.read_state().state != "finished":
            list(again(run))
        assert outcome(run.folder) == outcome(whole.folder)
    assert len(told) > 12
    assert all("disk is full" in words for words in told)


def _modules_with(name: str) -> list[object]:
    return [
        module
        for key, module in sys.modules.items()
        if key.startswith("distill_core.runs") and hasattr(module, name)
    ]


def test_a_watcher_sees_what_is_written_and_disturbs_nothing(tmp_path: Path, config: RunConfig) -> None:
    run = new_run(tmp_path / "runs", config)
    watcher = RunWatcher(RunFolder.open(run.folder.path))
    events: list[TrainEvent] = []
    for event in run:
        seen = watcher.look()
        assert not seen.restarted
        events.extend(seen.events)
        if isinstance(event, EpochFinished):
            assert seen.events[-1] == event
            assert seen.state == "running"
    last = watcher.look()
    assert last.state == "finished"
    kinds = [type(event) for event in events]
    assert kinds[0] is RunStarted
    assert kinds[-3:] == [TestEvaluated, Assessed, RunFinished]
    assert kinds.count(EpochFinished) == 4
    whole = new_run(tmp_path / "unwatched", config)
    list(whole)
    assert outcome(run.folder) == outcome(whole.folder)


def test_a_watcher_starts_again_where_a_run_was_cut_back(tmp_path: Path, config: RunConfig) -> None:
    run = new_run(tmp_path, config)
    events = iter(run)
    for _ in range(60):
        next(events)
    watcher = RunWatcher(run.folder)
    first = watcher.look()
    events.close()
    with run.folder.metrics_path.open("ab") as file:
        file.write(b'{"event":"epoch","epoch":99}\n')
    watcher.look()
    list(again(run))
    seen = watcher.look()
    assert seen.restarted
    assert seen.events[: len(first.events)] == first.events
    assert seen.state == "finished"


def test_a_pause_leaves_the_heart_beating(
    tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "BEAT_SECONDS", 0.0)
    beats = [threading.Semaphore(0)]
    monkeypatch.setattr(RunFolder, "beat", lambda self: beats[-1].release())
    run = new_run(tmp_path, config)
    events = iter(run)
    next(events)
    beats.append(threading.Semaphore(0))
    assert all(beats[-1].acquire(timeout=60) for _ in range(3))  # nothing is pulled meanwhile
    events.close()


KILLER = """
import os, random, signal, sys
from pathlib import Path
import torch._dynamo  # which the first step of every child would import
from distill_core.runs import RecordedRun, RunFolder
from distill_core.runs.recording import recorded_run
from distill_core.training.loop import trainer
recorded_run.CHECKPOINT_SECONDS = 0.0
trainer._EVENT_SECONDS = 0.0
folder = RunFolder.open(Path(sys.argv[1]))
chance = random.Random(5)
for _ in range(30):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        for event in RecordedRun(folder):
            os.write(writing, b"e")
        os._exit(0)
    for _ in range(chance.randrange(1, 36)):
        os.read(reading, 1)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    print(os.WIFSIGNALED(status), folder.shown_state(), folder.last_checkpoint.exists())
    os.close(reading)
    os.close(writing)
list(RecordedRun(folder))
"""


def test_a_process_killed_at_thirty_instants_ends_in_the_same_bits(tmp_path: Path, config: RunConfig) -> None:
    config = config.with_values(training=config.training.with_values(epochs=30))
    whole = new_run(tmp_path / "whole", config)
    list(whole)
    folder = RunFolder.create(tmp_path / "killed", config)
    program = [sys.executable, "-c", KILLER, str(folder.path)]
    told = subprocess.run(program, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(told) == 30
    assert all(line.startswith("True interrupted") for line in told)
    assert told[-1].endswith("True")
    assert outcome(folder) == outcome(whole.folder)
