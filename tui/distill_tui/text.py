"""Figures in words, the same on a screen and on a command line: teachers, speeds, crossovers, machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from distill_core.foreign_text import visible
from distill_core.latency.events import LatencyFinished, ModelLatency
from distill_core.wording import estimate_words, faster_sentence, plural

if TYPE_CHECKING:
    from distill_core.evaluation.teacher_findings import Findings, Found
    from distill_core.latency.crossover import (
        Bracket,
        CrossoverFinished,
        CrossoverPoint,
        CrossoverStarted,
        StudentTime,
    )
    from distill_core.latency.events import ContestantRow, MachineRecord
    from distill_core.latency.measurement import TimeRatio
    from distill_core.runs import RunComparison
    from distill_core.runs.comparing import RunSpeed

UNSTEADY = "The machine was unsteady: blocks of one model disagree. Repeat on a quiet machine."


def finding_rows(findings: Findings) -> Iterator[tuple[str, Found]]:
    """Yield who finds true answers, in a few words, with the figures."""
    yield "LDA", findings.lda
    if findings.left_out is not None:
        yield "LDA, left out", findings.left_out.lda
    yield "bare query", findings.query
    yield "nearest head", findings.nearest
    if findings.left_out is not None:
        yield "nearest, left out", findings.left_out.nearest


def left_out_words(findings: Findings) -> str:
    """Say what "left out" means here, or why it is not known."""
    left_out, gap = findings.left_out, findings.left_out_gap
    if left_out is None:
        return f"not known without each question's share in its centroids: {gap or 'no question has one'}"
    some = f"; {left_out.num_judged:,} of {findings.num_judged:,} questions: {gap}" if gap else ""
    return f"left out: each question's own share is taken out of its centroids{some}"


def best_temperature_words(findings: Findings) -> str:
    """Name the temperature that finds most, and how far the present one is behind."""
    best, behind = findings.curve.best_point, findings.behind
    how = ", left out" if findings.curve.is_left_out else ""
    words = f"{best.temperature:g}, MRR {estimate_words(best.held_out_mrr, 3)}{how}"
    if best.temperature == findings.temperature or behind.value is None:
        return words
    return f"{words}; at {findings.temperature:g} the difference is {estimate_words(behind, 3)}"


def machine_words(machine: MachineRecord) -> str:
    """Say in one line what decides how fast a model is here."""
    clock = "" if machine.clock_mhz is None else f" at {machine.clock_mhz:,.0f} MHz"
    gpu = "" if machine.gpu is None else f", {machine.gpu}"
    load = "" if machine.load_average is None else f", load {machine.load_average:.1f}"
    return visible(
        f"{machine.cpu}{clock}, {machine.usable_cores} of {plural(machine.cores, 'core')}, "
        f"{plural(machine.threads, 'thread')}{gpu}, "
        f"{machine.blas or 'BLAS unknown'}, torch {machine.torch} {machine.torch_cpu_capability}{load}"
    )


def doubts(machine: MachineRecord | None, *, unsteady: bool) -> str:
    """Say in few words why times deserve doubt; empty where they do not."""
    words = []
    if machine is not None and machine.is_busy:
        words.append(f"busy (load {machine.load_average:.1f})")
    if machine is not None and machine.usable_cores == 1:
        words.append("one core")
    if unsteady:
        words.append("blocks disagree")
    return ", ".join(words)


def doubts_in_full(machine: MachineRecord | None, *, unsteady: bool) -> str:
    """Say the same in whole sentences, for where there is room."""
    return " ".join([*(machine_warnings(machine) if machine else ()), *([UNSTEADY] if unsteady else [])])


def machine_warnings(machine: MachineRecord) -> Iterator[str]:
    """Yield why times measured here deserve doubt; nothing on a quiet machine with cores to spare."""
    if machine.is_busy:
        yield f"The machine is busy (load {machine.load_average:.1f}); repeat on a quiet one."
    if machine.usable_cores == 1:
        yield "There is one core: whatever else runs is in the times. Trust ratios, not microseconds."


SINGLE_STREAM, OFFLINE = "single-stream", "offline"
"""One query at a time, and in batches. The words are MLPerf's."""


def contestant_names(result: LatencyFinished) -> Iterator[tuple[str, ModelLatency]]:
    """Yield each contestant with its name; a student that folds has two forms."""
    yield "LDA", result.lda
    if result.unfolded is None:
        yield "student", result.transformer
    else:
        yield "folded", result.transformer
        yield "published", result.unfolded


def faster_lines(result: LatencyFinished) -> Iterator[tuple[str, str]]:
    """Yield what is compared, and who is faster; first the two cases, then what folding gives."""
    yield SINGLE_STREAM, faster_sentence(result.single_ratio, result.single_ratio_interval)
    offline = faster_sentence(result.batch_ratio, result.batch_ratio_interval)
    yield f"{OFFLINE}, batch of {result.batch_size}", offline
    if result.unfolded is not None:
        unfolded = result.unfolded
        (low, high), (batch_low, batch_high) = unfolded.single_ratio_interval, unfolded.batch_ratio_interval
        yield (
            "folding",
            f"{_times(unfolded.single_ratio)} the speed ({_times(low)} to {_times(high)}), "
            f"in batches {_times(unfolded.batch_ratio)} ({_times(batch_low)} to {_times(batch_high)})",
        )


def _times(ratio: float) -> str:
    return f"{ratio:.0f}x" if ratio >= 10 else f"{ratio:.1f}x" if ratio >= 2 else f"{ratio:.2f}x"


Cell = Callable[["RunSpeed"], str]

ROWS: tuple[tuple[str, Cell], ...] = (
    ("LDA p90", lambda speed: _p90(speed.lda_p90_us)),
    ("p90", lambda speed: _p90(speed.student_p90_us)),
    ("crossover", lambda speed: _bracket(speed.single)),
    ("batch 32", lambda speed: _bracket(speed.batch_32)),
)


def speed_rows(comparison: RunComparison) -> Iterator[tuple[str, list[str]]]:
    """Yield the rows that are not empty: single-stream p90, and from how many heads on it is faster."""
    for title, cell in ROWS:
        cells = ["" if speed is None else cell(speed) for speed in comparison.speeds]
        if any(cells):
            yield title, cells


def different_machines(comparison: RunComparison) -> list[str]:
    """Return where each run was timed, if the machines are not one and the same."""
    machines = [
        (name, speed.machine)
        for name, speed in zip(comparison.names, comparison.speeds, strict=False)
        if speed is not None and speed.machine is not None
    ]
    if len({(one.cpu, one.gpu, one.threads, one.torch) for _name, one in machines}) < 2:
        return []
    return [f"{name}: {machine_words(machine)}" for name, machine in machines]


def _p90(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f} µs"


def _bracket(bracket: Bracket | None) -> str:
    return "" if bracket is None else bracket_words(bracket)


COLUMNS = (
    "contestant",
    "single p90 µs",
    "p50 µs",
    "x LDA (95 %)",
    "offline 1/s",
    "outliers",
    "parameters",
    "bytes",
    "cosine",
)
UNTRAINED = "The student is untrained: its times are those of a trained one, its cosine says nothing."
COSINE = (
    "The cosine is over the database's questions, those of the training included; screen 4 has the test's."
)
PARETO = (
    "* Pareto-best: no other is at least as good in single-stream p90, cosine and bytes, and better in one."
)


def row_cells(row: ContestantRow) -> tuple[str, ...]:
    """Return one contestant's cells; a dash for what was not measured."""
    times = row.single_us
    return (
        f"{'* ' if row.pareto_best else '  '}{row.name}",
        "-" if times is None else f"{times.p90:,.1f}",
        "-" if times is None else f"{times.p50:,.1f}",
        "-" if row.single_over_lda is None else ratio_cell(row.single_over_lda),
        "-" if row.offline_per_second is None else f"{row.offline_per_second:,.0f}",
        "-" if row.outliers is None else f"{row.outliers:,}",
        "-" if row.parameters is None else f"{row.parameters:,}",
        "-" if row.size_bytes is None else f"{row.size_bytes:,}",
        "-" if row.cosine is None else f"{row.cosine:.4f}",
    )


def ratio_cell(ratio: TimeRatio) -> str:
    """Return a time over the LDA's with its interval."""
    return f"{ratio.value:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"


LIMITED = {
    "budget": "not reached within the budget, measured up to {heads}",
    "interrupted": "not reached before the stop, measured up to {heads}",
}
ENDED = {
    "complete": "The search is complete.",
    "budget": "The time budget ended the search; a larger one narrows the brackets.",
    "interrupted": "Interrupted; this is what was measured.",
}


def bracket_words(bracket: Bracket) -> str:
    """Say between which N the student becomes the faster one."""
    if not bracket.measured_to:
        return "not measured"
    if not bracket.reached:
        words = LIMITED.get(bracket.limited_by, "none up to {heads}")
        return words.format(heads=plural(bracket.measured_to, "head"))
    if bracket.low is None:
        return f"the student is faster from the first measured N on, {bracket.high:,}"
    return f"from {bracket.low:,} to {bracket.high:,} heads"


def case_words(batch_size: int) -> str:
    """Return "single queries" or "batches of 32"."""
    return "single queries" if batch_size == 1 else f"batches of {batch_size}"


def ended_words(result: CrossoverFinished) -> str:
    """Say how the search ended, and how much it measured."""
    return f"{ENDED[result.ended]} {plural(len(result.curve), 'point')} in {result.elapsed_seconds:.0f} s."


def ratio_words(student: StudentTime) -> str:
    """Return a student's time over the LDA's with its interval."""
    interval = student.over_lda
    return f"{_figures(interval.value)} ({_figures(interval.low)} to {_figures(interval.high)})"


def expectations(started: CrossoverStarted) -> Iterator[tuple[str, str]]:
    """Yield what arithmetic and the published claims say, and which heads are real."""
    even = started.break_even
    fixed = [_heads(even.fixed_flops), _heads(even.fixed_parameters)]
    grown = [_heads(even.grown_flops), _heads(even.grown_parameters)]
    yield "by FLOPs", f"F from {fixed[0]}, G from {grown[0]}"
    yield "by parameters", f"F from {fixed[1]}, G from {grown[1]}"
    yield (
        "published",
        f"> {started.published_single_heads} (single), ~ {started.published_batch_heads} (batches)",
    )
    yield "heads", f"{plural(started.real_heads, 'real one')}, the others drawn near them"


def point_words(point: CrossoverPoint) -> str:
    """Return the values at one N, F and G for the fixed student and the one that grows."""
    drawn = point.num_heads - point.real_heads
    heads = f"N {point.num_heads:,} ({point.real_heads:,} real, {drawn:,} drawn)"
    fixed, grown = (f"{_microseconds(time.us)}, {ratio_words(time)}" for time in (point.fixed, point.grown))
    return (
        f"{heads}  LDA {_microseconds(point.lda_us)}  F {fixed}  G (L {point.grown.layers}) {grown}"
        f"{'  unsteady' if point.unsteady else ''}"
    )


def _heads(heads: int | None) -> str:
    return "an unknown number of heads" if heads is None else plural(heads, "head")


def _microseconds(value: float) -> str:
    return f"{value:,.0f} µs" if value >= 100 else f"{value:,.1f} µs"


def _figures(ratio: float) -> str:
    """Return three figures, or all of those before the point."""
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"
