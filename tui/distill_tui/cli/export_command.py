"""`distill-tui export`: a run's student as weights, ONNX, model card and metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypedDict, Unpack

import click

from distill_core.export.directory import ExportEvent, ExportFinished, PartLeftOut, PartWritten
from distill_core.runs import RunStore
from distill_core.wording import plural
from distill_tui.cli.options import Command, json_option, run_argument, runs_dir_option
from distill_tui.cli.output import say, say_object

WITHOUT_WEIGHTS = 1


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


class ExportOptions(TypedDict):
    """The options of `export`, as click passes them."""

    run: str
    directory: Path
    onnx: bool
    tensorboard: bool
    reference: bool
    runs_dir: Path | None
    as_json: bool


def _without(part: str, words: str) -> Callable[[Command], Command]:
    return click.option(f"--no-{part}", part, is_flag=True, flag_value=False, default=True, help=words)


@click.command()
@run_argument
@click.option(
    "--to",
    "directory",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="A new or an empty folder, or an earlier export of this run.",
)
@_without("onnx", "Do not write model.onnx, which needs the extra [onnx].")
@_without("tensorboard", "Do not write events for TensorBoard, which need the extra [tensorboard].")
@click.option("--pt", "reference", is_flag=True, help="Write an encoder in the reference's .pt layout, too.")
@runs_dir_option
@json_option
def export(**options: Unpack[ExportOptions]) -> int:
    """Write RUN as files for others: weights, settings, a model card, ONNX, metrics.

    RUN is a run's name, the beginning of it, or its folder. Load what is written by
    distill_core.load(DIR). The exit code is 1 where the run has no weights that can be read.
    """
    run = RunStore(options["runs_dir"]).find(options["run"])
    from distill_core.export import ExportFinished, ExportParts, export_run

    parts = ExportParts(
        onnx=options["onnx"], tensorboard=options["tensorboard"], reference=options["reference"]
    )
    has_weights = False
    for event in export_run(run, options["directory"], parts):
        if options["as_json"]:
            say_object(event)
        else:
            for line in export_lines(event):
                say(line)
        if isinstance(event, ExportFinished):
            has_weights = event.report.has_weights
    return 0 if has_weights else WITHOUT_WEIGHTS
