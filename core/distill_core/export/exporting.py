"""A run written as an export: each part is written, or left out with the reason."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from distill_core.config import RunConfig
from distill_core.errors import CheckpointError, DistillError, ExportError
from distill_core.export import directory as files
from distill_core.export.card import Card, model_card, onnx_words
from distill_core.export.contents import RunContents, StudentFacts, check_queries, metrics_csv, model_config
from distill_core.export.directory import (
    ExportDirectory,
    ExportEvent,
    ExportFinished,
    ExportParts,
    ExportReport,
    OnnxCheck,
    PartLeftOut,
    PartWritten,
)
from distill_core.extras import failing_as, require_extra
from distill_core.runs.folder import RunFolder
from distill_core.runs.provenance import locate_database
from distill_core.runs.records import write_config
from distill_core.students import load_student, require_layout, save_student, student_bytes

if TYPE_CHECKING:
    from distill_core.students import Student


def export_run(
    folder: RunFolder, directory: str | os.PathLike[str], parts: ExportParts | None = None
) -> Iterator[ExportEvent]:
    """Write a run for others to use, and tell each part as it is written or left out.

    The run is only read; it may be training. Repeated, an export replaces its earlier self.

    Args:
        folder: The run.
        directory: A new or an empty folder, or an earlier export of this run.
        parts: What to write beside weights, settings, model card and `metrics.csv`.

    Raises:
        ExportError: The folder holds something else, lies inside the run, or cannot be written to.
    """
    yield from _Export(folder, ExportDirectory.claim(directory, folder)).write(parts or ExportParts())


class _Export:
    """One export while it is written."""

    def __init__(self, folder: RunFolder, directory: ExportDirectory) -> None:
        self._directory = directory
        self._folder = folder
        self._contents = RunContents(folder)
        self._best = folder.best_checkpoint
        self._student: Student | None = None
        self._onnx: OnnxCheck | None = None
        self._written: list[str] = []
        self._left_out: dict[str, str] = {}

    def write(self, parts: ExportParts) -> Iterator[ExportEvent]:
        for name, problem in self._contents.problems.items():
            yield self._leave_out(name, problem)
        yield from self._write_weights(parts)
        yield from self._write_records(parts)
        report = ExportReport(
            run=self._contents.name,
            complete=True,
            files=tuple(self._written),
            left_out=self._left_out,
            onnx=self._onnx,
        )
        self._directory.finish(report)
        yield ExportFinished(directory=str(self._directory.path), report=report)

    def _write_weights(self, parts: ExportParts) -> Iterator[ExportEvent]:
        try:
            student = self._student = self._load()
        except CheckpointError as error:
            yield self._leave_out("weights", str(error))
            return
        yield self._save_student("weights", files.WEIGHTS, student)
        yield self._part("folded weights", files.FOLDED, partial(self._folded, student))
        if parts.onnx:
            yield self._part("onnx", files.ONNX, partial(self._onnx_model, student))
        if parts.reference:
            yield self._reference(student)

    def _write_records(self, parts: ExportParts) -> Iterator[ExportEvent]:
        contents = self._contents
        if contents.config is not None:
            with self._directory.saving():
                write_config(self._directory.path / files.CONFIG_TOML, contents.config)
            yield self._done("settings", files.CONFIG_TOML)
        facts = _facts(self._student) if self._student else None
        yield self._part("model settings", files.CONFIG_JSON, lambda: model_config(contents, facts))
        yield self._part("metrics", files.METRICS, lambda: metrics_csv(contents.rows))
        if parts.tensorboard:
            yield self._part("tensorboard", files.TENSORBOARD, self._tensorboard)
        card = Card(
            contents=contents,
            student=facts,
            written=tuple(self._written),
            left_out=self._left_out,
            onnx=self._onnx,
        )
        yield self._part("card", files.CARD, lambda: model_card(card))

    def _load(self) -> Student:
        if not self._best.is_file():
            raise CheckpointError(
                f"{self._contents.name} has no weights yet.", "Train it to a checkpoint, then export again."
            )
        return load_student(self._best, reference_layout=False)

    def _save_student(self, part: str, file: str, student: Student) -> PartWritten:
        with self._directory.saving():
            save_student(student, self._directory.path / file, self._contents.config)
        return self._done(part, file)

    def _folded(self, student: Student) -> bytes:
        folded = student.fold()
        if folded is student:
            raise ExportError(f"A student of the kind {student.KIND} does not fold; take {files.WEIGHTS}.")
        return student_bytes(folded, self._contents.config)

    def _onnx_model(self, student: Student) -> bytes:
        require_extra("onnx")
        contents, folded = self._contents, student.fold()
        queries = check_queries(self._config_here(), contents.data, student.embed_dim)
        with failing_as("onnx and onnxruntime do not work here"):
            from distill_core.students.networks.onnx_graph import OPSET, onnx_difference, onnx_model

            content = onnx_model(folded, {"student": student.KIND, "run": contents.name})
            self._onnx = OnnxCheck(
                queries=len(queries.rows),
                test_queries=queries.num_test,
                difference=onnx_difference(content, folded, queries.rows),
                opset=OPSET,
            )
        return content

    def _config_here(self) -> RunConfig | None:
        """Return the settings with the place where the database is now, if it was moved and is found."""
        try:
            return locate_database(self._folder)[0]
        except DistillError:
            return self._contents.config

    def _reference(self, student: Student) -> ExportEvent:
        try:
            require_layout(files.REFERENCE, student.KIND)
        except CheckpointError as error:
            return self._leave_out("reference", error.message)
        return self._save_student("reference", files.REFERENCE, student)

    def _tensorboard(self) -> bytes:
        require_extra("tensorboard")
        with failing_as("tensorboard does not work here"):
            from distill_core.export.tensorboard_events import tensorboard_events

            return tensorboard_events(self._contents)

    def _part(self, part: str, file: str, make: Callable[[], bytes]) -> ExportEvent:
        """Write what `make` returns, or leave it out for the reason that it raises."""
        try:
            content = make()
        except DistillError as error:
            return self._leave_out(part, str(error))
        self._directory.write(file, content)
        return self._done(part, file)

    def _done(self, part: str, file: str) -> PartWritten:
        self._written.append(file)
        note = onnx_words(self._onnx) if file == files.ONNX and self._onnx else ""
        return PartWritten(part=part, file=file, note=note)

    def _leave_out(self, part: str, why: str) -> PartLeftOut:
        self._left_out[part] = why
        return PartLeftOut(part=part, reason=why)


def _facts(student: Student) -> StudentFacts:
    folded = student.fold()
    return StudentFacts(
        kind=student.KIND,
        shape=student.shape,
        dimension=student.embed_dim,
        parameters=student.num_parameters,
        folded_parameters=None if folded is student else folded.num_parameters,
    )
