"""What can be done with the run that is chosen: go on, name, throw away, hand on. Nothing without a word."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual.binding import Binding

from distill_tui.places import typed_path
from distill_tui.runs.columns import own_name, when_words
from distill_tui.runs.rows import setting_words
from distill_tui.ui.dialogs import ChoiceDialog, ConfirmDialog, Question, TextDialog
from distill_tui.ui.screen import WorkbenchScreen

if TYPE_CHECKING:
    from distill_core.runs import RunSummary


class RunActions(WorkbenchScreen):
    """A screen on which one run is chosen; subclasses say which."""

    BINDINGS = [
        Binding("r", "resume", "Resume", show=False, id="runs.resume", tooltip="Go on with the run here"),
        Binding("p", "pause", "Pause", show=False, id="runs.pause", tooltip="Save and leave; or go on apart"),
        Binding(
            "x", "stop", "Stop", show=False, id="runs.stop", tooltip="End its process, and judge it as it is"
        ),
        Binding("n", "rename", "Rename", show=False, id="runs.rename"),
        Binding("t", "tag", "Tag", show=False, id="runs.tag"),
        Binding("a", "annotate", "Annotate", show=False, id="runs.annotate"),
        Binding("b", "pin", "Baseline", show=False, id="runs.pin", tooltip="Pin, or unpin, the baseline"),
        Binding("c", "clone", "Clone", show=False, id="runs.clone", tooltip="Take over settings and teacher"),
        Binding("d", "delete", "Delete", show=False, id="runs.delete", tooltip="Move to the trash"),
        Binding("T", "empty_trash", "Empty trash", show=False, id="runs.empty_trash"),
        Binding("e", "export", "Export", show=False, id="runs.export", tooltip="Write it for others to use"),
        Binding(
            "u", "undo", "Undo", show=False, id="runs.undo", tooltip="Take the last one out of the trash"
        ),
        Binding("U", "restore", "Restore", show=False, id="runs.restore", tooltip="Choose from the trash"),
    ]

    @property
    def chosen(self) -> RunSummary | None:
        """The run that the keys are about."""
        raise NotImplementedError

    @property
    def all_chosen(self) -> list[RunSummary]:
        """The runs that tags, deletion and export are about."""
        raise NotImplementedError

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Tell what can be done with the run."""
        run = self.chosen
        if action == "resume":
            return run is not None
        if action == "clone":
            return run is not None and bool(run.database)
        if action in ("pause", "stop"):
            return run is not None and run.state != "finished"
        if action in ("rename", "tag", "annotate", "pin", "delete", "export"):
            return run is not None
        return True

    def action_resume(self) -> None:
        """Go on with the run, here; say why not, if it cannot be."""
        run = self.chosen
        if run is not None and run.state in ("running", "finished"):
            why = "is still running; enter shows it" if run.state == "running" else "has reached its end"
            self.notify(f"{run.name} {why}.", title="Not resumed", severity="warning", markup=False)
        elif run is not None and self.workbench.training.resume(run):
            self.app.switch_mode("train")

    def action_pause(self) -> None:
        """Have the run's own process save and leave; or one go on with it."""
        if self.chosen is not None:
            self.workbench.runs.pause(self.chosen)

    def action_stop(self) -> None:
        """Ask, then have the run's own process leave, if there is one, and judge what was learnt."""
        if (run := self.chosen) is not None:
            dialog = ConfirmDialog("Stop?", f"Stop {run.name}, and judge it as it is?", "Stop")
            self._confirm(dialog, lambda: self.workbench.runs.stop(run))

    def action_rename(self) -> None:
        """Ask for another name."""
        if (run := self.chosen) is not None:
            runs = self.workbench.runs.view
            others = [other for other in runs.runs if other.path != run.path] if runs else []
            question = Question("Rename", "The folder keeps its name", run.name, partial(_check_name, others))
            self._ask(question, lambda name: self.workbench.runs.rename(run, name))

    def action_tag(self) -> None:
        """Ask for the tags; of several runs for those that all of them have."""
        runs = self.all_chosen
        if runs:
            common = [tag for tag in runs[0].tags if all(tag in run.tags for run in runs)]
            whose = "that all have" if len(runs) > 1 else "between commas"
            question = Question(
                f"Tags of {_named(runs)}", f"Tags {whose}: add or take away", ", ".join(common)
            )
            self._ask(question, lambda text: self.workbench.runs.retag(runs, common, _tags(text)))

    def action_annotate(self) -> None:
        """Ask for a text about the run."""
        if (run := self.chosen) is not None:
            remarks = self.workbench.runs.remarks.view
            text = remarks.annotation if remarks is not None and remarks.path == run.path else ""
            question = Question(f"About {run.name}", "In place of what was written before", text)
            self._ask(question, lambda text: self.workbench.runs.annotate(run, text))

    def action_pin(self) -> None:
        """Make the run the baseline that others are compared with, or no longer."""
        if self.chosen is not None:
            self.workbench.runs.pin(self.chosen)

    def action_clone(self) -> None:
        """Take over the run's settings and its teacher."""
        if self.chosen is not None:
            self.workbench.runs.take_settings(self.chosen.path)

    def action_delete(self) -> None:
        """Ask, then move the runs to the trash."""
        runs = self.all_chosen
        if runs:
            dialog = ConfirmDialog("Delete?", f"Move {_named(runs)} to the trash?", "Delete")
            self._confirm(dialog, lambda: self.workbench.runs.delete(runs))

    def action_restore(self) -> None:
        """Ask which run is to come out of the trash."""
        self.workbench.runs.read_trash(self._choose_from_trash)

    def _choose_from_trash(self, trashed: tuple[RunSummary, ...]) -> None:
        if not trashed:
            self.notify("The trash is empty.")
            return
        lines = [f"{when_words(run)}  {own_name(run) or run.id}  {setting_words(run)}" for run in trashed]
        self.app.push_screen(
            ChoiceDialog("Restore from the trash", lines),
            lambda row: None if row is None else self.workbench.runs.restore(trashed[row]),
        )

    def action_empty_trash(self) -> None:
        """Ask, then delete what is in the trash for good."""
        dialog = ConfirmDialog("Empty the trash?", "Delete every run in the trash for good?", "Empty")
        self._confirm(dialog, self.workbench.runs.empty_trash)

    def action_export(self) -> None:
        """Ask for a folder, and write the runs for others to use, each in a folder of its own."""
        runs = self.all_chosen
        if runs:
            each = "" if len(runs) == 1 else ", a folder each"
            question = Question(
                f"Export {_named(runs)}",
                f"To a new or an empty folder{each}: weights, settings, card, metrics, ONNX, TensorBoard",
                f"{Path(runs[0].path).name}-export" if len(runs) == 1 else "exports",
            )
            self._ask(question, lambda text: self._export(runs, text))

    def action_undo(self) -> None:
        """Take the run that was deleted last out of the trash."""
        self.workbench.runs.restore_last()

    def in_hand(self) -> str:
        """Return the run's folder."""
        return self.chosen.path if self.chosen is not None else ""

    def action_copy_command(self) -> None:
        """Copy the command that trains anew with the run's settings, once they are read."""
        if (run := self.chosen) is not None:
            self.workbench.runs.read_command(run.path, lambda command: self.copy(command, ""))

    def _ask(self, question: Question, then: Callable[[str], None]) -> None:
        self.app.push_screen(TextDialog(question), lambda text: None if text is None else then(text))

    def _confirm(self, dialog: ConfirmDialog, then: Callable[[], None]) -> None:
        self.app.push_screen(dialog, lambda yes: then() if yes else None)

    def _export(self, runs: Sequence[RunSummary], text: str) -> None:
        folder = typed_path(text).absolute()
        of_each = {run.path: folder / Path(run.path).name for run in runs}
        self.workbench.runs.export(of_each if len(runs) > 1 else {runs[0].path: folder})


def _named(runs: Sequence[RunSummary]) -> str:
    return runs[0].name if len(runs) == 1 else f"{len(runs)} runs"


def _tags(text: str) -> list[str]:
    return [tag.strip() for tag in text.split(",")]


def _check_name(others: Sequence[RunSummary], name: str) -> None:
    from distill_core.runs.store import checked_name

    checked_name(name, others)
