"""A search for the frontier: what is chosen from, what is the same as before, and what cannot reach it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import msgspec

from distill_core.architecture import Cost
from distill_core.config import RunConfig
from distill_core.errors import SettingsError
from distill_core.students.kinds import STUDENT_KINDS
from distill_core.sweeps.axes import Value, identity, inert_settings, run_config
from distill_core.sweeps.ledger import Choose, SweepLedger
from distill_core.sweeps.plan import Cell, SweepPlan, shown_settings
from distill_core.sweeps.trials import Trial
from distill_core.training.events import EpochFinished, RunStarted, TrainEvent

COSINE_WEIGHTS = (0.1, 0.3, 0.5, 0.7, 0.9)
LEARNING_RATES = (1e-3, 3e-3, 1e-2)

HOPELESS = 2.0
"""An error so many times that of a smaller and quicker student's cannot reach the frontier."""

_MOST_REPEATS = 4
"""So many times the budget is asked for; a small space has been seen by then."""


def chosen_settings(plan: SweepPlan, choose: Choose) -> dict[str, Value]:
    """Choose a kind, its sizes and its recipe; settings with values of the user's are chosen from those."""
    kind = str(_one(plan, choose, "student", tuple(STUDENT_KINDS), "student"))
    settings = STUDENT_KINDS[kind]
    values: dict[str, tuple[Value, ...]] = dict(settings.choices(plan.num_heads, plan.dimension))
    if settings.BY_GRADIENTS:
        values |= {"cosine_weight": COSINE_WEIGHTS, "learning_rate": LEARNING_RATES}
    values |= {name: given for name, given in plan.axes.items() if name != "student"}
    inert = inert_settings(kind)
    chosen = {
        name: _one(plan, choose, name, choices, f"{kind} {name}")
        for name, choices in values.items()
        if name not in inert
    }
    return {"student": kind, **chosen}


def chosen_cell(ledger: SweepLedger, trial: Trial) -> Cell:
    """Return the cell of a trial of a search, its settings chosen, or repeated if an earlier worker had them.

    Raises:
        SettingsError: They do not fit together, or were tried before.
    """
    plan = ledger.plan
    values = ledger.choose(trial, lambda choose: chosen_settings(plan, choose))
    config = config_of(plan, values)
    mine = identity(config, plan.num_heads, plan.dimension)
    for other in ledger.current().values():
        if other.cell < trial.cell and other.settings and _identity(plan, other.settings) == mine:
            raise SettingsError(f"It is the same as cell {other.cell}.")
    settings = shown_settings(config, tuple(values))
    return Cell(number=trial.cell, settings=settings, config=msgspec.to_builtins(config))


def config_of(plan: SweepPlan, values: Mapping[str, object]) -> RunConfig:
    """Return the settings of a run from what was chosen."""
    return run_config(values, plan.database, lambda mh_id: (plan.num_heads, plan.dimension))


def replace_repeated(ledger: SweepLedger) -> None:
    """Add a trial in place of one that was the same as another, as long as that may bring something new."""
    trials = ledger.current()
    if len(trials) < _MOST_REPEATS * max(1, ledger.plan.trials or 0):
        _add_next(ledger, trials)


def is_over_time(ledger: SweepLedger) -> bool:
    """Return whether the time of a search is over; then what waits is dropped."""
    deadline = ledger.plan.deadline
    if deadline is None or datetime.now(UTC) < deadline:
        return False
    for trial in ledger.current().values():
        ledger.drop(trial)
    return True


def add_trial(ledger: SweepLedger) -> bool:
    """Add a trial to a search whose only budget is time; return whether it is one."""
    plan = ledger.plan
    if plan.search == "grid" or plan.trials is not None:
        return False
    _add_next(ledger, ledger.current())
    return True


class Prospect:
    """Whether a student in training may still reach the frontier.

    Args:
        ledger: Of the search.
        config: Of the run.
    """

    def __init__(self, ledger: SweepLedger, config: RunConfig) -> None:
        self._plan, self._steps = ledger.plan, 0
        cost = self._cost(config)
        self._rivals = [
            (1.0 - trial.result.cosine, trial.cell)
            for trial in ledger.current().values()
            if trial.state == "finished" and trial.result is not None and self._is_below(trial, cost)
        ]

    def doubt(self, event: TrainEvent) -> str:
        """Return in words why it cannot, from the middle of the training on; empty as long as it may."""
        if isinstance(event, RunStarted):
            self._steps = event.total_steps
        if not isinstance(event, EpochFinished) or event.validation is None or 2 * event.step < self._steps:
            return ""
        error = 1.0 - event.validation.cosine
        beaten = [cell for rival, cell in self._rivals if error > HOPELESS * rival]
        if not beaten:
            return ""
        told = f"cell {beaten[0]} is smaller and quicker"
        return f"{told}, and has less than half of its error at epoch {event.epoch}"

    def _is_below(self, trial: Trial, cost: Cost) -> bool:
        other = self._cost(config_of(self._plan, trial.settings))
        return other != cost and other.parameters <= cost.parameters and other.flops <= cost.flops

    def _cost(self, config: RunConfig) -> Cost:
        return config.student.inference_cost(self._plan.dimension, self._plan.num_heads)


def _identity(plan: SweepPlan, values: Mapping[str, object]) -> bytes | None:
    try:
        return identity(config_of(plan, values), plan.num_heads, plan.dimension)
    except SettingsError:
        return None


def _add_next(ledger: SweepLedger, trials: Iterable[tuple[int, int]]) -> None:
    ledger.add(1 + max((cell for cell, _ in trials), default=-1), ledger.plan.seeds[0])


def _one(plan: SweepPlan, choose: Choose, name: str, choices: tuple[Value, ...], parameter: str) -> Value:
    values = plan.axes.get(name, choices)
    return values[0] if len(values) == 1 else choose(parameter, values)
