"""How long a large database takes to open, and how the app answers meanwhile.

    python -m benchmarks.opening [--heads 100000] [--questions 278000] [--files-heads 20000]
                                 [--files-questions 47183] [--keep FOLDER] [--smoke]

Two synthetic databases of 384 dimensions are made: a folder of vectors, and an `lda.db` with one file a vector,
of three temperatures. Each is opened in the app twice, with a cache of its own, through a pseudo-terminal at
120x40: first paint, the teacher with its health, keys meanwhile (`?`, until the help is there, and back), and the
most memory the process took. Then `inspect` reads each of them.
"""

from __future__ import annotations

import os
import re
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.terminal_app import TerminalApp

DIMENSION = 384
TEMPERATURES = (0.1, 0.05, 0.03)
_NEAR = 0.5
_BLOCK = 20_000
_SCHEMA = """
CREATE TABLE embedding_models (model_id INTEGER PRIMARY KEY, name TEXT, dimension INTEGER);
CREATE TABLE questions (question_id INTEGER PRIMARY KEY, text TEXT, length_type TEXT);
CREATE TABLE answers (answer_id INTEGER PRIMARY KEY, text TEXT);
CREATE TABLE qa_clusters (cluster_id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE cluster_questions (cluster_id INTEGER, question_id INTEGER);
CREATE TABLE cluster_answers (cluster_id INTEGER, answer_id INTEGER);
CREATE TABLE embeddings (embedding_id INTEGER PRIMARY KEY, model_id INTEGER, entity_type TEXT,
    entity_id INTEGER, vector_path TEXT);
CREATE TABLE multi_head_projections (mh_projection_id INTEGER PRIMARY KEY, model_id INTEGER, name TEXT,
    temperature REAL, num_heads INTEGER);
CREATE TABLE cluster_heads (head_id INTEGER PRIMARY KEY, mh_projection_id INTEGER, cluster_id INTEGER,
    centroid_path TEXT, answer_emb_path TEXT, W_path TEXT, num_questions INTEGER);
"""


@click.command()
@click.option("--heads", default=100_000, show_default=True, help="Of the folder of vectors.")
@click.option("--questions", default=278_000, show_default=True, help="Of the folder of vectors.")
@click.option("--files-heads", default=20_000, show_default=True, help="Of the lda.db.")
@click.option("--files-questions", default=47_183, show_default=True, help="Of the lda.db.")
@click.option("--keys", default=60, show_default=True, help="Keys pressed while a database opens, at most.")
@click.option(
    "--keep", type=click.Path(path_type=Path), help="Make the databases there, or take those that are there."
)
@click.option("--only", type=click.Choice(["folder", "files"]), help="One of the two.")
@click.option("--smoke", is_flag=True, help="Small databases, a few keys.")
def main(
    *,
    heads: int,
    questions: int,
    files_heads: int,
    files_questions: int,
    keys: int,
    keep: Path | None,
    only: str | None,
    smoke: bool,
) -> None:
    """Print what the module says."""
    if smoke:
        heads, questions, files_heads, files_questions, keys = 60, 200, 40, 100, 3
    with tempfile.TemporaryDirectory() as temporary:
        place = keep or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        sizes = {"folder": (heads, questions), "files": (files_heads, files_questions)}
        for kind in (only,) if only else sizes:
            database = made(place, kind, *sizes[kind])
            print(f"{database.name}: {sizes[kind][0]:,} heads, {sizes[kind][1]:,} questions, as {kind}")
            state = Path(temporary) / kind
            for words in ("first", "again"):
                print_opening(database, state, words, keys)
            print_inspect(database, state)


def made(place: Path, kind: str, num_heads: int, num_questions: int) -> Path:
    """Return a database of a kind and size below a folder, made unless it is there."""
    folder = place / f"{kind}-{num_heads}-{num_questions}"
    database = folder if kind == "folder" else folder / "lda.db"
    if not folder.exists():
        folder.mkdir()
        began = time.perf_counter()
        (write_folder if kind == "folder" else write_files)(folder, num_heads, num_questions)
        print(f"made in {time.perf_counter() - began:.0f} s")
    return database


def vectors(num_heads: int, own: NDArray[np.int64]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield blocks of centroids, answers and queries, which lie about the centroids of their own heads."""
    rng = np.random.default_rng(0)
    centroids = unit(rng.standard_normal((num_heads, DIMENSION), np.float32))
    yield "centroids", centroids
    yield "answers", unit(_NEAR * centroids + unit(rng.standard_normal(centroids.shape, np.float32)))
    for start in range(0, len(own), _BLOCK):
        block = centroids[own[start : start + _BLOCK]]
        yield "queries", unit(block + _NEAR * unit(rng.standard_normal(block.shape, np.float32)))


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the directions (n, d) of rows."""
    directions: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return directions


def own_heads(num_heads: int, num_questions: int) -> NDArray[np.int64]:
    """Return the head (M,) of each question, every head's beside each other."""
    return np.arange(num_questions) * num_heads // num_questions


def write_folder(folder: Path, num_heads: int, num_questions: int) -> None:
    """Write a folder of vectors."""
    own = own_heads(num_heads, num_questions)
    rows: dict[str, list[NDArray[np.float32]]] = {}
    for name, block in vectors(num_heads, own):
        rows.setdefault(name, []).append(block)
    for name, blocks in rows.items():
        np.save(folder / f"{name}.npy", np.concatenate(blocks))
    with (folder / "heads.jsonl").open("w") as file:
        file.writelines(
            f'{{"title": "topic {row}", "text": "the answer {row}"}}\n' for row in range(num_heads)
        )
    with (folder / "queries.jsonl").open("w") as file:
        file.writelines(
            f'{{"text": "what is asked of topic {head}, in the words of {row}?", "head": {head}}}\n'
            for row, head in enumerate(own.tolist())
        )
    (folder / "teacher.toml").write_text(f'temperatures = {list(TEMPERATURES)}\nmodel = "synthetic"\n')


def write_files(folder: Path, num_heads: int, num_questions: int) -> None:
    """Write an `lda.db` in the published schema, with one file a vector."""
    own = own_heads(num_heads, num_questions).tolist()
    (folder / "embeddings").mkdir()
    names: dict[str, list[str]] = {}
    for kind, block in vectors(num_heads, np.array(own)):
        for row in block:
            name = f"embeddings/{kind}_{len(names.setdefault(kind, []))}.npy"
            np.save(folder / name, row)
            names[kind].append(name)
    names["answer_vectors"] = [f"embeddings/answer_{row}_model_1.npy" for row in range(num_heads)]
    for name, answer in zip(names["answer_vectors"], names["answers"], strict=True):
        (folder / name).write_bytes((folder / answer).read_bytes())
    database = sqlite3.connect(folder / "lda.db")
    database.executescript(_SCHEMA)

    def insert(table: str, rows: Iterator[tuple[object, ...]], width: int) -> None:
        database.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * width)})", rows)

    insert("embedding_models", iter([(1, "synthetic", DIMENSION)]), 3)
    insert("qa_clusters", ((head + 1, f"topic {head}") for head in range(num_heads)), 2)
    insert("answers", ((head + 1, f"the answer {head}") for head in range(num_heads)), 2)
    insert("cluster_answers", ((head + 1, head + 1) for head in range(num_heads)), 2)
    insert(
        "questions",
        ((row + 1, f"what is asked of topic {head} by {row}?", "short") for row, head in enumerate(own)),
        3,
    )
    insert("cluster_questions", ((head + 1, row + 1) for row, head in enumerate(own)), 2)
    for entity, kind in (("question", "queries"), ("answer", "answer_vectors")):
        insert("embeddings", ((None, 1, entity, row + 1, name) for row, name in enumerate(names[kind])), 5)
    for number, temperature in enumerate(TEMPERATURES, 1):
        insert("multi_head_projections", iter([(number, 1, f"at {temperature}", temperature, num_heads)]), 5)
        pairs = zip(names["centroids"], names["answers"], strict=True)
        insert(
            "cluster_heads", ((None, number, row + 1, *pair, None, 2) for row, pair in enumerate(pairs)), 7
        )
    database.commit()
    database.close()


def print_opening(database: Path, state: Path, words: str, keys: int) -> None:
    """Open a database in the app; print what is told in the module's words."""
    app = TerminalApp(database, state, cache=state / "cache")
    try:
        app.wait_for("Teacher")
        painted = time.perf_counter() - app.started
        times = list(key_times(app, keys))
        app.wait_for("effective heads")
        opened = time.perf_counter() - app.started
        peak = peak_bytes(app.pid)
    finally:
        app.close()
    p50, p99 = np.percentile(times, [50, 99]) if times else (np.nan, np.nan)
    print(
        f"{words}: first paint {painted:.2f} s, teacher with health {opened:.1f} s, peak {peak / 1e9:.2f} GB; "
        f"{len(times)} keys meanwhile: p50 {p50:.0f} ms, p99 {p99:.0f} ms"
    )


def key_times(app: TerminalApp, keys: int) -> Iterator[float]:
    """Press `2` and `1` in turn until the teacher is there; yield the milliseconds until each is drawn."""
    for number in range(keys):
        began = app.bytes_read
        if app.has_shown("effective heads"):
            return
        yield app.time_key("21"[number % 2]) * 1e3
        assert app.bytes_read >= began


def peak_bytes(pid: int) -> int:
    """Return the most memory that a process has taken."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 if found else 0


def print_inspect(database: Path, state: Path) -> None:
    """Time `inspect` of all projections, in a process of its own."""
    environment = {**os.environ, "DISTILL_TUI_CACHE": str(state / "inspect-cache")}
    for words in ("first", "again"):
        began = time.perf_counter()
        command = [sys.executable, "-m", "distill_tui", "inspect", str(database)]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - began
        print(f"inspect, {words}: {seconds:.1f} s, {len(TEMPERATURES)} projections")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(f"inspect: peak {peak / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
