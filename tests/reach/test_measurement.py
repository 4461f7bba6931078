"""A measurement of one's own is one class: the command line and the app run it, and a run keeps it, as it is.

Its screen is another, and a line registers both.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import click
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from distill_core.latency import LatencySettings, Measurement
from distill_core.runs import RecordedMeasurement, RunFolder, keep
from distill_core.students import Student
from distill_tui.cli.latency_command import latency
from distill_tui.cli.measuring import measure
from distill_tui.latency.desk import MEASUREMENTS, MeasurementKind, MeasurementView
from distill_tui.ui.help import key_groups
from distill_tui.ui.screen import WorkbenchScreen
from tests.core.finished_run import finish_run
from tests.tui.runs_on_disk import open_first, with_weights
from tests.tui.stage import PromptJobs, staged


class LengthEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """Base of the events."""


class LengthTaken(LengthEvent, frozen=True, kw_only=True, tag="length"):
    """One query is projected."""

    length: float


class LengthsFinished(LengthEvent, frozen=True, kw_only=True, tag="finished"):
    """How long the student's answers are."""

    mean: float
    count: int


class Lengths(Measurement[LengthEvent, LengthsFinished]):
    """The toy: the length of the student's answer to each of so many queries, the more the better."""

    name = "lengths"
    result_type = LengthsFinished

    def __init__(self, student: Student, queries: NDArray[np.float32], stop_after: int | None = None) -> None:
        self._student, self._queries, self._stop_after = student, queries, stop_after
        self._lengths: list[float] = []

    def __iter__(self) -> Iterator[LengthEvent]:
        for query in self._queries:
            if len(self._lengths) == self._stop_after:
                signal.raise_signal(signal.SIGTERM)
            self._lengths.append(float(np.linalg.norm(self._student.project(query))))
            yield LengthTaken(length=self._lengths[-1])
        result = self.result()
        assert result is not None
        yield result

    def result(self) -> LengthsFinished | None:
        count = len(self._lengths)
        return LengthsFinished(mean=float(np.mean(self._lengths)), count=count) if count else None

    def samples(self) -> dict[str, NDArray[np.float64]]:
        return {"lengths": np.array(self._lengths)}

    def is_better_than(self, kept: LengthsFinished | None) -> bool:
        return kept is None or len(self._lengths) >= kept.count


def lines(event: LengthEvent) -> Iterator[str]:
    if isinstance(event, LengthsFinished):
        yield f"mean length {event.mean:.3f} of {event.count}"


def command(count: int, stop_after: int | None = None) -> click.Command:
    """Return the toy's command, with the options that say what is timed."""

    def lengths(**options: Any) -> int:  # noqa: ANN401 - whatever the options are
        return measure(
            options,  # type: ignore[arg-type]
            lambda timed: Lengths(timed.student, timed.queries[:count], stop_after),
            lines,
        )

    return click.Command("lengths", params=latency.params, callback=lengths)


class LengthsScreen(WorkbenchScreen):
    """The toy's screen: what is measured, as it is."""

    MODE = "lengths"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "measure", "Measure", id="lengths.measure")]

    def compose_body(self) -> ComposeResult:
        yield Static("nothing yet", id="lengths")

    def on_mount(self) -> None:
        self.workbench.latency.by_name["lengths"].follow(self, self._show)

    def action_measure(self) -> None:
        self.workbench.latency.by_name["lengths"].start()

    def _show(self, view: MeasurementView) -> None:
        words = "" if view.finished is None else " ".join(lines(view.finished))
        self.query_one("#lengths", Static).update(f"{view.state}: {words} {view.run}")


KIND = MeasurementKind(
    "lengths",
    load=lambda: lambda teacher, student, queries, settings: Lengths(student, queries[: settings.blocks]),
    settings=LatencySettings(blocks=6),
    result_type=LengthsFinished,
    screen=LengthsScreen,
)


def told(
    of: click.Command, *options: str, capsys: pytest.CaptureFixture[str], code: int = 0
) -> tuple[list[str], str]:
    assert of.main(list(options), standalone_mode=False) == code
    out, err = capsys.readouterr()
    return out.splitlines(), err


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return finish_run(tmp_path_factory.mktemp("reach"))


def test_the_command_line_runs_a_measurement_it_has_never_seen(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of_run = ("--run", str(run.path))
    objects, err = told(command(3), *of_run, "--json", capsys=capsys)
    events = [json.loads(line) for line in objects]
    assert [event["event"] for event in events] == ["length", "length", "length", "finished"]
    assert err == ""
    kept = run.read_result("lengths", LengthsFinished)
    assert kept is not None
    assert kept.count == 3
    assert kept.mean == pytest.approx(np.mean([event["length"] for event in events[:3]]))
    with np.load(run.path / "lengths_samples.npz") as samples:
        assert samples["lengths"].tolist() == [event["length"] for event in events[:3]]
    plain, _ = told(command(4), *of_run, "--samples", str(tmp_path / "own.npz"), capsys=capsys)
    result = run.read_result("lengths", LengthsFinished)
    assert result is not None
    assert plain == [f"kept in {run.path}/lengths.json", f"mean length {result.mean:.3f} of 4"]
    with np.load(tmp_path / "own.npz") as samples:
        assert len(samples["lengths"]) == 4


def test_a_signal_keeps_and_prints_what_was_measured_unless_the_run_has_a_better_result(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in run.path.glob("lengths*"):
        file.unlink()
    of_run = ("--run", str(run.path))
    plain, err = told(command(5, stop_after=2), *of_run, capsys=capsys, code=143)
    assert plain[-1].endswith(" of 2")
    assert err == "Interrupted.\n"
    told(command(5), *of_run, capsys=capsys)
    plain, err = told(command(5, stop_after=2), *of_run, capsys=capsys, code=143)
    assert plain[-1].endswith(" of 2")
    assert "lengths.json keeps an earlier result" in err
    kept = run.read_result("lengths", LengthsFinished)
    assert kept is not None
    assert kept.count == 5


def test_a_run_keeps_its_result_without_any_command(run: RunFolder) -> None:
    class Planted(Lengths):
        """As many lengths as it is made with."""

        def __init__(self, *lengths: float) -> None:
            self._lengths = list(lengths)

        def __iter__(self) -> Iterator[LengthEvent]:
            yield LengthTaken(length=self._lengths[0])

    run.result_path("lengths").unlink(missing_ok=True)
    for lengths, is_kept in (((1.0, 2.0), True), ((9.0,), False), ((3.0, 4.0, 5.0), True)):
        assert keep(run, Planted(*lengths)) is is_kept
    recorded = RecordedMeasurement(Planted(*range(4)), run)
    going = iter(recorded)
    next(going)
    going.close()  # type: ignore[attr-defined]
    assert run.read_result("lengths", LengthsFinished) == LengthsFinished(mean=1.5, count=4)


@pytest.fixture
def _registered() -> Iterator[None]:
    MEASUREMENTS.append(KIND)
    yield
    MEASUREMENTS.remove(KIND)


@pytest.mark.usefixtures("_registered")
async def test_the_app_has_its_screen_its_key_and_its_help_and_a_run_keeps_its_result(database: Path) -> None:
    folder = with_weights(database)
    async with staged(database, jobs=PromptJobs) as stage:
        await stage.show_teacher()
        await stage.press("8")
        assert stage.app.current_mode == "lengths"
        assert "8 Lengths" in stage.text("TopBar")
        assert stage.text("#lengths").startswith("idle")
        await open_first(stage, "lengths")
        assert stage.offers("lengths.measure")
        await stage.press("enter")
        await stage.settle()
        kept = folder.read_result("lengths", LengthsFinished)
        assert kept is not None
        assert kept.count == 6
        assert stage.text("#lengths").strip() == f"finished: mean length {kept.mean:.3f} of 6 mine"
        assert ("⏎", "Measure") in dict(key_groups(stage.screen))["Keys of this screen"]
        assert any(
            command.title == "Screen lengths" for command in stage.app.get_system_commands(stage.screen)
        )
    async with staged(database, jobs=PromptJobs) as stage:  # read again
        await stage.show_teacher()
        await open_first(stage, "lengths")
        assert f"mean length {kept.mean:.3f} of 6 mine" in stage.text("#lengths")


async def test_no_other_app_knows_of_it(database: Path) -> None:
    async with staged(database) as stage:
        await stage.press("8")
        assert stage.app.current_mode == "teacher"
        assert "lengths" not in stage.app.latency.by_name
