"""Handlers of signals that are there for a while."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

ENDING = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU")
"""What asks a process to save and leave: systems, dropped lines, and schedulers before a limit is reached."""

Handler = Callable[[int, FrameType | None], object]


@contextmanager
def handled(names: Sequence[str], handler: Handler) -> Iterator[None]:
    """Call a handler at signals inside `with`; one that was ignored before, as nohup does, stays so."""
    before: dict[int, object] = {}
    for name in names:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, handler_before in before.items():
            signal.signal(number, handler_before)  # type: ignore[arg-type]
