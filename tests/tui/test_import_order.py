"""The app must paint before torch is loaded: importing it, and what it shows first, loads no torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

VISITS = """
import asyncio, sys
from pathlib import Path
from distill_tui.app import DistillApp

async def visit():
    app = DistillApp(Path(sys.argv[1]))
    async with app.run_test() as pilot:
        while app.teacher.view is None:
            await pilot.pause(0.02)
        for mode in app.MODES:
            app.switch_mode(mode)
            await pilot.pause()
            print(mode)

asyncio.run(visit())
print('\\n'.join(m.partition('.')[0] for m in sys.modules))
"""


def loaded_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print('\\n'.join(m.partition('.')[0] for m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_app_loads_no_torch() -> None:
    loaded = loaded_after("import distill_tui.app")
    assert "textual" in loaded
    assert not loaded & {"torch", "sklearn", "scipy"}


def test_the_command_line_loads_neither_torch_nor_textual() -> None:
    assert not loaded_after("import distill_tui.cli") & {"torch", "textual", "sklearn", "scipy"}


def test_going_through_all_screens_loads_no_torch(database: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", VISITS, str(database)], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert {"teacher", "train", "sweep", "plotext"} <= loaded
    assert not loaded & {"torch", "sklearn"}
