"""Write docs/screens.md: a page a screen, from the help of the screens and their keys.

    python -m scripts.write_screen_pages

What a screen says of itself is written once, in its class; a test holds the file to it.
"""

from __future__ import annotations

import asyncio
from inspect import cleandoc
from pathlib import Path

from distill_core.database import demo_database_path
from distill_tui.app import DistillApp
from distill_tui.ui.help import key_groups

FILE = Path(__file__).parents[1] / "docs" / "screens.md"

HEAD = """# The screens, a page each

`?` shows the same in the app, with the keys as your keymap has them. Every screen works from 80x24 up. This
file is written by `python -m scripts.write_screen_pages` from what the screens say of themselves.

| task | keys | how, a key a character |
|---|---|---|
| train with five changed settings | 15 | `2` `h` `2` `↓` `3` `esc` `w` `.` `5` `esc` `r` `→` `n` `1` `^t` |
| H in 2,4,8 by L in 1,2,3, two seeds | 18 | `^g` `H2,4,8` `space` `L1,2,3` `space` `x2` `enter` |
| the student's answer to the worst query | 3 | `4` `t` `t` |
| latency of the run in hand | 2 | `5` `enter` |
"""


async def pages(app: DistillApp) -> str:
    """Return the file's text; the app must run."""
    parts = [HEAD]
    for number, mode in enumerate(app.modes, 1):
        await app.switch_mode(mode)
        screen = app.screen
        parts.append(
            f"## {number}. {mode.capitalize()}\n\n"
            f"![{mode.capitalize()}](screens/{number}-{mode}-120x36.png)\n\n"
            f"{cleandoc(screen.HELP or '').replace('# ', '### ')}\n\n"
            "| key | |\n|---|---|\n"
        )
        (_, own), *_ = key_groups(screen)
        parts[-1] += "".join(f"| `{keys}` | {words} |\n" for keys, words in own)
    return "\n".join(parts)


async def main() -> None:
    """Write the file from the app on the demo."""
    app = DistillApp(demo_database_path())
    async with app.run_test(size=(120, 36)):
        FILE.write_text(await pages(app), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main())
