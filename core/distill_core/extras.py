"""Packages that not everybody installs: loaded late, and missed with the way to install them."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from distill_core.errors import DistillError, ExportError

EXTRAS = {"onnx": ("onnx", "onnxruntime"), "tensorboard": ("tensorboard",)}
"""The packages of each extra of distill-tui."""

_LONGEST_REASON = 160


def require_extra(extra: str) -> None:
    """Check that the packages of an extra are installed, and can be imported.

    Raises:
        ExportError: One is not, or it is broken; the hint says how to install them.
    """
    missing = [name for name in EXTRAS[extra] if not is_installed(name)]
    if missing:
        raise ExportError(
            f"This needs {' and '.join(missing)}.", f"Install the extra: pip install 'distill-tui[{extra}]'."
        )
    for name in EXTRAS[extra]:
        import_extra(name)


def import_extra(name: str) -> ModuleType:
    """Import a package that may be broken, whatever it raises and prints meanwhile.

    Raises:
        ExportError: It cannot be imported, with the reason.
    """
    with (
        failing_as(f"{name} is installed, but cannot be imported"),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        return import_module(name)


@contextlib.contextmanager
def failing_as(words: str) -> Iterator[None]:
    """Turn whatever an optional package raises inside `with` into a reason to leave its part out.

    Raises:
        ExportError: As `words` say, with the first line of what the package said.
    """
    try:
        yield
    except DistillError:
        raise
    except (Exception, SystemExit) as error:
        raise ExportError(f"{words}: {first_line(error)}.", "Reinstall it, or do without it.") from error


def first_line(error: BaseException) -> str:
    """Return the first line of what a package says, or what made it fail, or its kind."""
    told: BaseException | None = error
    while told is not None:
        lines = (line.strip() for line in str(told).splitlines())
        if line := next(filter(None, lines), ""):
            return line[:_LONGEST_REASON].rstrip(".")
        told = told.__cause__ or told.__context__
    return type(error).__name__


def is_installed(name: str) -> bool:
    """Return whether a package is there, broken or not."""
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):  # ValueError: something without a spec stands in its place
        return False
