"""Screen 2: what the student costs beside the teacher, and which shapes are offered."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import asdict
from textual.widgets import DataTable, Input, Static

from distill_core.students import MlpConfig
from distill_core.students.kinds import student_settings
from distill_tui.student.form import SettingsForm
from tests.tui.stage import Stage, staged


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
            assert stage.app.student.view.student.flat_heads() == (heads, layers)
            assert stage.find("#heads", Input).value == str(heads)
            assert stage.find("#layers", Input).value == str(layers)


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


async def test_the_costs_are_those_of_the_student_that_is_built(database: Path) -> None:
    """Parameters by counting the built student's, folded ones by counting those of its folded form."""
    from distill_core.students import new_student

    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("student")
        table = stage.find("#candidates", DataTable)
        for kind in ("encoder", "memory", "mlp"):
            await stage.fill("#kind", kind)
            for layers in ("1", "2"):
                await stage.fill("#layers", layers)
                student = new_student(stage.app.student.view.student, 8, 4)
                costs = {line.split("  ")[0].strip("│ "): line for line in stage.text("#costs").splitlines()}
                assert f" {student.num_parameters:,} " in costs["parameters"]
                assert ("folded" in costs) is (kind == "encoder")
                if kind == "encoder":
                    assert f" {student.fold().num_parameters:,} " in costs["folded"]
                assert f"{student.num_parameters:,} parameters" in str(
                    stage.find("#form", SettingsForm).border_subtitle
                )
            for key in table.rows:
                names = ("heads", "layers")[-len((key.value or "").split(",")) :]
                shape = dict(zip(names, map(int, (key.value or "").split(",")), strict=True))
                config = student_settings(kind, {**asdict(stage.app.student.view.student), **shape})
                assert table.get_row(key)[4] == f"{new_student(config, 8, 4).num_parameters:,}"


async def test_an_mlp_has_no_heads_to_choose(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("student")
        await stage.fill("#kind", "mlp")
        table = stage.find("#candidates", DataTable)
        rows = [table.get_row_at(number) for number in range(table.row_count)]
        assert [row[:4] for row in rows] == [
            ["-", str(layers), "-", "-"] for layers in range(1, len(rows) + 1)
        ]
        assert any("flat heads" in line and line.count(" - ") == 2 for line in costs_of(stage))
        table.focus()
        table.move_cursor(row=1)
        await stage.press("enter")
        assert stage.app.student.view.student == MlpConfig(layers=2)


async def test_a_memory_is_offered_one_head_in_one_layer(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("student")
        await stage.fill("#kind", "memory")
        table = stage.find("#candidates", DataTable)
        assert "default" in str(table.get_row("1,1")[5])
        assert any(line.split()[1:4] == ["slots", "K", "4"] for line in costs_of(stage)), "never more than N"
        await stage.fill("#width", "6")
        assert {int(str(table.get_row(key)[0])) for key in table.rows} <= {1, 2, 3, 6}


def costs_of(stage: Stage) -> list[str]:
    return stage.text("#costs").splitlines()


async def test_costs_and_candidates_are_dimmed_and_stay_while_a_field_is_wrong(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("student")
        table = stage.find("#candidates", DataTable)
        before, right = costs_of(stage), stage.find("#heads", Input).value
        rows = table.row_count
        assert rows
        for wrong in ("3", "x"):
            await stage.fill("#heads", wrong)
            assert stage.find("#costs", Static).has_class("-dimmed")
            *shown, last = costs_of(stage)
            assert shown == before[:-1]
            assert "as it was before the marked field" in last
            assert table.row_count == rows
            await stage.fill("#heads", right)
            assert costs_of(stage) == before
            assert table.row_count == rows
