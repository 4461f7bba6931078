"""Packages that only some exports need."""

from __future__ import annotations

from importlib.util import find_spec

from distill_core.errors import ExportError

EXTRAS = {"onnx": ("onnx", "onnxruntime"), "tensorboard": ("tensorboard",)}
"""The packages of each extra of distill-tui."""


def require_extra(extra: str) -> None:
    """Check that the packages of an extra are installed.

    Raises:
        ExportError: One is not; the hint says how to install them.
    """
    missing = [name for name in EXTRAS[extra] if not _is_installed(name)]
    if missing:
        raise ExportError(
            f"This needs {' and '.join(missing)}.", f"Install the extra: pip install 'distill-tui[{extra}]'."
        )


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):  # ValueError: something without a spec stands in its place
        return False
