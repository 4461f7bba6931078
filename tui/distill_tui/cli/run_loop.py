"""Training without a terminal: to its end, until a signal asks for one, or in a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Self

from distill_core.errors import DistillError, RunError
from distill_tui.cli.output import say
from distill_tui.signals import ENDING, handled

if TYPE_CHECKING:
    from distill_core.runs import RecordedRun, RunFolder
    from distill_core.training.events import TrainEvent

_LAST_STEP_SECONDS, _LAST_WORDS_SECONDS = 1.8, 1.0
PATIENCE_SECONDS = 20
"""A process that is to go on with a run waits so long for the one before to let go of it."""

_START_SECONDS = 60.0
_LOOK_SECONDS = 0.1


class StopRequest:
    """Inside `with`, ctrl+c and the signals that end a process only ask; a second ctrl+c leaves at once.

    A line that drops may send its signal more than once, so other signals only ask again. One that was
    ignored before, as nohup does, stays so. Whoever trains looks at `exit_code` between two steps. If it
    cannot look in time, in a long step or a stalled terminal, the process ends all the same: the last
    checkpoint is on the disk.

    Attributes:
        exit_code: 128 and the number of the signal, as shells say it; None while nobody asked.
        last_words: What is still to be done, within a second, where the process ends in the middle of a step.
    """

    def __init__(self) -> None:
        self.exit_code: int | None = None
        self.last_words: Callable[[], object] = lambda: None
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
        timer = threading.Timer(_LAST_STEP_SECONDS, self._leave, (self.exit_code,))
        timer.daemon = True
        with contextlib.suppress(RuntimeError):  # no thread can be started: who trains still looks
            timer.start()
            self._last_resort = timer

    def _leave(self, exit_code: int) -> None:
        speaking = threading.Thread(target=self._speak, daemon=True)
        with contextlib.suppress(RuntimeError):
            speaking.start()
            speaking.join(_LAST_WORDS_SECONDS)
        os._exit(exit_code)

    def _speak(self) -> None:
        with contextlib.suppress(DistillError):
            self.last_words()


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


def train_to_end(run: RecordedRun, write: Callable[[TrainEvent], None]) -> int:
    """Pull a run's events and write each; return the exit code.

    A signal, or a reader of the output that has left, ends the run between two steps, with everything saved.

    Raises:
        DistillError: The run cannot be trained, or the loss is lost; what was saved before stays.
    """
    with StopRequest() as stop, closing(iter(run)) as events:
        for event in events:
            try:
                write(event)
            except OSError:  # a closed terminal or pipe
                if stop.exit_code is None:
                    raise
            if stop.exit_code is not None:
                break
    if stop.exit_code is not None:
        with contextlib.suppress(OSError):
            say(f"Saved; go on with 'distill-tui resume {run.folder.id}'.", err=True)
    return stop.exit_code or 0


def start_detached(folder: RunFolder) -> subprocess.Popen[bytes]:
    """Start a process without a terminal that goes on with a run once nobody else trains it any more.

    What it prints goes to the run's log.

    Raises:
        RunError: The system starts none.
    """
    command = [
        sys.executable,
        "-m",
        "distill_tui",
        "resume",
        str(folder.path),
        "--patience",
        f"{PATIENCE_SECONDS}",
    ]
    try:
        with folder.log_path.open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        raise RunError(
            f"No process could be started for {folder.name}: {error.strerror or error}.",
            "What is saved stays; 'distill-tui resume' goes on with it.",
        ) from error


def detach(folder: RunFolder, wait: Callable[[float], None] = time.sleep) -> int:
    """Train a run in a new process without a terminal, and return its number once it is training.

    Raises:
        RunError: It did not start; the log says why.
    """
    process = start_detached(folder)
    waited = 0.0
    while waited < _START_SECONDS:
        has_left = process.poll() is not None
        state = folder.read_state()
        if state.state == "failed" and state.pid == process.pid:
            raise RunError(f"{folder.name} did not start: {state.error}", f"See {folder.log_path}.")
        if state.state == "finished" or (state.state == "running" and state.pid == process.pid):
            return process.pid
        if has_left:
            break
        wait(_LOOK_SECONDS)
        waited += _LOOK_SECONDS
    raise RunError(f"{folder.name} did not start in a process of its own.", f"See {folder.log_path}.")
