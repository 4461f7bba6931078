"""The written part of the demo: clusters of questions and answers, read from TOML files."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LENGTH_TYPES = ("short", "medium", "long")
QUESTIONS_PER_LENGTH = 4


@dataclass(frozen=True)
class Cluster:
    """One specific topic.

    Attributes:
        name: Unique, such as "git-undo-last-commit".
        description: One line for a reader.
        source: The file it was read from, relative to the folder above `topics`.
        questions: Pairs of length type and text; short ones first.
        answers: The full answer and its shorter variant.
    """

    name: str
    description: str
    source: str
    questions: tuple[tuple[str, str], ...]
    answers: tuple[str, str]


def load_clusters(folder: Path) -> list[Cluster]:
    """Return the clusters of all files, by file name and then in the order of the file.

    Raises:
        ValueError: A cluster has too few questions, or a name or a text occurs twice.
    """
    clusters = [cluster for path in sorted(folder.glob("*.toml")) for cluster in _read_file(path)]
    _require_distinct([cluster.name for cluster in clusters])
    _require_distinct([text for cluster in clusters for _, text in cluster.questions])
    _require_distinct([text for cluster in clusters for text in cluster.answers])
    return clusters


def _read_file(path: Path) -> list[Cluster]:
    tables = tomllib.loads(path.read_text(encoding="utf-8"))["cluster"]
    return [_read_cluster(table, f"{path.parent.name}/{path.name}") for table in tables]


def _read_cluster(table: dict[str, Any], source: str) -> Cluster:
    for length in LENGTH_TYPES:
        if len(table[length]) != QUESTIONS_PER_LENGTH:
            raise ValueError(f"{table['name']}: {QUESTIONS_PER_LENGTH} {length} questions are needed")
    return Cluster(
        name=table["name"],
        description=table["description"],
        source=source,
        questions=tuple((length, text) for length in LENGTH_TYPES for text in table[length]),
        answers=(table["answer"].strip(), table["brief"].strip()),
    )


def _require_distinct(texts: list[str]) -> None:
    seen: set[str] = set()
    for text in texts:
        if text.casefold() in seen:
            raise ValueError(f"occurs twice: {text}")
        seen.add(text.casefold())
