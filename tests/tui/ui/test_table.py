from __future__ import annotations

from textual.app import App, ComposeResult
from textual.widgets import DataTable

from distill_tui.ui.table import RowTable


class TableApp(App[None]):
    def compose(self) -> ComposeResult:
        yield RowTable()


async def test_rows_that_were_drawn_before_they_were_measured_are_drawn_anew() -> None:
    app = TableApp()
    async with app.run_test() as pilot:
        table = app.query_one(DataTable)
        table.add_columns("N", "τ")
        await pilot.pause()
        table.add_row("30", "0.1")
        assert table.render_line(1).text.split() == ["3", "0"], (
            "as wide as the headings, until it is measured"
        )
        await pilot.pause()
        assert table.render_line(1).text.split() == ["30", "0.1"]
