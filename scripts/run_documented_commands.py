"""Run every command that README.md and docs/ show, in a short form, so that none of them rots.

    python -m scripts.run_documented_commands

A command is a line of `distill-tui ...` or `python ...benchmarks...` in a block of code or between backticks.
Databases are replaced by a copy of the demo, runs by one trained here, and what takes long is shortened.
Each `[--option]` is given alone, and of `lda.db|--run RUN` each is tried. The exit code is 1 if one fails.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from distill_core.config import DataConfig, RunConfig, TrainingConfig
from distill_core.database import demo_database_path
from distill_core.runs import RunFolder

ROOT = Path(__file__).resolve().parents[1]
_COMMAND = re.compile(r"(?:\S*/)?(?:distill-tui(?= [^-])|python (?:-m )?(?:benchmarks|scripts)[./]).*")
_OPTIONAL = re.compile(r"\[[^][]*(?:\[[^][]*\][^][]*)*\]")
_CODE = re.compile(r"```.*\n([\s\S]*?)```|((?:^    .*\n)+)|`([^`\n]+)`", re.MULTILINE)

SKIPPED = {
    r"distill-tui \S*lda\.db$": "opens the app",
    r"distill-tui doctor": "ends as the machine is",
    r"scripts\.build_docs_database": "needs the environment of scripts/build_demo.py",
}
SUBSTITUTIONS = {
    r"#.*": "",
    r"\S*\blda\.db": "DB",
    r"--budget [^\s\]]+": "--budget 2",
    r"--temperature T": "--temperature 0.05",
    r"--teacher-heads \S+": "--teacher-heads 8",
    r"--(heads-list|layers-list) \S+": r"--\1 1",
    r"(--\S+ \w+)(?:\|\w+)+": r"\1",
    r"--seeds \S+": "--seeds 1",
    r"--steps \S+": "--steps 1",
    r"--max-heads N": "--max-heads 64",
    r"--heads H": "--heads 4",
    r"--layers L": "--layers 1",
    r"--reference-db DIR": "",
    r"resume RUN": "resume SPARE",
    r"completion \S+": "completion bash",
    r"--to DIR": "--to PLACE/export",
    r"--save FILE": "--save PLACE/student.safetensors",
    r"--samples FILE": "--samples PLACE/samples.npz",
    r"evaluate FILE": "evaluate PLACE/student.safetensors",
    r"--student FILE": "--student PLACE/student.safetensors",
}
"""What takes the place of what the documentation writes; the first row strips remarks."""
ADDED = {
    r"distill-tui train": "--epochs 1",
    r"distill-tui experiment": "--seeds 1",
    r"distill-tui experiment ": "--steps 1",
    r"distill-tui experiment hl": "--heads-list 1",
    r"distill-tui experiment hl ": "--layers-list 1",
    r"distill-tui experiment hl DB": "--teacher-heads 8",
    r"distill-tui latency": "--blocks 2",
    r"benchmarks": "--smoke",
}
"""What is added to shorten a command, where it says nothing of it."""
VERBS = {
    "list": "",
    "rename": "RUN another",
    "tag": "RUN short",
    "note": "RUN tried",
    "pin": "RUN",
    "compare": "RUN RUN",
    "command": "RUN",
    "delete": "SPARE",
    "restore": "SPARE_NAME",
    "trash": "",
    "empty-trash": "--yes",
}
"""What follows each of `distill-tui runs`, in the order in which the documentation names them."""


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
    verbs = re.match(r"distill-tui runs \[([a-z][^]]*)\](.*)", command)
    if verbs is not None:
        given = [f"distill-tui runs {verb} {VERBS[verb]}".strip() for verb in verbs.group(1).split("|")]
        return [*variants(f"distill-tui runs{verbs.group(2)}"), *given]
    if " | " in command:
        first, second = command.split(" | ", 1)
        return [*variants(first), *variants(f"distill-tui {second}")]
    optional = [part.replace("[", "").replace("]", "") for part in _OPTIONAL.findall(command)]
    bare = _OPTIONAL.sub("", command)
    first, *others = [bare.replace("DB|--run RUN", form) for form in ("DB", "--run RUN")]
    forms = [first, *(others if others != [first] else []), *(f"{first} {part}" for part in optional)]
    return [" ".join(f"{form} {_added(form)}".split()) for form in forms]


def _added(command: str) -> str:
    missing = (text for pattern, text in ADDED.items() if re.search(pattern, command))
    return " ".join(text for text in missing if text.split()[0] not in command)


def skip_reason(command: str) -> str | None:
    """Return why a command is not run; None if it is."""
    return next((why for pattern, why in SKIPPED.items() if re.search(pattern, command)), None)


class Place:
    """A folder with a copy of the demo, a run, and a saved student, in which commands are run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(demo_database_path().parent, folder / "demo")
        self.database = folder / "demo" / "lda.db"
        self.environment = {
            **os.environ,
            **{f"DISTILL_TUI_{name}": str(folder / name) for name in ("RUNS", "STATE", "CACHE")},
        }
        self.names = {"DB": str(self.database)}
        self._prepare()

    def _prepare(self) -> None:
        student = self.folder / "student.safetensors"
        made = self.run(f"distill-tui train DB --epochs 1 --save {student}")
        if made.returncode:
            raise SystemExit(f"no run could be made to try the commands on:\n{made.stderr}")
        (run,) = (self.folder / "RUNS").glob("*/config.toml")
        config = RunConfig(
            data=DataConfig(database=str(self.database)), training=TrainingConfig(epochs=1, device="cpu")
        )
        spare = RunFolder.create(self.folder / "RUNS", config).path
        self.names |= {"RUN": str(run.parent), "SPARE": str(spare), "SPARE_NAME": spare.name}

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a short form."""
        words = [
            self.names.get(word, word.replace("PLACE", str(self.folder))) for word in shlex.split(command)
        ]
        module = ["-m", "distill_tui"] if words[0].endswith("distill-tui") else []
        return subprocess.run(
            [sys.executable, *module, *words[1:]],
            cwd=ROOT,
            env={**self.environment, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=600,
            check=False,
        )


def main() -> int:
    """Run them; return 1 if one failed."""
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
            for command in documented(path):
                why = skip_reason(command)
                if why is not None:
                    print(f"skipped  {path.name}: {command} ({why})")
                    continue
                for short in variants(command):
                    done = place.run(short)
                    failed += done.returncode != 0
                    print(f"{'FAILED' if done.returncode else 'ok':8} {path.name}: {short}", flush=True)
                    if done.returncode:
                        print(done.stderr[-2000:])
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
