from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from distill_core.errors import RunError
from distill_core.runs import RunFolder, liveness
from distill_core.runs import lock as lock_module
from distill_core.runs.atomic_files import write_atomically
from tests.core.test_runs_folder import CONFIG, Clock

HOST = "gpu-1"
BOOT = "0d4e"
STAT = "{pid} (a) b) {state} 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 {start} 20 21"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def run(tmp_path: Path, clock: Clock) -> RunFolder:
    return RunFolder.create(tmp_path / "runs", CONFIG, clock)


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which every process that is asked for takes signals, and that knows some of them."""
    proc = tmp_path / "proc"
    (proc / "sys/kernel/random").mkdir(parents=True)
    (proc / "sys/kernel/random/boot_id").write_text(f"{BOOT}\n")
    monkeypatch.setattr(liveness, "_PROC", proc)
    monkeypatch.setattr(liveness, "this_host", lambda: HOST)
    monkeypatch.setattr(os, "kill", lambda pid, number: None)
    return proc


def add_process(proc: Path, pid: int, start: int, state: str = "S") -> None:
    (proc / str(pid)).mkdir(exist_ok=True)
    (proc / str(pid) / "stat").write_text(STAT.format(pid=pid, state=state, start=start))


def write_running(run: RunFolder, host: str, pid: int, start: str = "") -> None:
    state = msgspec.structs.replace(
        run.read_state(), state="running", host=host, pid=pid, process_start=start
    )
    run.write_state(state)


@pytest.mark.parametrize(
    ("pid", "start", "alive"),
    [
        (7, f"{BOOT}:500", True),
        (7, f"{BOOT}:499", False),  # the number went to another process
        (7, "another boot:500", False),
        (7, "", True),  # the start was not known where it was written
        (8, f"{BOOT}:600", False),  # killed, but not yet waited for by its parent
        (9, f"{BOOT}:600", True),  # takes signals, and hides its start
        (0, "", False),
        (-1, "", False),
    ],
)
def test_a_process_of_this_machine_is_told_by_its_number_and_start(
    proc: Path, pid: int, start: str, alive: bool
) -> None:
    add_process(proc, 7, 500)
    add_process(proc, 8, 600, "Z")
    assert liveness.is_alive(HOST, pid, start, silence_seconds=1e9) is alive
    assert liveness.process_start(7) == f"{BOOT}:500"
    assert liveness.process_start(9) == ""


@pytest.mark.parametrize(
    ("error", "alive"),
    [(ProcessLookupError(), False), (PermissionError(), True), (OverflowError(), False)],
)
def test_without_proc_a_signal_that_does_nothing_tells(
    proc: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, alive: bool
) -> None:
    def kill(pid: int, number: int) -> None:
        assert number == 0
        raise error

    monkeypatch.setattr(os, "kill", kill)
    assert liveness.is_alive(HOST, 5, "", silence_seconds=0) is alive


def test_the_process_of_this_test_is_alive_and_one_that_has_ended_is_not() -> None:
    host, pid = liveness.this_host(), os.getpid()
    start = liveness.process_start(pid)
    assert liveness.is_alive(host, pid, start, 0)
    ended = subprocess.Popen([sys.executable, "-S", "-c", ""])
    ended.wait()
    assert not liveness.is_alive(host, ended.pid, "", 0)
    assert not liveness.is_alive(host, 2**70, "", 0)


def test_a_run_shows_as_interrupted_once_its_process_is_gone(
    run: RunFolder, proc: Path, clock: Clock
) -> None:
    write_running(run, HOST, 7, f"{BOOT}:500")
    add_process(proc, 7, 500)
    clock.advance(10_000)
    assert run.shown_state() == "running"
    add_process(proc, 7, 501)
    assert run.shown_state() == "interrupted"
    run.mark("stopped")
    assert run.shown_state() == "stopped"


def test_a_run_elsewhere_is_interrupted_two_minutes_after_its_last_heartbeat(
    run: RunFolder, proc: Path, clock: Clock
) -> None:
    write_running(run, "gpu-2", 7)
    clock.advance(120)
    assert run.shown_state() == "running"
    clock.advance(1)
    assert run.shown_state() == "interrupted"
    run.beat()
    clock.advance(120)
    assert run.shown_state() == "running"
    clock.advance(1)
    assert run.shown_state() == "interrupted"


def test_a_run_is_locked_until_it_is_let_go(run: RunFolder) -> None:
    with run.lock() as lock:
        assert lock.atomic
        run.mark("running")
        with pytest.raises(RunError, match=f"{run.name} is already being trained"):
            RunFolder(run.path).lock()
    run.lock().release()


def test_a_process_that_holds_the_lock_keeps_others_out_and_frees_it_by_dying(run: RunFolder) -> None:
    program = (
        "import fcntl, sys\nfile = open(sys.argv[1], 'w')\nfcntl.flock(file, fcntl.LOCK_EX)\n"
        "print('locked', flush=True)\nsys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-S", "-c", program, str(run.path / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        with pytest.raises(RunError, match="already being trained"):
            run.lock()
        holder.kill()
    with run.lock():
        pass


def test_a_run_of_another_machine_is_refused_while_its_heart_beats(run: RunFolder, clock: Clock) -> None:
    write_running(run, "gpu-2", 4711)
    with pytest.raises(RunError, match="by process 4711 on gpu-2"):
        run.lock()
    clock.advance(121)
    with run.lock():
        pass


def test_the_lock_has_the_last_word_on_this_machine(run: RunFolder) -> None:
    run.mark("running")  # by this process, which then failed to write that it had stopped
    with run.lock() as lock:
        assert lock.atomic


def test_without_locks_the_process_number_refuses_a_second_start(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(descriptor: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock_module, "_flock", flock)
    with run.lock() as lock:
        assert not lock.atomic
        assert "cannot be locked (No locks available)" in lock.note
        run.mark("running")
        with pytest.raises(RunError, match="already being trained by process"):
            run.lock()
    run.mark("stopped")
    run.lock().release()


def test_a_damaged_state_keeps_nobody_from_training_on(run: RunFolder) -> None:
    (run.path / "state.json").write_text("{")
    with run.lock():
        assert run.mark("running") == run.read_state()


def test_a_half_written_checkpoint_of_a_killed_process_is_removed(run: RunFolder) -> None:
    write_atomically(run.last_checkpoint, b"whole")
    (run.checkpoints / ".last.safetensors.0123.tmp").write_bytes(b"half")
    with run.lock():
        assert [path.name for path in run.checkpoints.iterdir()] == ["last.safetensors"]
