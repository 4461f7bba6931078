"""`distill-tui experiment`: trains many students to test what the method claims."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click
import msgspec

from distill_core.config import DataConfig, TrainingConfig
from distill_core.database import open_database
from distill_core.experiments.hl_events import STUDENTS, HlSettings
from distill_core.outputs import Output
from distill_tui.cli.options import (
    ParamType,
    chosen_database,
    database_argument,
    force_option,
    given,
    json_option,
    setting,
    student_setting,
)
from distill_tui.cli.output import say, say_object

if TYPE_CHECKING:
    from distill_core.experiments import HlCell, HlEvent, HlFinished, HlStarted
    from distill_core.teacher_data import LabelledQuestions

ALL = "all"
_CHART_SIZE = 78, 20


class HlOptions(TypedDict):
    """The options of `experiment hl`, as click passes them."""

    database: Path | None
    database_option: Path | None
    mh_id: int
    temperature: float | None
    heads_list: tuple[int, ...]
    layers_list: tuple[int, ...]
    teacher_heads: tuple[int | None, ...] | None
    students: tuple[str, ...]
    seeds: int
    steps: int
    slots: int
    width: int
    ff_dim: int
    timed: bool
    device: str | None
    threads: int
    chart: bool
    out: Path | None
    force: bool
    as_json: bool


class ListType(ParamType):
    """Whole numbers with commas between them; `all`, where it is a choice, stands for None."""

    name = "list"

    def __init__(self, *, with_all: bool = False) -> None:
        self._with_all = with_all

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int | None, ...]:
        """Return the numbers; anything else is a usage error that names the wrong word."""
        if not isinstance(value, str):
            return tuple(value) if isinstance(value, Iterable) else ()
        return tuple(self._number(word.strip(), param, ctx) for word in value.split(","))

    def _number(self, word: str, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if self._with_all and word == ALL:
            return None
        if not (word.isascii() and word.isdigit()) or int(word) < 1:
            or_all = " or 'all'" if self._with_all else ""
            self.fail(
                f"'{word}' is not a whole number of at least 1{or_all}; give a list such as 1,2,4.",
                param,
                ctx,
            )
        return int(word)


class StudentsType(ParamType):
    """Kinds of student with commas between them; `HlSettings` checks them."""

    name = "students"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Return the words."""
        return tuple(word.strip() for word in str(value).split(","))


@click.group()
def experiment() -> None:
    """Test the method's claims on your own database, by training many students."""


@experiment.command()
@database_argument
@setting(DataConfig, "mh_id")
@setting(DataConfig, "temperature")
@click.option(
    "--heads-list", type=ListType(), default="1,2,4", show_default=True, metavar="LIST", help="The H."
)
@click.option(
    "--layers-list", type=ListType(), default="1,2,3", show_default=True, metavar="LIST", help="The L."
)
@click.option(
    "--teacher-heads",
    type=ListType(with_all=True),
    metavar="LIST",
    help="The N: as many of the real heads, drawn by the seed.  [default: 8,16,all, as far as there are]",
)
@click.option(
    "--students",
    type=StudentsType(),
    default=",".join(STUDENTS),
    show_default=True,
    metavar="LIST",
    help="Kinds of student; `routed` for an N of 64 or more.",
)
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Students a cell.")
@click.option("--steps", type=click.IntRange(1), default=1500, show_default=True, help="Training steps each.")
@click.option(
    "--slots",
    type=click.IntRange(2),
    default=HlSettings().slots,
    show_default=True,
    metavar="K",
    help="Slots of each head, the same in all cells, of students that have slots.",
)
@student_setting("width")
@student_setting("ff_dim")
@click.option("--timed", is_flag=True, help="Time each student beside the LDA, too: a second or so a cell.")
@setting(TrainingConfig, "device", default=HlSettings().device)
@setting(TrainingConfig, "threads")
@click.option("--chart", is_flag=True, help="Draw the error against H^L, too.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write the result as JSON.")
@force_option("--out")
@json_option
def hl(**options: Unpack[HlOptions]) -> None:
    """Does H^L = N explain the error? Train students of many H and L on N of the heads.

    Ctrl+C ends it with what is there.
    """
    if options["chart"] and options["as_json"]:
        raise click.UsageError("Choose --chart or --json: a chart is no JSON.")
    labelled = _read(options)
    from distill_core.errors import DistillError
    from distill_core.experiments import HlFinished, run_hl

    heard = _Heard()
    result: HlFinished | None = None
    try:
        for event in run_hl(labelled, _settings(options)):
            if isinstance(event, HlFinished):
                result = event
                break
            heard.hear(event)
            _write(event, options)
    except (KeyboardInterrupt, DistillError):
        if heard.cells:
            _finish(heard.summed_up(), options)
        raise
    if result is not None:
        _finish(result, options)


@dataclass(slots=True)
class _Heard:
    """What an experiment has told so far, to be summed up where it ends early."""

    started: HlStarted | None = None
    cells: list[HlCell] = field(default_factory=list)
    seconds: float = 0.0

    def hear(self, event: HlEvent) -> None:
        """Keep what an event brings."""
        from distill_core.experiments import HlCellFinished, HlStarted

        if isinstance(event, HlStarted):
            self.started = event
        elif isinstance(event, HlCellFinished):
            self.cells.append(event.cell)
            self.seconds = event.elapsed_seconds

    def summed_up(self) -> HlFinished:
        """Return the result of the cells that there are."""
        from distill_core.experiments import summarised

        return summarised(self.cells, ended="interrupted", elapsed_seconds=self.seconds, started=self.started)


def _read(options: HlOptions) -> LabelledQuestions:
    from distill_core.teacher_data import read_questions

    if options["out"] is not None:
        _output(options)
    with open_database(chosen_database(options["database"], options["database_option"])) as database:
        return read_questions(database, options["mh_id"], options["temperature"])


def _settings(options: HlOptions) -> HlSettings:
    return HlSettings(
        heads=options["heads_list"], layers=options["layers_list"], **given(HlSettings, options)
    )


def _write(event: HlEvent, options: HlOptions) -> None:
    from distill_core.experiments import HlTraining
    from distill_tui.cli.experiment_lines import hl_lines

    if isinstance(event, HlTraining):
        return
    if options["as_json"]:
        say_object(event)
        return
    for line in hl_lines(event):
        say(line)


def _finish(event: HlFinished, options: HlOptions) -> None:
    """Print the result, and write it out, in this order: a full disk loses no result."""
    _write(event, options)
    if options["chart"]:
        _write_charts(event)
    if options["out"] is not None:
        _output(options).write(msgspec.json.format(msgspec.json.encode(event)) + b"\n")


def _output(options: HlOptions) -> Output:
    assert options["out"] is not None
    return Output(
        options["out"],
        replace=options["force"],
        inputs=[options["database"], options["database_option"]],
    )


def _write_charts(event: HlFinished) -> None:
    from distill_tui.experiments import error_chart, mark_note, rows_of

    for finding in event.findings:
        for number in sorted({cell.teacher_heads for cell in event.cells}):
            rows = rows_of(event, finding.student, number)
            if rows:
                say("")
                say(f"{finding.student}, N = {number}: error against H^L  {mark_note(rows, 'H^L')}")
                for line in (error_chart(rows, "H^L", _CHART_SIZE) or "").split("\n"):
                    say(line)
