"""Signals that ask for an end: a training saves and leaves soon, a measurement keeps what it has at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from contextlib import ExitStack
from types import FrameType, TracebackType
from typing import Self

from distill_tui.signals import ENDING, handled

_PATIENCE_SECONDS = 1.8


class StopRequest:
    """Inside `with`, ctrl+c and the signals that end a process only ask; a second ctrl+c leaves at once.

    A line that drops may send its signal more than once, so other signals only ask again. One that was
    ignored before, as nohup does, stays so. Whoever trains looks at `exit_code` between two steps. If it
    cannot look in time, in a long step or a stalled terminal, the process ends all the same: the last
    checkpoint is on the disk.

    Attributes:
        exit_code: 128 and the number of the signal, as shells say it; None while nobody asked.
    """

    def __init__(self) -> None:
        self.exit_code: int | None = None
        self._signals = ExitStack()
        self._last_resort: threading.Timer | None = None

    def __enter__(self) -> Self:
        self._signals.enter_context(handled(("SIGINT", *ENDING), self._ask))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._signals.close()
        if self._last_resort is not None:
            self._last_resort.cancel()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.exit_code is not None:
            if number == signal.SIGINT:
                os._exit(self.exit_code)
            return
        self.exit_code = 128 + number
        timer = threading.Timer(_PATIENCE_SECONDS, os._exit, (self.exit_code,))
        timer.daemon = True
        with contextlib.suppress(RuntimeError):  # no thread can be started: who trains still looks
            timer.start()
            self._last_resort = timer


class MeasurementStopped(KeyboardInterrupt):
    """A signal asks to stop.

    Attributes:
        exit_code: 128 and the number of the signal, as shells say it.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number


class StopAtOnce:
    """Inside `with`, the first of ctrl+c and the signals that end a process raises `MeasurementStopped`.

    A block may take minutes, so nobody waits for its end. While what was measured is kept and printed, a
    second ctrl+c leaves at once, and other signals are passed over: a line that drops may send several. A
    signal that was ignored before, as nohup does, stays so.
    """

    def __init__(self) -> None:
        self._stopped: MeasurementStopped | None = None
        self._signals = ExitStack()

    def __enter__(self) -> Self:
        self._signals.enter_context(handled(("SIGINT", *ENDING), self._stop))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._signals.close()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._stopped is None:
            self._stopped = MeasurementStopped(number)
            raise self._stopped
        if number == signal.SIGINT:
            os._exit(self._stopped.exit_code)
