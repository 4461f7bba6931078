"""How a run stands, in three lines."""

from __future__ import annotations

from datetime import timedelta

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.reactive import var
from textual.widgets import ProgressBar, Static

from distill_core.foreign_text import visible
from distill_core.wording import plural
from distill_tui.jobs import JobState
from distill_tui.training.desk import TrainingView, WatchedRun

_BAR_PARTS = 200

_HEADLINES = {
    JobState.IDLE: "No run yet: ctrl+t starts one with the settings of screen 2.",
    JobState.RUNNING: "Running",
    JobState.PAUSED: "Paused: space goes on, s stops.",
    JobState.STOPPING: "Stopping after the present step",
    JobState.FINISHED: "Finished: 4 shows what it is worth, 5 what it costs, ctrl+s saves it.",
    JobState.STOPPED: "Stopped early and evaluated as it is: see 4; ctrl+s saves it.",
    JobState.FAILED: "Failed",
}

_FINISHED_EARLY = "Finished, as validation gained no more: see 4 and 5, ctrl+s saves it."


class RunStatus(Vertical):
    """State, settings, progress with the expected end, and the present numbers."""

    DEFAULT_CSS = """
    RunStatus { height: 4; }
    RunStatus Static { height: 1; }
    RunStatus ProgressBar { width: 1fr; }
    RunStatus Bar { width: 1fr; }
    """

    view: var[TrainingView] = var(TrainingView(), init=False)

    def compose(self) -> ComposeResult:
        """Lay out the lines."""
        yield Static("", id="run-headline", markup=False)
        yield Static("", id="run-settings", markup=False)
        yield ProgressBar(show_eta=False, show_percentage=False, id="run-progress")
        yield Static("", id="run-numbers", markup=False)

    def on_mount(self) -> None:
        """Say how to start a run."""
        self.watch_view(self.view)

    def watch_view(self, view: TrainingView) -> None:
        """Show how the run stands now."""
        self.set_class(view.state is JobState.FAILED, "-failed")
        self._update("#run-headline", _headline(view))
        self._update("#run-settings", _settings(view))
        self._update("#run-numbers", _numbers(view))
        bar = self.query_one(ProgressBar)
        bar.visible = view.started is not None
        if view.started is not None:
            bar.update(total=_BAR_PARTS, progress=_bar_progress(view))

    def _update(self, selector: str, text: Text) -> None:
        line = self.query_one(selector, Static)
        if line.content != text:
            line.update(text, layout=False)


def _bar_progress(view: TrainingView) -> int:
    """Return the progress in parts that are just visible, so that the bar is repainted when it changes."""
    if view.started is None or view.progress is None:
        return 0
    if view.state is JobState.FINISHED:  # maybe early
        return _BAR_PARTS
    return _BAR_PARTS * view.progress.step // view.started.total_steps


def _headline(view: TrainingView) -> Text:
    if view.watched is not None:
        return Text(visible(_watched_words(view.watched, view.error)), "bold")
    if view.state is JobState.FAILED:
        return Text(f"Failed: {visible(view.error)}", "bold")
    if view.state is JobState.RUNNING and view.started is None:
        return Text("Starting: loading torch, reading the queries", "bold")
    if view.state is JobState.FINISHED and view.ended_early:
        return Text(_FINISHED_EARLY, "bold")
    return Text(_HEADLINES[view.state], "bold")


def _watched_words(run: WatchedRun, error: str) -> str:
    """Say that the run is only looked at, and how it stands."""
    match run.state:
        case "running":
            return f"Watching {run.name}: another process trains it, and goes on when you leave."
        case "finished":
            return f"Looking at {run.name}, which is finished: 4 shows what it is worth."
        case "failed":
            return f"Looking at {run.name}, which failed: {error}"
        case "unreadable":
            return f"{run.name} cannot be watched any more: {error}"
        case "interrupted":
            return f"Looking at {run.name}, whose process is gone: r on screen 6 goes on with it."
        case _:
            return f"Looking at {run.name}, which was stopped: r on screen 6 goes on with it."


def _settings(view: TrainingView) -> Text:
    if view.started is None:
        return Text("")
    run, training = view.started, view.started.config.training
    return Text(
        f"{visible(view.subject)} · lr {training.learning_rate:g} batch {training.batch_size} · "
        f"{run.num_train} train, {run.num_validation} validation, {run.num_test} test queries · "
        f"{run.device}, {plural(run.threads, 'thread')}",
        "dim",
        no_wrap=True,
        overflow="ellipsis",
    )


def _numbers(view: TrainingView) -> Text:
    if view.started is None or view.progress is None:
        return Text("")
    done, total = view.progress.epoch, view.planned_epochs
    parts = [
        f"epoch {done:.1f} of {total:,}".replace(".0 ", " "),
        f"{view.progress.samples_per_second:,.0f} samples/s",
        f"{_clock(view.progress.active_seconds)} gone",
    ]
    if view.state.is_active:
        parts.append(f"{_clock(view.progress.eta_seconds)} to go")
    if view.best is not None and view.best.validation is not None:
        parts.append(f"best {view.best.validation.cosine:.5f} @{view.best.epoch:,}")
    if view.epoch is not None and view.epoch.mse_gradient_share is not None:
        parts.append(f"MSE term has {view.epoch.mse_gradient_share:.1%} of the gradient")
    return Text(" · ".join(parts), no_wrap=True, overflow="ellipsis")


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds))).removeprefix("0:")
