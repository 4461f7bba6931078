"""A sweep as it stands, read from its ledger and the folders of its runs: cells, the best, the frontier."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Sequence
from operator import itemgetter
from pathlib import Path

import numpy as np

from distill_core.arrays import Values
from distill_core.errors import RunError
from distill_core.runs.folder import RunFolder
from distill_core.sweeps.axes import Value
from distill_core.sweeps.events import CellShown, FrontierPoint, Spread, SweepShown, TrialEnded, WorkerShown
from distill_core.sweeps.ledger import SweepLedger
from distill_core.sweeps.plan import SweepPlan
from distill_core.sweeps.trials import Trial, TrialState, current

_DRAWS = 2000
_CONFIDENCE = 0.95
_ENOUGH = 0.005


def shown_sweep(ledger: SweepLedger, *, compared: bool = False) -> SweepShown:
    """Return a sweep as it stands.

    Args:
        ledger: Of the sweep.
        compared: Whether the test queries of the runs are read, too, for `behind_best`.
    """
    plan, trials = ledger.plan, current(ledger.trials())
    cells = tuple(
        _cell(number, settings, plan, [trials[key] for key in trials if key[0] == number])
        for number, settings in _settings(plan, trials.values())
    )
    done = [trial for trial in trials.values() if trial.result is not None]
    best = max((c for c in cells if c.cosine), key=lambda c: c.cosine.mean if c.cosine else 0.0, default=None)
    baselines: dict[str, float] = {}
    if compared and best is not None:
        cells = _behind(cells, best, trials)
        baselines = _baselines(best, trials.values())
    return SweepShown(
        name=plan.name,
        state=_sweep_state(trials.values(), stopped=ledger.is_stopped),
        database=plan.database,
        search=plan.search,
        axes=plan.axes,
        trials=max(plan.num_trials, len(trials)),
        done=len(done),
        seconds_left=_seconds_left(plan, trials.values()),
        cells=cells,
        merged_axes=plan.merged_axes,
        left_out=plan.left_out,
        best=best,
        frontier=(front := frontier(cells)),
        take=to_take(front),
        workers=tuple(_workers(trials.values())),
        baselines=baselines,
    )


def trial_ended(trial: Trial, plan: SweepPlan) -> TrialEnded:
    """Return a trial that is over as its worker told it."""
    result = trial.result
    return TrialEnded(
        sweep=plan.name,
        cell=trial.cell,
        seed=trial.seed,
        settings=plan.cells[trial.cell].settings if plan.search == "grid" else trial.settings,
        state=trial.state,
        run=Path(trial.run).name,
        cosine=result.cosine if result else None,
        p90_us=result.p90_us if result else None,
        parameters=result.parameters if result else None,
        seconds=result.train_seconds if result else None,
        host=trial.worker.host if trial.worker else "",
        why=trial.why,
    )


def frontier(cells: Sequence[CellShown]) -> tuple[FrontierPoint, ...]:
    """Return the cells that no other beats in error, latency and bytes at once, the fastest first.

    Latencies of two machines say nothing beside each other, so that each machine has a frontier of its own.
    """
    points = [_point(cell) for cell in cells if cell.cosine is not None and cell.done == cell.seeds]
    kept = [
        point for point in points if not any(_beats(other, point) for other in points if other is not point)
    ]
    return tuple(sorted(kept, key=lambda point: (point.machine, point.p90_us or 0.0, point.size_bytes)))


def to_take(points: Sequence[FrontierPoint]) -> FrontierPoint | None:
    """Return the fastest of the points whose error is at most twice the lowest, or 0.005."""
    enough = max(_ENOUGH, 2 * min((point.error for point in points), default=0.0))
    close = [point for point in points if point.error <= enough]
    return min(close, key=lambda point: (point.p90_us or 0.0, point.size_bytes), default=None)


def _point(cell: CellShown) -> FrontierPoint:
    assert cell.cosine is not None
    return FrontierPoint(
        cell=cell.number,
        settings=cell.settings,
        error=1.0 - cell.cosine.mean,
        p90_us=cell.p90_us,
        size_bytes=cell.size_bytes or 0,
        parameters=cell.parameters or 0,
        machine=cell.machine,
        runs=cell.runs,
    )


def _beats(one: FrontierPoint, other: FrontierPoint) -> bool:
    if one.machine != other.machine:
        return False
    ones, others = ((p.error, p.p90_us or 0.0, p.size_bytes) for p in (one, other))
    return ones != others and all(mine <= its for mine, its in zip(ones, others, strict=True))


def _settings(plan: SweepPlan, trials: Iterable[Trial]) -> list[tuple[int, dict[str, Value]]]:
    if plan.search == "grid":
        return [(cell.number, cell.settings) for cell in plan.cells]
    return sorted(((trial.cell, trial.settings) for trial in trials if trial.settings), key=itemgetter(0))


def _cell(number: int, settings: dict[str, Value], plan: SweepPlan, trials: Sequence[Trial]) -> CellShown:
    results = [trial.result for trial in trials if trial.result is not None and trial.state == "finished"]
    machines = {result.machine for result in results}
    one_machine = len(machines) == 1
    return CellShown(
        number=number,
        settings=settings,
        state=_state(trials),
        seeds=len(plan.seeds),
        done=len(results),
        cosine=_spread(result.cosine for result in results),
        skill=_spread(result.skill for result in results),
        agreement=_spread(result.agreement for result in results),
        p90_us=_mean(result.p90_us for result in results) if one_machine else None,
        lda_p90_us=_mean(result.lda_p90_us for result in results) if one_machine else None,
        machine=", ".join(sorted(machines)),
        parameters=max((result.parameters for result in results), default=None),
        size_bytes=max((result.size_bytes for result in results), default=None),
        train_seconds=_mean(result.train_seconds for result in results),
        runs=tuple(Path(trial.run).name for trial in trials if trial.run),
        why=" ".join(dict.fromkeys(trial.why for trial in trials if trial.state == "failed")),
    )


def _state(trials: Iterable[Trial]) -> TrialState:
    states: list[TrialState] = [trial.state for trial in trials]
    order: tuple[TrialState, ...] = ("running", "waiting", "lost", "failed", "dropped", "ended early")
    found = next((state for state in order if state in states), "finished" if states else "waiting")
    return "waiting" if found == "lost" else found


def _sweep_state(trials: Iterable[Trial], *, stopped: bool) -> str:
    states = {trial.state for trial in trials}
    if not states & {"waiting", "running", "lost"}:
        return "finished"
    if "running" in states:
        return "running"
    return "stopped" if stopped else "waiting"


def _workers(trials: Iterable[Trial]) -> Iterable[WorkerShown]:
    now = time.time()
    for trial in trials:
        if trial.state == "running" and trial.worker is not None:
            yield WorkerShown(
                host=trial.worker.host,
                pid=trial.worker.pid,
                device=trial.worker.device or "auto",
                age_seconds=max(0.0, now - trial.beat),
                cell=trial.cell,
                seed=trial.seed,
                trial=trial.number,
            )


def _seconds_left(plan: SweepPlan, trials: Iterable[Trial]) -> float | None:
    """Return the time of the finished runs, projected to the rest, shared by the workers that there are."""
    known = list(trials)
    seconds = [trial.result.train_seconds for trial in known if trial.result is not None]
    if not seconds:
        return None
    left = sum(trial.is_open for trial in known)
    workers = max(1, sum(trial.state == "running" for trial in known))
    return left * float(np.mean(seconds)) / workers


def _behind(
    cells: tuple[CellShown, ...], best: CellShown, trials: dict[tuple[int, int], Trial]
) -> tuple[CellShown, ...]:
    """Return the cells with their differences to the best one, paired by test query.

    Each query counts with its mean over the seeds. The intervals hold for all of them together: by
    Bonferroni, each leaves out a share of 5 % that is divided by how many were compared.
    """
    import msgspec

    others = sum(cell.cosine is not None for cell in cells) - 1
    reference = _cosines(best, trials)
    found = []
    for cell in cells:
        difference = None
        if cell.number != best.number and cell.cosine is not None and reference:
            mine = _cosines(cell, trials)
            common = sorted(reference.keys() & mine.keys())
            if common:
                differences = np.array([reference[query] - mine[query] for query in common])
                difference = paired_interval(differences, others)
        found.append(msgspec.structs.replace(cell, behind_best=difference))
    return tuple(found)


def paired_interval(differences: Values, comparisons: int) -> Spread:
    """Return the mean of paired differences (n,), with its share of a simultaneous interval of 95 %."""
    draws = np.random.default_rng(0).choice(differences, size=(_DRAWS, len(differences))).mean(axis=1)
    tail = 100 * (1 - _CONFIDENCE) / (2 * max(1, comparisons))
    low, high = np.percentile(draws, [tail, 100 - tail])
    return Spread(mean=float(differences.mean()), low=float(low), high=float(high))


def _baselines(best: CellShown, trials: Iterable[Trial]) -> dict[str, float]:
    """Return 1 - cosine of the ladder in the first run of a cell that is on this machine."""
    for trial in trials:
        if trial.cell != best.number or trial.result is None:
            continue
        with contextlib.suppress(RunError):
            record = RunFolder(trial.run).read_evaluation()
            rungs = record.finished.baselines if record is not None else {}
            return {name: 1.0 - rung.cosine.mean for name, rung in rungs.items() if rung.cosine is not None}
    return {}


def _cosines(cell: CellShown, trials: dict[tuple[int, int], Trial]) -> dict[int, float]:
    """Return the mean cosine over the seeds of each test query that all of them were judged on."""
    folders = [trial.run for key, trial in trials.items() if key[0] == cell.number and trial.result]
    seeds: list[dict[int, float]] = []
    for path in folders:
        with contextlib.suppress(RunError):
            record = RunFolder(path).read_evaluation()
            if record is not None and record.tested is not None:
                seeds.append(dict(zip(record.tested.question_ids, record.tested.cosines, strict=True)))
    common = set.intersection(*(set(seed) for seed in seeds)) if seeds else set()
    return {query: float(np.mean([seed[query] for seed in seeds])) for query in common}


def _spread(figures: Iterable[float | None]) -> Spread | None:
    known = [figure for figure in figures if figure is not None]
    if not known:
        return None
    return Spread(mean=float(np.mean(known)), low=min(known), high=max(known))


def _mean(figures: Iterable[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return float(np.mean(known)) if known else None
