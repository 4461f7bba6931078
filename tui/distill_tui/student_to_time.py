"""Which student a measurement is about, and the run that receives its results. No Textual."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distill_core.config import RunConfig
    from distill_core.runs import RunFolder
    from distill_core.students import Student
    from distill_tui.teacher.desk import TeacherView


@dataclass(frozen=True, slots=True)
class StudentToTime:
    """The student of a run, or an untrained one of the settings, which is as fast.

    Attributes:
        run: The folder of the run; None for an untrained student.
        student: The run's, where it is in memory; else its best weights are read.
    """

    run: Path | None = None
    student: Student | None = None

    @property
    def is_trained(self) -> bool:
        """Whether it is a run's."""
        return self.run is not None

    def folder(self) -> RunFolder | None:
        """Return the folder that receives the results."""
        from distill_core.runs import RunFolder

        return None if self.run is None else RunFolder(self.run)

    def load(self, view: TeacherView, config: RunConfig) -> Student:
        """Return the student; call it on the measuring thread.

        Raises:
            CheckpointError: The weights are missing, damaged or of another dimension.
        """
        from distill_core.students import load_student, new_student

        folder = self.folder()
        if self.student is not None:
            return self.student
        if folder is None:
            return new_student(config.student, view.teacher.dimension, view.teacher.num_heads)
        dimension = view.teacher.dimension
        return load_student(folder.best_checkpoint, dimension=dimension, reference_layout=False)
