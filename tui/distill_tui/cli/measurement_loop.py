"""A measurement from its first event to its result, or to what there is of it when it is stopped."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol, TypeVar

from distill_core.errors import DistillError
from distill_tui.cli.output import say
from distill_tui.cli.stopping_measurements import StopAtOnce

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = dict[str, NDArray[np.float64]]

Event = TypeVar("Event", covariant=True)
Result = TypeVar("Result", covariant=True)
E = TypeVar("E")
R = TypeVar("R")

INTERRUPTED = 130


class Measurement(Protocol[Event, Result]):
    """What is measured: events, the last of which is the result, and what there is before it."""

    def __iter__(self) -> Iterator[Event]:
        """Measure."""

    def result(self) -> Result | None:
        """Return what is measured so far; None if that is nothing."""

    def samples(self) -> Samples:
        """Return the raw times so far."""


def measure(
    build: Callable[[], Measurement[E, R]],
    finished: type[R],
    write: Callable[[E | R], None],
    keep: Callable[[R, Samples], None],
) -> int:
    """Write every event, keep and write the result; return the exit code.

    A signal and a failure leave what was measured, kept first and then written, as the terminal may be gone.

    Args:
        build: Loads what is measured; a signal may come already here.
        finished: The kind of the last event.
        write: Prints an event or a result.
        keep: Stores the result and the raw samples.

    Raises:
        DistillError: Nothing can be measured, or the measurement failed half-way.
    """
    with StopAtOnce():
        measurement, is_over = None, False
        try:
            measurement = build()
            for event in measurement:
                if isinstance(event, finished):
                    is_over = True
                    _conclude(measurement, event, write, keep)
                else:
                    write(event)
        except (KeyboardInterrupt, DistillError, OSError) as error:
            result = None if measurement is None or is_over else measurement.result()
            with contextlib.suppress(OSError):
                if measurement is not None and result is not None:
                    _conclude(measurement, result, write, keep)
            if not isinstance(error, KeyboardInterrupt):
                raise
            with contextlib.suppress(OSError):
                say("Interrupted.", err=True)
            return getattr(error, "exit_code", INTERRUPTED)
    return 0


def _conclude(
    measurement: Measurement[E, R],
    result: R,
    write: Callable[[E | R], None],
    keep: Callable[[R, Samples], None],
) -> None:
    try:
        keep(result, measurement.samples())
    finally:
        write(result)
