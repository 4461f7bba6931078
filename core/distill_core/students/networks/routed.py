"""The routed student: near heads exactly, far ones merged, a linear map for what is left. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distill_core.architecture import Shape
from distill_core.arrays import Matrix
from distill_core.errors import ExportError, VectorError
from distill_core.students.networks.code_index import CodeIndex
from distill_core.students.networks.head_rows import HeadRows
from distill_core.students.networks.routed_fields import EMPTY, Far, RoutedFields
from distill_core.students.routed import LDA, Rung, Storage

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from distill_core.students.networks.onnx_graph import OnnxGraph

FIGURES = ("recall_at_1", "validation_cosine", "validation_worst", "validation_agreement", "labels")


class RoutedStudent:
    """`p = (sum over near heads e^s a + Z (F + R q + r)) / (sum over near heads e^s + Z)`.

    F is the mixture of the merged heads and Z its mass, both without what the near heads add to their cells,
    and Z times the exponential of a linear function. So a merged head stands for what is not near alone.

    Made by its shape it has no heads: the fit gives it some (`fill`), or a file (`take_weights`); else they
    are random, as an untrained one is as fast as a trained one.

    Args:
        embed_dim: d.
        teacher_heads: N.
        num_heads: H, branches of a node in the tree of cells.
        num_layers: L, its levels.
        near: How near heads are found.
        opened: Heads kept by the scan, or cells opened.
        refined: Candidates of the scan.
        codes: 4-bit codes a head.
        storage: Type of the head vectors' numbers.
        temperature: tau.
    """

    KIND: ClassVar[str] = "routed"
    FOLDED: ClassVar[None] = None
    STARTS_AS_TEACHER: ClassVar[bool] = True

    def __init__(  # noqa: PLR0913, PLR0917 - what its file holds, by name
        self,
        embed_dim: int,
        teacher_heads: int,
        num_heads: int = 4,
        num_layers: int = 4,
        near: str = "lda",
        opened: int = 0,
        refined: int = 0,
        codes: int = 0,
        storage: str = "float32",
        temperature: float = 1.0,
    ) -> None:
        self.embed_dim, self.teacher_heads = embed_dim, teacher_heads
        self.num_heads, self.num_layers = num_heads, num_layers
        self.rung = Rung(cast(Any, near), opened, refined, codes)
        self.storage = cast(Storage, storage)
        self.temperature = temperature
        self.figures: dict[str, float] = {}
        """What it reached on the validation queries, by the names of `FIGURES`."""
        self.told: dict[str, object] = {}
        """What the fit tells beside; a file does not keep it."""
        self._fields: RoutedFields | None = None

    # What it holds.

    @property
    def shape(self) -> Shape:
        """The arguments that build it."""
        return {
            "embed_dim": self.embed_dim,
            "teacher_heads": self.teacher_heads,
            "num_heads": self.num_heads,
            "num_layers": self.num_layers,
            **self.rung._asdict(),
            "storage": self.storage,
            "temperature": self.temperature,
        }

    @property
    def fields(self) -> RoutedFields:
        """What it computes with."""
        if self._fields is None:
            self._fill_at_random()
            assert self._fields is not None
        return self._fields

    def fill(self, keys: HeadRows, answers: HeadRows, far: Far | None, index: CodeIndex | None) -> Self:
        """Give it unit keys (N, d), answers (N, d), and where it is not the LDA its far field and its scan.

        Raises:
            ValueError: They do not fit its shape.
        """
        shape = self.teacher_heads, self.embed_dim
        if keys.rows.shape != shape or answers.rows.shape != shape:
            raise ValueError(f"keys {keys.rows.shape} and answers {answers.rows.shape} are not {shape}")
        self._fields = RoutedFields(self.rung, self.temperature, keys, answers, far, index)
        return self

    def _fill_at_random(self) -> None:
        rng, rung = np.random.default_rng(0), self.rung
        heads, d = self.teacher_heads, self.embed_dim
        keys = rng.standard_normal((heads, d), np.float32)
        keys /= np.linalg.norm(keys, axis=1, keepdims=True)
        cells = min(self.num_heads**self.num_layers, heads)
        rows = (cells + d + 1, d)
        far = Far(
            np.sort(rng.integers(cells, size=heads, dtype=np.int32)),
            rng.standard_normal((cells, d), np.float32),
            rng.standard_normal(rows, np.float32),
            np.full(rows[0], EMPTY / 80),
        )
        index = None
        if rung.near == "scan":
            words = rng.standard_normal((rung.codes, 16, d // rung.codes), np.float32)
            index = CodeIndex(words, rng.integers(256, size=(heads, -(-rung.codes // 2)), dtype=np.uint8))
        stored = HeadRows.stored(keys, self.storage)
        self.fill(stored, stored, None if rung == LDA else far, index)

    def weights(self) -> dict[str, NDArray[Any]]:
        """Return all numbers that it stores, by name."""
        fields = self.fields
        found = {**fields.keys.weights("keys"), **fields.answers.weights("answers")}
        if self.rung != LDA:
            found |= fields.far._asdict()
        if fields.index is not None:
            found |= {"words": fields.index.words, "codes": fields.index.codes}
        if self.figures:
            found["figures"] = np.array([self.figures[name] for name in FIGURES])
        return found

    def take_weights(self, weights: Mapping[str, NDArray[Any]]) -> None:
        """Store the numbers that another one of this shape holds."""
        far = None if self.rung == LDA else Far(*(weights[name] for name in Far._fields))
        index = CodeIndex(weights["words"], weights["codes"]) if self.rung.near == "scan" else None
        self.fill(HeadRows.of_weights(weights, "keys"), HeadRows.of_weights(weights, "answers"), far, index)
        if "figures" in weights:
            self.figures = dict(zip(FIGURES, weights["figures"].tolist(), strict=True))

    @property
    def num_parameters(self) -> int:
        """Stored numbers, two codes as one."""
        return sum(array.size for name, array in self.weights().items() if name != "figures")

    @property
    def size_bytes(self) -> int:
        """Bytes of them."""
        return sum(array.nbytes for array in self.weights().values())

    @property
    def facts(self) -> dict[str, object]:
        """How it finds its near heads, and what it reached on the validation queries."""
        is_lda = self.rung == LDA
        routing = {
            "kind": self.rung.near,
            "cells": 0 if is_lda else self.fields.cells,
            "heads": self.num_heads,
            "layers": self.num_layers,
            "opened": self.teacher_heads if is_lda else self.rung.opened,
            "refined": self.rung.refined,
            "codes": self.rung.codes,
            "storage": self.storage,
            "size_bytes": self.size_bytes,
        }
        return {"routing": {**routing, **self.figures, **self.told}}

    @property
    def note(self) -> str:
        """How it finds its near heads, how often the best one is among them, and why this way was taken."""
        reason = str(self.told.get("reason", ""))
        if self.rung == LDA:
            return reason or "This student is the LDA itself."
        recall = self.figures.get("recall_at_1")
        hits = "" if recall is None else f"; the best head is among them for {recall:.1%} of queries"
        rest = f"{self.fields.cells:,} cells for the rest"
        return f"Near heads by {self.rung.words}{hits}; {rest}. {reason}".strip()

    # What a student is asked for.

    def project(self, queries: ArrayLike) -> Matrix:
        """Return the projection of one query (d,) or many (n, d), float32, in the same shape.

        Raises:
            VectorError: The queries are not of dimension d.
        """
        rows = np.asarray(queries, dtype=np.float32)
        if rows.ndim not in (1, 2) or rows.shape[-1] != self.embed_dim:
            raise VectorError(
                f"Queries of shape {rows.shape} do not fit a student of dimension {self.embed_dim}.",
                f"Pass one query ({self.embed_dim},) or many (n, {self.embed_dim}).",
            )
        return self.fields.project(rows.reshape(-1, self.embed_dim)).reshape(rows.shape)

    def on_device(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        """Return what projects tensors (n, d) of a device: there the near heads are the nearest, exactly."""
        from distill_core.students.networks.torch_routed import TorchRouted

        return TorchRouted(self.fields, self.temperature, device).project

    def fold(self) -> Self:
        """Return itself: it has no other form."""
        return self

    def eval(self) -> Self:
        """Return itself: it computes the same while it learns."""
        return self

    def reference_content(self) -> None:
        """Return None: the reference implementation's `.pt` has no place for it."""

    def onnx(self, graph: OnnxGraph, queries: str) -> str:
        """Refuse: ONNX has no scan of codes.

        Raises:
            ExportError: Always.
        """
        raise ExportError("A routed student has no ONNX form: ONNX knows no index of nearest heads.")
