from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _no_cache_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILL_TUI_CACHE", str(tmp_path / "vector-cache"))


@pytest.fixture
def reference_db() -> Path:
    """The folder of databases and outputs that the published implementation made."""
    beside_checkout = Path(__file__).parents[3] / "shared" / "reference-db"
    folder = Path(os.environ.get("DISTILL_REFERENCE_DB", beside_checkout))
    if not (folder / "n18" / "lda.db").is_file():
        pytest.skip(f"the reference databases are not in {folder}; set DISTILL_REFERENCE_DB")
    return folder
