"""Run every command that README.md and docs/ show, in a short form, so that none of them rots.

    python -m scripts.run_documented_commands [--benchmarks] [--workers 2]

A command is a line of `distill-tui ...` or `python ...benchmarks...` in a block of code or between backticks.
Databases are replaced by a copy of the demo, runs and sweeps by some that are made here, and what takes long
is shortened. Each `[--option]` is given alone, and of `lda.db|--run RUN` each is tried. The exit code is 1 if
one fails. `--benchmarks` runs every program of benchmarks/, too.

Each runs in a fork of a process that has loaded the packages, as loading takes longer than most of them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import runpy
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from distill_core.config import DataConfig, RunConfig, TrainingConfig
from distill_core.database import demo_database_path
from distill_core.runs import RunFolder
from distill_tui import cli

ROOT = Path(__file__).resolve().parents[1]
LONGEST_SECONDS = 300.0
LOADED = ("distill_core.training.loop.session", "distill_core.sweeps.ledger", "scipy.stats", "torch._dynamo")
_PROCESSES = multiprocessing.get_context("forkserver")
_COMMAND = re.compile(r"(?:\S*/)?(?:distill-tui(?= [^-])|python (?:-m )?(?:benchmarks|scripts)[./]).*")
_OPTIONAL = re.compile(r"\[[^][]*(?:\[[^][]*\][^][]*)*\]")
_CODE = re.compile(r"```.*\n([\s\S]*?)```|((?:^    .*\n)+)|`([^`\n]+)`", re.MULTILINE)
_VERBS = re.compile(r"distill-tui (runs|sweep) \[?(\w[\w-]*(?:\|[\w-]+)+)\]?(.*)")

SKIPPED = {
    r"distill-tui \S*lda\.db$": "opens the app",
    r"distill-tui doctor": "ends as the machine is",
    r"distill-tui runs (pause|resume|stop)$": "needs a run that goes on",
    r"scripts\.write_screen_pages": "a test holds the file to it",
    r"experiment hl .*--students routed": "needs 64 heads, and the demo has fewer; a test runs it",
    r"scripts\.build_docs_database": "needs the environment of scripts/build_demo.py",
    r"python (-m )?benchmarks[./]\w+(\.py)?$": "make smoke runs it",
}
SUBSTITUTIONS = {
    r"#.*": "",
    r"\| sbatch": "",
    r"\S*\blda\.db": "DB",
    r"--budget [^\s\]]+": "--budget 2",
    r"--temperature T": "--temperature 0.05",
    r"--teacher-heads \S+": "--teacher-heads 8",
    r"--(heads-list|layers-list) \S+": r"--\1 1",
    r"--(heads|layers) 1,2\S+": r"--\1 1,2",
    r"--to FILE\S+": "--to PLACE/sweep.html --force",
    r"(--\S+ \w+)(?:\|\w+)+": r"\1",
    r"--seeds \S+": "--seeds 1",
    r"--steps \S+": "--steps 1",
    r"--max-heads N": "--max-heads 64",
    r"--heads H": "--heads 4",
    r"--layers L": "--layers 1",
    r"--reference-db DIR": "",
    r"(benchmarks\.routed_\w+) .*": r"\1",
    r"--storage [^\s\]]+": "--storage PLACE/RUNS/sweeps.db",
    r"--device cuda:\d": "--device cpu",
    r"\bNAME\b|(?<=sweep work )h-and-l": "SWEEP",
    r"resume RUN": "resume SPARE",
    r"completion \S+": "completion bash",
    r"--to DIR": "--to PLACE/export",
    r"--save FILE": "--save PLACE/student.safetensors",
    r"--samples FILE": "--samples PLACE/samples.npz",
    r"evaluate FILE": "evaluate PLACE/student.safetensors",
    r"--student FILE": "--student PLACE/student.safetensors",
}
"""What takes the place of what the documentation writes; the first row strips remarks."""
ADDED = (
    (r"distill-tui train", "--epochs 1"),
    (r"distill-tui sweep run", "--epochs 1"),
    (r"distill-tui sweep export", "--to PLACE/sweep.csv --force"),
    (r"distill-tui experiment", "--seeds 1"),
    (r"distill-tui experiment", "--steps 1"),
    (r"distill-tui experiment hl", "--heads-list 1"),
    (r"distill-tui experiment hl", "--layers-list 1"),
    (r"distill-tui experiment hl", "--teacher-heads 8"),
    (r"distill-tui crossover", "--budget 2"),
    (r"distill-tui latency", "--blocks 2"),
    (r"benchmarks", "--smoke"),
)
"""What is added to shorten a command, where it says nothing of it."""
ARGUMENTS = {
    "runs rename": "RUN another",
    "runs tag": "RUN short",
    "runs note": "RUN tried",
    "runs pin": "RUN",
    "runs compare": "RUN RUN",
    "runs command": "RUN",
    "runs delete": "SPARE",
    "runs restore": "SPARE",
    "runs empty-trash": "--yes",
}
"""What follows each verb that the documentation names without, in the order in which it names them."""


TESTED = ("sweep_survival", "fuzz_databases")
"""Benchmarks whose short form the tests run."""


class Ended(NamedTuple):
    """A command that was run: how it ended (0 is well), after how long, and what it printed."""

    command: str
    code: int | None
    seconds: float
    words: str


class Line(NamedTuple):
    """A documented command: the name of its file, and its short forms, which build upon each other."""

    file: str
    forms: tuple[str, ...]


def documented(path: Path) -> Iterator[str]:
    """Yield the commands of one file, with continued lines joined, as they are written."""
    for match in _CODE.finditer(path.read_text()):
        block = next(group for group in match.groups() if group is not None)
        for line in block.replace("\\\n", " ").splitlines():
            command = _COMMAND.fullmatch(line.strip())
            if command is not None:
                yield " ".join(command.group().split())


def variants(command: str) -> list[str]:
    """Return the short forms of one documented command: bare, and with each optional part alone."""
    for pattern, replacement in SUBSTITUTIONS.items():
        command = re.sub(pattern, replacement, command)
    command = command.strip()
    several = re.split(r" \| |; ", command)
    if len(several) > 1:
        return [
            form for part in several for form in variants(f"distill-tui {part.removeprefix('distill-tui ')}")
        ]
    verbs = _VERBS.match(command)
    if verbs is not None:
        group, names, rest = verbs.groups()
        shared = [f"{group}{rest}"] if "[" in command.partition(names)[0] else []
        own = [
            f"{group} {verb} {ARGUMENTS.get(f'{group} {verb}', '' if shared else rest)}"
            for verb in names.split("|")
        ]
        return [form for part in (*shared, *own) for form in variants(f"distill-tui {part}")]
    optional = [part.replace("[", "").replace("]", "") for part in _OPTIONAL.findall(command)]
    bare = _OPTIONAL.sub("", command)
    first, *others = [bare.replace("DB|--run RUN", form) for form in ("DB", "--run RUN")]
    forms = [first, *(others if others != [first] else []), *(f"{first} {part}" for part in optional)]
    return [" ".join(f"{form} {_added(form)}".split()) for form in forms]


def _added(command: str) -> str:
    missing = (text for pattern, text in ADDED if re.search(pattern, command))
    return " ".join(text for text in missing if text.split()[0] not in command)


def skip_reason(command: str) -> str | None:
    """Return why a command is not run; None if it is."""
    return next((why for pattern, why in SKIPPED.items() if re.search(pattern, command)), None)


class Place:
    """A folder with a copy of the demo, runs, a sweep, and a saved student, in which commands are run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {f"DISTILL_TUI_{name}": str(folder / name) for name in ("RUNS", "STATE", "CACHE")}
        self.names = {"DB": str(folder / "demo" / "lda.db"), "SWEEP": "short", "SPARE": "spare"}
        for run in (folder / "RUNS").glob("*-demo-*"):
            self.names["RUN"] = run.name

    @classmethod
    def made(cls, folder: Path) -> Place:
        """Return a new one.

        Raises:
            SystemExit: No run or sweep could be made.
        """
        shutil.copytree(demo_database_path().parent, folder / "demo")
        place = cls(folder)
        for command in (
            "distill-tui train DB --epochs 1 --save PLACE/student.safetensors",
            "distill-tui sweep run DB --name short --student mlp --layers 1 --epochs 1 --no-latency",
        ):
            ended = place.run(command)
            if ended.code != 0:
                raise SystemExit(f"nothing could be made to try the commands on:\n{ended.words}")
        training = TrainingConfig(epochs=1, device="cpu")
        config = RunConfig(data=DataConfig(database=place.names["DB"]), training=training)
        RunFolder.create(folder / "RUNS", config, name=place.names["SPARE"])
        return cls(folder)

    @contextmanager
    def copied(self) -> Iterator[Place]:
        """Give a copy away, so that commands do not meet what others made, renamed or deleted."""
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            shutil.copytree(self.folder, folder, dirs_exist_ok=True)
            yield Place(Path(folder))

    def run(self, command: str) -> Ended:
        """Run a short form."""
        words = [
            self.names.get(word, word.replace("PLACE", str(self.folder))) for word in shlex.split(command)
        ]
        output = self.folder / "output.txt"
        output.unlink(missing_ok=True)
        process = _PROCESSES.Process(target=_call, args=(words, self.environment, output))
        began = time.perf_counter()
        process.start()
        process.join(LONGEST_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()
        seconds = time.perf_counter() - began
        return Ended(command, process.exitcode, seconds, output.read_text() if output.exists() else "")


def _call(words: list[str], environment: dict[str, str], output: Path) -> None:
    """Be the process of a command, its output in a file."""
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.stdout = os.fdopen(1, "w", closefd=False)  # not the end of the descriptor when it is replaced
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    os.environ.update(environment)
    os.chdir(ROOT)
    try:
        if words[0].endswith("distill-tui"):
            sys.argv = words
            cli.main()
        else:
            module = next(word for word in words if word.startswith("benchmarks"))
            sys.argv = words[words.index(module) :]
            runpy.run_module(module.removesuffix(".py").replace("/", "."), run_name="__main__")
    finally:
        sys.stdout.flush()


def main() -> int:
    """Run them; return 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="commands at a time")
    parser.add_argument("--benchmarks", action="store_true", help="those that no document shows, too")
    options = parser.parse_args()
    _PROCESSES.set_forkserver_preload(["distill_tui.cli", *LOADED])
    failed = 0
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.workers) as pool:
        place = Place.made(Path(folder))

        def run(forms: tuple[str, ...]) -> list[Ended]:
            with place.copied() as own:
                return [own.run(form) for form in forms]

        lines = [*lines_to_run()]
        if options.benchmarks:
            lines = [*benchmarks(lines), *lines]
        for line, done in zip(lines, pool.map(run, (line.forms for line in lines)), strict=True):
            for ended in done:
                failed += ended.code != 0
                told = "FAILED" if ended.code else "ok"
                print(f"{told:8} {ended.seconds:4.0f} s  {line.file}: {ended.command}", flush=True)
                if ended.code:
                    print(ended.words[-2000:])
    return int(failed > 0)


def benchmarks(documented: Iterable[Line]) -> Iterator[Line]:
    """Yield the programs among the benchmarks that no test runs and no document shows with options."""
    words = " ".join(form for line in documented for form in line.forms)
    for path in sorted((ROOT / "benchmarks").glob("*.py")):
        is_program = 'if __name__ == "__main__"' in path.read_text()
        if is_program and path.stem not in TESTED and f"benchmarks.{path.stem} " not in words:
            yield Line("benchmarks", (f"python -m benchmarks.{path.stem} --smoke",))


def lines_to_run() -> Iterator[Line]:
    """Yield what the documentation shows, but what is skipped, which is printed; no short form twice."""
    seen: set[str] = set()
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for command in documented(path):
            why = skip_reason(command)
            if why is not None:
                print(f"skipped  {path.name}: {command} ({why})")
                continue
            forms = tuple(
                form for form in variants(command) if form not in seen and skip_reason(form) is None
            )
            seen.update(forms)
            yield Line(path.name, forms)


if __name__ == "__main__":
    sys.exit(main())
