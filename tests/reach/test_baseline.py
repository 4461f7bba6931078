"""A baseline of one's own is one line in one list: training, verdict, evaluation and card then have it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from textual.widgets import DataTable

from distill_core.architecture import Cost
from distill_core.arrays import Matrix
from distill_core.evaluation import Baseline
from distill_core.evaluation.baselines import RUNGS, LadderData
from distill_core.export import export_run
from distill_core.runs import RunFolder
from distill_tui import cli
from tests.core.finished_run import finish_run
from tests.tui.judged import judged_run
from tests.tui.stage import staged


def first_target(data: LadderData) -> Iterable[Baseline]:
    """Return the toy: the teacher's answer to the first training query, whatever is asked."""
    first = data.train_targets[0]

    def project(queries: Matrix) -> Matrix:
        return np.tile(first, (len(queries), 1))

    cost = Cost(parameters=len(first), flops=0)
    return [Baseline("first_target", "first training target", cost, project)]


@pytest.fixture(scope="module", autouse=True)
def listed() -> Iterator[None]:
    RUNGS.append(first_target)
    yield
    RUNGS.remove(first_target)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return finish_run(tmp_path_factory.mktemp("baseline"))


def test_a_run_is_judged_against_it(run: RunFolder) -> None:
    evaluation = run.read_evaluation()
    assert evaluation is not None
    assert evaluation.assessed is not None
    *_others, last = evaluation.assessed.assessment.baselines
    assert (last.name, last.label) == ("first_target", "first training target")


def test_evaluate_and_the_card_tell_of_it(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["evaluate", str(run.path / "checkpoints/best.safetensors")]) == 0
    assert "first training target" in capsys.readouterr().out
    list(export_run(run, tmp_path / "out"))
    assert "first training target" in (tmp_path / "out/README.md").read_text()


async def test_the_screen_shows_it(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.train(*judged_run(database))
        await stage.go("validate")
        table = stage.find("#ladder", DataTable)
        names = [str(table.get_row_at(row)[0]).strip() for row in range(table.row_count)]
        assert "first training target" in names
