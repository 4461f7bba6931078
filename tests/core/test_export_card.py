"""The model card says what the run's files say."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from pathlib import Path

import msgspec
import pytest

from distill_core.config import DataConfig, RunConfig, SplitConfig, TrainingConfig
from distill_core.export import ExportParts, export_run
from distill_core.export.card import train_command
from distill_core.export.card_parts import code, fenced, table
from distill_core.latency import LatencyFinished, LatencySettings, MachineRecord, compare_latency
from distill_core.runs import EvaluationRecord, RunFolder, RunNotes
from distill_core.students import MemoryConfig, load_student
from distill_core.teacher_data import load_teacher_data
from tests.core.finished_run import copy_run, finish_run

MACHINE = MachineRecord(
    cpu="Fast CPU",
    cores=8,
    usable_cores=2,
    threads=1,
    blas="openblas 0.3",
    torch="2.9",
    torch_cpu_capability="AVX2",
    gpu="Fast GPU",
    clock_mhz=None,
    load_average=0.1,
    system="Linux x86_64",
    python="3.11",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return finish_run(tmp_path_factory.mktemp("run"))


def card_of(run: RunFolder, folder: Path, **parts: bool) -> str:
    list(export_run(run, folder, ExportParts(**parts)))
    return (folder / "README.md").read_text()


def section(card: str, heading: str) -> str:
    return card.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def rows_of(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")
    ]


def test_the_header_is_yaml_of_json_values(tmp_path: Path, run: RunFolder) -> None:
    _, header, _ = card_of(run, tmp_path).split("---\n", 2)
    fields = {
        name: json.loads(value) for name, _, value in (line.partition(": ") for line in header.splitlines())
    }
    assert set(fields) == {"license", "library_name", "pipeline_tag", "tags", "metrics"}
    assert fields["library_name"] == "distill-tui"


def test_the_teacher(tmp_path: Path, run: RunFolder) -> None:
    database = Path(run.read_config().data.database)
    told = section(card_of(run, tmp_path), "Teacher")
    assert hashlib.sha256(database.read_bytes()).hexdigest() in told
    assert "- Database: `db/lda.db`\n" in told
    assert str(database) not in told
    for line in ("Projection: 1", "Heads N: 4", "Dimension d: 8", "Temperature τ: 0.1", "Size: 64 numbers"):
        assert f"- {line}" in told


def test_student_loss_and_split(tmp_path: Path, run: RunFolder) -> None:
    card = card_of(run, tmp_path)
    student = load_student(run.best_checkpoint)
    assert f"- Parameters: {student.num_parameters:,}\n" in section(card, "Student")
    assert f"- Parameters folded: {student.fold().num_parameters:,}" in section(card, "Student")
    told = section(card, "Training")
    assert "- Loss: 0.3 · MSE + 0.7 · (1 - cosine), MSE as mean over d\n" in told
    assert "- Split: by query (at random): 28 train, 4 validation, 8 test\n" in told
    assert "- Epochs: 3 of 3\n" in told
    assert "- Seed: 4\n" in told


def test_results_stand_beside_their_baselines_with_intervals(tmp_path: Path, run: RunFolder) -> None:
    evaluation = run.read_evaluation()
    assert evaluation is not None
    assert evaluation.assessed is not None
    assessment = evaluation.assessed.assessment
    card = card_of(run, tmp_path)
    told = section(card, "Results")
    assert card.count(assessment.verdict.sentence) == 2, "at the top and with the results"
    assert all(f"- {reason}\n" in told for reason in assessment.verdict.reasons)
    table = {row[0]: row for row in rows_of(told)[: len(assessment.baselines) + 3]}
    for score in (assessment.student, *assessment.baselines):
        row = table["**student**" if score.name == "student" else score.label]
        for cell, estimate, digits in ((row[1], score.mean_cosine, 4), (row[3], score.skill, 3)):
            numbers = [float(number) for number in re.findall(r"-?\d+\.\d+", cell)]
            assert estimate.low is not None
            expected = [estimate.value, estimate.low, estimate.high]
            assert numbers == pytest.approx(expected, abs=0.51 * 10**-digits)
        assert int(row[6].replace(",", "")) == score.cost.parameters
    assert assessment.retrieval is not None
    retrieval = rows_of(told)[-len(assessment.retrieval.scores) :]
    assert [float(row[1].split()[0]) for row in retrieval] == pytest.approx(
        [scores.agreement_at_1.value for scores in assessment.retrieval.scores], abs=6e-4
    )
    assert retrieval[1][0] == "**student**"


def test_an_evaluation_in_short_has_no_table(tmp_path: Path, run: RunFolder) -> None:
    copy = copy_run(run, tmp_path)
    evaluation = run.read_evaluation()
    assert evaluation is not None
    copy.write_evaluation(EvaluationRecord(finished=evaluation.finished))
    told = section(card_of(copy, tmp_path / "out"), "Results")
    assert f"Mean cosine {evaluation.finished.evaluation.cosine.mean:.4f} on 8 test queries" in told
    assert "|" not in told


def test_latency_is_told_with_its_machine(tmp_path: Path, run: RunFolder) -> None:
    copy = copy_run(run, tmp_path)
    assert section(card_of(copy, tmp_path / "out"), "Latency").strip() == "Not measured."
    config, student = run.read_config(), load_student(run.best_checkpoint)
    data = load_teacher_data(config.data, config.split)
    settings = LatencySettings(blocks=2, device="cpu")
    *_, measured = compare_latency(data.teacher, student, data.queries, settings)
    assert isinstance(measured, LatencyFinished)
    assert measured.machine is not None
    copy.write_result("latency", msgspec.structs.replace(measured, machine=MACHINE))
    told = section(card_of(copy, tmp_path / "out"), "Latency")
    assert (
        "Machine: Fast CPU, 2 of 8 cores, Fast GPU, Linux x86_64, openblas 0.3, torch 2.9, Python 3.11."
        in told
    )
    rows = {row[0]: row[1:] for row in rows_of(told)}
    assert measured.unfolded is not None
    for name, model in (
        ("LDA", measured.lda),
        ("student, folded", measured.transformer),
        ("student, as trained", measured.unfolded),
    ):
        for case, times in (("single", model.single_us), ("batch", model.batch_us_per_query)):
            expected = [times.p50, times.p90, times.p99]
            assert [float(cell) for cell in rows[f"{name}, {case}"][:3]] == pytest.approx(expected, abs=0.051)
    copy.write_result("latency", msgspec.structs.replace(measured, machine=None, unfolded=None, steady=False))
    told = section(card_of(copy, tmp_path / "out"), "Latency")
    assert "The machine is not recorded." in told
    assert "The machine was unsteady" in told
    assert "as trained" not in told


def test_the_name_that_the_user_gave_is_the_title(tmp_path: Path, run: RunFolder) -> None:
    copy = copy_run(run, tmp_path)
    assert f"\n# {run.name}\n" in card_of(copy, tmp_path / "out")
    copy.write_notes(RunNotes(name="λ scan"))
    assert "\n# λ scan\n" in card_of(copy, tmp_path / "out")


def test_how_to_load_names_only_what_is_there(tmp_path: Path, run: RunFolder) -> None:
    whole = section(card_of(run, tmp_path), "How to load")
    assert "distill_core.load(" in whole
    assert "`model_folded.safetensors`" in whole
    assert 'onnxruntime.InferenceSession("model.onnx")' in whole
    assert "model.onnx" not in section(card_of(run, tmp_path, onnx=False), "How to load")


def test_the_command_has_every_setting() -> None:
    config = RunConfig(
        data=DataConfig(database="/a folder/`x`/lda.db", mh_id=3, temperature=0.25),
        split=SplitConfig(split="cluster", exclude_near_duplicates=True),
        student=MemoryConfig(heads=3, slots=7, width=9),
        training=TrainingConfig(recipe="book", learning_rate=1e-5, seed=9),
    )
    command = train_command(config)
    words = shlex.split(command.replace("\\\n", " "))
    assert words[:3] == ["distill-tui", "train", "/a folder/`x`/lda.db"]
    words.remove("--exclude-near-duplicates")
    given = dict(zip(words[3::2], words[4::2], strict=True))
    assert given == {
        **{"--mh-id": "3", "--temperature": "0.25", "--student": "memory", "--heads": "3", "--layers": "1"},
        **{"--slots": "7", "--width": "9", "--recipe": "book", "--learning-rate": "1e-05"},
        **{
            "--cosine-weight": "0.7",
            "--seed": "9",
            "--device": "auto",
            "--threads": "1",
            "--split": "cluster",
            "--validation-fraction": "0.1",
            "--test-fraction": "0.2",
            "--query-weights": "asked",
            "--split-seed": "0",
        },
    }


@pytest.mark.parametrize("shares", [{"validation_fraction": 0.2}, {"test_fraction": 0.3}])
def test_other_shares_of_the_split_are_in_the_command(
    tmp_path: Path, run: RunFolder, shares: dict[str, float]
) -> None:
    copy = copy_run(run, tmp_path)
    config = run.read_config()
    copy.write_config(config.with_values(split=config.split.with_values(**shares)))
    told = section(card_of(copy, tmp_path / "out"), "How to reproduce")
    (name, share), *_ = shares.items()
    assert f"--{name.replace('_', '-')} {share}" in told
    assert 'read_config(Path("config.toml"))' in told


def test_markdown_keeps_what_it_is_given() -> None:
    assert code("plain") == "`plain`"
    assert code("a `tick` b") == "`` a `tick` b ``"
    assert fenced("x\n```\ny", "sh") == "````sh\nx\n```\ny\n````"
    assert table(("a", "b"), [("1|2", "3")]) == "| a | b |\n| --- | ---: |\n| 1\\|2 | 3 |"
