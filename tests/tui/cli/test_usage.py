from __future__ import annotations

import importlib.metadata
import io
import subprocess
import sys
from pathlib import Path

import click
import pytest

from distill_core.students.kinds import STUDENT_KINDS
from distill_tui.cli import commands, run

ISSUE = {
    "train": {
        *("--db", "--mh-id", "--heads", "--layers", "--epochs", "--cosine-weight", "--learning-rate"),
        *("--batch-size", "--ff-dim", "--dropout", "--seed", "--device", "--save", "--json"),
        *("--student", "--recipe", "--slots", "--width", "--mse-reduction"),
    },
    "inspect": {"--db", "--json"},
    "latency": {"--db", "--json", "--student", "--slots", "--width"},
    "crossover": {"--db", "--json", "--student", "--slots", "--width"},
}
"""The options that the specification names."""


def options(command: str) -> dict[str, click.Option]:
    found = commands.get_command(click.Context(commands), command)
    assert found is not None
    return {
        name: parameter
        for parameter in found.params
        if isinstance(parameter, click.Option)
        for name in parameter.opts
    }


@pytest.mark.parametrize("command", ISSUE)
def test_every_option_of_the_specification_is_there(command: str) -> None:
    assert set(options(command)) >= ISSUE[command]


def test_the_defaults_are_the_published_ones_and_the_rest_is_left_to_the_recipe() -> None:
    defaults = {name: option.default for name, option in options("train").items()}
    published = {"--mh-id": 1, "--cosine-weight": 0.7, "--seed": 0, "--device": "auto"}
    assert {name: defaults[name] for name in published} == published
    assert "512" in (options("train")["--ff-dim"].help or "")
    assert (defaults["--student"], defaults["--recipe"]) == ("encoder", "strong")
    for name in ("--epochs", "--batch-size", "--learning-rate", "--dropout", "--mse-reduction"):
        option = options("train")[name]
        assert option.default is None
        assert option.help is not None
        assert option.help.endswith("[default: auto]")


def test_a_number_that_may_be_auto_says_so_and_a_name_lists_what_it_may_be() -> None:
    found = options("train")
    assert found["--epochs"].metavar == "NUMBER|auto"
    assert (found["--seed"].metavar, found["--temperature"].metavar) == ("NUMBER", "NUMBER")
    kinds = ", ".join(STUDENT_KINDS)
    for name, choices in (("--student", kinds), ("--mse-reduction", "auto, mean, sum")):
        assert found[name].metavar == "NAME"
        assert f"One of: {choices}." in (found[name].help or "")


@pytest.mark.parametrize("command", ["train", "inspect", "latency", "demo", "evaluate"])
def test_each_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith(f"Usage: distill-tui {command}")


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_lists_the_commands(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([flag]) == 0
    out, _ = capsys.readouterr()
    assert "Exit codes" in out
    assert "\\b" not in out
    assert "  distill-tui demo        open the app on the bundled demo database\n" in out
    assert all(code in out for code in ("130", "129", "143"))
    listed = [line.split()[0] for line in out.split("Commands:")[1].splitlines() if line.strip()]
    assert {"train", "inspect", "latency", "demo"} <= set(listed)
    assert "open" not in listed, "the hidden command stays hidden"


def test_the_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        version = importlib.metadata.version("distill-tui")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("distill-tui is not installed, only on the path")
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"distill-tui, version {version}\n"


WRONG = {
    "no database": ["train"],
    "two databases": ["train", "a.db", "--db", "b.db"],
    "unknown option": ["train", "a.db", "--epoch", "3"],
    "text for a number": ["train", "a.db", "--epochs", "many"],
    "out of range": ["train", "a.db", "--cosine-weight", "1.5"],
    "not finite": ["train", "a.db", "--learning-rate", "nan"],
    "unknown device": ["train", "a.db", "--device", "gpu"],
    "unknown student": ["train", "a.db", "--student", "transformer"],
    "unknown recipe": ["train", "a.db", "--recipe", "weak"],
    "auto where nothing decides": ["train", "a.db", "--seed", "auto"],
    "no blocks": ["latency", "a.db", "--blocks", "0"],
    "too many words": ["inspect", "a.db", "b.db"],
    "demo takes nothing": ["demo", "a.db"],
    "option without value": ["train", "--db"],
}


@pytest.mark.parametrize("which", WRONG)
def test_wrong_usage_leaves_with_2(which: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(WRONG[which]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Error: " in err
    assert "Traceback" not in err


def test_an_unknown_command_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tran"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "'tran' is neither a command nor a file." in err
    assert "Did you mean 'train'?" in err


@pytest.mark.parametrize("arguments", [[], ["demo"], ["lda.db"]])
def test_the_app_refuses_to_start_without_a_terminal(
    arguments: list[str],
    database: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(database.parent)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "needs a terminal" in err
    assert "distill-tui train" in err


def test_a_wrong_database_is_told_before_the_terminal_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.db").write_text("no database")
    assert run([str(tmp_path / "x.db")]) == 2
    assert str(tmp_path / "x.db") in capsys.readouterr().err


def test_a_reader_that_leaves_early_is_no_traceback(database: Path) -> None:
    """`distill-tui inspect | true`, in a process of its own because it closes stdout."""
    program = [sys.executable, "-m", "distill_tui", "inspect", str(database)]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    complaints = process.stderr.read().decode()
    assert process.wait(60) in (0, 1)
    assert "Traceback" not in complaints
    assert "BrokenPipe" not in complaints
