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
from textual.screen import Screen
from textual.widgets._footer import FooterKey

import distill_tui
from distill_tui.app import DistillApp
from distill_tui.jobs import JobState
from distill_tui.student.rows import LETTERS
from tests.tui.key_scenes import (
    against,
    against_heads,
    answered_mode,
    asking,
    at_another_temperature,
    batch_size,
    beside_third,
    chart_cursor,
    charted,
    charted_at_two,
    choosing,
    choosing_the_second,
    chosen_from_trash,
    chosen_recipe,
    comparing,
    contestants,
    copied,
    crossed,
    crossover,
    cursor,
    curve,
    curves,
    deleted,
    elsewhere,
    experimented,
    first_chart,
    focus,
    front_cell,
    grouped,
    heat_axes,
    heat_cursor,
    heat_figure,
    helped,
    helped_to_the_end,
    highlighted,
    highlighted_choice,
    is_reading,
    latency,
    limiting,
    lines_read,
    lines_to_the_end,
    log_axes,
    magnified,
    measuring,
    mode,
    nothing,
    on_epochs,
    on_filter,
    on_frontier,
    on_questions,
    on_recipe,
    on_run_filter,
    on_second_of_frontier,
    order,
    part_shown,
    pasted,
    pinned,
    quiet,
    quitting,
    reading,
    run_columns,
    run_marks,
    run_row,
    running,
    saving,
    screen,
    scrolled,
    searching,
    seeds_together,
    shown,
    shown_field,
    shown_heads,
    sorted_by,
    tab,
    tau,
    toasted,
    told_of_run,
    trained,
    training,
    trashed,
    wanted,
    wanted_sweep,
    window,
    with_curves,
    with_runs,
    with_sweep,
    zoomed,
)
from tests.tui.stage import Stage, staged

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
        Press("app.sweep", "7", mode, "sweep"),
        Press("app.try", "ctrl+g", screen, "TextDialog"),
        Press("app.open", "o", screen, "DatabasePicker"),
        Press("app.start", "ctrl+t", training, JobState.RUNNING),
        Press("app.train_later", "ctrl+t", screen, "ConfirmDialog", running),
        Press("app.save", "ctrl+s", screen, "SaveDialog", trained),
        Press("app.help", "question_mark", screen, "HelpScreen"),
        Press("app.help", "f1", screen, "HelpScreen"),
        Press("app.quit", "q", screen, "QuitDialog", running),
        Press("app.quit", "ctrl+q", screen, "QuitDialog", running),
        Press("screen.picture", "S", screen, "TextDialog"),
        Press("screen.copy", "y", copied, True, on_questions),
        Press("screen.copy_command", "Y", pasted, "distill-tui train", told_of_run),
        Press("app.cancel_reading", "escape", is_reading, False, reading),
        Press("teacher.all", "A", toasted, True, quiet),
        Press("teacher.filter", "slash", focus, "filter"),
        Press("teacher.leave", "escape", focus, "questions", on_filter),
        Press("teacher.cooler", "left_square_bracket", tau, 0.0891),
        Press("teacher.hotter", "right_square_bracket", tau, 0.1),
        Press("teacher.temperature", "T", screen, "TextDialog"),
        Press("teacher.best", "m", tau, 0.1, at_another_temperature),
        Press("teacher.curve", "c", curve, True),
        Press("teacher.stored", "equals_sign", tau, 0.1, at_another_temperature),
        Press("questions.down", "j", highlighted, 4, on_questions),
        Press("questions.up", "k", highlighted, 2, on_questions),
        Press("questions.first", "g", highlighted, 0, on_questions),
        Press("questions.last", "G", highlighted, 23, on_questions),
        Press("questions.down", "down", highlighted, 4, on_questions),
        Press("questions.up", "up", highlighted, 2, on_questions),
        Press("questions.first", "home", highlighted, 0, on_questions),
        Press("questions.last", "end", highlighted, 23, on_questions),
        Press("questions.page_down", "pagedown", beside_third, "below", on_questions),
        Press("questions.page_up", "pageup", beside_third, "above", on_questions),
    ),
    "student": (
        Press("student.edit", "e", focus, "kind"),
        Press("student.leave", "escape", focus, "candidates", on_epochs),
        Press("student.candidates", "c", focus, "candidates"),
        *(Press(f"student.{field}", letter, focus, field, shown_field) for letter, field in LETTERS.items()),
        Press("form.choice_next", "right", chosen_recipe, "book", on_recipe),
        Press("form.choice_before", "left", chosen_recipe, "strong", on_recipe),
        Press("form.choice_next", "space", chosen_recipe, "book", on_recipe),
        Press("form.choice_add", "comma", chosen_recipe, "book,strong", on_recipe),
        Press("form.choice_remove", "backspace", chosen_recipe, "book", on_recipe),
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
        Press("train.error", "c", first_chart, ("cosine", False)),
        Press("train.zoom", "z", zoomed, "cosine"),
        *(Press("train.before", key, chart_cursor, 10, charted) for key in ("left", "h")),
        *(Press("train.after", key, chart_cursor, 3, charted_at_two) for key in ("right", "l")),
        Press("train.far_before", "left_square_bracket", chart_cursor, 1, charted),
        Press("train.far_after", "right_square_bracket", chart_cursor, 10, charted_at_two),
        Press("train.let_go", "escape", chart_cursor, None, charted_at_two),
        *(Press("train.in", key, part_shown, (5.0, 10.0), charted) for key in ("plus", "equals_sign")),
        Press("train.out", "minus", part_shown, None, magnified),
        Press("train.smooth", "m", window, 5, charted),
        Press("train.group", "g", seeds_together, False, with_curves),
        *(Press("train.curves", key, curves, 0, with_curves) for key in ("v", "escape")),
    ),
    "validate": (Press("validate.tab", "t", tab, "tab-cosines"),),
    "latency": (
        Press("app.suspend", "ctrl+z", toasted, True, measuring),
        Press("latency.measure", "enter", latency, JobState.RUNNING),
        Press("latency.measure_form", "f", latency, JobState.RUNNING),
        Press("latency.stop", "s", latency, JobState.STOPPING, measuring),
        Press("latency.view", "v", shown, "curves"),
        Press("latency.contestants", "a", contestants, JobState.RUNNING),
        Press("latency.sort", "C", sorted_by, 2),
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
        Press("runs.sort", "s", order, ("1-cos", False), with_runs),
        Press("runs.reverse", "R", order, ("1-cos", True), with_runs),
        Press("runs.group", "m", grouped, True, with_runs),
        Press("runs.group", "m", grouped, False, with_runs),
        Press("runs.undo", "u", trashed, 0, deleted),
        Press("runs.restore", "U", chosen_from_trash, "ChoiceDialog", deleted),
        Press("runs.mark", "space", run_marks, ["1"], with_runs),
        Press("runs.pin", "b", pinned, ["run 2"], with_runs),
        Press("runs.rename", "n", screen, "TextDialog", with_runs),
        Press("runs.tag", "t", screen, "TextDialog", with_runs),
        Press("runs.annotate", "a", screen, "TextDialog", with_runs),
        Press("runs.export", "e", screen, "TextDialog", with_runs),
        Press("runs.delete", "d", screen, "ConfirmDialog", with_runs),
        Press("runs.empty_trash", "T", screen, "ConfirmDialog", with_runs),
        Press("runs.clone", "c", answered_mode, "student", with_runs),
        Press("runs.curves", "v", answered_mode, "train", with_runs),
        Press("runs.show", "enter", mode, "train", with_runs),
        Press("runs.pause", "p", wanted, "runs", with_runs),
        Press("runs.stop", "x", screen, "ConfirmDialog", with_runs),
        Press("runs.resume", "r", training, JobState.RUNNING, with_runs),
    ),
    "sweep": (
        Press("heat.right", "l", heat_cursor, (2, 0), with_sweep),
        Press("heat.right", "right", heat_cursor, (2, 0), with_sweep),
        Press("heat.left", "h", heat_cursor, (0, 0), with_sweep),
        Press("heat.left", "left", heat_cursor, (0, 0), with_sweep),
        Press("heat.down", "j", heat_cursor, (1, 1), with_sweep),
        Press("heat.down", "down", heat_cursor, (1, 1), with_sweep),
        Press("heat.up", "k", heat_cursor, (1, 0), partial(with_sweep, row=1)),
        Press("heat.up", "up", heat_cursor, (1, 0), partial(with_sweep, row=1)),
        Press("heat.open", "enter", toasted, True, with_sweep),
        Press("sweep.figure", "v", heat_figure, "skill", with_sweep),
        Press("sweep.axes", "x", heat_axes, ("layers", "heads"), with_sweep),
        Press("sweep.next", "n", wanted_sweep, "sweep-1", with_sweep),
        Press("sweep.work", "w", wanted, "sweep work", with_sweep),
        Press("sweep.pause", "p", wanted, "sweep stop", with_sweep),
        Press("sweep.drop", "d", wanted, "sweep drop", with_sweep),
        Press("sweep.retry", "r", wanted, "sweep retry", with_sweep),
        Press("sweep.copy", "y", copied, True, with_sweep),
        Press("sweep.curves", "c", wanted, "curves", with_sweep),
        Press("sweep.frontier", "f", focus, "frontier-chart", with_sweep),
        Press("front.right", "right", front_cell, 1, on_frontier),
        Press("front.right", "l", front_cell, 1, on_frontier),
        Press("front.left", "left", front_cell, 0, on_second_of_frontier),
        Press("front.left", "h", front_cell, 0, on_second_of_frontier),
        Press("front.open", "enter", toasted, True, on_frontier),
        Press("sweep.runs", "a", mode, "runs", with_sweep),
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
        Press("choice.cancel", "escape", screen, "RunsScreen", choosing),
        Press("choice.down", "j", highlighted_choice, 1, choosing),
        Press("choice.up", "k", highlighted_choice, 0, choosing_the_second),
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
    assert not set(keys) & {"ctrl+h", "ctrl+i", "ctrl+j", "ctrl+m", "ctrl+c"}
    assert keys["ctrl+z"] == "DistillApp", "what suspends elsewhere suspends here"
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


async def test_what_a_screen_offers_can_be_asked_before_it_is_laid_out(database: Path) -> None:
    """The footer of the screen before it does so when keys come fast."""
    async with staged(database) as stage:
        await stage.show_teacher()
        for make in DistillApp.MODES.values():
            assert callable(make)
            screen = make()
            assert isinstance(screen, Screen)
            for _owner, binding in bindings():
                action = binding.action.rpartition(".")[2].partition("(")[0]
                assert screen.check_action(action, ()) in (True, False, None)
