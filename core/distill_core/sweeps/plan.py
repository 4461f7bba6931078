"""What a sweep is to try: cells of settings, each with some seeds, and what was merged or left out."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec

from distill_core.config import RunConfig, parse_config
from distill_core.database import Database
from distill_core.errors import SettingsError
from distill_core.runs.new_folder import Clock, utc_now
from distill_core.students.kinds import STUDENT_KINDS
from distill_core.sweeps.axes import Axes, Value, combinations, identity, inert_settings, run_config

Search = Literal["grid", "frontier"]

ID_TIME = "%Y-%m-%dT%H%M%S"

DEFAULT_BLOCKS = 4
"""Of about 8 ms each, for the latency of a student beside its teacher's."""

MAX_TRIALS = 10_000
DEFAULT_TRIALS = 40
"""Of a search for the frontier without a budget."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


class MergedAxis(msgspec.Struct, frozen=True, kw_only=True):
    """Values of a setting that are one experiment for a kind of student, so that one of them is run.

    Attributes:
        axis: Name of the setting.
        student: Kind of student.
        values: What was asked for.
        reason: Why they are the same, in words.
    """

    axis: str
    student: str
    values: tuple[Value, ...]
    reason: str


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """Settings to try, once a seed.

    Attributes:
        number: From 0 on.
        settings: By name: the kind, its shape, and every setting that was given.
        config: All settings of its runs but the seed, as plain values.
    """

    number: int
    settings: dict[str, Value]
    config: dict[str, Any]

    def run_config(self, seed: int, database: str = "", device: str = "") -> RunConfig:
        """Return the settings of the run of a seed; a database and a device replace those of the plan."""
        config = parse_config(self.config)
        data = config.data.with_values(database=database) if database else config.data
        training = config.training.with_values(seed=seed, **({"device": device} if device else {}))
        return config.with_values(data=data, training=training)


class SweepPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A sweep as it was asked for.

    Attributes:
        name: Unique in a storage.
        id: Time and name, which begin the name of each of its runs.
        database: Path of the `lda.db` where the sweep was made.
        axes: What was given.
        cells: What is to be run; of a search, none: its trials say what they took.
        seeds: Of each cell.
        merged_axes: See there.
        left_out: Combinations that do not fit, in words, such as an H that does not divide d.
        search: `grid` runs every cell; `frontier` chooses.
        trials: Budget of a search.
        minutes: Likewise, from the beginning on; runs that are under way then come to their end.
        blocks: Blocks of about 8 ms in which the latency of each student is measured; 0 for not at all.
        grace_seconds: A worker that shows no sign of life for so long has lost its trial.
        queue: Of the machine that works it off, see `queue_of`; empty for workers that ask for it by name.
        after: Folder of the run that has to end first; empty for none.
        num_heads: N of the projection that is searched for.
        dimension: d, likewise.
    """

    name: str
    id: str
    database: str
    axes: Axes
    cells: tuple[Cell, ...] = ()
    seeds: tuple[int, ...] = (0,)
    merged_axes: tuple[MergedAxis, ...] = ()
    left_out: tuple[str, ...] = ()
    search: Search = "grid"
    trials: int | None = None
    minutes: float | None = None
    blocks: int = DEFAULT_BLOCKS
    grace_seconds: float = 60.0
    queue: str = ""
    after: str = ""
    num_heads: int = 1
    dimension: int = 1

    @property
    def deadline(self) -> datetime | None:
        """When a search by minutes is over."""
        if self.minutes is None:
            return None
        begun = datetime.strptime(self.id[:17], ID_TIME).replace(tzinfo=UTC)
        return begun + timedelta(minutes=self.minutes)

    @property
    def num_trials(self) -> int:
        """How many runs that are; of a search by minutes alone, 0 for as many as the time allows."""
        return len(self.cells) * len(self.seeds) if self.search == "grid" else self.trials or 0

    def run_name(self, cell: int, seed: int) -> str:
        """Return the name of the folder of a run, the same for whoever trains it."""
        return f"{self.id}-c{cell:03d}-s{seed}"

    def drawn_axes(self) -> tuple[str, ...]:
        """Return the names of the axes with several values, which a heat map can show."""
        return tuple(name for name, values in self.axes.items() if len(values) > 1)


class SweepRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a user asks for; `plan_sweep` makes a plan of it.

    Attributes:
        axes: The values of each setting; `seed` is the first one, or all of them.
        num_seeds: Of each cell, from the first seed on; None for those that `seed` names.
        others: As in the plan.
    """

    name: str
    axes: Axes
    num_seeds: int | None = None
    search: Search = "grid"
    trials: int | None = None
    minutes: float | None = None
    blocks: int = DEFAULT_BLOCKS
    grace_seconds: float = 60.0


def plan_sweep(request: SweepRequest, database: Database, clock: Clock = utc_now) -> SweepPlan:
    """Return the plan of a sweep over an open database.

    Raises:
        SettingsError: Nothing of it fits, the name cannot be used, or there is too much of it.
        DatabaseError: The database or a projection cannot be used.
    """
    axes, seeds = seeds_of(request)

    def shape_of(mh_id: int) -> tuple[int, int]:
        projection = database.projection(mh_id)
        return max(projection.num_heads, 1), projection.dimension

    name = checked_sweep_name(request.name)
    plan = SweepPlan(
        name=name,
        id=f"{clock().astimezone(UTC).strftime(ID_TIME)}-{name}",
        database=str(database.path),
        axes=axes,
        seeds=seeds,
        search=request.search,
        trials=request.trials,
        minutes=request.minutes,
        blocks=request.blocks,
        grace_seconds=request.grace_seconds,
    )
    if request.search == "frontier":
        if any(len(axes.get(name, ())) > 1 for name in ("mh_id", "temperature")):
            raise SettingsError("A frontier is that of one teacher.", "Name one projection and temperature.")
        num_heads, dimension = shape_of(int(axes.get("mh_id", (1,))[0] or 0))
        shapes = {"num_heads": num_heads, "dimension": dimension}
        return msgspec.structs.replace(plan, seeds=seeds[:1], merged_axes=merged_axes(axes), **shapes)
    cells, merged, left_out = make_grid(axes, plan.database, shape_of)
    if len(cells) * len(seeds) > MAX_TRIALS:
        raise SettingsError(f"The sweep has more than {MAX_TRIALS:,} runs.", "Name fewer values or seeds.")
    return msgspec.structs.replace(plan, cells=cells, merged_axes=merged, left_out=left_out)


def seeds_of(request: SweepRequest) -> tuple[Axes, tuple[int, ...]]:
    """Return the axes without the seed, and the seeds of each cell."""
    axes = dict(request.axes)
    seeds = tuple(int(seed) for seed in axes.pop("seed", (0,)) if isinstance(seed, int))
    if request.num_seeds is not None:
        seeds = tuple(range(seeds[0], seeds[0] + request.num_seeds))
    return axes, seeds


def checked_sweep_name(name: str) -> str:
    """Return a name for a sweep, which becomes part of the names of folders.

    Raises:
        SettingsError: It cannot be one.
    """
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"{name!r} cannot be the name of a sweep.",
            "Take up to 40 letters, digits, dots, dashes and underscores, a letter or digit first.",
            field="name",
        )
    return name


def free_name(names: Sequence[str]) -> str:
    """Return the first of sweep-1, sweep-2, ... that is not among the names."""
    return next(name for name in (f"sweep-{n}" for n in range(1, len(names) + 2)) if name not in names)


def make_grid(
    axes: Axes, database: str, shape_of: Callable[[int], tuple[int, int]]
) -> tuple[tuple[Cell, ...], tuple[MergedAxis, ...], tuple[str, ...]]:
    """Return the cells of all combinations of the values, the merged axes, and what is left out.

    Combinations that are one experiment are one cell: the first that fits.

    Args:
        axes: The values of each setting, without `seed`.
        database: Path of the `lda.db`.
        shape_of: Returns N and d of a projection by its number.

    Raises:
        SettingsError: Nothing fits, or there are too many combinations.
    """
    cells: dict[bytes, Cell] = {}
    left_out: dict[str, None] = {}
    error: SettingsError | None = None
    if math.prod(map(len, axes.values())) > MAX_TRIALS:
        raise SettingsError(
            f"The sweep has more than {MAX_TRIALS:,} combinations.",
            "Name fewer values, or search with --search frontier.",
        )
    for values in combinations(axes):
        try:
            config = run_config(values, database, shape_of)
        except SettingsError as problem:
            error = problem
            left_out[problem.message] = None
            continue
        key = identity(config, *shape_of(config.data.mh_id))
        if key not in cells:
            number = len(cells)
            cells[key] = Cell(
                number=number, settings=shown_settings(config, axes), config=msgspec.to_builtins(config)
            )
    if not cells:
        assert error is not None
        raise error
    return tuple(cells.values()), merged_axes(axes), tuple(left_out)


def merged_axes(axes: Axes) -> tuple[MergedAxis, ...]:
    """Return the axes that do nothing for a kind of student, for each kind of the sweep."""
    kinds = axes.get("student", (next(iter(STUDENT_KINDS)),))
    return tuple(
        MergedAxis(axis=name, student=str(kind), values=axes[name], reason=reason)
        for kind in kinds
        for name, reason in inert_settings(str(kind)).items()
        if len(axes.get(name, ())) > 1
    )


def shown_settings(config: RunConfig, names: Sequence[str] | Axes) -> dict[str, Value]:
    """Return what tells a cell from others: the kind, its H and L, and the settings of these names."""
    flat: dict[str, Any] = {}
    for part in (config.data, config.split, config.training, config.student):
        flat |= msgspec.structs.asdict(part)
    wanted = dict.fromkeys(["heads", "layers", *names])
    return {"student": config.student.kind} | {name: flat[name] for name in wanted if name in flat}
