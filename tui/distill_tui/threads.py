"""Systems that allow few threads: found out in time. Loads neither NumPy nor Textual."""

from __future__ import annotations

import os
import threading

from distill_core.errors import TrainingError

APP_THREADS = 6
"""The terminal's two, one for what is read, one for the job and its heartbeat, one to spare."""

_LIBRARIES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def no_more_threads() -> TrainingError:
    """Return the error that says that the system allows no more threads."""
    return TrainingError(
        "The system allows no more threads; what was saved is kept.",
        "Raise the limit ('ulimit -u', or that of the container), or end other processes.",
    )


def can_start_threads(count: int) -> bool:
    """Tell whether the system allows so many more threads at once, by starting and ending them."""
    enough, started = threading.Event(), []
    try:
        for _ in range(count):
            thread = threading.Thread(target=enough.wait, daemon=True)
            thread.start()
            started.append(thread)
    except RuntimeError:
        return False
    finally:
        enough.set()
        for thread in started:
            thread.join()
    return True


def fit_to_thread_limit() -> None:
    """Have NumPy and torch use one thread each where they could not start as many as they would.

    Their native libraries end or interrupt the process then, so this comes before they are imported.
    """
    if not can_start_threads((os.cpu_count() or 1) + APP_THREADS):
        os.environ.update(dict.fromkeys(_LIBRARIES, "1"))
