"""The events of an export as plain lines."""

from __future__ import annotations

from collections.abc import Iterator

from distill_core.export.directory import ExportEvent, ExportFinished, PartLeftOut, PartWritten
from distill_core.wording import plural


def export_lines(event: ExportEvent) -> Iterator[str]:
    """Yield what an event says to a reader."""
    match event:
        case PartWritten():
            yield f"wrote {event.file}" + (f": {event.note}" if event.note else "")
        case PartLeftOut():
            yield f"left out {event.part}: {event.reason}"
        case ExportFinished():
            files = plural(len(event.report.files), "file")
            yield f"exported {event.report.run}: {files} in {event.directory}"
