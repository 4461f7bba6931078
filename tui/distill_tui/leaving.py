"""Signals that end the app: what is learnt is saved first, and a terminal that is gone holds nothing up."""

from __future__ import annotations

import contextlib
import os
import threading
from contextlib import ExitStack
from types import FrameType, TracebackType
from typing import Protocol, Self

from distill_tui.signals import ENDING, handled

_SAVE_SECONDS = 1.6
_CLOSE_SECONDS = 0.3


class _Jobs(Protocol):
    def abandon(self) -> None: ...

    def wait_until_saved(self, seconds: float | None = None) -> bool: ...


class _App(Protocol):
    @property
    def jobs(self) -> _Jobs: ...

    def leave_soon(self, exit_code: int) -> None: ...


class LeaveOnSignal:
    """Inside `with`, a signal that ends a process saves the run first, and ends it within two seconds.

    The handler only asks. A thread of its own waits for the run to be saved and then ends the process, even
    while the app is stuck writing to a line that no longer takes anything.

    Attributes:
        exit_code: 128 and the number of the signal; None if there was none.
    """

    def __init__(self, app: _App) -> None:
        self.exit_code: int | None = None
        self._app = app
        self._signals = ExitStack()
        self._closed = threading.Event()

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
        self._app.jobs.abandon()
        self._app.leave_soon(self.exit_code)
        with contextlib.suppress(RuntimeError):  # no thread can be started: the app leaves by itself
            threading.Thread(target=self._see_to_it, name="leaving", daemon=True).start()

    def _see_to_it(self) -> None:
        self._app.jobs.wait_until_saved(_SAVE_SECONDS)
        self._closed.wait(_CLOSE_SECONDS)
        assert self.exit_code is not None
        os._exit(self.exit_code)
