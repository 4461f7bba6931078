"""Folders of vectors broken at random; `fuzz_databases` draws them among its cases."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.fuzzing import Random, noise_in

NUM_HEADS, DIMENSION, NUM_QUESTIONS = 6, 8, 18
_VECTORS = ("centroids.npy", "answers.npy", "queries.npy")
_TEXTS = ("heads.jsonl", "queries.jsonl", "teacher.toml")

_HOSTILE_LINES = (
    "",
    "null",
    "[]",
    '"\\u001b]52;c;aGk=\\u0007"',
    '{"text": "\\u202egnp.exe", "head": 1}',
    '{"text": 5}',
    '{"head": -1}',
    '{"head": 6}',
    '{"head": 1e400}',
    '{"head": 99999999999999999999}',
    '{"head": true}',
    '{"text": "' + "x" * 5000 + '", "head": 0}',
    '{"title": "\\ud800"}',
    "[" * 3000,
    '{"text": "a", "text": "b"}',
    "temperatures = [nan, inf]",
    "temperature = 1e-40",
    "temperatures = []",
    'model = "\\u001b[2J"',
    "name = 1",
    "a = " + "[" * 2000,
)


def write_folder(folder: Path) -> None:
    """Write a whole folder of vectors."""
    rng = np.random.default_rng(0)
    own = np.repeat(np.arange(NUM_HEADS), NUM_QUESTIONS // NUM_HEADS)
    centroids = rng.normal(size=(NUM_HEADS, DIMENSION)).astype(np.float32)
    np.save(folder / "centroids.npy", centroids)
    np.save(folder / "answers.npy", rng.normal(size=centroids.shape).astype(np.float32))
    np.save(folder / "queries.npy", centroids[own] + np.float32(0.1))
    (folder / "heads.jsonl").write_text("".join(f'{{"title": "head {row}"}}\n' for row in range(NUM_HEADS)))
    lines = (f'{{"text": "question {row}", "head": {head}}}\n' for row, head in enumerate(own.tolist()))
    (folder / "queries.jsonl").write_text("".join(lines))
    (folder / "teacher.toml").write_text('temperatures = [0.1, 1.0]\nmodel = "a model"\n')


def damage_matrix(folder: Path, draw: Random) -> None:
    """Give a file of vectors another type, shape, order or values."""
    path = folder / draw.one_of(_VECTORS)
    try:
        rows = np.load(path)
    except (OSError, ValueError, EOFError):
        return
    how = draw.below(4)
    if how == 0:
        kinds = ("f2", "f8", ">f4", ">f8", "i4", "c8", "U3", "?", "O", "longdouble")
        np.save(path, rows.astype(draw.one_of(kinds)), allow_pickle=True)
    elif how == 1:
        shapes: tuple[Callable[[], np.ndarray], ...] = (
            lambda: rows[:-1],
            lambda: rows[:, :-1],
            lambda: rows[0],
            lambda: rows[:0],
            lambda: rows[:, :0],
            lambda: rows[None],
            lambda: np.asfortranarray(rows),
            lambda: rows.T,
            lambda: np.concatenate((rows, rows)),
        )
        np.save(path, draw.one_of(shapes)())
    else:
        flat = rows.reshape(-1).copy()
        values = (np.nan, np.inf, 0.0, 3e38, 1e-44, 1e-20, -1.0)
        start = draw.below(len(flat))
        flat[start : start + draw.one_of((1, 8, len(flat)))] *= np.float32(draw.one_of(values))
        np.save(path, flat.reshape(rows.shape))


def damage_file(folder: Path, draw: Random) -> None:
    """Change the bytes of a file, lose it, or put something else in its place."""
    path = folder / draw.one_of((*_VECTORS, *_TEXTS))
    if not path.is_file() or path.is_symlink():
        return
    how = draw.below(8)
    if how < 4:
        content = path.read_bytes()
        path.write_bytes(noise_in(content, draw) if content else draw.bytes(9))
    elif how == 4:
        path.write_bytes(pickle.dumps([1.0]))
    elif how == 5:
        os.truncate(path, draw.below(path.stat().st_size + 1))
    else:
        path.unlink()
        make: Callable[[], None] = draw.one_of(
            (lambda: None, lambda: path.mkdir(), lambda: path.symlink_to(path), lambda: os.mkfifo(path))
        )
        make()


def damage_lines(folder: Path, draw: Random) -> None:
    """Change, lose or double a line of what is told of the vectors."""
    path = folder / draw.one_of(_TEXTS)
    if not path.is_file():
        return
    lines = path.read_bytes().split(b"\n")
    where = draw.below(len(lines))
    hostile = draw.one_of(_HOSTILE_LINES).encode()
    lines[where : where + draw.below(2)] = draw.one_of(([hostile], [], [hostile] * 2, [draw.bytes(20)]))
    path.write_bytes(b"\n".join(lines))


DAMAGES = (damage_matrix, damage_file, damage_lines, damage_lines)
