"""The experiment on H^L = N as plain lines on stdout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from distill_core.evaluation.intervals import Estimate
from distill_core.experiments.hl_events import (
    Explained,
    HlCellFinished,
    HlEvent,
    HlFinished,
    HlRow,
    HlStarted,
    StudentFinding,
)
from distill_core.students.kinds import STUDENT_KINDS
from distill_core.wording import estimate_words, plural

_LINE_WIDTH = 100
_NOTHING = 1e-9
_ENDED = {
    "complete": "The experiment is complete.",
    "interrupted": "Interrupted; this is what was trained.",
}


def hl_lines(event: HlEvent) -> Iterator[str]:
    """Yield what an event says to a reader."""
    match event:
        case HlStarted():
            yield from _started_lines(event)
        case HlCellFinished():
            yield _cell_line(event)
        case HlFinished():
            yield from _finished_lines(event)


def _started_lines(event: HlStarted) -> Iterator[str]:
    settings = event.settings
    yield (
        f"{plural(event.num_cells, 'student')}: {', '.join(settings.students)}; "
        f"N = {_listed(event.teacher_heads)}; H = {_listed(sorted(settings.heads))}; "
        f"L = {_listed(sorted(settings.layers))}; {plural(settings.seeds, 'seed')}"
    )
    yield (
        f"temperature {event.temperature:g}; {event.num_train} queries train, {event.num_validation} watch, "
        f"{event.num_test} test; recipe strong, {plural(event.steps, 'step')}"
    )
    with_slots = [kind for kind in settings.students if "slots" in STUDENT_KINDS[kind].__struct_fields__]
    if with_slots:
        yield (
            f"{', '.join(with_slots)}: K = {settings.slots} slots a head in every cell; all heads share "
            f"{min(settings.width, event.dimension)} dimensions"
        )
    yield ""


def _cell_line(event: HlCellFinished) -> str:
    cell = event.cell
    left = event.elapsed_seconds / event.cells_done * (event.num_cells - event.cells_done)
    return (
        f"{event.cells_done:>4}/{event.num_cells}  seed {cell.seed}  {cell.student:8}"
        f"N = {cell.teacher_heads:<5}H = {cell.heads:<4}L = {cell.layers:<3}"
        f"error {cell.test_error:.5f}  about {_duration(left)} left"
    )


def _finished_lines(event: HlFinished) -> Iterator[str]:
    for finding in event.findings:
        yield ""
        yield from _table_lines([row for row in event.table if row.student == finding.student])
        yield ""
        yield from _finding_lines(finding)
    yield ""
    yield (
        f"{_ENDED[event.ended]} {plural(len(event.cells), 'student')} in {_duration(event.elapsed_seconds)}."
    )


def _table_lines(rows: Sequence[HlRow]) -> Iterator[str]:
    yield (
        f"{'student':9}{'N':>6}{'L':>4}{'H':>5}{'H^L':>9}{'parameters':>12}{'constant':>10}"
        "  1 - cosine, test (range over seeds)"
    )
    for row in rows:
        yield (
            f"{row.student:9}{row.teacher_heads:6,}{row.layers:4}{row.heads:5}{row.flat_heads:9,}"
            f"{row.parameters:12,}{row.constant_error:10.5f}  "
            f"{row.test_error:.5f} ({row.lowest:.5f} to {row.highest:.5f})"
        )


def _finding_lines(finding: StudentFinding) -> Iterator[str]:
    yield (
        f"{finding.student}: share of the variance of log error explained, each alone, N's means taken out "
        "(95 %)"
    )
    yield f"  {'':13}{'R2':>22}  {'error':6}{'behind the best':>24}"
    for item in finding.explained:
        interval = _interval(item.r2)
        yield f"  {item.name:13}{interval:>22}  {_direction(item):6}{_interval(item.behind_best):>24}"
    across = finding.across_teachers
    yield f"  {across.name:13}{_interval(across.r2):>22}  {_direction(across):6}{'one line for all N':>24}"
    if finding.equal_flat.value is not None:
        yield (
            f"  same H^L, the deeper over the shallower: {_interval(finding.equal_flat)} times the error; "
            "1 by the claim"
        )
    if finding.ceiling is not None:
        yield f"  at most {finding.ceiling:.2f} for any function of N, H and L; the rest is seeds"
    yield from wrap(f"{finding.student}: {finding.sentence}", _LINE_WIDTH, subsequent_indent="  ")


def _interval(estimate: Estimate) -> str:
    return estimate_words(estimate, 2)


def _direction(item: Explained) -> str:
    if item.slope is None or (item.r2.value or 0.0) < _NOTHING:
        return "-"
    return "falls" if item.slope < 0 else "rises"


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(f"{number:,}" for number in numbers)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
