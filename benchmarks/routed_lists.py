"""Would lists of heads find the near ones as well as a scan of all codes, and how much sooner?

    python -m benchmarks.routed_lists FOLDER [--codes 48] [--lists 64] [--heads N] [--temperature T] | --smoke

FOLDER is as for `benchmarks.routed_figures`. The heads are put into lists by spherical k-means, and the codes
of the nearest ones alone are scanned (faiss `IndexIVFPQFastScan`), beside the scan of all that a routed
student does. Printed are, on 1,000 queries of the folder, recall@1 among the refined candidates, the share of
the softmax's mass that the refined candidates hold of what as many true nearest heads hold (mean and worst
query), and the median time of a single search, each query asked once and in turn.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np

from benchmarks.routed_figures import made_up, read
from distill_core.arrays import Ids, Matrix
from distill_core.students.networks.code_index import CodeIndex

QUERIES = 1_000
Search = Callable[[Matrix, int], Ids]


def unit(vectors: Matrix) -> Matrix:
    """Return rows of length one."""
    rows: Matrix = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return rows.astype(np.float32)


def searches(keys: Matrix, codes: int, lists: int) -> dict[str, Search]:
    """Return the scan of all, and of a share of the lists, by their names."""
    found: dict[str, Search] = {"all heads": CodeIndex.fitted(keys, codes).search}
    kmeans = faiss.Kmeans(keys.shape[1], lists, spherical=True, niter=20, seed=0)
    kmeans.train(keys)
    coarse = faiss.IndexFlatIP(keys.shape[1])
    assert kmeans.centroids is not None
    coarse.add(kmeans.centroids)
    index = faiss.IndexIVFPQFastScan(coarse, keys.shape[1], lists, codes, 4, faiss.METRIC_INNER_PRODUCT)
    index.by_residual = False
    index.train(keys[:65_536])
    index.add(keys)
    for probes in (lists // 8, lists // 4, lists // 2):

        def search(queries: Matrix, count: int, probes: int = probes) -> Ids:
            index.nprobe = probes
            ids: Ids = index.search(queries, count)[1]
            return ids

        found[f"{probes} of {lists} lists"] = search
    return found


def main() -> None:
    """Print a line for each way to search."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--codes", type=int, default=48)
    parser.add_argument("--lists", type=int, default=64)
    parser.add_argument("--refined", type=int, default=64)
    parser.add_argument("--heads", type=int, help="the first so many")
    parser.add_argument("--temperature", type=float, default=0.03)
    parser.add_argument("--smoke", action="store_true", help="made-up heads")
    asked = parser.parse_args()
    if asked.folder is None and not asked.smoke:
        parser.error("give a folder, or --smoke")
    centroids, _, queries, _ = made_up() if asked.smoke else read(asked.folder, asked.heads)
    keys = unit(centroids)
    chosen = unit(queries[np.random.default_rng(0).permutation(len(queries))[:QUERIES]])
    faiss.omp_set_num_threads(1)
    scores = chosen @ keys.T
    best = np.argpartition(scores, -asked.refined, axis=1)[:, -asked.refined :]
    mass = np.exp((scores - scores.max(axis=1, keepdims=True)) / asked.temperature)
    most = np.take_along_axis(mass, best, axis=1).sum(axis=1)
    for name, search in searches(keys, asked.codes, asked.lists).items():
        took, found = [], []
        for query in chosen:
            began = time.perf_counter()
            found.append(search(query[None], asked.refined)[0])
            took.append(time.perf_counter() - began)
        heads = np.maximum(np.stack(found), 0)
        share = np.where(np.stack(found) < 0, 0, np.take_along_axis(mass, heads, axis=1)).sum(axis=1) / most
        recall = (heads == scores.argmax(axis=1)[:, None]).any(axis=1).mean()
        print(
            f"{len(keys):,} heads, {asked.codes} codes, {name:>16}: recall@1 {recall:.3f}, "
            f"mass {share.mean():.4f} (worst {share.min():.3f}), {np.median(took) * 1e6:.0f} us",
            flush=True,
        )


if __name__ == "__main__":
    main()
