from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The files of the source distribution, as paths below its one folder."""
    folder = tmp_path_factory.mktemp("sdist")
    command = [sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        return {name.partition("/")[2] for name in opened.getnames()}


@pytest.mark.parametrize(
    "name",
    [
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "constraints.txt",
        "pyproject.toml",
        "core/distill_core/__init__.pyi",
        "core/distill_core/database/demo_data/lda.db",
        "tui/distill_tui/__main__.py",
    ],
)
def test_what_one_needs_is_inside(names: set[str], name: str) -> None:
    assert name in names


def test_every_source_file_is_inside(names: set[str]) -> None:
    sources = {
        str(path.relative_to(ROOT))
        for package in ("core/distill_core", "tui/distill_tui")
        for path in (ROOT / package).rglob("*.py")
    }
    assert sources <= names


def test_nothing_but_the_two_packages_and_their_papers_is_inside(names: set[str]) -> None:
    assert {name.partition("/")[0] for name in names} == {
        *("core", "tui", "LICENSE", "README.md", "CHANGELOG.md", "constraints.txt"),
        *("pyproject.toml", "PKG-INFO", ".gitignore"),
    }
    assert not [name for name in names if Path(name).name.startswith("test_") or "tests" in Path(name).parts]
