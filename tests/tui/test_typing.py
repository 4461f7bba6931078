"""Keys in one write, faster than any terminal: text and bindings take effect in their order."""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from distill_tui.ui.terminal import copying
from tests.tui.runs_on_disk import Made, make_run, store
from tests.tui.test_leaving import LOOKS, drain

APP = """
import json, sys
from pathlib import Path
from textual.binding import Binding
from textual.widgets import Input
from distill_tui.app import DistillApp

def tell(app):
    fields = {field.id: field.value for field in app.screen.query(Input)}
    focused = app.focused.id if app.focused else None
    file = Path(sys.argv[2])
    file.with_suffix(".tmp").write_text(json.dumps([type(app.screen).__name__, focused, fields]))
    file.with_suffix(".tmp").rename(file)

DistillApp.action_tell = tell
app = DistillApp(Path(sys.argv[1]))
app._bindings.key_to_bindings["f5"] = [Binding("f5", "tell", priority=True)]  # over dialogs, too
app.run()
"""
TELL = "\x1b[15~"
LEFT, HOME = "\x1b[D", "\x1b[H"
CLEAR, BACK = "\x15", "\x7f"
FIELDS = {
    "filter of questions": ("1/", "filter"),
    "temperature": (f"1T{CLEAR}", "text"),
    "form": (f"2p{CLEAR}", "epochs"),
    "limits of the crossover": (f"5X{CLEAR}", None),
    "filter of runs": ("6/", "run-filter"),
    "name": (f"6n{CLEAR}", "text"),
    "export": (f"6e{CLEAR}", "text"),
    "database": (f"o{CLEAR}", "path"),
}
"""The keys that open a field and empty it, and the field's name where it has one of its own."""


@pytest.fixture
def told(database: Path, tmp_path: Path) -> Iterator[tuple[pexpect.spawn[str], Path]]:
    """The app, which writes what its fields hold into a file at f5."""
    make_run(Made("run 1"))
    child = pexpect.spawn(
        sys.executable,
        ["-c", APP, str(database), str(tmp_path / "told.json")],
        encoding="utf-8",
        timeout=60,
        dimensions=(24, 80),
        env={**os.environ, "TERM": "xterm-256color"},
    )
    child.expect("bare query")
    yield child, tmp_path / "told.json"
    if child.isalive():
        child.kill(signal.SIGKILL)
        child.wait()


def after(child: pexpect.spawn[str], file: Path, keys: str) -> tuple[str, str | None, dict[str, str]]:
    """Send all keys in one write; return the screen, the focus and the fields once all are handled."""
    os.write(child.child_fd, (keys + TELL).encode())
    for _ in range(4 * LOOKS):
        if file.is_file():
            screen, focused, fields = json.loads(file.read_text())
            file.unlink()
            return screen, focused, fields
        assert drain(child, 0.05), "the app has left"
    raise AssertionError("the keys were not handled")


def scribble(rng: random.Random, count: int) -> tuple[str, str]:
    """Return keys as somebody types who often changes his mind, and the text that is there at the end."""
    keys, text, cursor = "", "", 0
    for _ in range(count):
        key = rng.choice([*"abcdegnqst12", BACK, LEFT, HOME, CLEAR])
        keys += key
        if key == BACK:
            text, cursor = text[: max(cursor - 1, 0)] + text[cursor:], max(cursor - 1, 0)
        elif key == CLEAR:
            text, cursor = text[cursor:], 0
        elif key in (LEFT, HOME):
            cursor = max(cursor - 1, 0) if key == LEFT else 0
        else:
            text, cursor = text[:cursor] + key + text[cursor:], cursor + 1
    return f"{keys}z", f"{text[:cursor]}z{text[cursor:]}"


def test_two_hundred_keys_in_one_write_stay_in_order(told: tuple[pexpect.spawn[str], Path]) -> None:
    rng = random.Random(17)
    after(*told, "6")  # the runs are listed from now on
    for where, (opening, name) in FIELDS.items():
        keys, text = scribble(rng, 200)
        screen, focused, fields = after(*told, opening + keys)
        assert focused is not None, where
        assert (focused, fields[focused]) == (name or focused, text), f"{where} on {screen}"
        after(*told, f"{CLEAR}\x1b")
        after(*told, "\x1b")


def test_ctrl_z_suspends_and_fg_draws_again(told: tuple[pexpect.spawn[str], Path]) -> None:
    child, file = told
    after(child, file, "6")
    child.send("\x1a")
    for _ in range(4 * LOOKS):  # it stops once all that it drew has been read
        pid, state = os.waitpid(child.pid, os.WUNTRACED | os.WNOHANG)
        if pid:
            break
        drain(child, 0.05)
    assert os.WIFSTOPPED(state)
    child.kill(signal.SIGCONT)
    screen, *_ = after(child, file, "1")
    assert screen == "TeacherScreen"


@pytest.mark.parametrize("inside", [False, True])
def test_what_is_copied_reaches_the_terminal_through_tmux(
    monkeypatch: pytest.MonkeyPatch, *, inside: bool
) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    if inside:
        monkeypatch.setenv("TMUX", "/tmp/tmux-0/default,1,0")
    plain, *wrapped = copying("N 30 · τ")
    assert base64.b64decode(plain.removeprefix("\x1b]52;c;").removesuffix("\a")).decode() == "N 30 · τ"
    assert wrapped == (["\x1bPtmux;\x1b" + plain + "\x1b\\"] if inside else [])


def test_a_dialog_that_comes_and_goes_twenty_times_leaves_the_screen_as_it_was(
    told: tuple[pexpect.spawn[str], Path],
) -> None:
    after(*told, "6")
    screen, *_ = after(*told, "6" + "dc" * 20)
    assert screen == "RunsScreen"
    assert len(store().list()) == 1
    screen, *_ = after(*told, "dy")
    assert screen == "RunsScreen"
