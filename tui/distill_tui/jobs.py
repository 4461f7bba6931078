"""The one place that starts threads: the engine's work in, Textual messages out.

A worker thread only posts. `Progressed` and `JobEnded` are about the one job of the engine that may be
active; `Answered` carries everything else. All three end in a method of a desk, on the UI thread.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from textual.app import App
from textual.message import Message

from distill_core.errors import DistillError, error_words
from distill_tui.threads import can_start_threads, no_more_threads

Event = TypeVar("Event")
Answer = TypeVar("Answer")

POST_SECONDS = 0.4
DRAWING_SECONDS = 0.5
"""How long a measurement waits for its progress to be drawn; an app that is on its way out draws no more."""


class JobState(StrEnum):
    """Where a job of the engine stands. A new one may start only when the last is not active."""

    IDLE = "idle"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def is_active(self) -> bool:
        """Whether a thread is still at work on it."""
        return self in (JobState.RUNNING, JobState.PAUSED, JobState.STOPPING)


class JobDesk(Protocol):
    """Whom a job is for; every method is called on the UI thread.

    Attributes:
        job_name: In words, such as "training".
        is_timing: Whether the job times something, which nothing periodic must disturb.
    """

    job_name: str
    is_timing: bool

    def fold(self, events: tuple[Any, ...]) -> None:
        """Take in what the job has told."""

    def show_state(self, state: JobState, error: str = "", trace: str = "") -> None:
        """Show how the job stands."""

    def conclude(self, outcome: JobState) -> None:
        """Do what follows the end of a job."""


class Progressed(Message):
    """A job has told something; events arrive in order, many at a time."""

    def __init__(self, desk: JobDesk, events: tuple[Any, ...]) -> None:
        super().__init__()
        self.desk = desk
        self.events = events


class JobEnded(Message):
    """The thread of a job has said its last word; exactly one for each job.

    Attributes:
        outcome: FINISHED, STOPPED or FAILED.
        error: One sentence for the user when it failed.
        trace: The traceback, when it failed in a way that nobody foresaw.
    """

    def __init__(self, desk: JobDesk, outcome: JobState, error: str = "", trace: str = "") -> None:
        super().__init__()
        self.desk = desk
        self.outcome = outcome
        self.error = error
        self.trace = trace


class Answered(Message):
    """A worker has done what it was asked for: `then` takes the value on the UI thread."""

    def __init__(self, then: Callable[[Any], object], value: object) -> None:
        super().__init__()
        self.then = then
        self.value = value


class Job(Generic[Event]):
    """Runs a generator of events on the calling thread until it ends, fails or is stopped.

    `pause`, `resume` and `stop` may be called from any thread; `run` belongs to the worker.

    Args:
        events: Makes the generator; called on the worker thread.
        post: Receives batches of events, at most every 400 ms, on the worker thread.
        conclude: Makes the events that follow a stop, for example the evaluation of what was learnt.
    """

    def __init__(
        self,
        events: Callable[[], Iterator[Event]],
        post: Callable[[tuple[Event, ...]], None],
        conclude: Callable[[], Iterator[Event]] | None = None,
    ) -> None:
        self._events = events
        self._post = post
        self._conclude = conclude
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._abandoned = False
        self._go = threading.Event()
        self._go.set()
        self._outbox: list[Event] = []
        self._last_post = 0.0

    def pause(self) -> None:
        """Wait before the next event, until `resume` or `stop`."""
        self._go.clear()

    def resume(self) -> None:
        """Go on after a pause."""
        self._go.set()

    def stop(self, *, conclude: bool = True) -> None:
        """End after the present event.

        Args:
            conclude: Whether the events that follow a stop are still wanted.
        """
        self._abandoned = self._abandoned or not conclude
        self._stop.set()
        self._go.set()

    def run(self) -> tuple[JobState, str, str]:
        """Pull every event; return the outcome, an error sentence and a traceback (both may be empty)."""
        try:
            outcome = self._pull()
        except DistillError as error:
            return JobState.FAILED, str(error), ""
        except Exception as error:  # noqa: BLE001 - shown to the user with its trace, never dropped
            return JobState.FAILED, error_words(error), traceback.format_exc()
        finally:
            self._ended.set()
            self._flush()
        return outcome, "", ""

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the work is over and what it saves is saved; return whether it is."""
        return self._ended.wait(seconds)

    def _pull(self) -> JobState:
        with closing(_as_generator(self._events())) as events:
            for event in events:
                self._collect(event)
                if self._is_stopped():
                    break
            else:
                return JobState.FINISHED
        for event in self._conclude() if self._conclude and not self._abandoned else ():
            self._collect(event)
        return JobState.STOPPED

    def _is_stopped(self) -> bool:
        if not self._go.is_set():
            self._flush()
            self._go.wait()
        return self._stop.is_set()

    def _collect(self, event: Event) -> None:
        self._outbox.append(event)
        if time.monotonic() - self._last_post >= POST_SECONDS:
            self._flush()

    def _flush(self) -> None:
        if self._outbox:
            self._post(tuple(self._outbox))
            self._outbox.clear()
            self._last_post = time.monotonic()


class Jobs:
    """Runs one job of the engine at a time, and answers questions beside it.

    A cancelled Textual thread goes on running, so this class keeps its own states: a job is active until
    its thread has posted its one `JobEnded`. All methods belong to the UI thread, but for `is_timing`.

    Attributes:
        state: Of the present or the last job.
        desk: Whose job `state` is about.
    """

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._job: Job[Any] | None = None
        self._queues: dict[str, OnlyTheLast] = {}
        self.state = JobState.IDLE
        self.desk: JobDesk | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a job is active, paused ones included."""
        return self.state.is_active

    @property
    def is_timing(self) -> bool:
        """Whether a measurement is active, which nothing must disturb. Any thread may ask."""
        return self.is_busy and self.desk is not None and self.desk.is_timing

    @property
    def job_name(self) -> str:
        """The present or the last job in words; empty before the first."""
        return "" if self.desk is None else self.desk.job_name

    def is_active(self, desk: JobDesk) -> bool:
        """Tell whether the active job is that of a desk."""
        return self.is_busy and self.desk is desk

    def start(
        self,
        desk: JobDesk,
        events: Callable[[], Iterator[Any]],
        conclude: Callable[[], Iterator[Any]] | None = None,
    ) -> bool:
        """Start a job; False when one is active already. The arguments are those of `Job`."""
        if self.is_busy:
            return False

        def post(told: tuple[Any, ...]) -> None:
            self._app.post_message(Progressed(desk, told))
            if desk.is_timing:
                self._wait_until_drawn()

        job = self._job = Job(events, post, conclude)
        self.desk, self.state = desk, JobState.RUNNING
        self._in_thread(
            lambda: self._app.post_message(JobEnded(desk, *job.run())),
            lambda error: self.end(JobEnded(desk, JobState.FAILED, str(error), "")),
            group="engine",
        )
        return True

    def pause(self) -> None:
        """Pause a running job."""
        if self._job and self.state is JobState.RUNNING:
            self._job.pause()
            self._show(JobState.PAUSED)

    def resume(self) -> None:
        """Go on with a paused job."""
        if self._job and self.state is JobState.PAUSED:
            self._job.resume()
            self._show(JobState.RUNNING)

    def stop(self, *, conclude: bool = True) -> None:
        """Ask the active job to end; its thread still has its last word.

        Args:
            conclude: Whether what was learnt is to be judged, too; not when the app is left.
        """
        if self._job and self.state.is_active:
            self._job.stop(conclude=conclude)
            self._show(JobState.STOPPING)

    def abandon(self) -> None:
        """Ask the active job to save and end, and touch nothing else: for the handler of a signal."""
        if self._job and self.state.is_active:
            self.state = JobState.STOPPING
            self._job.stop(conclude=False)

    def wait_until_saved(self, seconds: float | None = None) -> bool:
        """Wait until the active job, asked to end, has saved; return whether it has."""
        return self._job is None or self._job.wait(seconds)

    def end(self, ended: JobEnded) -> None:
        """Take note that the thread of a job has ended."""
        if not self.is_active(ended.desk):
            return  # of a job that is not the active one
        self._job = None
        self._show(ended.outcome, ended.error, ended.trace)
        ended.desk.conclude(ended.outcome)

    def ask(
        self,
        work: Callable[[], Answer],
        then: Callable[[Answer], object],
        failed: Callable[[DistillError], object],
        kind: str = "",
        group: str = "ask",
    ) -> None:
        """Do something in a thread; `then` or `failed` is called with the outcome on the UI thread.

        Args:
            work: Is called in a thread, and may raise.
            then: Takes what it returns.
            failed: Takes what it raises; what nobody foresaw as a `DistillError` that names it.
            kind: Of works of one kind one is done at a time, and only the last one waits meanwhile.
            group: What the thread is about, where there is no such kind.
        """

        def answer() -> None:
            self.tell(*_outcome(work, then, failed))

        if not kind:
            self._in_thread(answer, failed, group=group)
            return

        def failed_to_start(error: DistillError) -> None:
            self._queues.pop(kind, None)
            failed(error)

        queue = self._queues.setdefault(kind, OnlyTheLast())
        if queue.put(answer):
            self._in_thread(queue.run, failed_to_start, group=kind)

    def tell(self, then: Callable[[Any], object], value: object) -> None:
        """Have something taken on the UI thread; from any thread."""
        self._app.post_message(Answered(then, value))

    def _show(self, state: JobState, error: str = "", trace: str = "") -> None:
        self.state = state
        if self.desk is not None:
            self.desk.show_state(state, error, trace)
        self._app.refresh_bindings()

    def _wait_until_drawn(self) -> None:
        """Wait, on a measuring thread, until what was posted is drawn: nothing draws while a block runs."""
        drawn = threading.Event()
        self._app.call_later(self._app.call_after_refresh, drawn.set)
        drawn.wait(DRAWING_SECONDS)

    def _in_thread(
        self, work: Callable[[], object], failed: Callable[[DistillError], object], group: str
    ) -> None:
        if not can_start_threads(1):
            self._app.call_later(failed, no_more_threads())
            return
        self._app.run_worker(work, group=group, thread=True, exit_on_error=False)


class OnlyTheLast:
    """Keeps what is asked for every second, or with every key, from piling up in threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: Callable[[], object] | None = None
        self._at_work = False

    def put(self, work: Callable[[], object]) -> bool:
        """Ask for something in place of what waits; True if the caller has to start a thread for `run`."""
        with self._lock:
            self._waiting = work
            starts = not self._at_work
            self._at_work = True
            return starts

    def run(self) -> None:
        """Do what was asked for, and what is asked for meanwhile."""
        while (work := self._take()) is not None:
            work()

    def _take(self) -> Callable[[], object] | None:
        with self._lock:
            work, self._waiting = self._waiting, None
            self._at_work = work is not None
            return work


def _outcome(
    work: Callable[[], Answer],
    then: Callable[[Answer], object],
    failed: Callable[[DistillError], object],
) -> tuple[Callable[[Any], object], object]:
    """Do the work; return who takes the outcome, and the outcome."""
    try:
        return then, work()
    except DistillError as error:
        return failed, error
    except Exception as error:  # noqa: BLE001 - shown to the user, never dropped
        return failed, DistillError(error_words(error))


def _as_generator(events: Iterator[Event]) -> Generator[Event, None, None]:
    """Give any iterator a `close`, so that what it must clean up is cleaned up here and now."""
    try:
        yield from events
    finally:
        close = getattr(events, "close", None)
        if close is not None:
            close()
