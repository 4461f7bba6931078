"""A desk: what the app knows of one subject, as one frozen view that screens follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from textual.dom import DOMNode

View = TypeVar("View")


class Desk(Generic[View]):
    """Owns one frozen view and publishes it. The UI thread owns every desk.

    Textual's `Signal` would do, but for two things: it drops the errors of its subscribers, and it does not
    tell a late one the present value.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._followers: list[tuple[DOMNode, Callable[[View], object]]] = []

    @property
    def view(self) -> View:
        """The present view."""
        return self._view

    def publish(self, view: View) -> None:
        """Replace the view and tell whoever follows it."""
        if view is self._view:
            return
        self._view = view
        self._followers = [(node, show) for node, show in self._followers if node.is_attached]
        for _node, show in self._followers:
            show(view)

    def follow(self, node: DOMNode, show: Callable[[View], object], *, init: bool = True) -> None:
        """Call `show` with each view while a node is there, the present one included if `init`."""
        self._followers.append((node, show))
        if init:
            show(self._view)
