from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.widgets import Input

from distill_tui.runs.desk import RunsView
from distill_tui.student.rows import ChoiceField, SettingRow
from tests.tui.runs_on_disk import made_up_runs
from tests.tui.stage import Stage, staged


def note(stage: Stage) -> str:
    return " ".join(stage.text("#student-note").split())


async def test_lists_and_ranges_are_axes_and_the_note_counts_their_runs(database: Path) -> None:
    """In the encoder H does nothing: 2 x 3 values of H and L are 3 experiments, for each of 2 lambdas."""
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("student")
        await stage.fill("#heads", "2,4")
        await stage.fill("#layers", "1..3")
        await stage.fill("#cosine_weight", "0.1..0.9/2")
        settings = stage.app.student.view
        assert settings.axes == {"heads": (2, 4), "layers": (1, 2, 3), "cosine_weight": (0.1, 0.9)}
        assert (settings.student.count("heads"), settings.training.cosine_weight) == (2, 0.1)
        assert "12 settings x 1 seed = 12 runs, of which 6 differ; how long is unknown" in note(stage)
        assert "heads 2, 4 of encoder run as one" in note(stage)
        await stage.fill("#heads", "4")
        await stage.fill("#layers", "2")
        await stage.fill("#cosine_weight", "0.5")
        assert stage.app.student.view.axes == {}
        assert note(stage) == "ctrl+t trains; esc leaves the fields."


async def test_the_time_is_that_of_the_finished_runs_of_the_database(database: Path) -> None:
    """Runs of 10 epochs took 30 s and 50 s, so 4 s an epoch: two of 20 and two of 40 take 480 s."""
    async with staged(database) as stage:
        await stage.show_teacher()
        run = replace(made_up_runs()[0], database=str(database), epochs=10)
        runs = tuple(replace(run, train_seconds=seconds) for seconds in (30.0, 50.0))
        stage.app.runs.publish(RunsView((*runs, replace(run, database="/other/lda.db", train_seconds=9e9))))
        await stage.go("student")
        await stage.fill("#layers", "1,2")
        await stage.fill("#epochs", "20,40")
        assert "4 settings x 1 seed = 4 runs; about 8 min by 2 runs before" in note(stage)


@pytest.mark.parametrize("text", ["2,", "2,x", "1..", "0.1..0.2"])
async def test_a_list_that_cannot_be_read_marks_its_field(database: Path, text: str) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("student")
        await stage.fill("#layers", text)
        row = next(row for row in stage.screen.query(SettingRow) if row.field == "layers")
        assert row.has_class("-failed")
        assert not stage.app.student.is_complete


async def test_values_that_do_not_fit_are_left_to_the_sweep_as_long_as_one_does(database: Path) -> None:
    """The teacher has 8 dimensions, which 3 heads do not divide."""
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("student")
        await stage.fill("#heads", "3,4")
        assert stage.app.student.is_complete
        assert stage.app.student.view.student.count("heads") == 4
        await stage.fill("#heads", "3,5")
        assert not stage.app.student.is_complete


async def test_a_comma_takes_one_more_choice_and_backspace_takes_it_back(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("student")
        await stage.press("s", "comma")
        kind = stage.find("#kind", ChoiceField)
        assert kind.value == "encoder,memory"
        assert stage.find("#slots", Input).parent.display, "what only the second kind has can be set"  # type: ignore[union-attr]
        assert stage.find("#ff_dim", Input).parent.display  # type: ignore[union-attr]
        await stage.press("right")
        assert kind.value == "encoder,mlp"
        assert stage.app.student.view.axes == {"student": ("encoder", "mlp")}
        await stage.press("backspace", "backspace")
        assert kind.value == "encoder"


async def test_a_candidate_takes_the_place_of_the_lists_of_its_settings(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("student")
        await stage.fill("#layers", "1,2")
        await stage.fill("#seed", "0,1")
        await stage.press("escape", "enter")
        assert stage.app.student.view.axes == {"seed": (0, 1)}
        assert "," not in stage.find("#layers", Input).value
