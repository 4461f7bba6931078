"""What a run was made from: the bytes of the database and the versions of the packages."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distill_core.runs.file_errors import reading_error

_PACKAGES = ("distill-tui", "torch", "numpy", "scipy", "safetensors", "msgspec")


def database_sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal.

    Raises:
        RunError: The file is missing or cannot be read.
    """
    file = Path(path)
    try:
        with file.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise reading_error(file, error) from error


def vectors_sha256(*arrays: NDArray[np.float32]) -> str:
    """Return the SHA-256 of arrays, in hexadecimal: the vectors are in files beside the database."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a run's figures, by name."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return versions
