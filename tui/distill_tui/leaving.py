"""The app and the process around it: signals that end it, and what libraries write while it is drawn."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Protocol, Self

from distill_tui.signals import ENDING, handled

_SAVE_SECONDS = 1.6
_CLOSE_SECONDS = 0.3
_LONGEST_LOG_BYTES = 1_000_000
_OUTPUTS = (("stdout", 1), ("stderr", 2))


class _Jobs(Protocol):
    def abandon(self) -> None: ...

    def wait_until_saved(self, seconds: float | None = None) -> bool: ...


class _App(Protocol):
    @property
    def jobs(self) -> _Jobs: ...

    def leave_soon(self, exit_code: int) -> None: ...

    def hand_over(self) -> None: ...


class LeaveOnSignal:
    """Inside `with`, a signal that ends a process saves the run first, and ends it within two seconds.

    The handler only asks. A thread of its own waits for the run to be saved, has it handed over, and then
    ends the process, even while the app is stuck writing to a line that no longer takes anything.

    Attributes:
        exit_code: 128 and the number of the signal; None if there was none.
    """

    def __init__(self, app: _App) -> None:
        self.exit_code: int | None = None
        self._app = app
        self._signals = ExitStack()
        self._closed = threading.Event()
        self._handing_over = threading.Lock()
        self._is_handed_over = False

    def __enter__(self) -> Self:
        self._signals.enter_context(handled(ENDING, self._ask))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self._signals.close()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.exit_code is not None:
            return
        self.exit_code = 128 + number
        self._app.leave_soon(self.exit_code)
        self._app.jobs.abandon()
        with contextlib.suppress(RuntimeError):  # no thread can be started: the app leaves by itself
            threading.Thread(target=self._see_to_it, name="leaving", daemon=True).start()

    def hand_over(self) -> None:
        """Have a run that is to go on taken over by a process of its own, once; from any thread."""
        with self._handing_over:
            if not self._is_handed_over:
                self._is_handed_over = True
                self._app.hand_over()

    def _see_to_it(self) -> None:
        self._app.jobs.wait_until_saved(_SAVE_SECONDS)
        self.hand_over()
        self._closed.wait(_CLOSE_SECONDS)
        assert self.exit_code is not None
        os._exit(self.exit_code)


@contextmanager
def drawn_alone(log: Path | None) -> Iterator[None]:
    """Inside `with`, Python's own streams keep the terminal, and what else is written to it goes to a log.

    Native libraries write to file descriptors 1 and 2, over what the app has drawn. Textual draws on
    `sys.__stderr__`, which gets a descriptor of its own. A descriptor that is no terminal stays as it is.
    """
    with ExitStack() as restored:
        descriptor = _log_descriptor(log)
        restored.callback(os.close, descriptor)
        for name, number in _OUTPUTS:
            if os.isatty(number):
                _move_to(descriptor, name, number, restored)
        yield


def _move_to(log: int, name: str, number: int, restored: ExitStack) -> None:
    streams = {attribute: getattr(sys, attribute) for attribute in (name, f"__{name}__")}
    for stream in streams.values():
        stream.flush()
    kept = os.dup(number)
    restored.callback(os.close, kept)
    encoding, errors = streams[name].encoding, streams[name].errors
    terminal = open(kept, "w", encoding=encoding, errors=errors, buffering=1, closefd=False)  # noqa: SIM115
    restored.callback(os.dup2, kept, number)
    os.dup2(log, number)
    for attribute, stream in streams.items():
        setattr(sys, attribute, terminal)
        restored.callback(setattr, sys, attribute, stream)
    restored.callback(terminal.flush)


def _log_descriptor(log: Path | None) -> int:
    """Open the log, begun anew when it is long; where there is no place for one, nothing is kept."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    if log is None:
        return os.open(os.devnull, os.O_WRONLY)
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > _LONGEST_LOG_BYTES:
            flags |= os.O_TRUNC
        return os.open(log, flags, 0o600)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)
