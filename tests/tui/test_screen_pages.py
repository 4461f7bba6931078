"""What docs/screens.md says of the screens and of how few keys a task takes."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts import write_screen_pages

from tests.tui.judged import judged_run
from tests.tui.stage import staged

ROOT = Path(__file__).parents[2]
ROWS = re.findall(r"^\| ([^|`]+) \| (\d+) \| (.*) \|$", write_screen_pages.HEAD, re.MULTILINE)


def test_the_file_is_what_the_screens_say_of_themselves() -> None:
    """In a process of its own: other tests add kinds of students, which the help then names."""
    shown = "import asyncio, sys; from scripts import write_screen_pages as w; w.FILE = w.Path(sys.argv[1])"
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as file:
        program = f"{shown}; asyncio.run(w.main())"
        subprocess.run([sys.executable, "-c", program, file.name], check=True, cwd=ROOT)
        assert file.read() == write_screen_pages.FILE.read_text("utf-8"), (
            "write it anew: python -m scripts.write_screen_pages"
        )


def test_the_keys_of_a_task_are_counted_right() -> None:
    assert len(ROWS) == 4
    for _task, count, how in ROWS:
        keys = re.findall(r"`([^`]+)`", how)
        typed = [key for key in keys if "," in key or key == "x2"]
        assert int(count) == len(keys) - len(typed) + sum(map(len, typed))


async def test_the_answer_to_the_worst_query_and_the_latency_of_a_run_take_the_keys_that_are_told(
    database: Path,
) -> None:
    keys = {task: re.findall(r"`([^`]+)`", how) for task, _count, how in ROWS}
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.train(*judged_run(database))
        await stage.press(*keys["the student's answer to the worst query"])
        assert "student" in stage.visible("#worst-detail")
        await stage.press(*keys["latency of the run in hand"])
        assert stage.app.jobs.is_active(stage.app.latency.comparison)
