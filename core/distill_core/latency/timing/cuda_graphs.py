"""The student as a CUDA graph: one launch a call in place of one a kernel."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from distill_core.latency.timing.calls import Project

_WARM_UPS = 3
"""Calls before the capture, as torch's documentation of CUDA graphs asks for."""


def graph_call(student: torch.nn.Module, example: Tensor) -> Project:
    """Return the student's forward pass as a graph that is replayed.

    Args:
        student: On the device, in evaluation.
        example: (batch, d) on the device; the call takes queries of this shape, from the device or the host.

    Raises:
        RuntimeError: The student cannot be captured.
    """
    inputs = example.clone()
    with torch.inference_mode():
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UPS):
                student(inputs)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = student(inputs)

    def project(queries: object) -> Tensor:
        inputs.copy_(cast(Tensor, queries), non_blocking=True)
        graph.replay()
        return cast(Tensor, outputs)

    return torch.inference_mode()(project)
