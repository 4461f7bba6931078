from __future__ import annotations

import math
from pathlib import Path

from distill_tui.training.desk import TrainingView
from distill_tui.training.histories import Histories, fold_training
from tests.tui import events
from tests.tui.stage import staged


def test_the_view_holds_the_last_event_of_each_kind() -> None:
    told = [
        events.run_started(),
        events.epoch_finished(1),
        events.steps_finished(1.5, active_seconds=1.0),
        events.tested((1, 2), (0.9, 0.8)),
        events.run_finished(),
    ]
    view = fold_training(TrainingView(), told)
    assert (view.started, view.epoch, view.progress, view.tested, view.finished) == tuple(told)


async def test_views_of_measurements_hold_the_last_event_of_each_kind(database: Path) -> None:
    told = (events.latency_started(), events.block_timed(1), events.block_timed(2), events.latency_finished())
    async with staged(database) as stage:
        desk = stage.app.latency.comparison
        desk.fold(told)
        assert (desk.view.started, desk.view.progress, desk.view.finished) == (told[0], told[2], told[3])


def test_short_epochs_give_one_point_each_for_train_and_validation() -> None:
    histories = Histories()
    histories.extend([events.epoch_finished(1, loss=0.5), events.steps_finished(1.5, active_seconds=0.7)])
    histories.extend([events.epoch_finished(2, loss=0.25)])

    loss = histories.by_metric["loss"]
    assert loss["train"].x.tolist() == [1, 2]
    assert loss["train"].y.tolist() == [0.5, 0.25]
    assert loss["validation"].y.tolist() == [0.6, 0.35]


def test_epochs_that_take_long_show_the_steps_inside_them() -> None:
    histories = Histories()
    histories.extend([events.steps_finished(0.1, active_seconds=1.0, loss=0.9)])
    histories.extend([events.steps_finished(0.2, active_seconds=2.0, loss=0.8)])
    assert histories.by_metric["loss"]["train"].x.tolist() == [0.1, 0.2]


def test_a_loss_that_is_not_a_number_is_kept_as_a_gap() -> None:
    histories = Histories()
    histories.extend([events.epoch_finished(1, loss=math.nan)])
    assert math.isnan(histories.by_metric["loss"]["train"].y[0])


def test_clear_forgets_the_last_run() -> None:
    histories = Histories()
    histories.extend([events.epoch_finished(1)])
    histories.clear()
    assert all(history["train"].count == 0 for history in histories.by_metric.values())
