"""Toys drive the app, too: they get its folders and its database."""

from tests.tui.conftest import _own_folders, database

__all__ = ["_own_folders", "database"]
