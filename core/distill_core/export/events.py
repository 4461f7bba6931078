"""What an export tells while it goes on, and what it leaves as `export.json`. No torch."""

from __future__ import annotations

import msgspec


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
