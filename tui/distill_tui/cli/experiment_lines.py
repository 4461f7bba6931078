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
from distill_tui.cli.output import table, table_row

_LINE_WIDTH = 100
_NOTHING = 1e-9
_CELL_WIDTHS = (9, 6, 7, 8, 6, 5, 13, 0)
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
    cells = (
        f"{event.cells_done}/{event.num_cells}",
        f"seed {cell.seed}",
        cell.student,
        f"N = {cell.teacher_heads}",
        f"H = {cell.heads}",
        f"L = {cell.layers}",
        f"error {cell.test_error:.5f}",
        f"about {_duration(left)} left",
    )
    return table_row(cells, _CELL_WIDTHS, left=range(1, len(cells)))


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
    header = (
        "student",
        "N",
        "L",
        "H",
        "H^L",
        "parameters",
        "constant",
        *(("us a query", "LDA") if any(row.single_us for row in rows) else ()),
        "1 - cosine, test (range over seeds)",
    )
    cells = (
        (
            row.student,
            *(f"{number:,}" for number in (row.teacher_heads, row.layers, row.heads, row.flat_heads)),
            f"{row.parameters:,}",
            f"{row.constant_error:.5f}",
            *(f"{time:,.0f}" for time in (row.single_us, row.lda_single_us) if time is not None),
            f"{row.test_error:.5f} ({row.lowest:.5f} to {row.highest:.5f})",
        )
        for row in rows
    )
    yield from table([header, *cells], left=(0, len(header) - 1))


def _finding_lines(finding: StudentFinding) -> Iterator[str]:
    yield (
        f"{finding.student}: share of the variance of log error explained, each alone, N's means taken out "
        "(95 %)"
    )
    across = finding.across_teachers
    yield from table(
        [
            ("  ", "R2", "error", "behind the best"),
            *(
                (f"  {item.name}", _interval(item.r2), _direction(item), _interval(item.behind_best))
                for item in finding.explained
            ),
            (f"  {across.name}", _interval(across.r2), _direction(across), "one line for all N"),
        ],
        left=(0, 2),
    )
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
