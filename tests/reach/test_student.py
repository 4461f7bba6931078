"""A kind of student of one's own is settings and a network, registered in a line: everything then has it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import msgspec
import numpy as np
import pytest
import torch
from msgspec import Meta
from torch import Tensor, nn

from distill_core.architecture import Cost, Shape
from distill_core.errors import SettingsError
from distill_core.export import ExportParts, export_run, load
from distill_core.latency import LatencyComparison
from distill_core.latency.events import LatencyFinished
from distill_core.latency.measurement import LatencySettings
from distill_core.runs import RunFolder, StudentToTime
from distill_core.students import load_student, save_student
from distill_core.students.kinds import (
    STUDENT_KINDS,
    new_student,
    parse_student,
    register_student,
    running_cost,
)
from distill_core.students.networks.student import Student
from distill_core.students.spec import StudentConfig
from distill_core.teacher import MultiHeadLDA
from distill_tui import cli
from tests.core.database_factory import write_lda_db
from tests.tui.stage import staged

if TYPE_CHECKING:
    from distill_core.students.networks.onnx_graph import OnnxGraph


Trained = tuple[RunFolder, list[dict[str, Any]]]
"""A run, and the events that `train` told."""


class NarrowConfig(StudentConfig, frozen=True, kw_only=True, tag="narrow"):
    """The toy: two linear maps with a bottleneck between them."""

    ABOUT = "two linear maps"
    HELP = "The *narrow* student is a toy."
    CARD_NOTE = "It is a toy."

    bottleneck: Annotated[
        int,
        Meta(ge=1, le=99, title="Bottleneck", description="Numbers between the maps.", extra={"symbol": "B"}),
    ] = 3

    @classmethod
    def network(cls) -> type[Student]:
        return NarrowStudent

    def shape(self, dimension: int, num_heads: int) -> Shape:
        return {"embed_dim": dimension, "num_bottleneck": self.bottleneck}

    @classmethod
    def cost_of(cls, shape: Shape) -> Cost:
        size = 2 * int(shape["embed_dim"]) * int(shape["num_bottleneck"])
        return Cost(parameters=size, flops=2 * size)

    def check(self, dimension: int) -> None:
        if self.bottleneck > dimension:
            raise SettingsError("The bottleneck is wider than d.", "Take less.", field="bottleneck")

    def cost_row(self, dimension: int, num_heads: int) -> tuple[str, str]:
        return "share of d", f"{self.bottleneck / dimension:.0%}"


class NarrowStudent(Student):
    """Two maps without intercepts."""

    KIND = "narrow"

    def __init__(self, embed_dim: int, num_bottleneck: int) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        self.down = nn.Linear(embed_dim, num_bottleneck, bias=False)
        self.up = nn.Linear(num_bottleneck, embed_dim, bias=False)

    @property
    def shape(self) -> Shape:
        return {"embed_dim": self.embed_dim, "num_bottleneck": self.down.out_features}

    @property
    def facts(self) -> dict[str, object]:
        return {"bottleneck": self.down.out_features}

    def forward(self, queries: Tensor) -> Tensor:
        return cast(Tensor, self.up(self.down(queries)))

    def onnx(self, graph: OnnxGraph, queries: str) -> str:
        return graph.linear(graph.linear(queries, self.down), self.up)

    @torch.no_grad()
    def scale_output(self, factor: float) -> None:
        self.up.weight.mul_(factor)


RUN_THE_COMMAND_LINE = """
import sys
from distill_core.students.kinds import register_student
from tests.reach.test_student import NarrowConfig
register_student(NarrowConfig)
from distill_tui import cli
sys.exit(cli.run(sys.argv[1:]))
"""


def command_line(*arguments: str) -> str:
    """Run the command line where the toy is known before the options are made."""
    command = [sys.executable, "-c", RUN_THE_COMMAND_LINE, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    register_student(NarrowConfig)
    yield
    del STUDENT_KINDS["narrow"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Return a run that `train` made, and what it told."""
    root = tmp_path_factory.mktemp("narrow")
    database = write_lda_db(root / "db", questions_per_head=10)
    options = ["--student", "narrow", "--bottleneck", "5", "--epochs", "2", "--recipe", "book", "--json"]
    out = command_line("train", str(database), *options, "--runs-dir", str(root / "runs"))
    (folder,) = (root / "runs").iterdir()
    return RunFolder.open(folder), [json.loads(line) for line in out.splitlines()]


def test_settings_and_costs_know_it() -> None:
    config = NarrowConfig(bottleneck=4)
    stored = msgspec.to_builtins(config)
    assert stored == {"kind": "narrow", "bottleneck": 4}
    assert parse_student(stored) == config
    with pytest.raises(SettingsError):
        parse_student({"kind": "narrow", "bottleneck": 0})
    with pytest.raises(SettingsError, match="wider"):
        new_student(NarrowConfig(bottleneck=9), 8, 4)
    student = new_student(config, 8, 4)
    assert student.num_parameters == config.cost(8, 4).parameters == 2 * 8 * 4
    cost = running_cost(student)
    assert cost is not None
    assert cost.flops == 4 * 8 * 4
    assert config.words(8, 4) == "narrow B 4"


def test_the_help_names_kind_and_setting() -> None:
    out = command_line("train", "--help")
    assert "narrow: two linear maps" in " ".join(out.split())
    assert "--bottleneck" in out


async def test_the_form_offers_it_with_its_setting_and_its_costs(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("student")
        await stage.fill("#kind", "narrow")
        await stage.fill("#bottleneck", "6")
        assert stage.run_config().student == NarrowConfig(bottleneck=6)
        costs = stage.text("#costs")
        assert "share of d" in costs
        assert "96" in costs


def test_training_validates_it_and_tells_its_facts(trained: Trained) -> None:
    folder, told = trained
    assert told[-1]["event"] == "finished"
    assert told[-1]["bottleneck"] == 5
    assert folder.read_config().student == NarrowConfig(bottleneck=5)
    evaluation = folder.read_evaluation()
    assert evaluation is not None
    assert evaluation.finished.evaluation.cosine.mean == told[-1]["evaluation"]["cosine"]["mean"]


def test_it_is_saved_loaded_and_judged_again(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, told = trained
    student = load_student(folder.best_checkpoint)
    assert isinstance(student, NarrowStudent)
    queries = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    expected = queries @ student.down.weight.detach().numpy().T @ student.up.weight.detach().numpy().T
    np.testing.assert_allclose(student.project(queries), expected, rtol=1e-4, atol=1e-6)
    save_student(student, tmp_path / "again.safetensors")
    np.testing.assert_array_equal(
        load_student(tmp_path / "again.safetensors").project(queries), student.project(queries)
    )
    assert cli.run(["evaluate", str(folder.best_checkpoint), "--json"]) == 0
    assert (
        json.loads(capsys.readouterr().out.splitlines()[-1])["evaluation"]["cosine"]["mean"]
        == told[-1]["evaluation"]["cosine"]["mean"]
    )
    assert cli.run(["runs", "--runs-dir", str(folder.path.parent)]) == 0
    assert "narrow" in capsys.readouterr().out


def test_it_is_timed(trained: Trained) -> None:
    timed = StudentToTime.of_run(trained[0])
    student = timed.load(8, 4)
    assert isinstance(student, NarrowStudent)
    data = np.random.default_rng(1).normal(size=(4, 8)).astype(np.float32)
    teacher = MultiHeadLDA(data, data, 0.1)
    settings = LatencySettings(batch_size=2, blocks=2, device="cpu")
    *_others, last = LatencyComparison(teacher, student, data, settings)
    assert isinstance(last, LatencyFinished)
    assert last.transformer.single_us.p50 > 0


def test_it_is_exported(trained: Trained, tmp_path: Path) -> None:
    list(export_run(trained[0], tmp_path / "out", ExportParts()))
    assert "It is a toy." in (tmp_path / "out/README.md").read_text()
    loaded = load(tmp_path / "out")
    queries = np.random.default_rng(2).normal(size=(3, 8)).astype(np.float32)
    np.testing.assert_array_equal(
        loaded.project(queries), load_student(trained[0].best_checkpoint).project(queries)
    )
    assert (tmp_path / "out/model.onnx").is_file()
