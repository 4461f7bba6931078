"""The metrics of a run, appended line by line, and cut back to a checkpoint."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from distill_core.errors import RunError
from distill_core.runs.atomic_files import sync_folder, write_all
from distill_core.runs.file_errors import reading_error, writing_error
from distill_core.runs.record_files import not_unicode

_BLOCK_BYTES = 8192


class MetricsWriter:
    """Appends lines that others can read at once. One writer a file: hold the run's lock.

    What a killed process left of a line is cut off when the file is opened.

    Attributes:
        offset_bytes: The length of the file; after `sync`, what a checkpoint remembers.

    Raises:
        RunError: The file cannot be written, or its folder is gone.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._descriptor: int | None = None
        self._torn = False
        try:
            self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            self.offset_bytes = _end_of_last_line(self._descriptor)
            os.ftruncate(self._descriptor, self.offset_bytes)
            sync_folder(file.parent)
        except OSError as error:
            self._let_go()
            raise writing_error(file, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, event: msgspec.Struct | Mapping[str, object]) -> None:
        """Write an event as one line; NaN and the infinities become null.

        Raises:
            RunError: The line cannot be written; no part of it stays, and the next one may be tried.
        """
        descriptor = self._open()
        try:
            line = msgspec.json.encode(event) + b"\n"
        except UnicodeEncodeError as error:
            raise not_unicode(self._file) from error
        try:
            self._cut_off_torn_line(descriptor)
            self._torn = True
            write_all(descriptor, line)
            self._torn = False
        except OSError as error:
            with contextlib.suppress(OSError):
                self._cut_off_torn_line(descriptor)
            raise writing_error(self._file, error) from error
        self.offset_bytes += len(line)

    def sync(self) -> None:
        """Write all lines to the disk itself, before a checkpoint that counts on them.

        Raises:
            RunError: The disk is full or failed.
        """
        try:
            os.fsync(self._open())
        except OSError as error:
            raise writing_error(self._file, error) from error

    def close(self) -> None:
        """Write all lines to the disk itself and close the file; again is no error.

        Raises:
            RunError: The disk is full or failed; the file is closed all the same.
        """
        if self._descriptor is None:
            return
        try:
            self.sync()
        finally:
            self._let_go()

    def _open(self) -> int:
        if self._descriptor is None:
            raise RunError(f"{self._file} was closed already.", "Open the metrics again.")
        return self._descriptor

    def _let_go(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _cut_off_torn_line(self, descriptor: int) -> None:
        if self._torn:
            os.ftruncate(descriptor, self.offset_bytes)
            self._torn = False


def truncate_metrics(file: Path, offset_bytes: int) -> int:
    """Cut off what was written after a checkpoint, and return how many bytes those were.

    Args:
        file: The metrics; may be missing if nothing is to be kept.
        offset_bytes: The checkpoint's `metrics_offset_bytes`.

    Raises:
        RunError: No line ends there, the file is missing, or it cannot be written. Nothing is cut then.
    """
    if offset_bytes == 0 and not os.path.lexists(file):
        return 0
    try:
        descriptor = os.open(file, os.O_RDWR)
    except FileNotFoundError as error:
        raise reading_error(file, error) from error
    except OSError as error:
        raise writing_error(file, error) from error
    try:
        size = os.fstat(descriptor).st_size
        if not _a_line_ends_at(descriptor, offset_bytes, size):
            raise RunError(
                f"{file} has no line that ends at byte {offset_bytes}, where its checkpoint was saved.",
                "Metrics and checkpoint are not of the same run; restore the metrics from a copy.",
            )
        os.ftruncate(descriptor, offset_bytes)
        os.fsync(descriptor)
    except OSError as error:
        raise writing_error(file, error) from error
    finally:
        os.close(descriptor)
    return size - offset_bytes


def _a_line_ends_at(descriptor: int, offset_bytes: int, size: int) -> bool:
    if offset_bytes == 0:
        return True
    return 0 < offset_bytes <= size and os.pread(descriptor, 1, offset_bytes - 1) == b"\n"


def _end_of_last_line(descriptor: int) -> int:
    end = os.fstat(descriptor).st_size
    while end > 0:
        begin = max(end - _BLOCK_BYTES, 0)
        place = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if place >= 0:
            return begin + place + 1
        end = begin
    return 0
