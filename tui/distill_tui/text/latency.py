"""The result of a latency comparison in words, the same on the screen and on the command line."""

from __future__ import annotations

from collections.abc import Iterator

from distill_core.latency.events import LatencyFinished, ModelLatency
from distill_core.wording import faster_sentence

SINGLE_STREAM, OFFLINE = "single-stream", "offline"
"""One query at a time, and in batches. The words are MLPerf's."""


def contestant_names(result: LatencyFinished) -> Iterator[tuple[str, ModelLatency]]:
    """Yield each contestant with its name; a student that folds has two forms."""
    yield "LDA", result.lda
    if result.unfolded is None:
        yield "student", result.transformer
    else:
        yield "folded", result.transformer
        yield "published", result.unfolded


def faster_lines(result: LatencyFinished) -> Iterator[tuple[str, str]]:
    """Yield what is compared, and who is faster; first the two cases, then what folding gives."""
    yield SINGLE_STREAM, faster_sentence(result.single_ratio, result.single_ratio_interval)
    offline = faster_sentence(result.batch_ratio, result.batch_ratio_interval)
    yield f"{OFFLINE}, batch of {result.batch_size}", offline
    if result.unfolded is not None:
        unfolded = result.unfolded
        (low, high), (batch_low, batch_high) = unfolded.single_ratio_interval, unfolded.batch_ratio_interval
        yield (
            "folding",
            f"{_times(unfolded.single_ratio)} the speed ({_times(low)} to {_times(high)}), "
            f"in batches {_times(unfolded.batch_ratio)} ({_times(batch_low)} to {_times(batch_high)})",
        )


def _times(ratio: float) -> str:
    return f"{ratio:.0f}x" if ratio >= 10 else f"{ratio:.1f}x" if ratio >= 2 else f"{ratio:.2f}x"
