"""What each part of the recipe `strong` is worth: held-out cosine and time, over seeds.

    python -m benchmarks.recipe_study ../reference-db/n30/lda.db --temperatures 0.1 0.03 --seeds 5
    python -m benchmarks.recipe_study --smoke

Every row is a variant: mean over seeds of the held-out mean and of the worst query, with their range,
the length of the outputs, and the training seconds until the validation cosine reached 0.99 and 0.999.
Choose by the validation column; the test columns are what is published.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from distill_core.config import DataConfig, RunConfig, TrainingConfig
from distill_core.database import demo_database_path
from distill_core.students import ProjectionTransformer
from distill_core.students.kinds import student_settings
from distill_core.students.spec import StudentConfig
from distill_core.teacher import MultiHeadLDA
from distill_core.training import EpochFinished, RunFinished, TrainingSession
from distill_core.training.loop import learner
from distill_core.training.loop.batches import QuerySampler

GOALS = (0.99, 0.999)


class Outcome(NamedTuple):
    """One run: test mean and minimum, best validation, relative length, seconds, seconds to each goal."""

    mean: float
    minimum: float
    validation: float
    length: float
    seconds: float
    reached: tuple[float, ...]


class Variant(NamedTuple):
    """A recipe: settings, and what is changed in the engine for the length of a run."""

    name: str
    settings: dict[str, object]
    change: Callable[[], AbstractContextManager[object]] = ExitStack


@contextmanager
def mixtures_only() -> Iterator[None]:
    """Draw mixtures of training queries and centroids, no transplants."""
    with mock.patch.object(QuerySampler, "_transplants", QuerySampler._mixtures):
        yield


@contextmanager
def queries_only() -> Iterator[None]:
    """Draw mixtures of training queries alone, as in FACTS 4."""
    draw = QuerySampler._mixtures

    def of_queries(self: QuerySampler, count: int) -> Tensor:
        pool, self._pool = self._pool, self._pool[: len(self._cosines)]
        try:
            return draw(self, count)
        finally:
            self._pool = pool

    with mock.patch.multiple(QuerySampler, _transplants=of_queries, _mixtures=of_queries):
        yield


@contextmanager
def transplants_only() -> Iterator[None]:
    """Draw transplants, no mixtures."""
    with mock.patch.object(QuerySampler, "_mixtures", QuerySampler._transplants):
        yield


@contextmanager
def no_start() -> Iterator[None]:
    """Leave the first map as it is drawn."""
    with mock.patch("distill_core.students.networks.encoder._FIRST_GAIN", 0.0):
        yield


@contextmanager
def ridge_start() -> Iterator[None]:
    """Also start the output map as the ridge regression of the answers on the untrained features."""
    first = ProjectionTransformer.start_from

    def with_ridge(self: ProjectionTransformer, teacher: MultiHeadLDA, seed: int = 0) -> None:
        first(self, teacher, seed)
        generator = torch.Generator().manual_seed(seed)
        queries = torch.from_numpy(teacher.centroids)
        queries = queries[torch.randint(len(queries), (2048,), generator=generator)]
        queries = torch.nn.functional.normalize(
            queries + 0.8 * torch.randn(queries.shape, generator=generator) / queries.shape[1] ** 0.5, dim=1
        )
        targets = torch.from_numpy(teacher.project(queries.numpy()))
        with torch.no_grad():
            features = self.encoder(self.input_proj(queries).unsqueeze(1)).squeeze(1)
            middle, mean = features.mean(0), targets.mean(0)
            centred = features - middle
            gram = centred.T @ centred
            gram += 1e-3 * gram.diagonal().mean() * torch.eye(len(gram))
            weight = torch.linalg.solve(gram, centred.T @ (targets - mean)).T
            self.output_proj.weight.copy_(weight)
            self.output_proj.bias.copy_(mean - weight @ middle)

    with mock.patch.object(ProjectionTransformer, "start_from", with_ridge):
        yield


@contextmanager
def no_average() -> Iterator[None]:
    """Validate and keep the weights as they are."""
    with mock.patch.multiple(learner, _AVERAGE_EVERY_STEPS=1, _AVERAGE_OVER_STEPS=1):
        yield


@contextmanager
def cosine_schedule() -> Iterator[None]:
    """Anneal as half a cosine."""

    def share(step: int, total_steps: int) -> float:
        rise = min(1.0, (step + 1) / (0.02 * total_steps))
        return float(rise * (0.5 + 0.5 * np.cos(np.pi * min(step / total_steps, 1.0))))

    with mock.patch.object(learner, "rate_share", share):
        yield


@contextmanager
def longer_memory() -> Iterator[None]:
    """AdamW with torch's own betas."""
    with mock.patch.object(learner, "_STRONG_BETAS", (0.9, 0.999)):
        yield


VARIANTS = (
    Variant("strong", {}),
    Variant("book", {"recipe": "book"}),
    Variant("mixtures of queries only", {}, queries_only),
    Variant("mixtures only", {}, mixtures_only),
    Variant("transplants only", {}, transplants_only),
    Variant("no start from the teacher", {}, no_start),
    Variant("ridge output start", {}, ridge_start),
    Variant("no average of weights", {}, no_average),
    Variant("cosine schedule", {}, cosine_schedule),
    Variant("betas 0.9, 0.999", {}, longer_memory),
    Variant("MSE summed over d", {"mse_reduction": "sum"}),
    Variant("lambda 1", {"cosine_weight": 1.0}),
    Variant("learning rate 1e-3", {"learning_rate": 1e-3}),
    Variant("batch 64, as many steps", {"batch_size": 64}),
    Variant("batch 32, as many steps", {"batch_size": 32}),
)


def run(database: Path, temperature: float, seed: int, variant: Variant, student: StudentConfig) -> Outcome:
    """Train once."""
    training = TrainingConfig(seed=seed, device="cpu").with_values(**variant.settings)
    config = RunConfig(
        data=DataConfig(database=str(database), temperature=temperature), student=student, training=training
    )
    reached = dict.fromkeys(GOALS, float("nan"))
    best, seconds = 0.0, 0.0
    with variant.change():
        for event in TrainingSession(config):
            if isinstance(event, EpochFinished) and event.validation is not None:
                best, seconds = max(best, event.validation.cosine), event.active_seconds
                for goal in GOALS:
                    if event.validation.cosine >= goal and np.isnan(reached[goal]):
                        reached[goal] = seconds
            if isinstance(event, RunFinished):
                result = event.evaluation
    length = result.relative_norm or float("nan")
    return Outcome(result.cosine.mean, result.cosine.min, best, length, seconds, tuple(reached.values()))


def row(name: str, outcomes: list[Outcome]) -> str:
    """Return a line of the table."""
    means, minima = [o.mean for o in outcomes], [o.minimum for o in outcomes]
    columns = [
        f"{name:26}",
        f"{np.mean(means):.5f} ({min(means):.5f} to {max(means):.5f})",
        f"{np.mean(minima):.4f} ({min(minima):.4f})",
        f"{np.mean([o.validation for o in outcomes]):.5f}",
        f"{np.mean([o.length for o in outcomes]):.3f}",
        f"{np.mean([o.seconds for o in outcomes]):6.1f}",
    ]
    for number in range(len(GOALS)):
        times = [o.reached[number] for o in outcomes]
        columns.append(f"{np.mean(times):6.1f}" if np.isfinite(times).all() else "     -")
    return " | ".join(columns)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("databases", nargs="*", type=Path, default=[demo_database_path()])
    parser.add_argument("--temperatures", nargs="+", type=float, default=[0.1])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--variants", nargs="*", help="parts of names; all by default")
    parser.add_argument("--kind", default="encoder")
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--smoke", action="store_true", help="one epoch and one seed of each")
    options = parser.parse_args()
    student = student_settings(options.kind, {"heads": options.heads, "layers": options.layers})
    chosen = [v for v in VARIANTS if not options.variants or any(part in v.name for part in options.variants)]
    if options.smoke:
        options.seeds = 1
        chosen = [variant._replace(settings={**variant.settings, "epochs": 1}) for variant in chosen]
    goals = " | ".join(f"s to {goal}" for goal in GOALS)
    for database in options.databases:
        for temperature in options.temperatures:
            print(f"{database}, temperature {temperature:g}, {options.seeds} seeds, {student.kind}")
            print(f"variant | test mean (range) | test minimum (lowest) | validation | length | s | {goals}")
            for variant in chosen:
                began = time.perf_counter()
                outcomes = [
                    run(database, temperature, seed, variant, student) for seed in range(options.seeds)
                ]
                print(row(variant.name, outcomes), f"[{time.perf_counter() - began:.0f} s]", flush=True)


if __name__ == "__main__":
    main()
