from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from distill_core.config import Recipe, TrainingConfig
from distill_core.database import LdaDatabase
from distill_core.runs import RunStore
from distill_core.students import EncoderConfig
from distill_core.training.recipes import RECIPES
from distill_tui.cli import run
from distill_tui.cli.train_command import run_config, train
from tests.core.database_factory import write_lda_db
from tests.core.test_database_schema import execute

QUICK = ("--epochs", "3", "--ff-dim", "16", "--batch-size", "8", "--learning-rate", "1e-3")


def trained(
    database: Path, *options: str, capsys: pytest.CaptureFixture[str], code: int = 0
) -> tuple[list[str], str]:
    """Return the lines on stdout and all of stderr."""
    assert run(["train", str(database), *QUICK, *options]) == code
    out, err = capsys.readouterr()
    return out.splitlines(), without_run(err)


def without_run(err: str) -> str:
    """Take the lines that say where the vectors and the run are off what stands on stderr."""
    lines = err.splitlines(keepends=True)
    while lines and (lines[0].startswith("run: ") or "not at their stored paths" in lines[0]):
        del lines[0]
    return "".join(lines)


def run_lines(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[list[str], str]:
    assert run(arguments) == 0
    out, err = capsys.readouterr()
    return out.splitlines(), without_run(err)


def as_json(lines: list[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in lines]


def test_where_the_vectors_are_read_from_is_told_on_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = write_lda_db(tmp_path / "own", num_heads=4, questions_per_head=6, path_style="beside")
    assert run(["train", str(database), *QUICK]) == 0
    assert "warning" not in capsys.readouterr().err
    (tmp_path / "elsewhere").mkdir()
    (database.parent / "embeddings").rename(tmp_path / "elsewhere/embeddings")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run(["train", str(database), *QUICK]) == 0
    first = capsys.readouterr().err.splitlines()[0]
    assert first.startswith("warning: ")
    assert f"found from the working directory in {tmp_path / 'elsewhere/embeddings'}." in first


def test_json_is_one_object_a_line_and_ends_with_the_evaluation(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, err = trained(database, "--json", capsys=capsys)
    told = as_json(lines)
    assert err == ""
    assert told[0]["event"] == "started"
    epochs = [event for event in told if event["event"] == "epoch"]
    assert [event["epoch"] for event in epochs] == [1, 2, 3]
    assert all({"loss", "mse", "cosine"} <= set(event["train"]) for event in epochs)  # type: ignore[call-overload]
    last = told[-1]
    assert last["event"] == "finished"
    evaluation = last["evaluation"]
    assert isinstance(evaluation, dict)
    cosine = evaluation["cosine"]
    assert {"mean", "sd", "min", "max"} <= set(cosine)
    assert -1 <= cosine["min"] <= cosine["mean"] <= cosine["max"] <= 1
    assert cosine["sd"] >= 0
    assert evaluation["mse"] > 0


def test_plain_lines_are_one_an_epoch_and_have_no_escape_codes(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, err = trained(database, capsys=capsys)
    assert err == ""
    assert not any("\x1b" in line or "\r" in line for line in lines)
    epochs = [line for line in lines if line.startswith("epoch ")]
    assert [line.split()[1] for line in epochs] == ["1", "2", "3"]
    assert all(re.search(r"loss [\d.]+ mse [\d.]+ cosine -?[\d.]+ val_loss ", line) for line in epochs)
    assert any(line.startswith("test: n ") and "cosine mean" in line for line in lines)


def test_the_same_seed_gives_the_same_run_and_another_seed_another(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def losses(seed: str) -> list[object]:
        lines, _ = trained(database, "--json", "--seed", seed, capsys=capsys)
        return [event["train"] for event in as_json(lines) if event["event"] == "epoch"]

    first, again, other = losses("0"), losses("0"), losses("1")
    assert first == again
    assert first != other


@pytest.mark.parametrize(("num_heads", "book"), [(4, (4, 1)), (18, (4, 2)), (64, (4, 3)), (100, (4, 3))])
def test_heads_and_layers_default_to_the_book_rule(
    tmp_path: Path, num_heads: int, book: tuple[int, int], capsys: pytest.CaptureFixture[str]
) -> None:
    """4^2 = 16 is nearest to 18, 4^3 = 64 to 64 and to 100."""
    database = write_lda_db(tmp_path, num_heads=num_heads, questions_per_head=3, dimension=8)
    lines, _ = trained(database, "--json", "--epochs", "1", capsys=capsys)
    config = as_json(lines)[0]["config"]
    assert isinstance(config, dict)
    assert (config["student"]["heads"], config["student"]["layers"]) == book


def test_every_option_reaches_the_run(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = {
        "heads": ("2", 2),
        "layers": ("3", 3),
        "ff_dim": ("12", 12),
        "recipe": ("book", "book"),
        "mse_reduction": ("sum", "sum"),
        "dropout": ("0.25", 0.25),
        "epochs": ("2", 2),
        "cosine_weight": ("0.3", 0.3),
        "learning_rate": ("0.002", 0.002),
        "batch_size": ("5", 5),
        "seed": ("9", 9),
        "device": ("cpu", "cpu"),
        "threads": ("1", 1),
        "mh_id": ("2", 2),
    }
    arguments = [
        part for name, (text, _) in options.items() for part in (f"--{name.replace('_', '-')}", text)
    ]
    lines, _ = trained(database, "--json", *arguments, capsys=capsys)
    config = as_json(lines)[0]["config"]
    assert isinstance(config, dict)
    given = {**config["data"], **config["student"], **config["training"]}
    assert {name: given[name] for name in options} == {name: value for name, (_, value) in options.items()}
    assert as_json(lines)[0]["temperature"] == 1.0, "projection 2 has tau 1"


@pytest.mark.parametrize("recipe", ["strong", "book"])
@pytest.mark.parametrize("kind", ["encoder", "memory", "mlp"])
def test_every_kind_trains_by_every_recipe_and_reports_itself(
    database: Path, tmp_path: Path, kind: str, recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from distill_core.students import load_student

    file = tmp_path / "student.safetensors"
    options = ("--student", kind, "--recipe", recipe, "--epochs", "2", "--save", str(file))
    lines, _ = trained(database, "--json", *options, capsys=capsys)
    told = as_json(lines)
    config = told[0]["config"]
    assert isinstance(config, dict)
    assert (config["student"]["kind"], config["training"]["recipe"]) == (kind, recipe)
    student = load_student(file, dimension=8)
    assert kind == student.KIND
    assert told[0]["student_parameters"] == student.num_parameters
    assert told[-1]["event"] == "finished"

    again, err = run_lines(["evaluate", str(file), "--json"], capsys)
    assert err == ""
    figures = [event["evaluation"] for event in (told[-1], *as_json(again[-1:]))]
    trained_cosine, judged_cosine = (cast(dict[str, Any], figure)["cosine"] for figure in figures)
    assert judged_cosine == pytest.approx(trained_cosine, abs=1e-5)


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        (("--student", "encoder"), "encoder H 4 L 1,"),
        (("--student", "memory", "--heads", "2"), "memory H 2 L 1 K 4 r 8,"),
        (("--student", "mlp", "--layers", "3"), "mlp L 3,"),
    ],
)
def test_plain_lines_name_the_student_and_the_recipe(
    database: Path, options: tuple[str, ...], shape: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """N = 4 and d = 8: a memory asked for 1,024 slots and a width of 96 has as many as there are."""
    lines, _ = trained(database, *options, "--epochs", "1", capsys=capsys)
    (line,) = [line for line in lines if line.startswith("student: ")]
    assert line.startswith(f"student: {shape}")
    assert "recipe strong" in line


@pytest.mark.parametrize("recipe", ["strong", "book"])
def test_auto_is_what_the_recipe_sets(
    database: Path, recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    values = RECIPES[recipe]
    auto = ("--batch-size", "auto", "--learning-rate", "auto", "--dropout", "auto", "--mse-reduction", "auto")
    lines, _ = trained(database, "--json", "--recipe", recipe, *auto, "--epochs", "1", capsys=capsys)
    config = as_json(lines)[0]["config"]
    assert isinstance(config, dict)
    given = {**config["student"], **config["training"]}
    for name in ("batch_size", "learning_rate", "dropout", "mse_reduction"):
        assert given[name] == getattr(values, name) is not None


def test_what_is_not_given_is_auto(database: Path) -> None:
    config = run_config(train.make_context("train", [str(database)]).params)
    assert config.training == TrainingConfig()
    assert config.training.epochs is None
    assert config.student == EncoderConfig(heads=4, layers=1)


def test_heads_that_do_not_divide_the_width_are_one_sentence(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An encoder of d = 8 could have four heads; the mlp has none to divide anything."""
    shape = ("--heads", "4", "--width", "6", "--epochs", "1")
    lines, err = trained(database, "--student", "memory", *shape, capsys=capsys, code=2)
    assert (lines, err.count("\n")) == ([], 1)
    assert "H = 4 does not divide the width 6. Take one of 2, 3, 6." in err
    trained(database, "--student", "mlp", "--heads", "3", "--epochs", "1", capsys=capsys)


def test_a_layout_without_a_place_for_the_student_is_refused_before_the_training(
    database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "student.pt"
    lines, err = trained(database, "--student", "memory", "--save", str(file), capsys=capsys, code=2)
    assert (lines, err.count("\n")) == ([], 1)
    assert "memory has no place in the reference's .pt layout" in err
    assert not file.exists()


@pytest.mark.parametrize("name", ["student.safetensors", "student.pt"])
def test_a_saved_student_gives_the_same_outputs_again(
    database: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from distill_core.students import load_student

    file = tmp_path / "models" / name
    lines, err = trained(database, "--json", "--save", str(file), capsys=capsys)
    last = as_json(lines)[-1]
    assert err == ""
    assert last["saved"] == str(file)

    student = load_student(file, dimension=8)
    with LdaDatabase(database) as lda:
        ids, queries = lda.queries(1)
        targets = lda.teacher(1).project(queries)
    outputs = student.project(queries)
    cosines = (
        (outputs * targets).sum(axis=1) / np.linalg.norm(outputs, axis=1) / np.linalg.norm(targets, axis=1)
    )
    tested = next(event for event in as_json(lines) if event["event"] == "tested")
    rows = [ids.tolist().index(number) for number in tested["question_ids"]]  # type: ignore[attr-defined]
    assert cosines[rows].tolist() == pytest.approx(tested["cosines"], abs=1e-5)


def test_a_place_that_cannot_be_written_to_fails_before_the_training(
    database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "student.pt", Path("/proc/nowhere/student.pt"), database):
        lines, err = trained(database, "--save", str(place), "--force", capsys=capsys, code=2)
        assert lines == []
        assert err.count("\n") == 1
        assert str(place) in err


def interrupt_after(monkeypatch: pytest.MonkeyPatch, events: int) -> None:
    """Let Ctrl+C come in the middle of a run."""
    from distill_core.training import TrainingSession

    whole_run = TrainingSession.__iter__

    def interrupted(session: TrainingSession) -> Iterator[object]:
        for number, event in enumerate(whole_run(session)):
            if number == events:
                os.kill(os.getpid(), signal.SIGINT)
            yield event

    monkeypatch.setattr(TrainingSession, "__iter__", interrupted)


def test_ctrl_c_leaves_with_130_and_saves_what_is_learnt(
    database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from distill_core.students import load_student

    interrupt_after(monkeypatch, 12)
    file = tmp_path / "student.safetensors"
    lines, err = trained(database, "--json", "--epochs", "50", "--save", str(file), capsys=capsys, code=130)
    assert as_json(lines)[-1]["event"] != "finished"
    assert str(file) in err
    assert "Traceback" not in err
    assert load_student(file, dimension=8).ff_dim == 16


def test_ctrl_c_without_save_keeps_the_run(
    database: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_after(monkeypatch, 12)
    _, err = trained(database, "--epochs", "50", capsys=capsys, code=130)
    (summary,) = RunStore().list()
    assert err == f"Saved; go on with 'distill-tui resume {summary.id}'.\n"
    assert summary.state == "stopped"


def test_a_loss_that_is_lost_leaves_with_1(
    database: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from distill_core.errors import TrainingError
    from distill_core.training import TrainingSession

    def lost(session: TrainingSession) -> Iterator[object]:
        raise TrainingError("The loss is not a number any more.", "Lower the learning rate.")
        yield

    monkeypatch.setattr(TrainingSession, "__iter__", lost)
    lines, err = trained(database, capsys=capsys, code=1)
    assert lines == []
    assert err == (
        "distill-tui: The loss is not a number any more. Lower the learning rate. "
        "There is no checkpoint from before.\n"
    )
    assert RunStore().list() == (), "nothing was learnt, nothing is kept"


def test_a_projection_whose_texts_are_odd_still_trains(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    execute(database, "UPDATE questions SET text = '[/b] \x1b[31m' || text")
    lines, err = trained(database, capsys=capsys)
    assert err == ""
    assert lines
    assert not any("\x1b" in line for line in lines)
