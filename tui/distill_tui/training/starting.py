"""What the keys that start work do: train a run now, a run later, or many runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distill_core.sweeps.axes import TypedSweep, parse_axes
from distill_tui.ui.dialogs import ConfirmDialog, TextDialog

if TYPE_CHECKING:
    from distill_tui.app import DistillApp

LATER = (
    "A run is being trained here. Queue this one? It begins after it, in a process of its own, "
    "whether the app is still open or not."
)


def train_now(app: DistillApp) -> None:
    """Start a run with the present settings and show it; of lists, ask before all of them are tried."""

    def start() -> None:
        if app.training.start():
            app.switch_mode("train")

    if app.student.view.axes:
        train_many(app)
    elif words := app.runs.cost_beside(app.student.view.training.threads):
        dialog = ConfirmDialog("Train beside others?", f"{words} ctrl+g queues it instead.", "Train now")
        app.push_screen(dialog, lambda yes: start() if yes else None)
    else:
        start()


def train_later(app: DistillApp) -> None:
    """Offer to queue a run behind the one that trains; tell why, where none can be started now."""
    teacher = app.teacher.view
    if teacher is None or not app.student.is_complete or not app.jobs.is_active(app.training):
        app.training.start()
        return
    if app.student.view.axes:
        train_many(app)
        return
    config = app.student.run_config(teacher)

    def queue(yes: bool | None) -> None:
        if yes:
            app.sweeps.start(TypedSweep({}, None, ""), config)

    app.push_screen(ConfirmDialog("Train later?", LATER, "Queue"), queue)


def train_many(app: DistillApp) -> None:
    """Ask what else to try of the settings on screen 2, and put that into the queue."""
    teacher = app.teacher.view
    if teacher is None:
        return
    if not app.student.is_complete:
        app.notify("Mend the marked settings on screen 2 first.", severity="warning")
        return
    config = app.student.run_config(teacher)

    def enter(line: str | None) -> None:
        if line is not None:
            app.sweeps.start(parse_axes(line), config)
            app.switch_mode("sweep")

    app.push_screen(TextDialog(app.sweeps.question()), enter)
