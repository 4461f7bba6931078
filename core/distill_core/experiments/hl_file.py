"""A stored result of the experiment on H^L = N. No torch."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from distill_core.errors import DistillError
from distill_core.experiments.hl_events import HlFinished


def read_hl_result(path: str | os.PathLike[str]) -> HlFinished:
    """Return what `experiment hl --out` wrote.

    Raises:
        DistillError: The file is missing, or is none of those.
    """
    file = Path(path)
    try:
        file = file.expanduser()
        return msgspec.json.decode(file.read_bytes(), type=HlFinished)
    except RuntimeError as error:
        raise DistillError(f"{file} cannot be found: there is no such home directory.") from error
    except OSError as error:
        raise DistillError(f"{file} cannot be read ({error.strerror}).", "Check the path.") from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise DistillError(
            f"{file} is no result of the experiment.", "'distill-tui experiment hl DB --out FILE' writes one."
        ) from error
