"""The folder of an export: what it may hold, how it is written whole or not at all, and what is told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import msgspec

from distill_core.database import folder_of_vectors_around
from distill_core.errors import CheckpointError, ExportError, OutputError, RunError
from distill_core.outputs import run_around
from distill_core.runs.atomic_files import reason, write_atomically, writing_error
from distill_core.runs.folder import RunFolder, absolute
from distill_core.runs.records import read_record


class ExportParts(msgspec.Struct, frozen=True, kw_only=True):
    """What to write beside weights, settings, model card and `metrics.csv`.

    Attributes:
        onnx: `model.onnx`; needs the extra `[onnx]`.
        tensorboard: The folder `tensorboard`; needs the extra `[tensorboard]`.
        reference: `model.pt` in the reference implementation's layout, for an encoder.
    """

    onnx: bool = True
    tensorboard: bool = True
    reference: bool = False


class OnnxCheck(msgspec.Struct, frozen=True, kw_only=True):
    """The ONNX model beside torch, on the same queries.

    Attributes:
        queries: How many were projected by both.
        test_queries: Those of them from the run's test part; the others are random unit vectors.
        difference: The largest of any output, over the largest output.
        opset: Version of the operators.
    """

    queries: int
    test_queries: int
    difference: float
    opset: int


class ExportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an export holds. In its `export.json`, by which a folder is known as an export.

    Attributes:
        run: Name of the run's folder.
        complete: Whether the export came to its end.
        files: What was written, relative to the folder.
        left_out: Why a part is missing, by its name.
        onnx: None without `model.onnx`.
        version: Of the layout of the folder.
    """

    run: str
    complete: bool
    files: tuple[str, ...] = ()
    left_out: dict[str, str] = {}
    onnx: OnnxCheck | None = None
    version: int = 1

    @property
    def has_weights(self) -> bool:
        """Whether a student is in it."""
        return "weights" not in self.left_out and self.complete


class ExportEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """Base of the events; as JSON each carries its name under `event`."""


class PartWritten(ExportEvent, frozen=True, kw_only=True, tag="written"):
    """A file is on the disk.

    Attributes:
        file: Relative to the folder.
        note: What is to be said about it; may be empty.
    """

    part: str
    file: str
    note: str = ""


class PartLeftOut(ExportEvent, frozen=True, kw_only=True, tag="left_out"):
    """Something that was asked for, or that the run should hold, is not in the export.

    Attributes:
        reason: Why, and what to do about it.
    """

    part: str
    reason: str


class ExportFinished(ExportEvent, frozen=True, kw_only=True, tag="finished"):
    """The last event.

    Attributes:
        directory: Absolute.
    """

    directory: str
    report: ExportReport


REPORT = "export.json"
CONFIG_TOML = "config.toml"
CONFIG_JSON = "config.json"
WEIGHTS = "model.safetensors"
FOLDED = "model_folded.safetensors"
ONNX = "model.onnx"
REFERENCE = "model.pt"
METRICS = "metrics.csv"
TENSORBOARD = "tensorboard/events.out.tfevents.0000000000.distill-tui"
CARD = "README.md"

_FILES = (CONFIG_TOML, CONFIG_JSON, WEIGHTS, FOLDED, ONNX, REFERENCE, METRICS, TENSORBOARD, CARD)
"""Every file that an export may have, apart from its report; other files in the folder are left alone."""


class ExportDirectory:
    """A folder that holds the export of one run, and nothing else that would be lost.

    Attributes:
        path: Absolute.
    """

    def __init__(self, path: Path, run_name: str) -> None:
        self.path = path
        self._run_name = run_name
        self._earlier: tuple[str, ...] = ()

    @classmethod
    def claim(cls, path: str | os.PathLike[str], run: RunFolder) -> Self:
        """Make a folder for a run's export, or take the one of an earlier export of the same run.

        Raises:
            ExportError: It holds something else, lies inside the run, or cannot be made or written to.
        """
        directory = cls(absolute(path), run.name)
        directory._require_outside(run)
        try:
            directory.path.mkdir(parents=True, exist_ok=True)
            directory._require_free()
        except OSError as error:
            raise ExportError(
                f"{directory.path} cannot be made: {reason(error)}.", "Choose another folder."
            ) from error
        directory._write_report(ExportReport(run=run.name, complete=False, files=directory._earlier))
        return directory

    def write(self, file: str, content: bytes) -> None:
        """Write a file, atomically.

        Raises:
            ExportError: The disk is full, or the folder is read-only or gone.
        """
        place = self.path / file
        with self.saving():
            try:
                place.parent.mkdir(exist_ok=True)
            except OSError as error:
                raise writing_error(place, error) from error
            write_atomically(place, content)

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Turn what the engine's writers raise inside `with` into an error of the export.

        Raises:
            ExportError: As above.
        """
        try:
            yield
        except (RunError, CheckpointError, OutputError) as error:
            raise ExportError(
                error.message, "Choose another folder, or make room; then export again."
            ) from error

    def finish(self, report: ExportReport) -> None:
        """Remove what an earlier export wrote and this one did not, and write the report.

        Raises:
            ExportError: A file cannot be removed, or the report cannot be written.
        """
        try:
            for file in set(self._earlier) - set(report.files):
                (self.path / file).unlink(missing_ok=True)
            if TENSORBOARD not in report.files:
                with suppress(OSError):  # it holds other files, or there is none
                    (self.path / TENSORBOARD).parent.rmdir()
        except NotADirectoryError:  # a file of the user's is called tensorboard
            pass
        except OSError as error:
            raise ExportError(
                f"{error.filename} is from an earlier export and cannot be removed: {reason(error)}.",
                "Remove it by hand.",
            ) from error
        self._write_report(report)

    def _write_report(self, report: ExportReport) -> None:
        self.write(REPORT, msgspec.json.format(msgspec.json.encode(report)) + b"\n")

    def _require_outside(self, run: RunFolder) -> None:
        inside, folder = self.path.resolve(), run.path.resolve()
        if inside.is_relative_to(folder) or run_around(inside) is not None:
            raise ExportError(
                f"{self.path} is inside a run, which an export never changes.", "Choose another folder."
            )
        if folder_of_vectors_around(inside) is not None:
            raise ExportError(
                f"{self.path} is in a database, a folder of vectors, which is never written to.",
                "Choose another folder.",
            )

    def _require_free(self) -> None:
        names = [name for name in os.listdir(self.path) if not _is_unfinished(name)]  # noqa: PTH208 - names
        if not names:
            return
        try:
            report = read_record(self.path / REPORT, ExportReport)
        except RunError as error:
            raise ExportError(
                f"{self.path} is not empty and holds no export.", "Choose a new or an empty folder."
            ) from error
        # One that was killed had no time to tell what it wrote.
        self._earlier = tuple(file for file in report.files if file in _FILES) if report.complete else _FILES
        if report.run != self._run_name:
            raise ExportError(
                f"{self.path} holds the export of another run, {report.run}.",
                "Choose a new or an empty folder.",
            )


def _is_unfinished(name: str) -> bool:
    """Whether a name is that of a file that a killed process left half written."""
    return name.startswith(".") and name.endswith(".tmp")
