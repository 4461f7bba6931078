from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import pytest

from distill_core.errors import TrainingError
from distill_tui.jobs import Job, JobState, OnlyTheLast


def test_all_events_arrive_in_order_and_the_outcome_is_finished() -> None:
    posts: list[tuple[int, ...]] = []

    outcome, error, trace = Job(lambda: iter(range(100)), posts.append).run()

    assert outcome is JobState.FINISHED
    assert (error, trace) == ("", "")
    assert [event for post in posts for event in post] == list(range(100))


def test_events_within_the_interval_share_a_post(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(range(1000))
    monkeypatch.setattr("distill_tui.jobs.time.monotonic", lambda: next(seconds) * 0.06)
    posts: list[tuple[int, ...]] = []

    Job(lambda: iter(range(40)), posts.append).run()

    assert max(len(post) for post in posts) > 1
    assert len(posts) < 20


@pytest.mark.usefixtures("no_batching")
def test_stop_ends_after_the_present_event_closes_the_generator_and_concludes() -> None:
    closed: list[bool] = []
    posts: list[tuple[str, ...]] = []

    def events() -> Iterator[str]:
        try:
            yield "first"
            yield "second"
            raise AssertionError("pulled after the stop")
        finally:
            closed.append(True)

    def post(batch: tuple[str, ...]) -> None:
        posts.append(batch)
        if "second" in batch:
            stopped.stop()

    stopped = Job(events, post, lambda: iter(["evaluated"]))
    outcome, *_ = stopped.run()

    assert outcome is JobState.STOPPED
    assert closed == [True]
    assert [event for batch in posts for event in batch] == ["first", "second", "evaluated"]


@pytest.mark.usefixtures("no_batching")
def test_stop_before_the_first_step_still_says_a_last_word() -> None:
    posts: list[tuple[int, ...]] = []
    stopped = Job(lambda: iter(range(5)), posts.append)
    stopped.stop()

    outcome, *_ = stopped.run()

    assert outcome is JobState.STOPPED
    assert posts == [(0,)]


@pytest.mark.usefixtures("no_batching")
def test_a_paused_job_waits_until_it_may_go_on() -> None:
    posts: list[tuple[int, ...]] = []
    reached = threading.Event()

    def post(batch: tuple[int, ...]) -> None:
        posts.append(batch)
        if batch[-1] == 1:
            paused.pause()
            reached.set()

    paused = Job(lambda: iter(range(4)), post)
    thread = threading.Thread(target=paused.run, daemon=True)
    thread.start()
    assert reached.wait(10)
    thread.join(0.05)
    assert thread.is_alive()
    assert posts == [(0,), (1,)]

    paused.resume()
    thread.join(10)
    assert posts == [(0,), (1,), (2,), (3,)]


def test_stopping_a_paused_job_ends_it() -> None:
    paused = Job(lambda: iter(range(1000)), lambda _: None)
    paused.pause()
    thread = threading.Thread(target=paused.run, daemon=True)
    thread.start()
    paused.stop()
    thread.join(10)
    assert not thread.is_alive()


def test_an_error_of_the_engine_is_one_sentence_without_a_trace() -> None:
    def events() -> Iterator[int]:
        yield 1
        raise TrainingError("The loss is gone.", "Lower the rate.")

    posts: list[tuple[int, ...]] = []
    assert Job(events, posts.append).run() == (JobState.FAILED, "The loss is gone. Lower the rate.", "")
    assert posts == [(1,)]


def test_an_unforeseen_error_keeps_its_trace() -> None:
    def events() -> Iterator[int]:
        yield 1
        raise ZeroDivisionError("by zero")

    outcome, error, trace = Job(events, lambda _: None).run()
    assert outcome is JobState.FAILED
    assert error == "ZeroDivisionError: by zero"
    assert "in events" in trace


def test_of_what_is_asked_for_meanwhile_only_the_last_is_done() -> None:
    done: list[int] = []
    queue = OnlyTheLast()

    def first() -> None:
        done.append(1)
        assert [queue.put(partial(done.append, number)) for number in (2, 3, 4)] == [False] * 3

    assert queue.put(first)
    queue.run()
    assert done == [1, 4]
    assert queue.put(first), "and the next time a thread is needed again"
