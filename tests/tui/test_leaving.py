"""The real app in a real terminal, left in every way: the run is saved, or goes on."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from distill_core.runs import RunFolder, RunStore

LOOKS = 600


@pytest.fixture
def starting(database: Path) -> Iterator[pexpect.spawn[str]]:
    """The app with a teacher on the screen."""
    child = pexpect.spawn(
        sys.executable,
        ["-m", "distill_tui", str(database)],
        encoding="utf-8",
        timeout=60,
        dimensions=(24, 80),
        env={**os.environ, "TERM": "xterm-256color"},
    )
    child.expect("bare query")
    yield child
    if child.isalive():
        child.kill(signal.SIGKILL)
        child.wait()


@pytest.fixture
def app(starting: pexpect.spawn[str]) -> pexpect.spawn[str]:
    """The app with a run that is going."""
    starting.send("\x14")  # ctrl+t
    folder = wait_for(starting, "running")
    for _ in range(LOOKS):
        if any(line["event"] == "epoch" for line in folder.read_metrics().lines):
            break
        drain(starting, 0.1)
    return starting


def wait_for(child: pexpect.spawn[str], state: str) -> RunFolder:
    """Read what the app draws until its run is in a state."""
    store = RunStore()
    for _ in range(LOOKS):
        runs = store.list()
        if runs and runs[0].state == state:
            return RunFolder.open(runs[0].path)
        drain(child, 0.1)
    raise AssertionError(f"no run is {state}: {[run.state for run in store.list()]}")


def drain(child: pexpect.spawn[str], seconds: float) -> bool:
    """Take what the app draws; return whether it is still there."""
    try:
        child.read_nonblocking(1 << 16, timeout=seconds)
    except pexpect.TIMEOUT:
        pass
    except (pexpect.EOF, OSError):
        return False
    return True


def end_of(child: pexpect.spawn[str]) -> None:
    while drain(child, 0.2):
        pass
    child.wait()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGXCPU, 152)])
def test_a_signal_saves_the_run(app: pexpect.spawn[str], number: signal.Signals, code: int) -> None:
    app.kill(number)
    end_of(app)
    assert app.exitstatus == code
    folder = wait_for(app, "stopped")
    assert folder.last_checkpoint.is_file()


@pytest.mark.parametrize("how", ["signal", "closed terminal"])
def test_a_line_that_drops_hands_the_run_over(app: pexpect.spawn[str], how: str) -> None:
    drop(app, how)
    (run,) = RunStore().list()
    folder = RunFolder.open(run.path)
    assert folder.last_checkpoint.is_file()
    try:
        for _ in range(LOOKS):
            if len(folder.attempts()) == 2:
                break
            time.sleep(0.1)
        assert folder.attempts()[1].pid != app.pid, "a process of its own goes on"
    finally:
        with contextlib.suppress(ProcessLookupError, IndexError):
            os.kill(folder.attempts()[1].pid, signal.SIGKILL)


def test_a_setting_has_the_run_stop_when_the_line_drops(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("DISTILL_TUI_HANGUP", "stop")
    app = request.getfixturevalue("app")
    drop(app, "signal")
    (run,) = RunStore().list()
    assert run.state == "stopped"
    assert not (Path(run.path) / "log.txt").exists(), "no process was started"


def drop(app: pexpect.spawn[str], how: str) -> None:
    if how == "signal":
        app.kill(signal.SIGHUP)
        end_of(app)
        assert app.exitstatus == 129
        return
    app.ptyproc.fileobj.close()
    os.waitpid(app.pid, 0)
    app.ptyproc.terminated = app.terminated = True


def test_q_and_s_save_the_run(app: pexpect.spawn[str]) -> None:
    app.send("q")
    app.expect("Detach")
    app.send("s")
    end_of(app)
    assert app.exitstatus == 0
    assert wait_for(app, "stopped").last_checkpoint.is_file()


def test_a_run_that_is_just_starting_is_let_go_on_too(starting: pexpect.spawn[str]) -> None:
    """Its folder is not made yet when one leaves."""
    starting.send("\x14q")
    starting.expect("Detach")
    starting.send("d")
    starting.expect("It trains on its own")
    end_of(starting)
    (here,) = RunStore().list()
    state = RunFolder.open(here.path).read_state()
    try:
        assert RunFolder.open(here.path).shown_state() in ("running", "finished")
    finally:
        if RunFolder.open(here.path).shown_state() == "running":
            os.kill(state.pid, signal.SIGKILL)


def test_q_and_d_let_the_run_go_on_in_a_process_of_its_own(app: pexpect.spawn[str]) -> None:
    (here,) = RunStore().list()
    mine = RunFolder.open(here.path).read_state().pid
    app.send("q")
    app.expect("Detach")
    app.send("d")
    app.expect("It trains on its own")
    end_of(app)
    folder = RunFolder.open(here.path)
    state = folder.read_state()
    try:
        assert folder.shown_state() in ("running", "finished")
        assert state.pid != mine
    finally:
        if folder.shown_state() == "running":
            os.kill(state.pid, signal.SIGKILL)


NOISE = """
import os, sys
from pathlib import Path
from distill_tui.leaving import drawn_alone
before = sys.stderr, sys.__stderr__, sys.stdout
try:
    with drawn_alone(Path(sys.argv[1])):
        os.write(1, b"NATIVE-1"); os.write(2, b"NATIVE-2")
        print("drawn", file=sys.__stderr__); print("printed")
        raise ValueError("crashed")
except ValueError as error:
    print(error, file=sys.stderr)
assert before == (sys.stderr, sys.__stderr__, sys.stdout)
os.write(2, b"after")
"""


@pytest.mark.parametrize("place", ["state/app.log", "file/app.log"])
def test_what_libraries_write_goes_to_the_log_until_the_app_has_ended(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    child = pexpect.spawn(sys.executable, ["-c", NOISE, str(tmp_path / place)], encoding="utf-8", timeout=60)
    child.expect(pexpect.EOF)
    child.close()
    assert child.before is not None
    assert child.before.split() == ["drawn", "printed", "crashed", "after"]
    assert child.exitstatus == 0
    if place.startswith("state"):
        assert (tmp_path / place).read_text() == "NATIVE-1NATIVE-2"
