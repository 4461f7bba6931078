from __future__ import annotations

import io
import os
import pickle
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike, DTypeLike

from distill_core.database import LdaDatabase, vector_store
from distill_core.database.paths import FoundFile, PathRules
from distill_core.database.vectors import Vectors, read_vectors
from distill_core.errors import VectorError
from tests.core.database_factory import write_lda_db

VECTOR = np.array([1.5, -2.0, 0.25, 3.0])


def located(path: Path) -> FoundFile:
    found = PathRules(path.parent / "lda.db").find(str(path))
    assert found is not None
    return found


def read(*paths: Path) -> Vectors:
    return read_vectors([located(path) for path in paths], len(VECTOR))


def saved(path: Path, values: ArrayLike, dtype: DTypeLike = np.float32) -> Path:
    np.save(path, np.asarray(values, dtype=dtype))
    return path


@pytest.mark.parametrize("dtype", ["<f4", "<f8", ">f4", ">f8", "<f2", np.longdouble])
@pytest.mark.parametrize("shape", [(4,), (1, 4)])
def test_any_floating_point_vector_becomes_float32(
    tmp_path: Path, dtype: str, shape: tuple[int, ...]
) -> None:
    vectors = read(saved(tmp_path / "v.npy", VECTOR.reshape(shape), dtype))
    assert vectors.dtype == np.float32
    assert vectors.tolist() == [VECTOR.tolist()]


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_the_format(tmp_path: Path, version: tuple[int, int]) -> None:
    path = tmp_path / "v.npy"
    with path.open("wb") as handle:
        np.lib.format.write_array(handle, VECTOR, version=version)
    assert read(path).tolist() == [VECTOR.tolist()]


def test_files_of_different_types_keep_their_order(tmp_path: Path) -> None:
    paths = [
        saved(tmp_path / f"{number}.npy", VECTOR * (number + 1), dtype)
        for number, dtype in enumerate(("<f4", "<f8", "<f4"))
    ]
    assert read(*reversed(paths)).tolist() == [(VECTOR * 3).tolist(), (VECTOR * 2).tolist(), VECTOR.tolist()]


def test_the_array_may_be_written_to(tmp_path: Path) -> None:
    assert read(saved(tmp_path / "v.npy", VECTOR)).flags.writeable


def test_no_files_give_no_rows() -> None:
    assert read_vectors([], 4).shape == (0, 4)


def test_it_agrees_with_numpy_on_the_reference(reference_db: Path) -> None:
    paths = sorted((reference_db / "n18/embeddings").glob("question_*.npy"))
    expected = np.stack([np.load(path, allow_pickle=False) for path in paths]).astype(np.float32)
    assert np.array_equal(read_vectors([located(path) for path in paths], 384), expected)


class Bomb:
    """Unpickling it would create a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path(self.path),))


def npy(values: object, dtype: DTypeLike = np.float32) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asarray(values, dtype=dtype))
    return stream.getvalue()


def with_header(text: str) -> bytes:
    raw = text.encode("latin1")
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(raw)) + raw + b"\0" * 16


def archive() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, vector=VECTOR)
    return stream.getvalue()


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "is an empty file"),
    "magic cut": (lambda: npy(VECTOR)[:4], "is truncated: it ends within its header"),
    "length cut": (lambda: npy(VECTOR)[:9], "is truncated: it ends within its header"),
    "header cut": (lambda: npy(VECTOR)[:60], "is truncated: it ends within its header"),
    "numbers cut": (lambda: npy(VECTOR)[:-1], "is truncated: 15 of 16 bytes are there"),
    "numbers absent": (lambda: npy(VECTOR)[:128], "is truncated: 0 of 16 bytes are there"),
    "text": (lambda: b"0.5 0.25 0.125 1.0\n", "is not a .npy file"),
    "archive": (archive, "is not a .npy file"),
    "pickle": (lambda: pickle.dumps([1.0, 2.0]), "is a pickle"),
    "objects": (lambda: npy([1, "a", None, 2], object), "holds pickled objects"),
    "integers": (lambda: npy([1, 2, 3, 4], np.int64), "holds <i8, not floating-point"),
    "complex": (lambda: npy([1, 2, 3, 4], np.complex64), "holds <c8, not floating-point"),
    "records": (lambda: npy([(1.0,)] * 4, [("x", "<f4")]), "header that is not that of a vector"),
    "short": (lambda: npy([1, 2, 3]), r"has shape \(3,\); the model's vectors have shape \(4,\)"),
    "long": (lambda: npy([1, 2, 3, 4, 5]), r"has shape \(5,\)"),
    "column": (lambda: npy([[1], [2], [3], [4]]), r"has shape \(4, 1\)"),
    "two rows": (lambda: npy([[1, 2, 3, 4]] * 2), r"has shape \(2, 4\)"),
    "scalar": (lambda: npy(1.0), r"has shape \(\)"),
    "deep": (lambda: npy([[[1, 2, 3, 4]]]), r"has shape \(1, 1, 4\)"),
    "nan": (lambda: npy([1, np.nan, 3, 4]), "holds NaN or infinity"),
    "infinity": (lambda: npy([1, -np.inf, 3, 4]), "holds NaN or infinity"),
    "beyond float32": (lambda: npy([1, 1e300, 3, 4], np.float64), "holds NaN or infinity"),
    "zero": (lambda: npy([0, -0.0, 0, 0]), "is all zero"),
    "tiny": (lambda: npy([1e-30] * 4), "too small or too large"),
    "huge": (lambda: npy([1e30] * 4), "too small or too large"),
    "header no dictionary": (lambda: with_header("[1, 2]\n"), "header that is not that of a vector"),
    "header no python": (lambda: with_header("{'descr': (((\n"), "header that is not that of a vector"),
    "header too deep": (lambda: with_header("(" * 9000), "header that is not that of a vector"),
    "header of names": (lambda: with_header("{1: 2, 'descr': x}\n"), "header that is not that of a vector"),
    "header strange type": (
        lambda: with_header("{'descr': '<f99', 'fortran_order': False, 'shape': (4,)}\n"),
        "floating-point numbers of 99 bytes",
    ),
    "header bad shape": (
        lambda: with_header("{'descr': '<f4', 'fortran_order': False, 'shape': 4}\n"),
        "header that is not that of a vector",
    ),
    "header null bytes": (lambda: with_header("\0" * 40), "header that is not that of a vector"),
    "header too long": (
        lambda: b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31) + b" " * 100_000,
        "header that is not that of a vector",
    ),
}


@pytest.mark.parametrize("which", BAD)
def test_each_bad_vector_has_its_own_error(tmp_path: Path, which: str) -> None:
    make, message = BAD[which]
    good, bad = saved(tmp_path / "good.npy", VECTOR), tmp_path / "bad.npy"
    bad.write_bytes(make())
    with pytest.raises(VectorError, match=message) as caught:
        read(good, bad, good)
    assert caught.value.message.startswith(str(bad))
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_nothing_is_ever_unpickled(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    bomb = np.array([Bomb(str(trace))] * 4, dtype=object)
    np.save(tmp_path / "bomb.npy", bomb, allow_pickle=True)
    with pytest.raises(VectorError, match="pickled objects"):
        read(tmp_path / "bomb.npy")
    assert not trace.exists()


def test_the_first_of_several_bad_vectors_is_named_with_their_number(tmp_path: Path) -> None:
    paths = [saved(tmp_path / f"{number}.npy", VECTOR * (number % 2)) for number in range(6)]
    with pytest.raises(VectorError, match=r"0\.npy is all zero.*\(the first of 3 such files\)"):
        read(*paths)


def test_a_file_larger_than_its_vector_is_not_read_whole(tmp_path: Path) -> None:
    path = saved(tmp_path / "v.npy", VECTOR)
    os.truncate(path, 1 << 33)  # sparse: no disk is used
    assert read(path).tolist() == [VECTOR.tolist()]


def test_a_file_that_vanishes_before_it_is_read(tmp_path: Path) -> None:
    file = located(saved(tmp_path / "v.npy", VECTOR))
    (tmp_path / "v.npy").unlink()
    with pytest.raises(VectorError, match="cannot be read: No such file or directory"):
        read_vectors([file], 4)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = located(saved(tmp_path / "v.npy", VECTOR))

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", denied)  # root may read everything, so the mode alone proves nothing
    with pytest.raises(VectorError, match="may not be read: permission denied"):
        read_vectors([file], 4)


def test_vectors_that_are_replaced_while_they_are_read_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never a mixture of two moments, and never a half-written file called truncated."""
    database = write_lda_db(tmp_path)
    files = sorted((tmp_path / "embeddings").glob("mh_1_*_centroid.npy"))

    def read_half_and_replace(located: Sequence[FoundFile], dimension: int, *progress: object) -> Vectors:
        monkeypatch.setattr(vector_store, "read_vectors", read_vectors)
        vectors = read_vectors(located, dimension)
        for file in files:
            np.save(file, -np.load(file))
        files[-1].write_bytes(files[-1].read_bytes() + b" ")
        return vectors

    monkeypatch.setattr(vector_store, "read_vectors", read_half_and_replace)
    with LdaDatabase(database) as lda:
        found = lda.teacher(1).centroids
    np.testing.assert_array_equal(found, np.stack([np.load(file) for file in files]))


def test_vectors_that_never_rest_are_being_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = write_lda_db(tmp_path)
    file = next((tmp_path / "embeddings").glob("mh_1_*_centroid.npy"))

    def write_and_fail(*_: object) -> Vectors:
        file.write_bytes(file.read_bytes() + b" ")
        raise VectorError(f"{file} is truncated.")

    monkeypatch.setattr(vector_store, "read_vectors", write_and_fail)
    with LdaDatabase(database) as lda, pytest.raises(VectorError, match="being written to"):
        lda.teacher(1)
