from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from textual.color import Color
from textual.events import Key
from textual.widgets import DataTable, Input, Static

from distill_core.config import TrainingConfig
from distill_core.settings import describe
from distill_core.students import EncoderConfig, MlpConfig
from distill_core.students.spec import StudentConfig
from distill_tui.student import rows
from distill_tui.student.form import SettingsForm
from distill_tui.student.rows import SettingRow
from tests.core.database_factory import write_lda_db
from tests.tui.stage import NARROW, WIDE, Stage, staged


def row_of(stage: Stage, field: str) -> SettingRow:
    return next(row for row in stage.screen.query(SettingRow) if row.field == field)


def hint(stage: Stage, field: str) -> str:
    return str(row_of(stage, field).query_one(".hint", Static).content)


EXPLAINED = {"kind", "recipe", "split"}
"""Settings whose descriptions have a part for each choice."""


async def test_every_setting_has_a_field_with_its_default_and_a_line_that_explains_it(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("student")
        assert {row.field for row in stage.screen.query(SettingRow)} >= {
            *("heads", "layers", "cosine_weight", "epochs", "learning_rate", "batch_size"),
            *("ff_dim", "dropout", "seed", "device", "kind", "recipe", "slots", "width"),
        }
        for row in stage.screen.query(SettingRow):
            if row.field not in EXPLAINED and row.display:
                assert describe(row.settings, row.field).description in hint(stage, row.field)
        assert hint(stage, "learning_rate").startswith("0.003. "), "what auto is with this recipe"
        assert hint(stage, "epochs").startswith("3,000 steps. ")
        values = {row.field: row.input.value for row in stage.screen.query(SettingRow)}
    assert float(values["cosine_weight"]) == 0.7
    assert (values["kind"], values["recipe"], values["ff_dim"]) == ("encoder", "strong", "512")
    for field in ("learning_rate", "dropout", "epochs", "batch_size", "mse_reduction"):
        assert values[field] == "auto"


async def test_what_is_chosen_is_explained_and_the_others_are_named(database: Path) -> None:
    """The words are those of the settings, where each choice has its part."""
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("student")
        for field in EXPLAINED:
            description = row_of(stage, field).description
            for choice in description.choices:
                await stage.fill(f"#{field}", choice)
                words, _, others = hint(stage, field).partition(" (or ")
                assert f"{choice}: {words}" in description.description
                assert others == ", ".join(name for name in description.choices if name != choice) + ")"
            await stage.fill(f"#{field}", "nothing of the sort")
            assert row_of(stage, field).has_class("-failed")
            await stage.fill(f"#{field}", description.choices[0])


async def test_what_is_typed_sets_the_run(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("student")
        for field, text in {"heads": "2", "layers": "3", "cosine_weight": "0.25", "epochs": "7"}.items():
            await stage.fill(f"#{field}", text)
        await stage.fill("#learning_rate", "3e-3")
        await stage.fill("#seed", "11")
        settings = stage.app.student.view
        config = stage.run_config()
    assert settings.student == EncoderConfig(heads=2, layers=3)
    assert settings.training == TrainingConfig(cosine_weight=0.25, epochs=7, learning_rate=3e-3, seed=11)
    assert config is not None
    assert (config.student, config.training) == (settings.student, settings.training)
    assert (config.data.database, config.data.mh_id) == (str(database), 1)


WRONG = (
    ("heads", "3", "H = 3 does not divide the dimension 8. Take one of 1, 2, 4."),
    ("heads", "0", ">= 1"),
    ("heads", "", "whole number"),
    ("heads", "two", "whole number"),
    ("layers", "2.5", "whole number"),
    ("layers", "65", "<= 64"),
    ("cosine_weight", "1.01", "<= 1"),
    ("cosine_weight", "-0.1", ">= 0"),
    ("epochs", "0", ">= 1"),
    ("epochs", "many", "whole number"),
    ("epochs", "", "whole number"),
    ("kind", "transformer", "transformer"),
    ("recipe", "auto", "auto"),
    ("learning_rate", "0", "> 0"),
    ("learning_rate", "nan", "number"),
    ("dropout", "1", "< 1"),
    ("batch_size", "1.5", "whole number"),
    ("ff_dim", " ", "whole number"),
    ("seed", "-1", ">= 0"),
    ("device", "gpu", "gpu"),
)


async def test_a_wrong_value_is_said_at_its_field_until_it_is_mended(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("student")
        before = stage.app.student.view
        for field, text, complaint in WRONG:
            right = stage.find(f"#{field}", Input).value
            await stage.fill(f"#{field}", text)
            failed = [row.field for row in stage.screen.query(SettingRow) if row.has_class("-failed")]
            assert failed == [field], (field, text)
            assert complaint in hint(stage, field), (field, text)
            assert "Mend the marked fields" in stage.text("#student-note")
            assert stage.app.student.view == before, (field, text)
            await stage.fill(f"#{field}", right)
        assert not stage.screen.query(SettingRow).filter(".-failed")

        await stage.press("escape", "e", "down", "3")
        assert row_of(stage, "heads").has_class("-failed")
        await stage.press("backspace", "2")
        assert not row_of(stage, "heads").has_class("-failed")
        assert hint(stage, "heads") == "Attention heads; must divide d."
        assert stage.app.student.view.student.value("heads") == 2


async def test_auto_leaves_a_setting_to_the_recipe_again(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("student")
        await stage.fill("#epochs", "7")
        await stage.fill("#dropout", "0.25")
        assert stage.app.student.view.training.epochs == 7
        assert stage.app.student.view.student.value("dropout") == 0.25
        await stage.fill("#epochs", "auto")
        await stage.fill("#dropout", "auto")
        assert stage.app.student.view.training.epochs is None
        assert stage.app.student.view.student.value("dropout") is None

        own = replace(stage.app.student.view, training=TrainingConfig(epochs=9))
        stage.app.student.publish(own)
        await stage.settle()
        assert stage.find("#epochs", Input).value == "9"
        stage.app.student.publish(replace(own, training=TrainingConfig()))
        await stage.settle()
        assert stage.find("#epochs", Input).value == "auto"


SHOWN = {
    "encoder": {"heads", "layers", "ff_dim", "dropout"},
    "memory": {"heads", "layers", "slots", "width"},
    "mlp": {"layers", "ff_dim", "dropout"},
}


async def test_only_what_means_something_for_the_student_is_shown(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("student")
        for kind in ("memory", "mlp", "encoder"):
            await stage.fill("#kind", kind)
            assert stage.app.student.view.student.kind == kind
            shown = {
                row.field
                for row in stage.screen.query(SettingRow)
                if row.display and issubclass(row.settings, StudentConfig) and row.field != "kind"
            }
            assert shown == SHOWN[kind]


async def test_what_is_wrong_in_a_field_that_is_not_shown_harms_nothing(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("student")
        await stage.fill("#heads", "3")
        assert not stage.app.student.is_complete
        await stage.fill("#kind", "mlp")
        assert stage.app.student.is_complete
        assert stage.app.student.view.student == MlpConfig(layers=1)
        await stage.fill("#kind", "encoder")
        assert row_of(stage, "heads").has_class("-failed"), "what was typed is still there, and still wrong"


async def test_another_student_has_its_own_default_shape_unless_one_was_chosen(database: Path) -> None:
    """N = 4: the encoder's default is H 4 L 1 by the book, the memory's is H 1 L 1."""

    def shape(stage: Stage) -> tuple[str, str]:
        return stage.find("#heads", Input).value, stage.find("#layers", Input).value

    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("student")
        assert shape(stage) == ("4", "1")
        await stage.fill("#kind", "memory")
        assert shape(stage) == ("1", "1")
        student = stage.app.student.view.student
        assert (student.kind, student.value("heads"), student.value("layers")) == ("memory", 1, 1)
        await stage.fill("#kind", "encoder")
        assert shape(stage) == ("4", "1")

        await stage.fill("#heads", "2")
        await stage.fill("#layers", "3")
        await stage.fill("#kind", "memory")
        assert shape(stage) == ("2", "3")
        assert stage.app.student.view.student.kind == "memory"


async def test_heads_that_do_not_divide_the_width_are_said_at_their_field(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("student")
        await stage.fill("#kind", "memory")
        await stage.fill("#heads", "4")
        assert stage.app.student.is_complete
        await stage.fill("#width", "6")
        assert [row.field for row in stage.screen.query(SettingRow) if row.has_class("-failed")] == ["heads"]
        assert hint(stage, "heads") == "Heads H = 4 does not divide the width 6. Take one of 2, 3, 6."
        assert not stage.app.student.is_complete
        assert not stage.app.training.start()
        await stage.fill("#heads", "3")
        assert stage.app.student.is_complete
        assert (stage.app.student.view.student.value("heads"), stage.app.student.view.student.width) == (3, 6)


async def test_what_was_typed_first_never_overwrites_what_was_typed_next(database: Path) -> None:
    """Keys come in bursts on a slow link, so the form's word about the first may come after the second."""
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("student")
        await stage.fill("#epochs", "1")
        first = SettingsForm.Changed(stage.app.student.view)
        await stage.fill("#epochs", "12")
        stage.screen.post_message(first)
        await stage.settle()
        assert stage.find("#epochs", Input).value == "12"

        stage.find("#epochs", Input).value = ""
        for key in "4567":
            stage.app.post_message(Key(key, key))
        await stage.settle()
        assert stage.find("#epochs", Input).value == "4567"
        assert stage.app.student.view.training.epochs == 4567


async def test_a_projection_of_another_dimension_is_checked_against_h(database: Path, tmp_path: Path) -> None:
    other = write_lda_db(tmp_path / "other", num_heads=4, dimension=6, questions_per_head=5)
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("student")
        await stage.show_teacher(database=other)
        assert stage.app.student.view.student.value("heads") in (1, 2, 3, 6), (
            "H must divide the new dimension"
        )
        assert not row_of(stage, "heads").has_class("-failed")


async def test_without_a_teacher_the_screen_says_where_to_get_one(database: Path) -> None:
    async with staged(database) as stage:
        await stage.go("student")
        assert "screen 1" in stage.text("#costs")
        assert stage.find("#candidates", DataTable).row_count == 0
        await stage.press("ctrl+t")
        assert stage.jobs.groups == ["ask"], "nothing but the database is being read"


async def test_heads_and_layers_start_from_the_book_rule(tmp_path: Path) -> None:
    """N = 6: 4^1 = 4 is nearer than 4^2 = 16; N = 70: 4^3 = 64 is. The default L = 2 is neither."""
    few, many = (
        write_lda_db(tmp_path / str(heads), num_heads=heads, dimension=8, questions_per_head=2)
        for heads in (6, 70)
    )
    async with staged(few) as stage:
        for database, layers in ((few, "1"), (many, "3")):
            await stage.show_teacher(database=database)
            await stage.go("student")
            assert (stage.find("#heads", Input).value, stage.find("#layers", Input).value) == ("4", layers)
            student = stage.app.student.view.student
            assert (student.value("heads"), student.value("layers")) == (4, int(layers)), (
                "looking at it changes nothing"
            )


async def test_own_heads_stay_when_another_projection_of_the_same_n_is_looked_at(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        settings = stage.app.student.view
        own = settings.student.with_values(heads=2, layers=5)
        stage.app.student.publish(replace(settings, student=own))
        await stage.show_teacher(2)
        assert stage.app.student.view.student == own


async def test_at_80x24_the_keys_move_through_the_fields_and_errors_are_visible(database: Path) -> None:
    """The form must scroll there; the arrows still go from field to field."""
    async with staged(database, size=NARROW) as stage:
        await stage.show_teacher()
        await stage.press("2", "e", "down", "enter", "down", "down", "down")
        assert stage.screen.focused is stage.find("#recipe", Input), "past what an encoder has no use for"
        await stage.press("up", "up", "up")
        assert stage.screen.focused is stage.find("#layers", Input)
        await stage.press("up", "3")
        assert stage.find("#heads", Input).value == "3"
        assert "does not divide the dimension 8" in " ".join(stage.visible("#field-hint").split())
        await stage.press("escape", "1")
        assert stage.app.current_mode == "teacher", "escape gives the digits back to the screens"


async def test_hints_are_about_the_chosen_kind(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("student")
        for kind in ("encoder", "memory", "mlp"):
            await stage.fill("#kind", kind)
            shown = {row.field: row.hint for row in stage.screen.query(SettingRow) if row.display}
            assert ("H^L" in shown["layers"]) is (kind != "mlp")
            others = {"encoder", "memory", "mlp"} - {kind, "encoder"}
            about = [
                text for field, text in shown.items() if field not in EXPLAINED and "compile" not in text
            ]
            assert not any(other in text for other in others for text in about)


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_the_whole_hint_of_the_field_in_hand_is_below_the_form_and_nothing_moves(
    database: Path, size: tuple[int, int]
) -> None:
    async with staged(database, size=size) as stage:
        await stage.show_teacher()
        await stage.go("student")
        regions = {row.field: row.virtual_region for row in stage.screen.query(SettingRow)}
        for kind in ("encoder", "memory", "mlp"):
            await stage.fill("#kind", kind)
            for row in stage.screen.query(SettingRow):
                if row.display:
                    row.input.focus()
                    await stage.settle()
                    assert " ".join(stage.visible("#field-hint").split()) == " ".join(row.hint.split())
        await stage.fill("#kind", "encoder")
        await stage.fill("#heads", "3")
        assert "Take one of 1, 2, 4." in " ".join(stage.visible("#field-hint").split())
        assert {row.field: row.virtual_region for row in stage.screen.query(SettingRow)} == regions
        await stage.press("escape")
        assert "Take one of 1, 2, 4." in " ".join(stage.visible("#field-hint").split()), "until it is mended"
        await stage.fill("#heads", "2")
        await stage.press("escape")
        assert stage.visible("#field-hint").strip() == ""


async def test_choices_are_turned_and_what_is_not_possible_here_is_said(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "missing_devices", lambda: {"cuda": "there is no GPU", "mps": "no Apple"})
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.press("2", "d")
        assert "‹auto = cpu› cpu  no cuda  no mps" in stage.visible("#form")
        assert "No cuda: there is no GPU." in stage.visible("#field-hint")
        await stage.press("right")
        assert stage.app.student.view.training.device == "cpu"
        await stage.press("right")
        assert stage.app.student.view.training.device != "cpu", "what is not here is passed over"
        await stage.press("r", "right")
        assert stage.app.student.view.training.recipe == "book"
        await stage.fill("#device", "cuda")
        assert "cuda cannot be used here, there is no GPU." in hint(stage, "device")
        assert not stage.app.training.start(), "nothing starts that must fail"


async def test_five_settings_and_a_start_take_sixteen_keys(database: Path) -> None:
    keys = ("2", "h", "2", "down", "3", "escape", "w", ".", "5", "escape", "r", "right", "n", "1", "ctrl+t")
    assert len(keys) <= 16
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.press(*keys)
        settings = stage.app.student.view
        assert settings.student == EncoderConfig(heads=2, layers=3)
        assert settings.training == TrainingConfig(cosine_weight=0.5, recipe="book", seed=1)
        assert stage.app.current_mode == "train"
        assert stage.jobs.is_busy


@pytest.mark.parametrize("theme", ["textual-light", "textual-dark"])
async def test_every_choice_can_be_read_in_every_theme(
    database: Path, monkeypatch: pytest.MonkeyPatch, theme: str
) -> None:
    monkeypatch.setattr(rows, "missing_devices", lambda: {"cuda": "there is no GPU"})
    async with staged(database) as stage:
        stage.app.theme = theme
        await stage.show_teacher()
        await stage.press("2", "d")
        for field in stage.screen.query(rows.ChoiceField):
            for segment in field.render_line(0):
                style = segment.style
                if not segment.text.strip() or style is None or style.color is None or style.bgcolor is None:
                    continue
                ink, paper = Color.from_rich_color(style.color), Color.from_rich_color(style.bgcolor)
                assert abs(ink.brightness - paper.brightness) > 0.25, (field.id, segment.text)
