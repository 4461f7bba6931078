"""Where keys are pressed, and what is looked at afterwards, for the test that presses every key."""

from __future__ import annotations

from textual.containers import VerticalScroll
from textual.widgets import Input, OptionList, TabbedContent

from distill_tui.experiments import HlChart, HlResultScreen
from distill_tui.jobs import JobEnded, JobState, Progressed
from distill_tui.latency.crossover import CrossoverChart
from distill_tui.latency.screen import LatencyScreen
from distill_tui.latency.tables import ContestantTable
from distill_tui.runs.screen import RunsScreen
from distill_tui.runs.table import RunTable
from distill_tui.sweeps.heat_map import FIGURES, HeatMap
from distill_tui.sweeps.scatter import FrontierChart
from distill_tui.teacher.question_list import QuestionList
from distill_tui.training.metric_chart import MetricChart
from distill_tui.training.screen import TrainScreen
from distill_tui.ui.dialogs import ChoiceDialog
from tests.tui import events
from tests.tui.runs_on_disk import Made, answer, make_run, store, work_off
from tests.tui.stage import Stage
from tests.tui.sweeps.shown import view as sweeps_view
from tests.tui.test_experiments import result as hl_result


async def nothing(stage: Stage) -> None:
    """Press it as the screen is."""


async def on_filter(stage: Stage) -> None:
    stage.find("#filter", Input).focus()


async def on_questions(stage: Stage, row: int = 3) -> None:
    questions = stage.find("#questions", QuestionList)
    questions.focus()
    questions.highlighted = row


async def on_epochs(stage: Stage) -> None:
    stage.find("#epochs", Input).focus()


async def on_recipe(stage: Stage) -> None:
    stage.find("#recipe", Input).focus()


async def shown_field(stage: Stage) -> None:
    """Leave the fields, so that a letter goes to one."""
    stage.screen.set_focus(None)


def chosen_recipe(stage: Stage) -> object:
    return stage.find("#recipe", Input).value


async def quiet(stage: Stage) -> None:
    """Let no notification stand."""
    stage.app.clear_notifications()


async def reading(stage: Stage) -> None:
    """Have begun to read a projection."""
    stage.app.teacher.choose_projection(2)


def is_reading(stage: Stage) -> object:
    return stage.app.teacher.is_reading


async def at_another_temperature(stage: Stage) -> None:
    await stage.press("right_square_bracket")


async def running(stage: Stage) -> None:
    await stage.start_training()


async def told_of_run(stage: Stage) -> None:
    await stage.start_training()
    await stage.tell(Progressed(stage.app.training, (events.run_started(),)))


async def deleted(stage: Stage) -> None:
    """Have moved the run under the cursor to the trash."""
    await asking(stage, key="d")
    await stage.press("y")
    work_off(stage)
    await stage.settle()


async def measuring(stage: Stage) -> None:
    stage.app.latency.comparison.start()


async def searching(stage: Stage) -> None:
    stage.app.latency.crossover.start()


async def comparing(stage: Stage) -> None:
    stage.app.latency.contestants.start()


async def crossed(stage: Stage) -> None:
    """Have searched the crossover, and look at its curves."""
    await stage.press("x")
    told = (events.crossover_started(), events.crossover_finished())
    await stage.tell(
        Progressed(stage.app.latency.crossover, told),
        JobEnded(stage.app.latency.crossover, JobState.FINISHED),
    )
    stage.find("#crossover-chart", CrossoverChart).cursor = 8_192


async def trained(stage: Stage) -> None:
    await stage.train_to_the_end()


async def experimented(stage: Stage) -> None:
    """Look at the result of an experiment on H^L = N."""
    stage.app.push_screen(HlResultScreen(hl_result()))
    await stage.pilot.pause()


async def against_heads(stage: Stage) -> None:
    await experimented(stage)
    await stage.press("h")


def against(stage: Stage) -> object:
    return stage.find("#hl-chart", HlChart).against


def shown_heads(stage: Stage) -> object:
    return stage.find("#hl-chart", HlChart).teacher_heads


async def quitting(stage: Stage) -> None:
    await stage.start_training()
    await stage.press("q")


async def limiting(stage: Stage) -> None:
    await stage.go("latency")
    await stage.press("X")


async def saving(stage: Stage) -> None:
    await stage.train_to_the_end()
    await stage.press("ctrl+s")


async def elsewhere(stage: Stage) -> None:
    await stage.go("latency" if stage.app.current_mode != "latency" else "teacher")


def mode(stage: Stage) -> object:
    return stage.app.current_mode


def screen(stage: Stage) -> object:
    return type(stage.screen).__name__


def focus(stage: Stage) -> object:
    return stage.screen.focused.id if stage.screen.focused else None


async def helped(stage: Stage) -> None:
    """Read the longest help."""
    await stage.go("latency")
    await stage.press("question_mark")
    await stage.reach(lambda: stage.find("#help-scroll", VerticalScroll).max_scroll_y > 3)


async def helped_to_the_end(stage: Stage) -> None:
    await helped(stage)
    await stage.press("G")


def lines_to_the_end(stage: Stage) -> object:
    help_text = stage.find("#help-scroll", VerticalScroll)
    return help_text.max_scroll_y - help_text.scroll_offset.y


def lines_read(stage: Stage) -> object:
    return stage.find("#help-scroll", VerticalScroll).scroll_offset.y


def toasted(stage: Stage) -> object:
    return bool(stage.toasts())


def training(stage: Stage) -> object:
    return stage.app.training.view.state


def latency(stage: Stage) -> object:
    return stage.app.latency.comparison.view.state


def crossover(stage: Stage) -> object:
    return stage.app.latency.crossover.view.state


def contestants(stage: Stage) -> object:
    return stage.app.latency.contestants.view.state


def sorted_by(stage: Stage) -> object:
    return stage.find("#contestants", ContestantTable).sorted_by


def shown(stage: Stage) -> object:
    assert isinstance(stage.screen, LatencyScreen)
    return stage.screen.shown


def batch_size(stage: Stage) -> object:
    return stage.find("#crossover-chart", CrossoverChart).batch_size


def cursor(stage: Stage) -> object:
    return stage.find("#crossover-chart", CrossoverChart).cursor


def curve(stage: Stage) -> object:
    """Whether the curve over the temperature stands in place of the routing."""
    return stage.screen.has_class("-curve")


def tau(stage: Stage) -> object:
    return stage.app.teacher.view.teacher.temperature if stage.app.teacher.view else None


def highlighted(stage: Stage) -> object:
    return stage.find("#questions", QuestionList).highlighted


def beside_third(stage: Stage) -> object:
    place = stage.find("#questions", QuestionList).highlighted or 0
    return "below" if place > 4 else "above" if place < 2 else "there"


def log_axes(stage: Stage) -> object:
    return [(chart.log_x, chart.log_y) for chart in stage.screen.query(MetricChart)]


def zoomed(stage: Stage) -> object:
    assert isinstance(stage.screen, TrainScreen)
    return stage.screen.zoomed


def tab(stage: Stage) -> object:
    return stage.find("#validate-tabs", TabbedContent).active


async def with_runs(stage: Stage) -> None:
    """Have three runs on disk, and the second of them under the cursor."""
    while len(store().list()) < 3:
        number = len(store().list())
        make_run(
            Made(f"run {number}", hour=number, epochs=[events.epoch_finished(1)], database="/n18/lda.db")
        )
    stage.app.runs.list()
    await answer(stage)
    if stage.app.current_mode == "runs":
        table = stage.find("#run-table", RunTable)
        table.focus()
        table.move_cursor(row=1)
        await answer(stage)


async def asking(stage: Stage, key: str) -> None:
    """Open a dialog of the screen of the runs."""
    await stage.go("runs")
    await with_runs(stage)
    await stage.press(key)


async def on_run_filter(stage: Stage) -> None:
    await with_runs(stage)
    stage.screen.set_focus(None)
    await stage.press("slash")


async def scrolled(stage: Stage) -> None:
    await with_runs(stage)
    stage.find("#run-table", RunTable).scroll_to(x=1, animate=False)


async def with_curves(stage: Stage) -> None:
    await with_runs(stage)
    stage.app.runs.show_curves(store().list())
    await answer(stage)


def run_row(stage: Stage) -> object:
    return stage.find("#run-table", RunTable).cursor_row


def run_columns(stage: Stage) -> object:
    return stage.find("#run-table", RunTable).scroll_offset.x


def order(stage: Stage) -> object:
    assert isinstance(stage.screen, RunsScreen)
    return stage.screen.sorted_by, stage.screen.is_reversed


def run_marks(stage: Stage) -> object:
    assert isinstance(stage.screen, RunsScreen)
    return list(stage.screen.marks.values())


def answered_mode(stage: Stage) -> object:
    work_off(stage)
    return stage.app.current_mode


def pinned(stage: Stage) -> object:
    work_off(stage)
    return [run.name for run in store().list() if run.pinned]


def trashed(stage: Stage) -> object:
    work_off(stage)
    return len(store().trashed())


def copied(stage: Stage) -> object:
    return bool(stage.app.clipboard)


def pasted(stage: Stage) -> object:
    return " ".join(stage.app.clipboard.split()[:2])


def first_chart(stage: Stage) -> object:
    chart = stage.find("#chart-cosine", MetricChart)
    return chart.title, chart.log_y


def curves(stage: Stage) -> object:
    return len(stage.app.training.curves.view)


async def with_sweep(stage: Stage, row: int = 0) -> None:
    """Have a sweep of three by two cells, the middle one of a row under the cursor."""
    stage.jobs.wanted.clear()
    stage.app.copy_to_clipboard("")
    stage.app.sweeps.publish(sweeps_view("sweep-1", "sweep-2"))
    heat_map = stage.find("#heat-map", HeatMap)
    heat_map.axes, heat_map.figure, heat_map.cursor = ("heads", "layers"), FIGURES[0], (1, row)
    if not heat_map.display:
        await stage.press("f")
    heat_map.focus()


async def on_frontier(stage: Stage) -> None:
    """Have the frontier drawn, the quickest cell under the cursor."""
    await with_sweep(stage)
    await stage.press("f")
    stage.find("#frontier-chart", FrontierChart).number = 0
    stage.app.clear_notifications()
    await stage.settle()


async def on_second_of_frontier(stage: Stage) -> None:
    await on_frontier(stage)
    stage.find("#frontier-chart", FrontierChart).number = 1


def front_cell(stage: Stage) -> object:
    return stage.find("#frontier-chart", FrontierChart).number


def heat_cursor(stage: Stage) -> object:
    return stage.find("#heat-map", HeatMap).cursor


def heat_figure(stage: Stage) -> object:
    return stage.find("#heat-map", HeatMap).figure.title


def heat_axes(stage: Stage) -> object:
    return stage.find("#heat-map", HeatMap).axes


def wanted(stage: Stage) -> object:
    return stage.jobs.groups[-1] if stage.jobs.groups else None


def wanted_sweep(stage: Stage) -> object:
    return stage.app.sweeps.wanted


def grouped(stage: Stage) -> object:
    assert isinstance(stage.screen, RunsScreen)
    return stage.screen.is_grouped


async def charted(stage: Stage) -> None:
    """Have told ten epochs."""
    await stage.train_to_the_end()
    await stage.go("train")
    for chart in stage.screen.query(MetricChart):
        chart.cursor, chart.x_range = None, None


async def charted_at_two(stage: Stage) -> None:
    await charted(stage)
    for chart in stage.screen.query(MetricChart):
        chart.cursor = 2.0


async def magnified(stage: Stage) -> None:
    await charted(stage)
    for chart in stage.screen.query(MetricChart):
        chart.x_range = (5.0, 10.0)


def chart_cursor(stage: Stage) -> object:
    return stage.find("#chart-cosine", MetricChart).cursor


def part_shown(stage: Stage) -> object:
    return stage.find("#chart-loss", MetricChart).x_range


def window(stage: Stage) -> object:
    return stage.find("#chart-mse", MetricChart).window


def seeds_together(stage: Stage) -> object:
    assert isinstance(stage.screen, TrainScreen)
    return stage.screen.puts_seeds_together


def chosen_from_trash(stage: Stage) -> object:
    work_off(stage)
    return type(stage.screen).__name__


async def choosing(stage: Stage) -> None:
    """Have two lines to choose from."""
    await stage.go("runs")
    stage.app.push_screen(ChoiceDialog("Which?", ["one", "two"]))
    await stage.settle()
    stage.find("#choices", OptionList).highlighted = 0


async def choosing_the_second(stage: Stage) -> None:
    await choosing(stage)
    stage.find("#choices", OptionList).highlighted = 1


def highlighted_choice(stage: Stage) -> object:
    return stage.find("#choices", OptionList).highlighted
