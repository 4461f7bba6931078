from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from textual.events import Key
from textual.widgets import DataTable, Input, Static

from distill_core.config import StudentConfig, TrainingConfig, describe
from distill_tui.widgets.settings_form import FIELDS, SettingRow, SettingsForm
from tests.core.database_factory import write_lda_db
from tests.tui.stage import NARROW, Stage, staged


def row_of(stage: Stage, field: str) -> SettingRow:
    return next(row for row in stage.screen.query(SettingRow) if row.field == field)


def hint(stage: Stage, field: str) -> str:
    return str(row_of(stage, field).query_one(".hint", Static).content)


async def test_every_setting_has_a_field_with_its_default_and_a_line_that_explains_it(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("student")
        assert {row.field for row in stage.screen.query(SettingRow)} >= {
            *("heads", "layers", "cosine_weight", "epochs", "learning_rate", "batch_size"),
            *("ff_dim", "dropout", "seed", "device"),
        }
        for settings, field in FIELDS:
            assert hint(stage, field) == describe(settings, field).description
        values = {field: stage.find(f"#{field}", Input).value for _settings, field in FIELDS}
    assert float(values["cosine_weight"]) == 0.7
    assert float(values["learning_rate"]) == 1e-4
    assert float(values["dropout"]) == 0.1
    assert (values["epochs"], values["batch_size"], values["ff_dim"]) == ("200", "32", "512")


async def test_what_is_typed_sets_the_run(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("student")
        for field, text in {"heads": "2", "layers": "3", "cosine_weight": "0.25", "epochs": "7"}.items():
            await stage.fill(f"#{field}", text)
        await stage.fill("#learning_rate", "3e-3")
        await stage.fill("#seed", "11")
        settings = stage.app.settings
        config = stage.app.run_config()
    assert settings.student == StudentConfig(heads=2, layers=3)
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
        before = stage.app.settings
        for field, text, complaint in WRONG:
            right = stage.find(f"#{field}", Input).value
            await stage.fill(f"#{field}", text)
            failed = [row.field for row in stage.screen.query(SettingRow) if row.has_class("-failed")]
            assert failed == [field], (field, text)
            assert complaint in hint(stage, field), (field, text)
            assert "Mend the marked fields" in stage.text("#student-note")
            assert stage.app.settings == before, (field, text)
            await stage.fill(f"#{field}", right)
        assert not stage.screen.query(SettingRow).filter(".-failed")

        await stage.press("escape", "e", "3")
        assert row_of(stage, "heads").has_class("-failed")
        await stage.press("backspace", "2")
        assert not row_of(stage, "heads").has_class("-failed")
        assert hint(stage, "heads") == describe(StudentConfig, "heads").description
        assert stage.app.settings.student.heads == 2


async def test_what_was_typed_first_never_overwrites_what_was_typed_next(database: Path) -> None:
    """Keys come in bursts on a slow link, so the form's word about the first may come after the second."""
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("student")
        await stage.fill("#epochs", "1")
        first = SettingsForm.Changed(stage.app.settings)
        await stage.fill("#epochs", "12")
        stage.screen.post_message(first)
        await stage.settle()
        assert stage.find("#epochs", Input).value == "12"

        stage.find("#epochs", Input).value = ""
        for key in "4567":
            stage.app.post_message(Key(key, key))
        await stage.settle()
        assert stage.find("#epochs", Input).value == "4567"
        assert stage.app.settings.training.epochs == 4567


async def test_a_projection_of_another_dimension_is_checked_against_h(database: Path, tmp_path: Path) -> None:
    other = write_lda_db(tmp_path / "other", num_heads=4, dimension=6, questions_per_head=5)
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("student")
        await stage.show_teacher(database=other)
        assert stage.app.settings.student.heads in (1, 2, 3, 6), "H must divide the new dimension"
        assert not row_of(stage, "heads").has_class("-failed")


async def test_enter_takes_the_candidate_under_the_cursor(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("student")
        table = stage.find("#candidates", DataTable)
        keys = [row.value for row in table.rows]
        assert len(keys) == len(set(keys)) >= 2
        for key in keys:
            heads, layers = (int(part) for part in (key or "").split(","))
            assert 8 % heads == 0
            table.move_cursor(row=table.get_row_index(key or ""))
            await stage.press("enter")
            assert (stage.app.settings.student.heads, stage.app.settings.student.layers) == (heads, layers)
            assert stage.find("#heads", Input).value == str(heads)
            assert stage.find("#layers", Input).value == str(layers)


async def test_without_a_teacher_the_screen_says_where_to_get_one(database: Path) -> None:
    async with staged(database) as stage:
        await stage.go("student")
        assert "screen 1" in stage.text("#costs")
        assert stage.find("#candidates", DataTable).row_count == 0
        await stage.press("ctrl+t")
        assert stage.controller.groups == ["load"], "nothing but the database is being read"


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
            student = stage.app.settings.student
            assert (student.heads, student.layers) == (4, int(layers)), "looking at it changes nothing"


async def test_own_heads_stay_when_another_projection_of_the_same_n_is_looked_at(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        settings = stage.app.settings
        own = settings.student.with_values(heads=2, layers=5)
        stage.app.settings = replace(settings, student=own)
        await stage.show_teacher(2)
        assert stage.app.settings.student == own


async def test_candidates_and_costs_are_live_with_the_form(database: Path) -> None:
    """Parameters counted by hand from the published encoder: two projections of d, and L layers."""
    d = 8

    def parameters(layers: int, ff: int) -> int:
        layer = 4 * d * d + 4 * d + (d * ff + ff) + (ff * d + d) + 4 * d
        return 2 * (d * d + d) + layers * layer

    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("student")
        table = stage.find("#candidates", DataTable)
        rows = {key.value: [str(cell) for cell in table.get_row(key)] for key in table.rows}
        assert rows["4,1"][:5] == ["4", "1", "4", "1.00", f"{parameters(1, 512):,}"], "4^1 is exactly N = 4"
        assert "book" in rows["4,1"][5]
        assert rows["2,2"][:4] == ["2", "2", "4", "1.00"]

        for layers in (2, 3):
            await stage.fill("#layers", str(layers))
            costs = stage.text("#costs")
            assert f"4^{layers} = {4**layers:,}" in costs
            assert "N 4" in costs
            assert f"{parameters(layers, 512):,}" in costs
            assert f"{parameters(layers, 512) / (2 * 4 * d):,.0f}x" in costs

        await stage.fill("#ff_dim", "16")
        assert f"{parameters(3, 16):,}" in stage.text("#costs")
        assert str(table.get_row("4,1")[4]) == f"{parameters(1, 16):,}"


async def test_at_80x24_the_keys_move_through_the_fields_and_errors_are_visible(database: Path) -> None:
    """The form must scroll there; the arrows still go from field to field."""
    async with staged(database, size=NARROW) as stage:
        await stage.show_teacher()
        await stage.press("2", "e", "down", "enter")
        assert stage.screen.focused is stage.find("#cosine_weight", Input)
        await stage.press("up")
        assert stage.screen.focused is stage.find("#layers", Input)
        await stage.press("up", "3")
        assert stage.find("#heads", Input).value == "3"
        assert "does not divide the dimension 8" in stage.visible("#form")
        await stage.press("escape", "1")
        assert stage.app.current_mode == "teacher", "escape gives the digits back to the screens"
