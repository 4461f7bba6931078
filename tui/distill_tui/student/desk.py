"""What the app knows of the student: the settings of the next run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from distill_core.config import DataConfig, RunConfig, SplitConfig, TrainingConfig
from distill_core.students.kinds import default_student
from distill_core.students.spec import StudentConfig
from distill_tui.ui.desk import Desk

if TYPE_CHECKING:
    from distill_tui.teacher.desk import TeacherView


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What the student screen sets."""

    split: SplitConfig = field(default_factory=SplitConfig)
    student: StudentConfig = field(default_factory=default_student)
    training: TrainingConfig = field(default_factory=TrainingConfig)


class StudentDesk(Desk[RunSettings]):
    """The settings of the form.

    Attributes:
        is_complete: Whether every field of the form can be used.
    """

    def __init__(self) -> None:
        super().__init__(RunSettings())
        self.is_complete = True

    def suit(self, teacher: TeacherView, *, is_new: bool) -> None:
        """Take the default H and L for a teacher of another N, or whose d is not divided by the present H."""
        projection, student = teacher.projection, self.view.student
        if is_new or not student.fits(projection.dimension):
            student = student.with_defaults(projection.num_heads, projection.dimension)
            self.publish(replace(self.view, student=student))

    def take(self, config: RunConfig) -> None:
        """Take over the settings of a run."""
        self.publish(RunSettings(config.split, config.student, config.training))

    def run_config(self, teacher: TeacherView) -> RunConfig:
        """Return the settings of a run on a projection, at the temperature that is looked at."""
        data = DataConfig(
            database=str(teacher.path), mh_id=teacher.projection.id, temperature=teacher.chosen_temperature
        )
        settings = self.view
        return RunConfig(
            data=data, split=settings.split, student=settings.student, training=settings.training
        )
