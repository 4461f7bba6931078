"""One job of the engine: pulls events, hands them on in batches, can be paused and stopped. No Textual."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Generic, TypeVar

from distill_core.errors import DistillError
from distill_tui.state import JobState

Event = TypeVar("Event")

POST_SECONDS = 0.4


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
            return JobState.FAILED, f"{type(error).__name__}: {error}", traceback.format_exc()
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


def _as_generator(events: Iterator[Event]) -> Generator[Event, None, None]:
    """Give any iterator a `close`, so that what it must clean up is cleaned up here and now."""
    try:
        yield from events
    finally:
        close = getattr(events, "close", None)
        if close is not None:
            close()
