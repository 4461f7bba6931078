from __future__ import annotations

from pathlib import Path

import pytest

from distill_tui import jobs
from tests.core.database_factory import write_lda_db


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the tests away from the user's recent databases, keymap and cache."""
    monkeypatch.setenv("DISTILL_TUI_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("DISTILL_TUI_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("DISTILL_TUI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DISTILL_TUI_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database of 4 heads, 8 dimensions and 24 questions, with projections at tau 0.1 and 1.0."""
    return write_lda_db(tmp_path / "db", num_heads=4, dimension=8, questions_per_head=6, path_style="beside")


@pytest.fixture
def no_batching(monkeypatch: pytest.MonkeyPatch) -> None:
    """Post every event by itself."""
    monkeypatch.setattr(jobs, "POST_SECONDS", 0.0)
