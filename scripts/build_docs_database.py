"""Build a large database with real embeddings: 535 heads and some 2,400 queries from installed documentation.

docs/recipe.md and docs/findings.md have figures that it gives. In the environment of `build_demo.py`:

    python -m scripts.build_docs_database /tmp/docs535

A cluster is one public function or class of NumPy, SciPy, scikit-learn or NetworkX. Its answer is the summary
and the first paragraph of its documentation, its questions are later sentences of the same text.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scripts.build_demo import embed
from scripts.demo.bundle import Bundle, write_bundle
from scripts.demo.content import Cluster

MODULES = (
    "networkx",
    "numpy",
    "numpy.fft",
    "numpy.linalg",
    "scipy.cluster.hierarchy",
    "scipy.integrate",
    "scipy.interpolate",
    "scipy.linalg",
    "scipy.ndimage",
    "scipy.optimize",
    "scipy.signal",
    "scipy.sparse",
    "scipy.spatial",
    "scipy.special",
    "scipy.stats",
    "sklearn.cluster",
    "sklearn.decomposition",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.metrics",
    "sklearn.model_selection",
    "sklearn.preprocessing",
)
MOST_QUESTIONS, FEWEST_QUESTIONS = 5, 3
SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[A-Z])")
SHORTEST, LONGEST = 40, 240


def documented() -> Iterator[Cluster]:
    """Yield a cluster for everything public that says enough, by module and name."""
    seen: set[str] = set()
    for module in MODULES:
        members = importlib.import_module(module)
        for name in sorted(vars(members)):
            member = getattr(members, name)
            if name.startswith("_") or not (inspect.isclass(member) or callable(member)):
                continue
            cluster = read(module, name, inspect.getdoc(member) or "", seen)
            if cluster is not None:
                yield cluster


def read(module: str, name: str, text: str, seen: set[str]) -> Cluster | None:
    """Return the cluster of one docstring; None where it says too little, or what another has said."""
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if ">>>" not in part]
    prose = [part for part in paragraphs if "---" not in part and not part.startswith((".. ", "- ", "* "))]
    if len(prose) < 3:
        return None
    summary, first = prose[0], prose[1]
    sentences = [sentence for part in prose[2:] for sentence in SENTENCE.split(part)]
    sentences += [sentence for part in paragraphs if "---" in part for sentence in SENTENCE.split(part)[1:]]
    questions = [
        sentence
        for sentence in dict.fromkeys(sentences)
        if SHORTEST <= len(sentence) <= LONGEST and sentence.casefold() not in seen
    ][:MOST_QUESTIONS]
    if len(questions) < FEWEST_QUESTIONS or summary.casefold() in seen:
        return None
    seen.update(question.casefold() for question in (*questions, summary))
    return Cluster(
        name=f"{module}.{name}",
        description=summary[:80],
        source=module,
        questions=tuple(("long" if len(text) > 120 else "medium", text) for text in questions),
        answers=(f"{summary} {first}"[:800], summary),
    )


def main() -> None:
    """Write the database and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("output", type=Path, help="folder for lda.db and embeddings/")
    parser.add_argument("--heads", type=int, default=535)
    options = parser.parse_args()
    found = list(documented())
    rows = np.linspace(0, len(found) - 1, min(options.heads, len(found))).round().astype(int)
    clusters = [found[row] for row in rows]
    questions = [text for cluster in clusters for _, text in cluster.questions]
    answers = [text for cluster in clusters for text in cluster.answers]
    vectors = embed(questions + answers)
    numbers = np.arange(len(clusters))
    bundle = Bundle(
        clusters=clusters,
        questions=vectors[: len(questions)],
        answers=vectors[len(questions) :],
        question_cluster=np.repeat(numbers, [len(cluster.questions) for cluster in clusters]),
        answer_cluster=np.repeat(numbers, [len(cluster.answers) for cluster in clusters]),
    )
    write_bundle(bundle, options.output)
    print(f"{len(clusters)} of {len(found)} clusters, {len(questions)} questions, in {options.output}")


if __name__ == "__main__":
    main()
