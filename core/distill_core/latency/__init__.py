"""Latency of teacher and student, measured side by side."""

from distill_core.latency.comparison import LatencySettings, compare_latency
from distill_core.latency.events import (
    BlockTimed,
    LatencyEvent,
    LatencyFinished,
    LatencyStarted,
    ModelLatency,
    Percentiles,
)

__all__ = [
    "BlockTimed",
    "LatencyEvent",
    "LatencyFinished",
    "LatencySettings",
    "LatencyStarted",
    "ModelLatency",
    "Percentiles",
    "compare_latency",
]
