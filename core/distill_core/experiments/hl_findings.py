"""The cells of the experiment on H^L = N put together: table, regressions, sentences. No torch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from distill_core.experiments.hl_events import Ended, HlCell, HlFinished, HlRow, HlStarted, StudentFinding
from distill_core.experiments.hl_pairs import equal_flat_ratio
from distill_core.experiments.hl_regression import SMALLEST_ERROR, HlRegression
from distill_core.experiments.hl_sentence import finding_sentence

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
    )


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
