"""The routed student's own training: rounds of growing label sets, each fitted in closed form."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from msgspec import structs

from distill_core.arrays import Ids, Matrix
from distill_core.config import MseReduction, RunConfig
from distill_core.devices import OwnRandomState
from distill_core.errors import TrainingError
from distill_core.students import Student
from distill_core.students.networks.routed import FIGURES, RoutedStudent
from distill_core.students.routed import LDA, RoutedConfig, Rung
from distill_core.teacher_data import TeacherData
from distill_core.training.events import EpochFinished, StepsFinished, Terms
from distill_core.training.loop.batches import QuerySampler
from distill_core.training.loop.loss import distillation_loss, mse_gradient_share
from distill_core.training.loop.routed_labels import Labels, joined
from distill_core.training.loop.routed_rungs import Fitted, RungFitter

_FIRST_ROUND = 1_000
_VALIDATION = 800
"""Validation queries that are labelled, at most."""

_SPARE = 3_000
"""Training queries, at most, that are not fitted on, but asked for what a scan nearly misses."""

_SAMPLED_FROM = 2_048
"""Training queries that new ones are drawn from, at most: each is compared with every head first."""

_AT_ONCE = 256
"""Queries labelled between two events."""

_TOLD_ON = 1_000
"""Training labels that the loss of a round is taken over."""

_GAIN = 0.02
"""A round that takes less than this off the validation loss is the last one."""

_Loss = tuple[float, MseReduction]

_COUNTERS = ("step", "epochs_done", "active_seconds", "_label_seconds", "_is_over")


class _Kept(NamedTuple):
    """A student with what decides whether another one takes its place.

    Attributes:
        misses: Whether a wish is not met.
        place: Of its rung in the ladder.
        loss: On validation.
        student: Itself.
    """

    misses: bool
    place: int
    loss: float
    student: RoutedStudent


class RoutedTraining:
    """Labels queries, half of them from the training part, half drawn as the recipe `strong` draws them.

    After each round the ladder of the settings is climbed: the fastest rung that reaches what is wanted on
    the validation queries is kept. Later rounds try that rung and faster ones; training ends when a round
    gains nothing. A state holds the labels, the tree and the codes, so that another training goes on from
    it to the same student.

    Args:
        config: Resolved; `epochs` is the most rounds there are.
        data: The teacher and the split queries; test queries are not looked at.
        random_state: Of the drawn queries.

    Raises:
        TrainingError: The training queries belong to one cluster.
    """

    def __init__(self, config: RunConfig, data: TeacherData, random_state: OwnRandomState) -> None:
        settings = cast(RoutedConfig, config.student)
        _require_clusters(data)
        assert config.training.mse_reduction is not None
        self._settings, self._random, self._data = settings, random_state, data
        self._loss: _Loss = config.training.cosine_weight, config.training.mse_reduction
        rng = np.random.default_rng(config.training.seed)
        self._order = _drawn_order(data, rng)
        self._validated = np.sort(rng.permutation(data.watched)[:_VALIDATION])
        self._spared = np.sort(self._order[settings.labels // 2 :][:_SPARE])
        self._fitter = RungFitter(data.teacher, settings, config.training.seed)
        self._ladder = settings.ladder(data.teacher.dimension, data.teacher.num_heads)
        self._rounds = _rounds(settings.labels, self._ladder)[: config.training.epochs]
        self.total_steps = self._rounds[-1]
        self.step = self.epochs_done = 0
        self.active_seconds = self._label_seconds = 0.0
        self._is_over = False
        self._queries = np.empty((0, data.teacher.dimension), np.float32)
        self._labels: Labels | None = None
        self._validation: Labels | None = None
        self._spare: Labels | None = None
        self._sampler: QuerySampler | None = None
        self._best: _Kept | None = None
        self._terms: Terms | None = None
        self._started = 0.0

    @property
    def student(self) -> Student:
        """The student to keep: the LDA itself until a round is over."""
        return cast(Student, self._fitter.lda() if self._best is None else self._best.student)

    @property
    def is_sound(self) -> bool:
        """Whether its maps are all numbers."""
        kept = None if self._best is None else self._best.student
        return kept is None or kept.rung == LDA or bool(np.isfinite(kept.fields.far.map).all())

    def __iter__(self) -> Iterator[StepsFinished | EpochFinished]:
        """Label and fit, round by round."""
        while self.epochs_done < len(self._rounds) and not self._is_over:
            self._started = time.perf_counter()
            for event in self._round():
                yield event
                self._started = time.perf_counter()  # what the consumer does with it counts nowhere

    def _round(self) -> Iterator[StepsFinished | EpochFinished]:
        yield from self._label()
        yield from self._climb()
        yield self._finish_round()

    # Labels.

    def _label(self) -> Iterator[StepsFinished]:
        """Draw the queries of the round, and label those that are not."""
        wanted = self._rounds[self.epochs_done]
        if self._validation is None:
            self._validation = self._labelled(self._data.queries[self._validated])
        if self._spare is None and len(self._spared) and self._ladder != (LDA,):
            self._spare = self._labelled(self._data.queries[self._spared])
        if len(self._queries) < wanted:
            self._queries = np.concatenate((self._queries, self._drawn(wanted - len(self._queries))))
        while self.step < wanted:
            began = time.perf_counter()
            more = self._labelled(self._queries[self.step : min(self.step + _AT_ONCE, wanted)])
            self._labels = more if self._labels is None else joined((self._labels, more))
            self.step = self._labels.number
            self._label_seconds += time.perf_counter() - began
            if self._terms is None:  # nothing is fitted yet: a constant stands for the student
                mean = np.broadcast_to(self._labels.targets.mean(axis=0), more.targets.shape)
                self._terms = self._terms_of(mean, more.targets)
            yield self._told()

    def _labelled(self, queries: Matrix) -> Labels:
        return self._fitter.labeller.label(self._fitter.lda().fields.scaled(queries))

    def _drawn(self, count: int) -> Matrix:
        """Return new queries (count, d): half from the training part while it lasts, others drawn."""
        taken = min(len(self._queries) // 2, len(self._order))
        rows = self._order[taken : taken + count // 2]
        real = self._data.queries[rows]
        if self._sampler is None:
            some = self._data.queries[np.sort(self._order[:_SAMPLED_FROM])]  # weighed by being drawn
            self._sampler = QuerySampler(torch.from_numpy(some), torch.tensor(self._fitter.keys))
        with self._random:
            drawn = self._sampler.draw(count - len(real)).numpy()
        return np.concatenate((real, drawn))

    # The ladder.

    def _climb(self) -> Iterator[StepsFinished]:
        """Fit rung by rung to the first that reaches what is wanted; keep it where it is the better one."""
        train, validation = self._labels, self._validation
        assert train is not None
        assert validation is not None
        last = len(self._ladder) - 1 if self._best is None else self._best.place
        tried: list[dict[str, object]] = []
        wishes, fitted, place = self._settings.wishes, None, 0
        for place, rung in enumerate(self._ladder[: last + 1]):
            recall = self._fitter.recall(rung, validation)
            if recall is not None and recall < wishes.recall and place < last:
                tried.append({"rung": rung.words, "recall": recall})
                continue
            fitted = self._fitter.fitted(rung, train, validation, self._spare)
            tried.append({"rung": rung.words, **fitted.figures._asdict()})
            if fitted.figures.reach(wishes):
                break
            yield self._told()
        assert fitted is not None
        self._keep(place, fitted, tried)

    def _keep(self, place: int, fitted: Fitted, tried: list[dict[str, object]]) -> None:
        """Keep a student that is faster than the one before, or nearer on the same rung."""
        assert self._validation is not None
        student, figures, before = fitted.student, fitted.figures, self._best
        loss = self._terms_of(fitted.projections, self._validation.targets).loss
        found = _Kept(not figures.reach(self._settings.wishes), place, loss, student)
        if before is not None and student.rung != LDA and before.place == place:
            self._is_over = loss > (1 - _GAIN) * before.loss
        if before is not None and found[:3] >= before[:3]:
            return
        values = (figures.recall, figures.cosine, figures.worst, figures.agreement, float(self.step))
        student.figures = dict(zip(FIGURES, values, strict=True))
        reason = self._reason(student, met=not found.misses)
        student.told = {"wishes_met": not found.misses, "reason": reason, "tried": tried}
        self._best = found

    def _reason(self, student: RoutedStudent, *, met: bool) -> str:
        """Say in a sentence why this rung was taken."""
        if self._ladder == (LDA,):
            few = (
                "as asked for" if self._settings.near == "lda" else f"{student.teacher_heads:,} heads are few"
            )
            return f"The LDA itself is kept: {few}."
        if student.rung == LDA:
            return "The LDA itself is kept: no faster way reached what is wanted on the validation queries."
        if met:
            return "The fastest way that reached what is wanted on the validation queries."
        return "The most exact way that was asked for; it does not reach what is wanted."

    def _finish_round(self) -> EpochFinished:
        assert self._best is not None
        assert self._labels is not None
        assert self._validation is not None
        self.epochs_done += 1
        student, told_on = self._best.student, slice(0, _TOLD_ON)
        train = student.project(self._labels.queries[told_on])
        own = student.project(self._validation.queries)
        self._terms = self._terms_of(train, self._labels.targets[told_on])
        targets = torch.from_numpy(self._validation.targets)
        validation = self._terms_of(own, self._validation.targets)
        return EpochFinished(
            epoch=self.epochs_done,
            step=self.step,
            train=self._terms,
            validation=validation,
            mse_gradient_share=float(mse_gradient_share(torch.from_numpy(own), targets, *self._loss)),
            learning_rate=0.0,
            **self._pace(),
        )

    # What is told.

    def _told(self) -> StepsFinished:
        assert self._terms is not None
        done = self._rounds[self.epochs_done - 1] if self.epochs_done else 0
        share = (self.step - done) / (self._rounds[self.epochs_done] - done)
        return StepsFinished(
            step=self.step, epoch=self.epochs_done + min(share, 0.99), train=self._terms, **self._pace()
        )

    def _pace(self) -> dict[str, Any]:
        self.active_seconds += time.perf_counter() - self._started
        rate = self.step / self._label_seconds if self._label_seconds else 0.0
        return {
            "samples_per_second": rate,
            "active_seconds": self.active_seconds,
            "eta_seconds": self.active_seconds / max(self.step, 1) * (self.total_steps - self.step),
        }

    def _terms_of(self, projections: Matrix, targets: Matrix) -> Terms:
        predicted = torch.from_numpy(np.ascontiguousarray(projections))
        terms = distillation_loss(predicted, torch.from_numpy(targets), *self._loss)
        return Terms(loss=float(terms.loss), mse=float(terms.mse.mean()), cosine=float(terms.cosine.mean()))

    # To go on.

    def state_dict(self) -> dict[str, Any]:
        """Return labels, tree, codes, counters and the kept student's maps."""
        kept = self._best
        return {
            "random": self._random.state_dict(),
            "fitter": self._fitter.state_dict(),
            "queries": self._queries if len(self._queries) else None,
            "labels": None if self._labels is None else tuple(self._labels),
            "validation": None if self._validation is None else tuple(self._validation),
            "spare": None if self._spare is None else tuple(self._spare),
            "terms": None if self._terms is None else structs.asdict(self._terms),
            "kept": None if kept is None else _kept_state(kept),
            "counters": {name: getattr(self, name) for name in _COUNTERS},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of the same settings."""
        self._random.load_state_dict(state["random"])
        self._fitter.load_state_dict(state["fitter"])
        if state["queries"] is not None:
            self._queries = state["queries"]
        self._labels = None if state["labels"] is None else Labels(*state["labels"])
        self._validation = None if state["validation"] is None else Labels(*state["validation"])
        spare = state.get("spare")  # a state of the version before has none, and they are labelled again
        self._spare = None if spare is None else Labels(*spare)
        self._terms = None if state["terms"] is None else Terms(**state["terms"])
        self._best = None if state["kept"] is None else self._kept(state["kept"])
        for name in _COUNTERS:
            setattr(self, name, state["counters"][name])

    def _kept(self, state: dict[str, Any]) -> _Kept:
        student = self._fitter.restored(self._ladder[state["place"]], state["map"], state["shift"])
        student.figures, student.told = state["figures"], state["told"]
        return _Kept(state["misses"], state["place"], state["loss"], student)


def _kept_state(kept: _Kept) -> dict[str, Any]:
    student = kept.student
    is_lda = student.rung == LDA
    return {
        "misses": kept.misses,
        "place": kept.place,
        "loss": kept.loss,
        "map": None if is_lda else student.fields.far.map,
        "shift": None if is_lda else student.fields.far.shift,
        "figures": student.figures,
        "told": student.told,
    }


def _rounds(labels: int, ladder: tuple[Rung, ...]) -> tuple[int, ...]:
    """Return the labels of each round: doubled from about 1,000 on; few where there is nothing to fit."""
    if ladder == (LDA,):
        return (min(labels, _AT_ONCE),)
    sizes = [labels]
    while sizes[-1] >= 2 * _FIRST_ROUND:
        sizes.append(sizes[-1] // 2)
    return tuple(reversed(sizes))


def _drawn_order(data: TeacherData, rng: np.random.Generator) -> Ids:
    """Return the training rows in an order of chance; with weights as many, drawn as often as asked."""
    rows, weights = data.split.train, data.weights_of(data.split.train)
    if weights is None:
        return rng.permutation(rows)
    return rng.choice(rows, len(rows), p=weights / weights.sum())


def _require_clusters(data: TeacherData) -> None:
    """Refuse a sample that shows one corner of the queries alone: the far field would be fitted there."""
    labels = data.labelled.clusters[data.split.train]
    if data.teacher.num_heads > 1 and len(np.unique(labels)) < 2:
        raise TrainingError(
            f"All {len(labels):,} training queries belong to one cluster, which says nothing of what is far.",
            "Split by query, or take questions of several clusters.",
        )
