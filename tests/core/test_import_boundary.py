from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

HEAVY = ["torch", "sklearn", "scipy"]
USER_INTERFACE = ["distill_tui", "textual", "rich", "plotext", "textual_plotext", "click"]
LIGHT_MODULES = [
    "distill_core",
    "distill_core.errors",
    "distill_core.config",
    "distill_core.architecture",
    "distill_core.teacher",
    "distill_core.splits",
    "distill_core.database",
]


def loaded_after(statements: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after some statements."""
    program = f"import sys\n{statements}\nimport json\nprint(json.dumps(sorted(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    names: list[str] = json.loads(done.stdout)
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize(
    "statements",
    [
        "\n".join(f"import {module}" for module in LIGHT_MODULES),
        "from distill_core import DistillError, LdaDatabase, MultiHeadLDA, RunConfig, optimal_architecture\n"
        "from distill_core.database import LdaDatabase, demo_database_path",
    ],
    ids=["modules", "names"],
)
def test_the_light_part_of_the_engine_loads_neither_torch_nor_an_interface(statements: str) -> None:
    assert loaded_after(statements).isdisjoint([*HEAVY, *USER_INTERFACE])


def test_no_part_of_the_engine_loads_an_interface() -> None:
    loaded = loaded_after(
        "import importlib, pkgutil, distill_core\n"
        "for module in pkgutil.walk_packages(distill_core.__path__, 'distill_core.'):\n"
        "    importlib.import_module(module.name)\n"
        "from distill_core import *"
    )
    assert "torch" in loaded  # or the walk has loaded nothing
    assert loaded.isdisjoint(USER_INTERFACE)
