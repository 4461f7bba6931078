"""Runs from the command line: kept, resumed, watched, compared; ended by signals with nothing lost."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
import torch

from distill_core.config import DataConfig, RunConfig, TrainingConfig
from distill_core.errors import RunError
from distill_core.runs import RecordedRun, RunFolder, RunStore
from distill_core.students import EncoderConfig
from distill_core.training import EpochFinished, TrainEvent
from distill_core.training.recipes import resolve
from distill_tui.cli import run
from distill_tui.cli.run_loop import StopRequest, detach
from distill_tui.cli.runs_command import watch

QUICK = ("--epochs", "2", "--ff-dim", "16", "--batch-size", "8", "--learning-rate", "1e-3")
ENDLESS = ("--epochs", "100000", "--ff-dim", "16", "--batch-size", "8")


def told(arguments: list[str], capsys: pytest.CaptureFixture[str], code: int = 0) -> tuple[list[str], str]:
    capsys.readouterr()
    assert run(arguments) == code
    out, err = capsys.readouterr()
    return out.splitlines(), err


@pytest.fixture
def store() -> RunStore:
    return RunStore()


@pytest.fixture
def config(database: Path) -> RunConfig:
    return RunConfig(
        data=DataConfig(database=str(database)),
        student=EncoderConfig(heads=2, layers=1, ff_dim=16),
        training=TrainingConfig(epochs=3, batch_size=8, device="cpu"),
    )


def test_every_training_is_kept(database: Path, store: RunStore, capsys: pytest.CaptureFixture[str]) -> None:
    lines, err = told(["train", str(database), *QUICK, "--seed", "5"], capsys)
    (summary,) = store.list()
    assert err == f"run: {summary.path}\n"
    assert (summary.state, summary.seed, summary.recipe) == ("finished", 5, "strong")
    assert f"cosine mean {summary.cosine:.4f}" in lines[-1]
    table, _ = told(["runs"], capsys)
    assert table[0].split()[:2] == ["id", "state"]
    assert table[1].split()[:2] == [summary.id, "finished"]
    (row,), _ = told(["runs", "--json"], capsys)
    assert json.loads(row)["path"] == summary.path


def test_the_place_can_be_chosen(database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    elsewhere = tmp_path / "elsewhere"
    told(["train", str(database), *QUICK, "--runs-dir", str(elsewhere)], capsys)
    assert len(RunStore(elsewhere).list()) == 1
    assert told(["runs"], capsys)[0] == ["No runs yet: 'distill-tui train lda.db' makes one."]
    assert len(told(["runs", "--runs-dir", str(elsewhere)], capsys)[0]) == 2


def test_a_place_that_cannot_be_written_is_one_sentence(
    database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    lines, err = told(["train", str(database), *QUICK, "--runs-dir", str(tmp_path / "file" / "x")], capsys, 2)
    assert lines == []
    assert err.startswith("distill-tui: ")
    assert len(err.splitlines()) == 1


def test_a_stopped_run_is_resumed_by_the_beginning_of_its_name(
    config: RunConfig, store: RunStore, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = store.create(config)
    events = iter(RecordedRun(folder))
    while not isinstance(next(events), EpochFinished):
        pass
    events.close()
    lines, _ = told(["resume", folder.name[:24], "--json"], capsys)
    epochs = [event["epoch"] for event in map(json.loads, lines) if event["event"] == "epoch"]
    assert epochs == [2, 3]
    assert folder.shown_state() == "finished"
    _, err = told(["resume", folder.name], capsys, 2)
    assert "is finished; there is nothing to resume" in err


def test_an_unknown_run_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("resume", "attach"):
        _, err = told([command, "nothing"], capsys, 2)
        assert err.startswith("distill-tui: There is no run 'nothing'")


def test_attach_shows_what_train_showed(
    config: RunConfig, store: RunStore, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = store.create(config)
    shown, _ = told(["resume", folder.name], capsys)
    again, err = told(["attach", folder.name], capsys)
    assert again == shown
    assert err == ""


def test_attach_shows_a_line_at_the_next_look(config: RunConfig, store: RunStore) -> None:
    training = iter(RecordedRun(store.create(config)))
    next(training)
    (summary,) = store.list()
    seen: list[TrainEvent] = []
    last: list[TrainEvent] = []

    def wait(seconds: float) -> None:
        assert seconds <= 0.5
        if last:  # what the trainer told before the last look was seen by it
            assert seen[-1] == last[-1]
        for event in training:
            if isinstance(event, EpochFinished):
                last.append(event)
                return

    for event in watch(RunFolder.open(summary.path), wait):
        seen.append(event)
    assert [event.epoch for event in seen if isinstance(event, EpochFinished)] == [1, 2, 3]


@pytest.mark.parametrize(("mark", "words"), [("stopped", "was stopped"), ("failed", "failed: no room")])
def test_attach_says_how_a_run_ended(
    config: RunConfig, store: RunStore, mark: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = store.create(config)
    folder.mark(mark, "no room" if mark == "failed" else "")  # type: ignore[arg-type]
    _, err = told(["attach", folder.name], capsys, 1 if mark == "failed" else 0)
    assert words in err


def test_runs_are_named_tagged_pinned_deleted_and_restored(
    config: RunConfig, store: RunStore, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = store.create(config)
    told(["runs", "rename", folder.name, "wide"], capsys)
    told(["runs", "tag", "wide", "tau", "first"], capsys)
    told(["runs", "tag", "wide", "first", "--remove"], capsys)
    told(["runs", "note", "wide", "a try"], capsys)
    told(["runs", "pin", "wide"], capsys)
    (summary,) = store.list()
    assert (summary.name, summary.tags, summary.pinned) == ("wide", ("tau",), True)
    assert folder.read_notes().annotation == "a try"
    assert told(["runs"], capsys)[0][1].startswith(f"*{folder.id} ")
    _, err = told(["runs", "delete", "wide"], capsys)
    assert store.list() == ()
    assert len(told(["runs", "trash"], capsys)[0]) == 2
    told(["runs", "restore", err.split("restore ")[1].split("'")[0]], capsys)
    assert len(store.list()) == 1
    told(["runs", "delete", "wide"], capsys)
    told(["runs", "empty-trash", "--yes"], capsys)
    assert store.trashed() == ()


def test_runs_are_compared_query_by_query(
    config: RunConfig, store: RunStore, capsys: pytest.CaptureFixture[str]
) -> None:
    slower = config.with_values(training=config.training.with_values(learning_rate=1e-5))
    folders = [store.create(one) for one in (config, slower)]
    for folder in folders:
        list(RecordedRun(folder))
    lines, _ = told(["runs", "compare", *(folder.name for folder in folders)], capsys)
    assert any(line.strip().startswith("training.learning_rate: 0.003, 1e-05") for line in lines)
    records = [folder.read_evaluation() for folder in folders]
    cosines = [record.tested.cosines for record in records if record and record.tested]
    expected = sum(b - a for a, b in zip(*cosines, strict=True)) / len(cosines[0])
    assert f"cosine {expected:+.5f} (95 %" in lines[-1]
    assert "over 5 common test queries" in lines[-1]
    other = config.with_values(data=config.data.with_values(temperature=0.5))
    folders.append(store.create(other))
    list(RecordedRun(folders[2]))
    lines, _ = told(["runs", "compare", folders[0].name, folders[2].name], capsys)
    assert lines[-1].endswith("no common test queries that both were judged on")


# Processes


def started(database: Path, *options: str) -> pexpect.spawn[str]:
    child = pexpect.spawn(
        sys.executable,
        ["-m", "distill_tui", "train", str(database), *ENDLESS, *options],
        encoding="utf-8",
        timeout=60,
        env={**os.environ},
    )
    child.expect("epoch 2 step")
    return child


@pytest.fixture
def child(database: Path) -> Iterator[pexpect.spawn[str]]:
    process = started(database)
    yield process
    process.close(force=True)


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGUSR1, 138)],
)
def test_a_signal_saves_and_leaves(
    child: pexpect.spawn[str], store: RunStore, number: signal.Signals, code: int
) -> None:
    child.kill(number)
    child.expect("Saved; go on with 'distill-tui resume", timeout=2)
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == code
    (summary,) = store.list()
    assert summary.state == "stopped"
    assert RunFolder.open(summary.path).last_checkpoint.is_file()


def test_a_closed_terminal_saves_and_leaves(database: Path, store: RunStore) -> None:
    child = started(database)
    child.ptyproc.fileobj.close()
    os.waitpid(child.pid, 0)
    (summary,) = store.list()
    assert summary.state == "stopped"
    assert RunFolder.open(summary.path).last_checkpoint.is_file()


def signalled(*numbers: str, before: str = "") -> tuple[int, str]:
    """Return exit code and output of a process that sends itself signals while it can be asked to stop."""
    sent = "".join(f"    os.kill(os.getpid(), signal.{number})\n" for number in numbers)
    program = (
        "import os, signal; from distill_tui.cli.run_loop import StopRequest\n"
        f"{before}\n"
        f"with StopRequest() as stop:\n{sent}"
        "print('still there', stop.exit_code)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_a_second_ctrl_c_leaves_at_once() -> None:
    assert signalled("SIGINT", "SIGINT") == (130, "")
    assert signalled("SIGTERM", "SIGINT") == (143, "")


@pytest.mark.parametrize("second", ["SIGHUP", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGXCPU"])
def test_a_line_that_drops_twice_still_lets_the_run_be_saved(second: str) -> None:
    """A shell passes SIGHUP on, and the terminal sends its own."""
    assert signalled("SIGHUP", second) == (0, "still there 129\n")


def test_a_signal_that_is_ignored_stays_so() -> None:
    """As under nohup."""
    ignored = "signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    assert signalled("SIGHUP", before=ignored) == (0, "still there None\n")


def test_a_step_that_takes_too_long_ends_all_the_same() -> None:
    program = (
        "import os, signal; from distill_tui.cli import run_loop\n"
        "run_loop._LAST_STEP_SECONDS = 0.0\n"
        "with run_loop.StopRequest() as stop:\n"
        "    stop.last_words = lambda: print('given back', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    while True: pass\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (143, b"given back\n")


def test_signals_are_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_detached_run_goes_on_by_itself(config: RunConfig, store: RunStore) -> None:
    folder = store.create(config)
    number = detach(folder)
    assert number != os.getpid()
    for _ in watch(folder):
        pass
    assert folder.shown_state() == "finished"
    assert "cosine mean" in folder.log_path.read_text()


def test_a_detached_run_that_cannot_start_says_why(config: RunConfig, store: RunStore) -> None:
    absent = "cuda" if not torch.cuda.is_available() else "mps"
    folder = store.create(config.with_values(training=config.training.with_values(device=absent)))
    with pytest.raises(
        RunError, match=f"did not start: The device {absent} is not on this machine"
    ) as raised:
        detach(folder)
    assert str(folder.log_path) in raised.value.hint
    assert folder.shown_state() == "failed"


def test_an_output_that_takes_nothing_is_one_sentence(config: RunConfig, store: RunStore) -> None:
    """The disk behind stdout is full; the run is saved."""
    program = [sys.executable, "-m", "distill_tui", "train", config.data.database, "--epochs", "2"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "The output cannot be written: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert store.list()[0].state == "stopped"


def test_the_command_of_a_run_trains_with_its_settings(
    config: RunConfig, store: RunStore, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = store.create(config)
    out, _ = told(["runs", "command", folder.name], capsys)
    arguments = shlex.split(" ".join(line.removesuffix("\\") for line in out))
    assert arguments[:2] == ["distill-tui", "train"]
    told(arguments[1:], capsys)
    again = RunFolder.open(store.list()[0].path).read_config()
    assert again == resolve(config, 28)


def test_the_table_tells_when_and_from_what(
    config: RunConfig, store: RunStore, capsys: pytest.CaptureFixture[str]
) -> None:
    store.create(config)
    header, row = told(["runs"], capsys)[0]
    assert "when" in header
    assert "database" in header
    assert Path(config.data.database).parent.name + "/lda.db" in row
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d", row)
