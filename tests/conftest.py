from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
from hypothesis import settings

# Read by torch and by NumPy's BLAS when they are imported, which no plugin has done yet. Threads that wait
# for each other on a busy machine take 50 times as long, and sums in another order are other sums.
os.environ["OMP_NUM_THREADS"] = "1"

os.environ.pop("COLUMNS", None)  # lines that are read by programs are as long as they are

settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.load_profile("repeatable")


@pytest.fixture
def reference_db() -> Path:
    """The folder of databases and outputs that the published implementation made."""
    beside_checkout = Path(__file__).parents[2] / "shared" / "reference-db"
    folder = Path(os.environ.get("DISTILL_REFERENCE_DB", beside_checkout))
    if not (folder / "n18" / "lda.db").is_file():
        pytest.skip(f"the reference databases are not in {folder}; set DISTILL_REFERENCE_DB")
    return folder


def pytest_collection_finish() -> None:
    """Leave what the imports made, torch above all, out of every later collection of garbage."""
    gc.collect()
    gc.freeze()
