"""One writer a run: who lives is told by what is seen here, and whoever was displaced writes nothing more."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from distill_core.errors import RunError, TakenOverError
from distill_core.runs import RunFolder, liveness
from distill_core.runs import lock as lock_module
from distill_core.runs.atomic_files import write_atomically
from distill_core.runs.recording.checkpoint import save_weights
from tests.core.test_runs_folder import CONFIG, DATA, EVALUATION

HERE = "0d4e:4026531836"
STAT = "{pid} (a) b) {state} 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 {start} 20 21"


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "runs", CONFIG)


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that knows some processes."""
    proc = tmp_path / "proc"
    (proc / "sys/kernel/random").mkdir(parents=True)
    (proc / "sys/kernel/random/boot_id").write_text("0d4e\n")
    (proc / "self").symlink_to(str(os.getpid()))
    (proc / str(os.getpid()) / "ns").mkdir(parents=True)
    (proc / str(os.getpid()) / "ns/pid").symlink_to("pid:[4026531836]")
    add_process(proc, os.getpid(), 400)
    monkeypatch.setattr(liveness, "_PROC", proc)
    return proc


def add_process(proc: Path, pid: int, start: int, state: str = "S") -> None:
    (proc / str(pid)).mkdir(exist_ok=True)
    (proc / str(pid) / "stat").write_text(STAT.format(pid=pid, state=state, start=start))


def write_running(run: RunFolder, host: str, pid: int, start: str = "") -> None:
    state = msgspec.structs.replace(
        run.read_state(), state="running", host=host, pid=pid, process_start=start
    )
    run.write_state(state)


def still(seconds: float) -> None:
    """Wait, and nothing happens meanwhile."""


def beating(run: RunFolder) -> Callable[[float], None]:
    """Wait while another process beats, by a clock of its own: a year ahead, and it steps back."""
    times = iter(range(2_000_000_000, 0, -100))

    def wait(seconds: float) -> None:
        (run.path / "heartbeat").touch()
        os.utime(run.path / "heartbeat", (now := next(times), now))

    return wait


@pytest.mark.parametrize(
    ("pid", "start", "alive"),
    [
        (7, f"{HERE}:500", True),
        (7, f"{HERE}:499", False),  # the number went to another process
        (8, f"{HERE}:600", False),  # killed, but not yet waited for by its parent
        (0, f"{HERE}:1", False),
        (-1, f"{HERE}:1", False),
        (7, "another boot:4026531836:500", None),  # another machine, whatever its name
        (7, "0d4e:4026532000:500", None),  # a container of this machine, with numbers of its own
        (7, "0d4e:500", None),  # of an older version
        (7, "", None),
    ],
)
def test_only_a_process_of_this_boot_and_namespace_is_looked_up(
    proc: Path, pid: int, start: str, alive: bool | None
) -> None:
    add_process(proc, 7, 500)
    add_process(proc, 8, 600, "Z")
    assert liveness.is_alive(pid, start) is alive
    assert liveness.process_start(7) == f"{HERE}:500"
    assert liveness.process_start(9) == ""


def test_a_proc_of_another_namespace_tells_nothing(proc: Path) -> None:
    (proc / "self").unlink()
    (proc / "self").symlink_to("4711")
    assert liveness.process_start(os.getpid()) == ""
    assert liveness.is_alive(7, f"{HERE}:500") is None


def test_the_process_of_this_test_is_alive_and_one_that_has_ended_is_not() -> None:
    start = liveness.process_start(os.getpid())
    assert liveness.is_alive(os.getpid(), start) is True
    ended = subprocess.Popen([sys.executable, "-S", "-c", ""])
    started = liveness.process_start(ended.pid)
    ended.wait()
    assert liveness.is_alive(ended.pid, started) is False


def test_a_run_shows_as_interrupted_once_its_process_is_gone(run: RunFolder, proc: Path) -> None:
    write_running(run, "gpu-1", 7, f"{HERE}:500")
    add_process(proc, 7, 500)
    assert run.shown_state() == "running"
    add_process(proc, 7, 501)
    assert run.shown_state() == "interrupted"
    run.mark("stopped")
    assert run.shown_state() == "stopped"


def test_a_run_elsewhere_is_interrupted_once_nothing_moves_while_it_is_watched(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("distill_core.runs.folder._watch", liveness.Watch(lambda: now))
    write_running(run, "gpu-2", 7)
    os.utime(run.path / "state.json", (4e9, 4e9))  # written by a clock that is far ahead
    move = beating(run)
    state = run.read_state()
    assert (run.shown(state), run.is_unsettled(state)) == ("running", True)
    now += 1
    move(0)
    assert (run.shown(state), run.is_unsettled(state)) == ("running", False)
    now += liveness.SILENT_SECONDS - 0.1
    assert run.shown(state) == "running"
    now += 0.2
    assert run.shown(state) == "interrupted"
    move(0)
    assert run.shown(state) == "running"


def test_a_run_is_locked_until_it_is_let_go(run: RunFolder) -> None:
    with run.lock() as lock:
        assert lock.notes == ()
        run.mark("running")
        with pytest.raises(RunError, match=f"{run.name} is already being trained by process {os.getpid()}"):
            RunFolder(run.path).lock(wait=still)
    RunFolder(run.path).lock(wait=still).release()
    assert [attempt.ended for attempt in run.attempts()] == [True, True]


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
            run.lock(wait=still)
        holder.kill()
    with run.lock():
        pass


def test_a_run_of_another_machine_is_refused_while_it_moves_and_taken_once_it_does_not(
    run: RunFolder,
) -> None:
    write_running(run, "gpu-2", 4711)
    with pytest.raises(RunError, match="already being trained by process 4711 on gpu-2"):
        run.lock(wait=beating(run))
    with run.lock(wait=still) as lock:
        assert "taken over from process 4711 on gpu-2 because nothing in it changed for 5 s" in lock.notes[0]
    run.mark("stopped")
    assert run.lock(wait=beating(run)).notes == ()


def test_a_heartbeat_in_the_future_is_no_life(run: RunFolder) -> None:
    write_running(run, "gpu-2", 4711)
    run.beat()
    for name in ("heartbeat", "state.json"):
        os.utime(run.path / name, (4e9, 4e9))
    run.lock(wait=still).release()


def without_locks(monkeypatch: pytest.MonkeyPatch, *, silent: bool) -> None:
    """A file system that says it cannot lock, or one whose locks keep nobody out."""

    def flock(descriptor: int) -> None:
        if not silent:
            raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock_module, "_flock", flock)


@pytest.mark.parametrize("silent", [True, False])
def test_without_locks_a_second_start_is_refused_while_the_first_moves(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, silent: bool
) -> None:
    without_locks(monkeypatch, silent=silent)
    with run.lock() as lock:
        assert ["cannot be locked (No locks available)" in note for note in lock.notes] == [True][silent:]
        with pytest.raises(RunError, match="already being trained by process"):
            RunFolder(run.path).lock(wait=beating(run))


def displaced(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """Return the folder as another process sees it that took the run while this one slept."""
    without_locks(monkeypatch, silent=True)
    run.lock(wait=still)
    other = RunFolder(run.path)
    other.lock(wait=still)
    return other


WRITES: dict[str, Callable[[RunFolder], object]] = {
    "config": lambda run: run.write_config(CONFIG),
    "state": lambda run: run.mark("running"),
    "data": lambda run: run.write_data(DATA),
    "evaluation": lambda run: run.write_evaluation(EVALUATION),
    "weights": lambda run: save_weights(run.best_checkpoint, b"old", run.check),
    "cut": lambda run: run.cut_metrics(0, 0),
}


@pytest.mark.parametrize("name", WRITES)
def test_whoever_was_displaced_writes_nothing_more(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with run.open_metrics() as metrics:
        metrics.append({"event": "started"})
    other = displaced(run, monkeypatch)
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    with pytest.raises(TakenOverError, match=f"{run.name} was taken over by process {os.getpid()}"):
        WRITES[name](run)
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before
    WRITES[name](other)


def test_a_writer_that_sleeps_between_its_check_and_its_rename_is_fenced_off(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check passed; then the run is taken, and only then the rename is tried."""
    others: list[RunFolder] = []

    def check_then_sleep() -> None:
        run.check()
        if not others:
            others.append(displaced_by(run))

    def displaced_by(run: RunFolder) -> RunFolder:
        other = RunFolder(run.path)
        other.lock(wait=still)
        save_weights(other.best_checkpoint, b"new", other.check)
        return other

    without_locks(monkeypatch, silent=True)
    run.lock(wait=still)
    with pytest.raises(TakenOverError):
        save_weights(run.best_checkpoint, b"old", check_then_sleep)
    assert run.best_checkpoint.read_bytes() == b"new"


def test_lines_of_a_displaced_writer_that_sleeps_before_writing_go_nowhere(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_locks(monkeypatch, silent=True)
    run.lock(wait=still)
    metrics = run.open_metrics()
    metrics.append({"event": "epoch", "epoch": 1})
    other = RunFolder(run.path)
    other.lock(wait=still)
    other.cut_metrics(metrics.offset_bytes, 1)
    monkeypatch.setattr(metrics, "_check", lambda: None)  # it was asked before it slept
    metrics.append({"event": "epoch", "epoch": 2})
    with other.open_metrics() as new:
        new.append({"event": "epoch", "epoch": 2, "by": "other"})
    assert run.read_metrics().lines == [
        {"event": "epoch", "epoch": 1},
        {"event": "epoch", "epoch": 2, "by": "other"},
    ]


def test_of_two_that_begin_at_once_one_wins(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have seen that nobody trains; the second finds the first's attempt and watches it."""
    without_locks(monkeypatch, silent=True)
    begin = lock_module._begin
    others: list[object] = []

    def late(path: Path, number: int) -> object:
        if not others:
            others.append(None)
            others.append(RunFolder(run.path).lock(wait=still))
        return begin(path, number)

    monkeypatch.setattr(lock_module, "_begin", late)
    with pytest.raises(RunError, match="already being trained"):
        run.lock(wait=beating(run))
    assert [attempt.number for attempt in run.attempts()] == [1]


def test_a_lock_whose_holder_does_not_move_is_passed_over_only_when_asked(run: RunFolder) -> None:
    held = run.lock()
    other = RunFolder(run.path)
    with pytest.raises(RunError, match="already being trained") as refused:
        other.lock(wait=still)
    assert "resume --take-over" in refused.value.hint
    with pytest.raises(RunError, match="already being trained"):
        other.lock(take_over=True, wait=beating(run))
    with other.lock(take_over=True, wait=still) as lock:
        assert "which still holds the lock, because nothing in it changed" in lock.notes[0]
        with pytest.raises(TakenOverError):
            held.check()
    held.release()
    assert "as without --take-over" in RunFolder(run.path).lock(take_over=True, wait=still).notes[0]


@pytest.mark.parametrize("content", [b"", b"{", b'{"number": 1}'])
def test_an_attempt_whose_record_is_damaged_is_watched(run: RunFolder, content: bytes) -> None:
    run.lock().release()
    (run.path / "attempts/1.json").write_bytes(content)
    with pytest.raises(RunError, match="already being trained by another process"):
        run.lock(wait=beating(run))
    assert run.lock(wait=still).attempt.number == 2


def test_a_damaged_state_keeps_nobody_from_training_on(run: RunFolder) -> None:
    (run.path / "state.json").write_text("{")
    with run.lock():
        assert run.mark("running") == run.read_state()


def test_a_half_written_checkpoint_of_a_killed_process_is_removed(run: RunFolder) -> None:
    write_atomically(run.last_checkpoint, b"whole")
    (run.checkpoints / ".last.safetensors.0123.tmp").write_bytes(b"half")
    with run.lock():
        assert [path.name for path in run.checkpoints.iterdir()] == ["last.safetensors"]
