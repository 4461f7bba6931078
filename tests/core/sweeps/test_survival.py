"""Processes that are killed, suspended and cut off; `benchmarks/sweep_survival.py` has 60 trials of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.postgres_server import server_program


@pytest.mark.parametrize("kind", ["postgresql", "sqlite", "journal"])
def test_each_cell_and_seed_ends_in_one_complete_run(kind: str) -> None:
    if kind == "postgresql" and server_program() is None:
        pytest.skip("there is no PostgreSQL server here: apt-get install postgresql")
    asked = [sys.executable, "-m", "benchmarks.sweep_survival", "--smoke", "--storage", kind]
    root = Path(__file__).parents[3]
    done = subprocess.run(
        asked, cwd=root, env={**os.environ, "PYTHONPATH": "."}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SIGKILL" in done.stdout
