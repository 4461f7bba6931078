"""A sweep as it stands, without a ledger."""

from __future__ import annotations

from distill_core.sweeps.events import CellShown, Spread, SweepShown, WorkerShown
from distill_core.sweeps.plan import MergedAxis
from distill_core.sweeps.results import frontier, to_take
from distill_core.sweeps.storage import StoragePlace
from distill_tui.sweeps.desk import SweepsView

PLACE = StoragePlace("sqlite", "/home/me/runs/sweeps.db")


def cell(number: int, heads: int, layers: int, error: float | None, p90_us: float = 40.0) -> CellShown:
    """Return a cell with two seeds, finished if it has an error."""
    is_done = error is not None
    cosine = 1.0 - (error or 0.0)
    spread = Spread(mean=cosine, low=cosine - 0.001, high=cosine + 0.001) if is_done else None
    return CellShown(
        number=number,
        settings={"student": "memory", "heads": heads, "layers": layers},
        state="finished" if is_done else "waiting",
        seeds=2,
        done=2 if is_done else 0,
        cosine=spread,
        skill=Spread(mean=0.9, low=0.89, high=0.91) if is_done else None,
        p90_us=p90_us if is_done else None,
        lda_p90_us=20.0 if is_done else None,
        machine="box, CPU, 1 threads" if is_done else "",
        parameters=1000 * (number + 1) if is_done else None,
        size_bytes=4000 * (number + 1) if is_done else None,
        runs=(f"run-{number}-s0", f"run-{number}-s1") if is_done else (),
    )


def sweep(name: str = "sweep-1", state: str = "running") -> SweepShown:
    """Return a sweep of H 1, 2, 4 and L 1, 2, of which one cell waits."""
    errors = [0.01, 0.02, 0.03, 0.04, 0.005, None]
    shape = [(heads, layers) for heads in (1, 2, 4) for layers in (1, 2)]
    cells = tuple(
        cell(n, *hl, error, 40.0 + n) for n, (hl, error) in enumerate(zip(shape, errors, strict=True))
    )
    front = frontier(cells)
    return SweepShown(
        name=name,
        state=state,
        database="/data/lda.db",
        search="grid",
        axes={"student": ("memory",), "heads": (1, 2, 4), "layers": (1, 2)},
        trials=12,
        done=10,
        seconds_left=300.0,
        cells=cells,
        merged_axes=(MergedAxis(axis="heads", student="encoder", values=(1, 2, 4), reason="one token"),),
        left_out=(),
        best=cells[4],
        frontier=front,
        take=to_take(front),
        baselines={"ridge": 0.06, "mean_output": 0.4},
        workers=(WorkerShown(host="box", pid=7, device="cuda", age_seconds=3.0, cell=5, seed=0, trial=10),),
    )


def view(*names: str) -> SweepsView:
    """Return what the desk shows of sweeps of these names, the last one looked at."""
    return SweepsView(names, sweep(names[-1]), PLACE)
