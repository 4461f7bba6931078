"""Sweeps as studies of Optuna: their names, and how a plan and its trials are entered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from distill_core.errors import SweepError
from distill_core.sweeps.plan import SweepPlan
from distill_core.sweeps.storage import StoragePlace, guarded, open_storage

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage


def no_sweep(name: str, place: StoragePlace) -> SweepError:
    """Return the error for a name that no sweep has."""
    return SweepError(f"There is no sweep {name!r} in {place.shown}.", "'distill-tui sweep list' names them.")


def sweep_names(place: StoragePlace) -> tuple[str, ...]:
    """Return the names of the sweeps in a ledger, the newest last; none where there is no ledger.

    Raises:
        SweepError: The storage cannot be reached.
    """
    if not place.is_there:
        return ()

    def names() -> tuple[str, ...]:
        storage = open_storage(place)
        studies = sorted(storage.get_all_studies(), key=lambda study: study._study_id)
        return tuple(study.study_name for study in studies if "plan" in study.user_attrs)

    return guarded(names, place)


def enter(storage: BaseStorage, plan: SweepPlan) -> None:
    """Enter a new sweep with all its trials.

    Raises:
        SweepError: There is a sweep of this name.
    """
    import optuna

    objectives = 3 if plan.blocks else 2
    try:
        study = optuna.create_study(
            storage=storage, study_name=plan.name, directions=["minimize"] * objectives
        )
    except optuna.exceptions.DuplicatedStudyError as error:
        raise SweepError(
            f"There is a sweep {plan.name} already.",
            f"Take another --name, or go on with it: 'distill-tui sweep work {plan.name}'.",
        ) from error
    names = ["1 - cosine", "p90 us", "bytes"] if plan.blocks else ["1 - cosine", "bytes"]
    study.set_metric_names(names)
    for cell in plan.cells:
        for seed in plan.seeds:
            add_trial(study, plan, cell.number, seed, {})
    if plan.search == "frontier":
        for number in range(plan.trials or 0):
            add_trial(study, plan, number, plan.seeds[0], {})
    study.set_user_attr("plan", msgspec.to_builtins(plan))


def add_trial(study: Study, plan: SweepPlan, cell: int, seed: int, attributes: dict[str, Any]) -> None:
    """Add a trial of a cell and a seed, which waits."""
    import optuna
    from optuna.distributions import CategoricalDistribution
    from optuna.trial import TrialState as States

    settings = plan.cells[cell].settings if plan.search == "grid" else {}
    axes = {name: plan.axes[name] for name in plan.drawn_axes() if name in settings}
    study.add_trial(
        optuna.create_trial(
            state=States.WAITING,
            params={name: settings[name] for name in axes},
            distributions={name: CategoricalDistribution(values) for name, values in axes.items()},
            user_attrs={"cell": cell, "seed": seed, **attributes},
            system_attrs={"fixed_params": attributes["chosen"]} if attributes.get("chosen") else {},
        )
    )


def plan_of(attributes: dict[str, Any], name: str) -> SweepPlan:
    """Return the plan of a sweep from the attributes of its study.

    Raises:
        SweepError: It is no study of this program.
    """
    try:
        return msgspec.convert(attributes["plan"], SweepPlan)
    except (KeyError, msgspec.ValidationError) as error:
        raise SweepError(
            f"{name} is a study of another program, or of another version.", "Take another name."
        ) from error
