"""What a reader should know about the demo before it ships."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scripts.demo.bundle import PROJECTIONS, Bundle
from scripts.demo.heads import Vectors

NEAR_DUPLICATE_COSINE = 0.95
NEIGHBOURS_SHOWN = 8


def report(bundle: Bundle, folder: Path) -> Iterator[str]:
    """Yield lines: counts, sizes, each projection's scores, the closest clusters and questions."""
    yield (
        f"{len(bundle.clusters)} clusters, {len(bundle.questions)} questions, {len(bundle.answers)} answers"
    )
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    size_mb = sum(path.stat().st_size for path in files) / 1e6
    yield f"{len(files)} files, {size_mb:.2f} MB, {_zipped_bytes(files, folder) / 1e6:.2f} MB as a zip"
    for projection in PROJECTIONS:
        scored = bundle.score(projection)
        yield (
            f"{projection.name}: recall@1 {scored.recall_at_1:.3f}, MRR {scored.mrr:.3f}, "
            f"median effective heads {np.median(scored.effective_heads):.2f}"
        )
    yield from _closest_clusters(bundle)
    yield from _closest_questions(bundle)


def _closest_clusters(bundle: Bundle) -> Iterator[str]:
    for cosine, first, second in _pairs(bundle.heads()[0])[:NEIGHBOURS_SHOWN]:
        yield f"neighbours {cosine:.3f}: {bundle.clusters[first].name}, {bundle.clusters[second].name}"


def _closest_questions(bundle: Bundle) -> Iterator[str]:
    texts = [text for cluster in bundle.clusters for _, text in cluster.questions]
    cluster = bundle.question_cluster
    pairs = _pairs(bundle.questions)
    within = next(pair for pair in pairs if cluster[pair[1]] == cluster[pair[2]])
    across = next(pair for pair in pairs if cluster[pair[1]] != cluster[pair[2]])
    for where, (cosine, first, second) in (("one cluster", within), ("two clusters", across)):
        mark = "NEAR DUPLICATE " if cosine > NEAR_DUPLICATE_COSINE else ""
        yield f"{mark}closest questions of {where} {cosine:.3f}: {texts[first]!r}, {texts[second]!r}"


def _pairs(vectors: Vectors) -> list[tuple[float, int, int]]:
    """Return the cosine of every pair of unit vectors, the closest first."""
    cosines = vectors @ vectors.T
    first, second = np.triu_indices(len(vectors), k=1)
    order = np.argsort(-cosines[first, second], kind="stable")
    return [(float(cosines[first[i], second[i]]), int(first[i]), int(second[i])) for i in order]


def _zipped_bytes(files: list[Path], folder: Path) -> int:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            archive.write(path, path.relative_to(folder))
    return len(buffer.getvalue())
