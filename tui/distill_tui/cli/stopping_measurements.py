"""Signals that end a measurement at once: what is measured so far outlives it, and is kept and printed."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from types import FrameType, TracebackType
from typing import Self

from distill_tui.signals import ENDING, handled


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
