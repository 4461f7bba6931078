"""Every key is pressed once, in the place where it works, and does what its binding says."""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import Input, TabbedContent
from textual.widgets._footer import FooterKey

import distill_tui
from distill_tui.app import DistillApp
from distill_tui.experiments import HlChart, HlResultScreen
from distill_tui.jobs import JobEnded, JobState, Progressed
from distill_tui.latency.crossover import CrossoverChart
from distill_tui.latency.screen import LatencyScreen
from distill_tui.latency.tables import ContestantTable
from distill_tui.runs.screen import RunsScreen
from distill_tui.runs.table import RunTable
from distill_tui.teacher.questions import QuestionList
from distill_tui.training.metric_chart import MetricChart
from distill_tui.training.screen import TrainScreen
from tests.tui import events
from tests.tui.runs_on_disk import Made, answer, make_run, store, work_off
from tests.tui.stage import Stage, staged
from tests.tui.test_hl_screen import result as hl_result

Prepare = Callable[[Stage], Awaitable[object]]


def bindings() -> Iterator[tuple[str, Binding]]:
    """Yield every binding of the app, its screens and its widgets, with the class that declares it."""
    for module in pkgutil.walk_packages(distill_tui.__path__, "distill_tui."):
        if module.name == "distill_tui.__main__":
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, type) and value.__module__ == module.name and "BINDINGS" in vars(value):
                for binding in vars(value)["BINDINGS"]:
                    assert isinstance(binding, Binding), f"{name} has a binding without an id: {binding}"
                    yield name, binding


async def nothing(stage: Stage) -> None:
    """Press it as the screen is."""


async def on_filter(stage: Stage) -> None:
    stage.find("#filter", Input).focus()


async def on_questions(stage: Stage, row: int = 3) -> None:
    questions = stage.find("#questions", QuestionList)
    questions.focus()
    questions.highlighted = row


async def on_epochs(stage: Stage) -> None:
    stage.find("#epochs", Input).focus()


async def at_another_temperature(stage: Stage) -> None:
    await stage.press("right_square_bracket")


async def running(stage: Stage) -> None:
    await stage.start_training()


async def measuring(stage: Stage) -> None:
    stage.app.latency.comparison.start()


async def searching(stage: Stage) -> None:
    stage.app.latency.crossover.start()


async def comparing(stage: Stage) -> None:
    stage.app.latency.contestants.start()


async def crossed(stage: Stage) -> None:
    """Have searched the crossover, and look at its curves."""
    await stage.press("x")
    told = (events.crossover_started(), events.crossover_finished())
    await stage.tell(
        Progressed(stage.app.latency.crossover, told),
        JobEnded(stage.app.latency.crossover, JobState.FINISHED),
    )
    stage.find("#crossover-chart", CrossoverChart).cursor = 8_192


async def trained(stage: Stage) -> None:
    await stage.train_to_the_end()


async def experimented(stage: Stage) -> None:
    """Look at the result of an experiment on H^L = N."""
    stage.app.push_screen(HlResultScreen(hl_result()))
    await stage.pilot.pause()


async def against_heads(stage: Stage) -> None:
    await experimented(stage)
    await stage.press("h")


def against(stage: Stage) -> object:
    return stage.find("#hl-chart", HlChart).against


def shown_heads(stage: Stage) -> object:
    return stage.find("#hl-chart", HlChart).teacher_heads


async def quitting(stage: Stage) -> None:
    await stage.start_training()
    await stage.press("q")


async def limiting(stage: Stage) -> None:
    await stage.go("latency")
    await stage.press("X")


async def saving(stage: Stage) -> None:
    await stage.train_to_the_end()
    await stage.press("ctrl+s")


async def elsewhere(stage: Stage) -> None:
    await stage.go("latency" if stage.app.current_mode != "latency" else "teacher")


def mode(stage: Stage) -> object:
    return stage.app.current_mode


def screen(stage: Stage) -> object:
    return type(stage.screen).__name__


def focus(stage: Stage) -> object:
    return stage.screen.focused.id if stage.screen.focused else None


async def helped(stage: Stage) -> None:
    """Read the longest help."""
    await stage.go("latency")
    await stage.press("question_mark")
    await stage.reach(lambda: stage.find("#help-scroll", VerticalScroll).max_scroll_y > 3)


async def helped_to_the_end(stage: Stage) -> None:
    await helped(stage)
    await stage.press("G")


def lines_to_the_end(stage: Stage) -> object:
    help_text = stage.find("#help-scroll", VerticalScroll)
    return help_text.max_scroll_y - help_text.scroll_offset.y


def lines_read(stage: Stage) -> object:
    return stage.find("#help-scroll", VerticalScroll).scroll_offset.y


def toasted(stage: Stage) -> object:
    return bool(stage.toasts())


def training(stage: Stage) -> object:
    return stage.app.training.view.state


def latency(stage: Stage) -> object:
    return stage.app.latency.comparison.view.state


def crossover(stage: Stage) -> object:
    return stage.app.latency.crossover.view.state


def contestants(stage: Stage) -> object:
    return stage.app.latency.contestants.view.state


def sorted_by(stage: Stage) -> object:
    return stage.find("#contestants", ContestantTable).sorted_by


def shown(stage: Stage) -> object:
    assert isinstance(stage.screen, LatencyScreen)
    return stage.screen.shown


def batch_size(stage: Stage) -> object:
    return stage.find("#crossover-chart", CrossoverChart).batch_size


def cursor(stage: Stage) -> object:
    return stage.find("#crossover-chart", CrossoverChart).cursor


def tau(stage: Stage) -> object:
    return stage.app.teacher.view.teacher.temperature if stage.app.teacher.view else None


def highlighted(stage: Stage) -> object:
    return stage.find("#questions", QuestionList).highlighted


def log_axes(stage: Stage) -> object:
    return [(chart.log_x, chart.log_y) for chart in stage.screen.query(MetricChart)]


def zoomed(stage: Stage) -> object:
    assert isinstance(stage.screen, TrainScreen)
    return stage.screen.zoomed


def tab(stage: Stage) -> object:
    return stage.find("#validate-tabs", TabbedContent).active


async def with_runs(stage: Stage) -> None:
    """Have three runs on disk, and the second of them under the cursor."""
    while len(store().list()) < 3:
        number = len(store().list())
        make_run(
            Made(f"run {number}", hour=number, epochs=[events.epoch_finished(1)], database="/n18/lda.db")
        )
    stage.app.runs.list()
    await answer(stage)
    if stage.app.current_mode == "runs":
        table = stage.find("#run-table", RunTable)
        table.focus()
        table.move_cursor(row=1)
        await answer(stage)


async def asking(stage: Stage, key: str) -> None:
    """Open a dialog of the screen of the runs."""
    await stage.go("runs")
    await with_runs(stage)
    await stage.press(key)


async def on_run_filter(stage: Stage) -> None:
    await with_runs(stage)
    stage.screen.set_focus(None)
    await stage.press("slash")


async def scrolled(stage: Stage) -> None:
    await with_runs(stage)
    stage.find("#run-table", RunTable).scroll_to(x=1, animate=False)


async def with_curves(stage: Stage) -> None:
    await with_runs(stage)
    stage.app.runs.show_curves([run.path for run in store().list()])
    await answer(stage)


def run_row(stage: Stage) -> object:
    return stage.find("#run-table", RunTable).cursor_row


def run_columns(stage: Stage) -> object:
    return stage.find("#run-table", RunTable).scroll_offset.x


def order(stage: Stage) -> object:
    assert isinstance(stage.screen, RunsScreen)
    return stage.screen.sorted_by, stage.screen.is_reversed


def run_marks(stage: Stage) -> object:
    assert isinstance(stage.screen, RunsScreen)
    return list(stage.screen.marks.values())


def answered_mode(stage: Stage) -> object:
    work_off(stage)
    return stage.app.current_mode


def pinned(stage: Stage) -> object:
    work_off(stage)
    return [run.name for run in store().list() if run.pinned]


def trashed(stage: Stage) -> object:
    work_off(stage)
    return len(store().trashed())


def copied(stage: Stage) -> object:
    return bool(stage.app.clipboard)


def curves(stage: Stage) -> object:
    return len(stage.app.training.curves.view)


@dataclass(frozen=True)
class Press:
    """A key, where and when to press it, what to look at, and what is to be seen then (and not before)."""

    binding: str
    key: str
    look: Callable[[Stage], object]
    then: object
    prepare: Prepare = nothing


PRESSES: dict[str, tuple[Press, ...]] = {
    "teacher": (
        Press("app.teacher", "1", mode, "teacher", elsewhere),
        Press("app.student", "2", mode, "student"),
        Press("app.train", "3", mode, "train"),
        Press("app.validate", "4", mode, "validate"),
        Press("app.latency", "5", mode, "latency"),
        Press("app.runs", "6", mode, "runs"),
        Press("app.open", "o", screen, "DatabasePicker"),
        Press("app.start", "ctrl+t", training, JobState.RUNNING),
        Press("app.not_started", "ctrl+t", toasted, True, running),
        Press("app.save", "ctrl+s", screen, "SaveDialog", trained),
        Press("app.help", "question_mark", screen, "HelpScreen"),
        Press("app.help", "f1", screen, "HelpScreen"),
        Press("app.quit", "q", screen, "QuitDialog", running),
        Press("app.quit", "ctrl+q", screen, "QuitDialog", running),
        Press("teacher.filter", "slash", focus, "filter"),
        Press("teacher.cooler", "left_square_bracket", tau, 0.0891),
        Press("teacher.hotter", "right_square_bracket", tau, 0.1),
        Press("teacher.temperature", "T", screen, "TextDialog"),
        Press("teacher.stored", "equals_sign", tau, 0.1, at_another_temperature),
        Press("questions.down", "j", highlighted, 4, on_questions),
        Press("questions.up", "k", highlighted, 2, on_questions),
        Press("questions.first", "g", highlighted, 0, on_questions),
        Press("questions.last", "G", highlighted, 23, on_questions),
    ),
    "student": (
        Press("student.edit", "e", focus, "kind"),
        Press("student.leave", "escape", focus, "candidates", on_epochs),
        Press("student.candidates", "c", focus, "candidates"),
        Press("form.next", "down", focus, "learning_rate", on_epochs),
        Press("form.next", "enter", focus, "learning_rate", on_epochs),
        Press("form.previous", "up", focus, "cosine_weight", on_epochs),
    ),
    "train": (
        Press("train.start", "enter", training, JobState.RUNNING),
        Press("train.pause", "space", training, JobState.PAUSED, running),
        Press("train.stop", "s", training, JobState.STOPPING, running),
        Press("train.log_y", "L", log_axes, [(False, False), (False, True), (False, True)]),
        Press("train.log_x", "X", log_axes, [(True, False), (True, True), (True, True)]),
        Press("train.zoom", "z", zoomed, "cosine"),
        *(Press("train.curves", key, curves, 0, with_curves) for key in ("v", "escape")),
    ),
    "validate": (Press("validate.tab", "t", tab, "tab-cosines"),),
    "latency": (
        Press("latency.measure", "enter", latency, JobState.RUNNING),
        Press("latency.stop", "s", latency, JobState.STOPPING, measuring),
        Press("latency.view", "v", shown, "curves"),
        Press("latency.contestants", "a", contestants, JobState.RUNNING),
        Press("latency.sort", "S", sorted_by, 2),
        Press("latency.stop", "s", contestants, JobState.STOPPING, comparing),
        Press("latency.crossover", "x", crossover, JobState.RUNNING),
        Press("latency.stop", "s", crossover, JobState.STOPPING, searching),
        Press("latency.limits", "X", screen, "CrossoverDialog"),
        Press("latency.batch", "b", batch_size, 32, crossed),
        Press("latency.fewer", "left", cursor, 4_096, crossed),
        Press("latency.more", "right", cursor, 16_384, crossed),
    ),
    "runs": (
        Press("runs.down", "j", run_row, 2, with_runs),
        Press("runs.up", "k", run_row, 0, with_runs),
        Press("runs.first", "g", run_row, 0, with_runs),
        Press("runs.last", "G", run_row, 2, with_runs),
        Press("runs.right", "l", run_columns, 1, with_runs),
        Press("runs.left", "h", run_columns, 0, scrolled),
        Press("runs.filter", "slash", focus, "run-filter", with_runs),
        Press("runs.leave", "escape", focus, "run-table", on_run_filter),
        Press("runs.sort", "s", order, ("cosine", False), with_runs),
        Press("runs.reverse", "S", order, ("cosine", True), with_runs),
        Press("runs.mark", "space", run_marks, ["1"], with_runs),
        Press("runs.pin", "b", pinned, ["run 1"], with_runs),
        Press("runs.rename", "n", screen, "TextDialog", with_runs),
        Press("runs.tag", "t", screen, "TextDialog", with_runs),
        Press("runs.annotate", "a", screen, "TextDialog", with_runs),
        Press("runs.export", "e", screen, "TextDialog", with_runs),
        Press("runs.delete", "d", screen, "ConfirmDialog", with_runs),
        Press("runs.empty_trash", "T", screen, "ConfirmDialog", with_runs),
        Press("runs.copy", "y", copied, True, with_runs),
        Press("runs.clone", "c", answered_mode, "student", with_runs),
        Press("runs.curves", "v", answered_mode, "train", with_runs),
        Press("runs.show", "enter", mode, "train", with_runs),
        Press("runs.resume", "r", training, JobState.RUNNING, with_runs),
    ),
    "dialogs": (
        Press("text.cancel", "escape", screen, "RunsScreen", partial(asking, key="n")),
        *(
            Press("confirm.cancel", key, screen, "RunsScreen", partial(asking, key="d"))
            for key in ("escape", "c")
        ),
        *(
            Press("confirm.move", key, focus, "yes", partial(asking, key="d"))
            for key in ("left", "right", "h", "l")
        ),
        Press("confirm.yes", "y", trashed, 1, partial(asking, key="d")),
        Press("picker.back", "escape", screen, "TeacherScreen", lambda stage: stage.press("o")),
        Press("save.cancel", "escape", screen, "TeacherScreen", saving),
        Press("crossover.cancel", "escape", screen, "LatencyScreen", limiting),
        Press("quit.cancel", "escape", screen, "TeacherScreen", quitting),
        Press("quit.cancel", "c", screen, "TeacherScreen", quitting),
        *(Press("quit.back", key, focus, "stop", quitting) for key in ("left", "h")),
        *(Press("quit.move", key, focus, "detach", quitting) for key in ("right", "l")),
        *(
            Press("help.close", key, screen, "LatencyScreen", helped)
            for key in ("escape", "question_mark", "f1", "q")
        ),
        Press("help.down", "j", lines_read, 1, helped),
        Press("help.up", "k", lines_to_the_end, 1, helped_to_the_end),
        Press("help.end", "G", lines_to_the_end, 0, helped),
        Press("help.top", "g", lines_read, 0, helped_to_the_end),
        Press("hl.close", "escape", screen, "TeacherScreen", experimented),
        Press("hl.heads", "h", against, "H", experimented),
        Press("hl.layers", "l", against, "L", experimented),
        Press("hl.parameters", "m", against, "parameters", experimented),
        Press("hl.power", "p", against, "H^L", against_heads),
        Press("hl.next", "n", shown_heads, 8, experimented),
        Press("quit.stop", "s", training, JobState.STOPPING, quitting),
    ),
    "detaching": (Press("quit.detach", "d", training, JobState.STOPPING, quitting),),
}
"""In groups that share an app, in their order; only the last may end it."""


async def back_to(stage: Stage, group: str) -> None:
    """Close dialogs, end jobs and go to the screen of a group."""
    while stage.screen.is_modal:
        stage.app.pop_screen()
    if stage.jobs.is_busy:
        await stage.end_job(JobState.STOPPED)
    await stage.go("teacher" if group in ("dialogs", "detaching") else group)
    stage.screen.set_focus(None)


def _looks_as_said(press: Press, stage: Stage) -> bool:
    return bool(press.look(stage) == press.then)


@pytest.mark.parametrize("group", PRESSES)
async def test_every_key_does_what_it_says(database: Path, group: str) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        for press in PRESSES[group]:
            await back_to(stage, group)
            await press.prepare(stage)
            await stage.settle()
            assert stage.offers(press.binding), f"{press.binding} is not offered"
            before = press.look(stage)
            assert before != press.then, f"{press.binding}: the test proves nothing"
            leaving = press.binding in ("quit.stop", "quit.detach")
            await (stage.pilot if leaving else stage).press(press.key)
            reached = await stage.reach(partial(_looks_as_said, press, stage))
            assert reached, f"{press.binding} by {press.key}: {press.look(stage)}, not {press.then}"
    if group == "dialogs":
        assert stage.jobs.state is JobState.STOPPING
        assert stage.app.return_value == 0


def test_every_key_of_every_binding_is_pressed() -> None:
    declared = {(binding.id, key) for _owner, binding in bindings() for key in binding.key.split(",")}
    pressed = {(press.binding, press.key) for presses in PRESSES.values() for press in presses}
    assert pressed == declared


def test_every_binding_has_an_id_of_its_own_and_a_verb() -> None:
    found = list(bindings())
    assert len(found) > 20
    assert all(binding.id for _owner, binding in found)
    doubled = [name for name, count in Counter(binding.id for _owner, binding in found).items() if count > 1]
    assert doubled == []
    assert all(binding.description or not binding.show for _owner, binding in found)


def test_no_key_needs_a_modifier_that_terminals_eat() -> None:
    keys = {key: owner for owner, binding in bindings() for key in binding.key.split(",")}
    assert not set(keys) & {"ctrl+h", "ctrl+i", "ctrl+j", "ctrl+m", "ctrl+c", "ctrl+z"}
    for owner, binding in bindings():
        assert binding.key != "ctrl+q", f"{owner}: ctrl+q alone"


@pytest.mark.parametrize("size", [(120, 36)])
async def test_the_footer_shows_at_most_seven_keys_and_none_is_cut(
    database: Path, size: tuple[int, int]
) -> None:
    async with staged(database, size=size) as stage:
        await stage.show_teacher()
        crowded = {}
        for situation in (nothing, running, trained):
            await back_to(stage, "teacher")
            await situation(stage)
            for name in DistillApp.MODES:
                await stage.go(name)
                keys = list(stage.screen.query(FooterKey))
                assert keys
                assert all(key.region.right <= size[0] for key in keys), f"{name}: keys are cut off"
                if len(keys) > 7:
                    crowded[name, situation.__name__] = [key.description for key in keys]
    assert crowded == {}
