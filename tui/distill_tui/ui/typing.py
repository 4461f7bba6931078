"""What is typed takes effect in the order in which it is typed, however fast it comes.

Textual forwards a printable key to the field that has the focus, and lets any other climb from there to the
app, which then acts on it; meanwhile it takes the next key. On a slow line, where keys come in bundles, a
binding so overtook the text before it, and what followed the key that opens a dialog went to the screen
below. Here a key waits until all that the key before it has caused is done.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from textual import events
from textual.app import ScreenStackError
from textual.message_pump import MessagePump

if TYPE_CHECKING:
    from textual.app import App

_LONGEST_SECONDS = 1.0
"""After so long a key no longer waits: something else than the keyboard keeps a widget at work."""

Typed = events.Key | events.Paste


class InOrder:
    """Hands typed events to an app one by one. The UI thread owns it.

    Args:
        app: Where the keys are typed.
        take: Lets the app handle one event, as Textual would.
    """

    def __init__(self, app: App[Any], take: Callable[[Typed], Awaitable[None]]) -> None:
        self._app = app
        self._take = take
        self._waiting: deque[Typed] = deque()
        self._settling: asyncio.Task[None] | None = None

    async def handle(self, event: Typed) -> None:
        """Handle an event now, or once those before it have had their effect."""
        if self._settling is not None:
            self._waiting.append(event)
            return
        await self._take(event)
        self._settling = asyncio.create_task(self._settle())

    async def settled(self) -> None:
        """Wait until everything that was typed has had its effect."""
        while self._settling is not None:
            await asyncio.wait([self._settling])

    async def _settle(self) -> None:
        """Wait for what was just handled; then hand on those that came meanwhile, and draw at their end."""
        try:
            await self._until_quiet_or_late()
            while self._waiting:
                with self._app.batch_update():
                    while self._waiting:
                        self._app.call_later(self._take, self._waiting.popleft())
                        await self._until_quiet_or_late()
        except ScreenStackError:
            self._waiting.clear()  # the app has left
        finally:
            self._settling = None

    async def _until_quiet_or_late(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._until_quiet(), _LONGEST_SECONDS)

    async def _until_quiet(self) -> None:
        """Wait until no widget from the focus up to the app has anything left to do, and the focus stays."""
        pumps: list[MessagePump] = []
        while True:
            before, pumps = pumps, self._chain()
            for pump in pumps:
                await _turn(pump)
            if before == pumps == self._chain() and not any(pump.message_queue_size for pump in pumps):
                return

    def _chain(self) -> list[MessagePump]:
        """Return the way of a key: from the widget that has the focus up to the app."""
        below = self._app.focused or self._app.screen
        return list(below.ancestors_with_self)


async def _turn(pump: MessagePump) -> None:
    """Wait until a widget has come to all that was asked of it so far; not for one that is gone."""
    done = asyncio.Event()
    if not pump.call_later(done.set):
        return
    while not done.is_set():
        await asyncio.sleep(0)
        if not pump.is_running:  # not yet, or no more
            return
