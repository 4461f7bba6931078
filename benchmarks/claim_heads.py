"""The claim about capacity: what the number of heads H does in the published student."""

from __future__ import annotations

from pathlib import Path

import torch

from benchmarks.claim_training import Extent, judged, sources, spread, trained
from distill_core.config import TrainingConfig
from distill_core.students import ProjectionTransformer
from distill_core.teacher_data import TeacherData


def claim_heads(folder: Path | None, extent: Extent) -> None:
    """Print how far outputs differ between values of H, from the same weights and after training."""
    source = sources(folder)[0]
    data = source.load(0.1, 0)
    for precision in (torch.float32, torch.float64):
        difference, scale = inert_difference(torch.from_numpy(data.queries).to(precision))
        print(f"same weights, {precision}: outputs up to {scale:.2f} differ by {difference:.1e} at most")
    print(f"largest gradient of W_q and W_k after a batch: {query_key_gradient(data):.1e}")
    print(f"{source.name}, tau 0.1, {len(extent.few_seeds)} seeds, trained as published: mean cosine (range)")
    for heads in (1, 4, 16):
        means = []
        for seed in extent.few_seeds:
            data = source.load(0.1, seed)
            student = next(trained(data, TrainingConfig(seed=seed), (min(200, extent.epochs),), heads))
            means.append(judged(data, student.project).cosine.mean)
        print(f"  H = {heads:2}, H^L = {heads**2:3}: {spread(means)}", flush=True)


def inert_difference(queries: torch.Tensor) -> tuple[float, float]:
    """Return the largest difference of outputs between values of H, and the largest output."""
    torch.manual_seed(0)
    dimension = queries.shape[1]
    first = ProjectionTransformer(dimension, num_heads=1).to(queries.dtype).eval()
    worst = 0.0
    with torch.inference_mode():
        expected = first(queries)
        for heads in (count for count in range(2, dimension + 1) if dimension % count == 0):
            other = ProjectionTransformer(dimension, num_heads=heads).to(queries.dtype).eval()
            other.load_state_dict(first.state_dict())
            worst = max(worst, float((other(queries) - expected).abs().max()))
    return worst, float(expected.abs().max())


def query_key_gradient(data: TeacherData) -> float:
    """Return the largest entry of the gradient of the query and key weights, of all layers."""
    student = ProjectionTransformer(data.teacher.dimension)
    error = student(torch.from_numpy(data.queries)) - torch.from_numpy(data.targets)
    torch.autograd.backward(error.square().mean())
    rows = 2 * data.teacher.dimension
    weights = [w for name, w in student.named_parameters() if name.endswith("in_proj_weight")]
    return max(float(w.grad[:rows].abs().max()) for w in weights if w.grad is not None)
