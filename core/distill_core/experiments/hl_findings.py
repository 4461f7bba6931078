"""What the cells say together: the findings, and the sentence that tells them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from distill_core.evaluation.intervals import Estimate
from distill_core.experiments.hl_events import (
    Ended,
    Explained,
    HlCell,
    HlFinished,
    HlRow,
    HlStarted,
    StudentFinding,
)
from distill_core.experiments.hl_regression import (
    FLAT,
    SMALLEST_ERROR,
    UP_TO_N,
    HlRegression,
    equal_flat_ratio,
)
from distill_core.students.kinds import STUDENT_KINDS
from distill_core.wording import estimate_words

CLAIMED = (FLAT, UP_TO_N)
"""H^L, and H^L that is enough once it has reached N: the two readings of the claim."""

NOTHING_VARIED = "Too little varied to say what explains the error."
_ROUNDING = 1e-9


def finding_sentence(
    kind: str,
    explained: Sequence[Explained],
    equal_flat: Estimate,
    spreads: tuple[float | None, float | None],
) -> str:
    """Say which quantity explains more of the error, or that they cannot be told apart.

    Args:
        kind: Of the students.
        explained: Each quantity alone.
        equal_flat: Error of the deeper over that of the shallower student at equal H^L.
        spreads: Largest relative difference of the error over H, and over the seeds; None for one of them.
    """
    ranked = sorted(
        (item for item in explained if item.r2.value is not None), key=lambda item: -(item.r2.value or 0.0)
    )
    if STUDENT_KINDS[kind].INERT_HEADS:
        return _inert_sentence(ranked, *spreads)
    return " ".join(filter(None, (_ranking_sentence(ranked), _pairs_sentence(equal_flat))))


def is_told_apart(item: Explained) -> bool:
    """Tell whether a quantity surely explains less than the best one."""
    return item.behind_best.low is not None and item.behind_best.low > _ROUNDING


def _inert_sentence(ranked: Sequence[Explained], over_heads: float | None, over_seeds: float | None) -> str:
    if over_heads is None:
        return "H explains nothing, as it must with one token; only one H was trained."
    seeds = "" if over_seeds is None else f", over the seeds by up to {_percent(over_seeds)}"
    sentence = (
        "H explains nothing, as it must: a query is one token, so attention is the same map for every H. "
        f"All else equal the errors differ over H by at most {_percent(over_heads)}{seeds}."
    )
    flat = _named(ranked, FLAT)
    layers = _named(ranked, "L")
    if flat is None or layers is None:
        return sentence
    return f"{sentence} What H^L explains ({_r2(flat.r2)}) it owes to L ({_r2(layers.r2)})."


def _ranking_sentence(ranked: Sequence[Explained]) -> str:
    claim = next((item for item in ranked if item.name in CLAIMED), None)
    rivals = [item for item in ranked if item.name not in CLAIMED]
    if claim is None or not rivals:
        return NOTHING_VARIED
    best = ranked[0]
    level = [item for item in rivals if not is_told_apart(item)]
    if best is claim and not level:
        return (
            f"{claim.name} explains more of the error than anything else tried: {_r2(claim.r2)}; next "
            f"{rivals[0].name}, {_r2(rivals[0].r2)}. {_direction(claim)}"
        )
    if best is claim or not is_told_apart(claim):
        others = ", ".join(f"{item.name} ({_r2(item.r2)})" for item in level)
        return f"{claim.name} ({_r2(claim.r2)}) cannot be told apart from {others}. {_direction(claim)}"
    return (
        f"{best.name} explains more of the error than {claim.name} does: {_r2(best.r2)} against "
        f"{_r2(claim.r2)}, {estimate_words(claim.behind_best, 2)} more. {_direction(best)} "
        f"{_direction(claim)}"
    )


def _pairs_sentence(ratio: Estimate) -> str:
    if ratio.value is None:
        return ""
    return (
        f"Of two students with the same H^L the deeper one has {estimate_words(ratio, 2)} times the error of "
        "the other; by the claim it would be 1."
    )


def _direction(item: Explained) -> str:
    falls = item.slope is not None and item.slope < 0
    return f"The error {'falls' if falls else 'rises'} as {item.name} grows."


def _named(items: Sequence[Explained], name: str) -> Explained | None:
    return next((item for item in items if item.name == name), None)


def _r2(estimate: Estimate) -> str:
    return f"R2 {estimate_words(estimate, 2)}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"


_Key = tuple[Any, ...]


def summarised(
    cells: Sequence[HlCell],
    *,
    ended: Ended = "complete",
    elapsed_seconds: float = 0.0,
    started: HlStarted | None = None,
) -> HlFinished:
    """Return the result of the cells that there are; a stopped experiment is summed up the same way."""
    kinds = dict.fromkeys(cell.student for cell in cells)
    return HlFinished(
        cells=tuple(cells),
        table=_table(cells),
        findings=tuple(_finding(kind, [cell for cell in cells if cell.student == kind]) for kind in kinds),
        ended=ended,
        elapsed_seconds=elapsed_seconds,
        started=started,
    )


def _table(cells: Sequence[HlCell]) -> tuple[HlRow, ...]:
    grouped = _grouped(cells, lambda cell: (cell.student, cell.teacher_heads, cell.layers, cell.heads))
    return tuple(_row(grouped[key]) for key in sorted(grouped))


def _row(cells: Sequence[HlCell]) -> HlRow:
    first, errors = cells[0], [cell.test_error for cell in cells]
    return HlRow(
        student=first.student,
        teacher_heads=first.teacher_heads,
        heads=first.heads,
        layers=first.layers,
        flat_heads=first.flat_heads,
        parameters=first.parameters,
        test_error=sum(errors) / len(errors),
        lowest=min(errors),
        highest=max(errors),
        constant_error=sum(cell.constant_error for cell in cells) / len(cells),
        seeds=len(cells),
        single_us=_mean(cell.single_us for cell in cells),
        lda_single_us=_mean(cell.lda_single_us for cell in cells),
    )


def _mean(times: Iterable[float | None]) -> float | None:
    known = [one for one in times if one is not None]
    return sum(known) / len(known) if known else None


def _finding(kind: str, cells: Sequence[HlCell]) -> StudentFinding:
    regression = HlRegression(cells)
    explained, equal_flat = regression.explained(), equal_flat_ratio(cells)
    over_heads = _largest_spread(cells, lambda cell: (cell.teacher_heads, cell.layers, cell.seed))
    over_seeds = _largest_spread(cells, lambda cell: (cell.teacher_heads, cell.layers, cell.heads))
    return StudentFinding(
        student=kind,
        cells=len(cells),
        explained=explained,
        equal_flat=equal_flat,
        across_teachers=regression.across_teachers(),
        ceiling=regression.ceiling(),
        spread_over_heads=over_heads,
        spread_over_seeds=over_seeds,
        sentence=finding_sentence(kind, explained, equal_flat, (over_heads, over_seeds)),
    )


def _largest_spread(cells: Sequence[HlCell], key: Callable[[HlCell], _Key]) -> float | None:
    """Return the largest over smallest error, minus 1, among cells that share a key; None if none do."""
    groups = [group for group in _grouped(cells, key).values() if len(group) > 1]
    spreads = [
        max(errors) / max(min(errors), SMALLEST_ERROR) - 1.0
        for errors in ([cell.test_error for cell in group] for group in groups)
    ]
    return max(spreads, default=None)


def _grouped(cells: Sequence[HlCell], key: Callable[[HlCell], _Key]) -> dict[_Key, list[HlCell]]:
    groups: dict[_Key, list[HlCell]] = defaultdict(list)
    for cell in cells:
        groups[key(cell)].append(cell)
    return groups
