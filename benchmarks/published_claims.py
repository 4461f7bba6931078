"""What is true of four published claims about the method; `docs/findings.md` discusses the tables.

    python -m benchmarks.published_claims --reference-db DIR [--claim NAME] [--smoke]

DIR holds n18/lda.db and n30/lda.db; without it the bundled demo database stands in. The claims:

    cosine      the student reaches a mean cosine of 0.99
    mse         MSE alone goes in the wrong direction
    crossover   the student is faster above 400 heads, in batches above 27
    heads       H heads and L layers route like H^L flat heads

Everything runs on the CPU with one thread. Students and baselines are judged on held-out queries; each
seed has a split of its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from benchmarks.claim_accuracy import claim_cosine, claim_mse
from benchmarks.claim_crossover import claim_crossover
from benchmarks.claim_heads import claim_heads
from benchmarks.claim_training import PUBLISHED, SMOKE, Extent
from distill_core.devices import cpu_threads

CLAIMS: dict[str, Callable[[Path | None, Extent], None]] = {
    "cosine": claim_cosine,
    "mse": claim_mse,
    "crossover": claim_crossover,
    "heads": claim_heads,
}


def main() -> None:
    """Print the tables of one claim or of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--reference-db", type=Path, help="folder with n18/ and n30/; default: the demo")
    parser.add_argument("--claim", choices=tuple(CLAIMS), help="one claim; default: all")
    parser.add_argument("--smoke", action="store_true", help="one seed, two epochs, few heads")
    arguments = parser.parse_args()
    with cpu_threads(1):
        for name, show in CLAIMS.items():
            if arguments.claim in (None, name):
                print(f"\n== {name}")
                show(arguments.reference_db, SMOKE if arguments.smoke else PUBLISHED)


if __name__ == "__main__":
    main()
