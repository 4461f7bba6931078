from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.core.database_factory import write_lda_db

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
    "distill_core.wording",
    "distill_core.teacher_data",
    "distill_core.evaluation",
    "distill_core.training.events",
    "distill_core.training.judging",
    "distill_core.export",
    "distill_core.export.card",
    "distill_core.export.card_parts",
    "distill_core.export.card_parts",
    "distill_core.export.contents",
    "distill_core.export.contents",
    "distill_core.export.directory",
    "distill_core.export.directory",
    "distill_core.extras",
    "distill_core.export.card_parts",
    "distill_core.export.contents",
    "distill_core.export.contents",
    "distill_core.export.directory",
    "distill_core.export.contents",
    "distill_core.export.tensorboard_events",
    "distill_core.export.card",
    "distill_core.latency.crossover",
    "distill_core.latency.events",
    "distill_core.latency.growing_teacher",
    "distill_core.latency.measurement",
    "distill_core.latency.growing_teacher",
    "distill_core.latency.measurement",
    "distill_core.latency.measurement",
    "distill_core.runs",
    "distill_core.runs.atomic_files",
    "distill_core.runs.checkpoint_info",
    "distill_core.runs.clock",
    "distill_core.runs.config_file",
    "distill_core.runs.file_errors",
    "distill_core.runs.folder",
    "distill_core.runs.listing",
    "distill_core.runs.liveness",
    "distill_core.runs.lock",
    "distill_core.runs.measured",
    "distill_core.runs.metrics_reading",
    "distill_core.runs.metrics_writing",
    "distill_core.runs.moved_database",
    "distill_core.runs.naming",
    "distill_core.runs.new_folder",
    "distill_core.runs.provenance",
    "distill_core.runs.record_files",
    "distill_core.runs.records",
    "distill_core.runs.run_name",
    "distill_core.runs.store",
    "distill_core.runs.summary",
    "distill_core.runs.trash",
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
        "from distill_core.evaluation import *\n"
        "from distill_core.training import Assessed, BaselineFitted, RunFinished, RunStarted, TestEvaluated",
    ],
    ids=["modules", "names", "evaluation"],
)
def test_the_light_part_of_the_engine_loads_neither_torch_nor_an_interface(statements: str) -> None:
    assert loaded_after(statements).isdisjoint([*HEAVY, *USER_INTERFACE])


def test_a_student_that_needs_no_torch_is_judged_without(tmp_path: Path) -> None:
    database = write_lda_db(tmp_path / "db", questions_per_head=6)
    loaded = loaded_after(
        "from distill_core.config import DataConfig, RunConfig\n"
        "from distill_core.teacher_data import load_teacher_data\n"
        "from distill_core.training.judging import fit_ladder, judge_student\n"
        f"config = RunConfig(data=DataConfig(database={str(database)!r}))\n"
        "data = load_teacher_data(config.data, config.split, 0)\n"
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
