from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import distill_core
from tests.core.database_factory import write_lda_db

HEAVY = ["torch", "sklearn", "scipy", "optuna", "sqlalchemy"]
USER_INTERFACE = ["distill_tui", "textual", "rich", "plotext", "textual_plotext", "click"]
CONTRACTS = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["tool"]["importlinter"]
(KNOW_TORCH,) = (
    tuple(contract["allowed_importers"])
    for contract in CONTRACTS["contracts"]
    if contract.get("protected_modules") == ["torch"]
)
"""The rooms that may load torch, as the contract has them."""


def light_modules() -> list[str]:
    """Every module of the engine outside the rooms that know torch, by its file."""
    root = Path(distill_core.__file__).parent
    files = (file.relative_to(root.parent).with_suffix("") for file in root.rglob("*.py"))
    names = (".".join(file.parts).removesuffix(".__init__") for file in files)
    return sorted(
        name for name in names if not f"{name}.".startswith(tuple(f"{room}." for room in KNOW_TORCH))
    )


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
        "\n".join(f"import {module}" for module in light_modules()),
        "from distill_core import DistillError, LdaDatabase, MultiHeadLDA, RunConfig, optimal_architecture\n"
        "from distill_core.database import LdaDatabase, demo_database_path",
        "from distill_core.evaluation import *\n"
        "from distill_core.training import Assessed, BaselineFitted, RunFinished, RunStarted, TestEvaluated",
    ],
    ids=["modules", "names", "evaluation"],
)
def test_the_light_part_of_the_engine_loads_neither_torch_nor_an_interface(statements: str) -> None:
    assert loaded_after(statements).isdisjoint([*HEAVY, *USER_INTERFACE])


def test_few_rooms_know_torch_and_each_of_them_is_there() -> None:
    assert len(KNOW_TORCH) <= 6
    assert all(importlib.util.find_spec(room) for room in KNOW_TORCH)
    assert len(light_modules()) > 60  # or nothing was looked at


def test_a_student_that_needs_no_torch_is_judged_without(tmp_path: Path) -> None:
    database = write_lda_db(tmp_path / "db", questions_per_head=6)
    loaded = loaded_after(
        "from distill_core.config import DataConfig, RunConfig\n"
        "from distill_core.teacher_data import load_teacher_data\n"
        "from distill_core.training.judging import fit_ladder, judge_student\n"
        f"config = RunConfig(data=DataConfig(database={str(database)!r}))\n"
        "data = load_teacher_data(config.data, config.split)\n"
        "rungs = list(fit_ladder(data, 0))\n"
        "tested, assessed, finished = judge_student(data, config, data.teacher.project, rungs)\n"
        "assert finished.verdict is not None"
    )
    assert loaded.isdisjoint(["torch", "sklearn", *USER_INTERFACE])


def test_no_part_of_the_engine_loads_an_interface() -> None:
    loaded = loaded_after(
        "import importlib, pkgutil, distill_core\n"
        "for module in pkgutil.walk_packages(distill_core.__path__, 'distill_core.'):\n"
        "    importlib.import_module(module.name)\n"
        "from distill_core import *"
    )
    assert "torch" in loaded  # or the walk has loaded nothing
    assert loaded.isdisjoint(USER_INTERFACE)
