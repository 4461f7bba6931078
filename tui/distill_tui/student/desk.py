"""What the app knows of the student: the settings of the next run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from distill_core.config import DataConfig, RunConfig, SplitConfig, TrainingConfig, parse_config
from distill_core.errors import SettingsError
from distill_core.students.kinds import default_student
from distill_core.students.spec import StudentConfig
from distill_core.sweeps.axes import Axes
from distill_tui import places
from distill_tui.ui.desk import Desk

if TYPE_CHECKING:
    from distill_tui.teacher.desk import TeacherView


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What the student screen sets.

    Attributes:
        axes: The settings that have several values; the others hold the first of them that fit.
    """

    split: SplitConfig = field(default_factory=SplitConfig)
    student: StudentConfig = field(default_factory=default_student)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    axes: Axes = field(default_factory=dict)


class StudentDesk(Desk[RunSettings]):
    """The settings of the form.

    Attributes:
        is_complete: Whether every field of the form can be used.
    """

    def __init__(self) -> None:
        super().__init__(RunSettings())
        self.is_complete = True
        self._has_own_shape = False
        """Whether H and L are the user's, and no default for the teacher."""

    def suit(self, teacher: TeacherView, before: TeacherView | None) -> str:
        """Give an untouched student the default shape for another teacher, and any one whose H does not fit.

        Returns:
            What was changed, for the user; empty if nothing was, or where nothing was open before.
        """
        num_heads, dimension = teacher.projection.num_heads, teacher.projection.dimension
        student = self.view.student
        if before is None:
            is_untouched = not self._has_own_shape
        else:
            old = before.projection
            is_untouched = student == student.with_defaults(old.num_heads, old.dimension)
        if not is_untouched and student.fits(dimension):
            return ""
        suited = student.with_defaults(num_heads, dimension)
        if suited == student:
            return ""
        self.publish(replace(self.view, student=suited))
        words = f"The student is {suited.words(dimension, num_heads)} now, the default for N {num_heads:,}."
        return "" if before is None else words

    def recall(self) -> None:
        """Take the settings that were kept at the last start, if they can be used."""
        kept = places.read_settings()
        if kept is None:
            return
        try:
            config = parse_config({"data": {"database": ""}, **kept["settings"]})
        except (SettingsError, KeyError, TypeError):
            return
        self.take(config)
        self._has_own_shape = bool(kept.get("own_shape"))

    def keep(self, teacher: TeacherView | None) -> None:
        """Keep the settings for the next start."""
        student = self.view.student
        if teacher is not None:
            projection = teacher.projection
            defaults = student.with_defaults(projection.num_heads, projection.dimension)
            self._has_own_shape = student != defaults
        settings = {"split": self.view.split, "student": student, "training": self.view.training}
        places.keep_settings({"own_shape": self._has_own_shape, "settings": settings})

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
