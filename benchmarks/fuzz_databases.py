"""Databases broken at random, to the byte, and what the engine and `inspect` say of them.

    python -m benchmarks.fuzz_databases [--cases 10000] [--seed 0] [--smoke]

Each case is a small database cut out of the demo, with one to four damages: bytes, rows, columns, vectors,
write logs; every fourth one is a folder of vectors. Whatever is done to it, there is no exception but a
DistillError, no warning, no control character in a message and none over 500 characters, and nothing is
written to its folder. A case is found again by its number and the seed alone: `--only NUMBER`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import pickle
import shutil
import sqlite3
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np

from benchmarks import fuzz_folders
from benchmarks.fuzzing import Random, noise_in
from distill_core.database import Database, LdaDatabase, demo_database_path, is_vector_folder, open_database
from distill_core.errors import DistillError
from distill_core.evaluation.health import HealthProbe
from distill_core.teacher_data import content_sha256, read_questions
from distill_tui.cli import run

T = TypeVar("T")

MAX_CHARACTERS = 500
KEPT_CLUSTERS = 3
SMOKE_CASES = 60
CLI_EVERY = 7
FOLDER_EVERY = 4

HOSTILE: tuple[object, ...] = (
    None,
    "",
    0,
    -1,
    1,
    2,
    2**31,
    2**63 - 1,
    -(2**63),
    0.5,
    -0.0,
    1e-40,
    1e300,
    float("inf"),
    "nan",
    "0.1",
    "1e999",
    "9" * 5000,
    "x" * 5000,
    "\x1b]52;c;aGk=\x07\x1b[2J",
    "\u202egnp.exe",
    "\x85\x9b31m\u2028",
    "a\0b",
    "../../../../etc/passwd",
    "/dev/zero",
    "/proc/self/mem",
    "C:\\vectors\\a.npy",
    "embeddings",
    b"\xff\xfe\0",
    b"x" * 5000,
)


Damage = Callable[[Path, Random], None]


def cut_out_of_demo(folder: Path) -> None:
    """Write a database of a few clusters, with every second question, in the demo's own schema."""
    shutil.copyfile(demo_database_path(), folder / "lda.db")
    with contextlib.closing(sqlite3.connect(folder / "lda.db", isolation_level=None)) as db:
        for table in ("qa_clusters", "cluster_questions", "cluster_answers", "cluster_heads"):
            db.execute(f"DELETE FROM {table} WHERE cluster_id > {KEPT_CLUSTERS}")
        for kind, table in (("question", "questions"), ("answer", "answers")):
            kept = f"SELECT {kind}_id FROM cluster_{table}"
            db.execute(f"DELETE FROM {table} WHERE {kind}_id NOT IN ({kept})")
            db.execute(f"DELETE FROM embeddings WHERE entity_type = '{kind}' AND entity_id NOT IN ({kept})")
        for table in ("cluster_heads", "multi_head_projections"):
            db.execute(f"DELETE FROM {table} WHERE mh_projection_id > 2")
        db.execute("VACUUM")
        stored = [path for (path,) in db.execute("SELECT vector_path FROM embeddings")]
        for column in ("centroid_path", "answer_emb_path"):
            stored += [path for (path,) in db.execute(f"SELECT {column} FROM cluster_heads")]
    (folder / "embeddings").mkdir()
    for name in {Path(path).name for path in stored}:
        shutil.copyfile(demo_database_path().parent / "embeddings" / name, folder / "embeddings" / name)


def damage_bytes(database: Path, draw: Random) -> None:
    """Change bytes of the file."""
    database.write_bytes(noise_in(database.read_bytes(), draw))


def damage_header(database: Path, draw: Random) -> None:
    """Change one byte among the first hundred, which say what all others mean."""
    content = bytearray(database.read_bytes())
    if content:
        content[draw.below(min(100, len(content)))] = draw.below(256)
    database.write_bytes(bytes(content))


def damage_logs(database: Path, draw: Random) -> None:
    """Put a write log beside the database: noise, or pages of its own."""
    log = database.with_name(database.name + draw.one_of(("-wal", "-journal", "-shm")))
    magic = draw.one_of((b"\x37\x7f\x06\x82", b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7", b""))
    log.write_bytes(magic + draw.bytes(draw.below(600)) + database.read_bytes()[: draw.below(9000)])


def executed(database: Path, sql: str, *parameters: object) -> list[tuple[object, ...]]:
    """Run a statement; one that the present state of the file does not take changes nothing."""
    try:
        with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as db:
            db.text_factory = bytes
            db.execute("PRAGMA ignore_check_constraints = ON")
            return db.execute(sql, parameters).fetchall()
    except (sqlite3.Error, ValueError, OverflowError):
        return []


def any_table(draw: Random) -> str:
    """Return the name of a table, mostly of one that is read."""
    return draw.one_of(
        (
            "embedding_models",
            "multi_head_projections",
            "cluster_heads",
            "embeddings",
            "questions",
            "answers",
            "qa_clusters",
            "cluster_questions",
            "cluster_answers",
        )
    )


def any_column(database: Path, table: str, draw: Random) -> str:
    """Return the name of one of its columns."""
    rows = executed(database, f"SELECT name FROM pragma_table_info('{table}')")
    names = [name.decode("utf-8", "replace") for (name,) in rows if isinstance(name, bytes)]
    return draw.one_of(names) if names else "name"


def damage_rows(database: Path, draw: Random) -> None:
    """Give one field, or a column, another value; or lose, or double, rows."""
    table = any_table(draw)
    column = any_column(database, table, draw)
    some = draw.one_of(("", f" WHERE rowid % {2 + draw.below(5)} = 0", f" WHERE rowid = {1 + draw.below(9)}"))
    how = draw.below(6)
    if how < 4:
        executed(database, f'UPDATE OR IGNORE {table} SET "{column}" = ?{some}', draw.one_of(HOSTILE))
    elif how == 4:
        executed(database, f"DELETE FROM {table}{some}")
    else:
        executed(database, f'INSERT OR IGNORE INTO {table} ("{column}") VALUES (?)', draw.one_of(HOSTILE))


def damage_columns(database: Path, draw: Random) -> None:
    """Lose or rename columns and tables, loosen their types, or put a view in place of a table."""
    table = any_table(draw)
    column = any_column(database, table, draw)
    how = draw.below(6)
    if how == 0:
        executed(database, f'ALTER TABLE {table} DROP COLUMN "{column}"')
    elif how == 1:
        executed(database, f'ALTER TABLE {table} RENAME COLUMN "{column}" TO "other"')
    elif how == 2:
        executed(database, f"DROP TABLE {table}")
    elif how == 3:
        executed(database, f"CREATE TABLE loose AS SELECT * FROM {table}")
        executed(database, f"DROP TABLE {table}")
        executed(database, f"ALTER TABLE loose RENAME TO {table}")
        executed(database, f'UPDATE {table} SET "{column}" = ?', draw.one_of(HOSTILE))
    elif how == 4:
        executed(database, f"ALTER TABLE {table} RENAME TO hidden")
        executed(
            database, f"CREATE VIEW {table} AS SELECT * FROM {draw.one_of(('hidden', table, 'nothing'))}"
        )
    else:
        executed(database, f'ALTER TABLE {table} RENAME COLUMN "{column}" TO "{column.upper()}"')


def damage_vectors(database: Path, draw: Random) -> None:
    """Change one vector file, or some of them in the same way."""
    files = sorted((database.parent / "embeddings").iterdir())
    kind, seed = draw.below(12), draw.below(1 << 30)
    for _ in range(draw.one_of((1, 1, 5, len(files)))):
        damage_vector(draw.one_of(files), kind, Random(seed, 0))


def damage_vector(file: Path, kind: int, draw: Random) -> None:
    """Change one vector file in one of a dozen ways."""
    if not file.is_file() or file.is_symlink():
        return
    content = file.read_bytes()
    vector = (
        np.frombuffer(content[128:], np.float32).copy()
        if len(content) > 132 and len(content) % 4 == 0
        else np.ones(4, np.float32)
    )
    if kind == 0:
        file.write_bytes(noise_in(content, draw) if content else b"")
    elif kind == 1:
        file.write_bytes(content[: draw.below(len(content))])
    elif kind == 2:
        file.unlink()
    elif kind == 3:
        file.unlink()
        make: Callable[[], None] = draw.one_of(
            (lambda: file.mkdir(), lambda: file.symlink_to(file), lambda: os.mkfifo(file))
        )
        make()
    elif kind == 4:
        file.write_bytes(pickle.dumps([1.0, 2.0]))
    elif kind == 5:
        np.save(file, vector.astype(draw.one_of(("f2", "f8", ">f4", "i4", "c8", "U3", "?", "M8[s]"))))
    elif kind == 6:
        np.save(
            file,
            draw.one_of((vector[:-1], vector[None], vector[:, None], vector[:1].reshape(()), vector[:0])),
        )
    else:
        values = (np.nan, np.inf, -np.inf, 0.0, 3e38, 1e-44, 1e-20, 1e20, -1.0)
        vector[: draw.one_of((1, len(vector)))] *= np.float32(draw.one_of(values))
        np.save(file, vector)


DAMAGES: tuple[Damage, ...] = (
    damage_bytes,
    damage_header,
    damage_logs,
    damage_rows,
    damage_rows,
    damage_rows,
    damage_columns,
    damage_vectors,
    damage_vectors,
)


def state_of(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return what tells of any writing: the names, sizes and times of all below a folder."""
    found = {}
    for path in (folder, *folder.rglob("*")):
        status = path.lstat()
        found[str(path)] = (status.st_size, status.st_mtime_ns, status.st_ino)
    return found


def opened(database: Path, cache: Path) -> Database:
    """Open a case."""
    return open_database(database) if is_vector_folder(database) else LdaDatabase(database, cache_dir=cache)


def told(database: Path, cache: Path) -> Iterator[str]:
    """Yield every message that the engine has on a database.

    Raises:
        Exception: Any but a DistillError, which is what is looked for.
    """

    def asked(question: Callable[[], T]) -> tuple[T | None, str]:
        try:
            return question(), ""
        except DistillError as error:
            return None, str(error)

    lda, message = asked(lambda: opened(database, cache))
    yield message
    if lda is None:
        return
    with lda:
        projections, message = asked(lda.projections)
        yield message
        for question in (lda.models, lda.questions, lda.answer_records):
            yield asked(question)[1]
        problems, message = asked(lda.problems)
        yield message
        for problem in problems or ():
            yield str(DistillError(problem.message, problem.hint))
        for mh_id in sorted({1, 2, *(projection.id for projection in (projections or ())[:2])}):
            for read in (lda.heads, lda.teacher, lda.queries, lda.answers, lda.files, lda.place_warnings):
                yield asked(lambda read=read, mh_id=mh_id: read(mh_id))[1]  # type: ignore[misc]
            labelled, message = asked(lambda mh_id=mh_id: read_questions(lda, mh_id))  # type: ignore[misc]
            yield message
            if labelled is None:
                continue
            content_sha256(labelled)
            probe = HealthProbe(labelled)
            for tau in (None, 1e-6, 1e6):
                yield from probe.at(tau).warnings


def inspected(database: Path) -> Iterator[str]:
    """Yield the lines that the command line prints.

    Raises:
        Exception: What it did not catch.
    """
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = run(["inspect", str(database)])
    if code not in (0, 2):
        raise AssertionError(f"exit code {code}")
    yield from output.getvalue().split("\n")


def faults_of(message: str) -> Iterator[str]:
    """Yield what is wrong with a message."""
    if len(message) > MAX_CHARACTERS:
        yield f"{len(message)} characters: {message[:200]!r}"
    if any(not character.isprintable() for character in message):
        yield f"control characters: {message[:200]!r}"


def run_case(template: Path, work: Path, seed: int, case: int) -> list[str]:
    """Return what is wrong in one case; nothing if all is well."""
    draw, folder = Random(seed, case), work / "database"
    shutil.rmtree(folder, ignore_errors=True)
    is_folder = case % FOLDER_EVERY == FOLDER_EVERY - 1
    shutil.copytree(template / "folder" if is_folder else template / "file", folder)
    database = folder if is_folder else folder / "lda.db"
    known: Sequence[Damage] = fuzz_folders.DAMAGES if is_folder else DAMAGES
    damages = [draw.one_of(known) for _ in range(1 + draw.below(4))]
    for damage in damages:
        with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
            damage(database, draw)
    before = state_of(folder)
    found: list[str] = []
    try:
        for message in told(database, work / "cache"):
            found += faults_of(message)
        if case % CLI_EVERY == 0:
            for line in inspected(database):
                found += faults_of(line)
    except Exception as error:  # noqa: BLE001 - that there is none is what is tested
        frame = traceback.extract_tb(error.__traceback__)[-1]
        found.append(
            f"{type(error).__name__}: {str(error)[:200]!r} in {Path(frame.filename).name}:{frame.lineno}"
        )
    if state_of(folder) != before:
        found.append("the folder of the database was written to")
    how = ", ".join(damage.__name__ for damage in damages)
    return [f"case {case} ({how}): {fault}" for fault in found]


def run_cases(seed: int, cases: Sequence[int]) -> list[str]:
    """Return what is wrong in some cases."""
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")
        work = Path(folder)
        for name, write in (("file", cut_out_of_demo), ("folder", fuzz_folders.write_folder)):
            (work / "template" / name).mkdir(parents=True)
            write(work / "template" / name)
        for case in cases:
            faults += run_case(work / "template", work, seed, case)
    return faults


def main(arguments: list[str] | None = None) -> int:
    """Run the cases; return 1 if one of them shows a fault."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="the number of one case")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--smoke", action="store_true", help=f"{SMOKE_CASES} cases")
    options = parser.parse_args(arguments)
    cases = list(range(SMOKE_CASES if options.smoke else options.cases))
    began = time.monotonic()
    if options.smoke or options.only is not None:
        cases = cases if options.only is None else [options.only]
        faults = run_cases(options.seed, cases)
    else:
        shares = [cases[first :: options.processes] for first in range(options.processes)]
        with ProcessPoolExecutor(options.processes, get_context("spawn")) as pool:
            faults = list(chain.from_iterable(pool.map(run_cases, [options.seed] * len(shares), shares)))
    for fault in faults[:100]:
        print(fault)
    print(f"{len(cases)} cases in {time.monotonic() - began:.0f} s, {len(faults)} faults")
    for kind, number in Counter(fault.partition("): ")[2][:60] for fault in faults).most_common(20):
        print(f"{number:6} {kind}")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
