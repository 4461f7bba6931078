from __future__ import annotations

import gc
import io
import json
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count, islice
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from distill_core.errors import DeviceError, DistillError, SettingsError
from distill_core.latency import (
    LatencySettings,
    compare_latency,
    samples_bytes,
)
from distill_core.latency.timing.calls import (
    given,
    lda_call,
    lda_form,
    query_batches,
    student_call,
    torch_lda_call,
)
from distill_core.students import MlpStudent
from distill_core.students.networks.torch_teacher import TorchTeacher
from tests.core.latency.planted_models import Models, Project, finished, plant
from tests.core.latency.planted_times import PlantedClock


def test_both_models_get_the_same_queries(
    monkeypatch: pytest.MonkeyPatch,
    clock: PlantedClock,
    models: Models,
) -> None:
    got: dict[str, list[Any]] = {"lda": [], "transformer": []}
    call = clock.call_taking(1_000)

    def recording(model: str) -> Project:
        def project(rows: object) -> None:
            got[model].append(rows)
            call()

        return project

    plant(monkeypatch, recording("lda"), recording("transformer"))
    list(models.compare(batch_size=32))
    assert {type(rows) for rows in got["lda"]} == {np.ndarray}
    assert {type(rows) for rows in got["transformer"]} == {torch.Tensor}
    for one, other in zip(got["lda"], got["transformer"], strict=True):
        assert np.ndim(other) == 2
        np.testing.assert_array_equal(np.atleast_2d(one), other.numpy())
    queries = models.queries
    singles, batches = ([rows for rows in got["lda"] if np.ndim(rows) == ndim] for ndim in (1, 2))
    np.testing.assert_array_equal(np.array(singles[:20]), queries)
    np.testing.assert_array_equal(batches[0][:20], queries)
    assert len(np.unique(np.concatenate(batches[:2]), axis=0)) == 64


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("pulls", [1, 3, None])
def test_the_student_is_timed_in_evaluation_and_comes_back_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
    clock: PlantedClock,
    models: Models,
    training: bool,
    pulls: int | None,
) -> None:
    modes: list[bool] = []
    call = clock.call_taking(5_000)
    student = models.student.train(training)

    def transformer(rows: object) -> None:
        modes.append(student.training)
        call()

    plant(monkeypatch, lambda rows: call(), transformer)
    events = models.compare()
    for _ in zip(events, range(pulls) if pulls else count(), strict=False):
        pass
    events.close()  # type: ignore[attr-defined]
    assert not any(modes)
    assert student.training is training


def test_an_error_while_timing_leaves_the_student_as_it_was(
    monkeypatch: pytest.MonkeyPatch, models: Models
) -> None:
    plant(monkeypatch, lambda rows: 1 / 0, lambda rows: None)
    models.student.train()
    with pytest.raises(ZeroDivisionError):
        list(models.compare())
    assert models.student.training
    assert gc.isenabled()


@pytest.mark.usefixtures("planted")
def test_threads_hold_while_timing_only(monkeypatch: pytest.MonkeyPatch, models: Models) -> None:
    threads = [7]
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads[-1])
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    result = finished(models.compare(threads=2))
    assert result.threads == 2
    assert threads == [7, 2, 7]


def test_on_another_device_both_models_run_there(
    monkeypatch: pytest.MonkeyPatch,
    clock: PlantedClock,
    models: Models,
) -> None:
    """A machine with a pretended cuda: what moves there is recorded, and stays on the CPU."""
    student_at, moved, waited = [], [], []

    def student_to(self: MlpStudent, device: torch.device) -> MlpStudent:
        student_at.append(str(device))
        return self

    def tensor_to(self: torch.Tensor, device: torch.device) -> torch.Tensor:
        moved.append((tuple(self.shape), str(device)))
        return self

    def wait(device: torch.device) -> None:
        waited.append(str(device))
        clock.nanoseconds += 2_000_000

    def taking_a_millisecond(project: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def slow(self: object, queries: torch.Tensor) -> torch.Tensor:
            clock.nanoseconds += 1_000_000
            return project(self, queries)

        return slow

    for kind, name in ((MlpStudent, "forward"), (TorchTeacher, "project")):
        monkeypatch.setattr(kind, name, taking_a_millisecond(getattr(kind, name)))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", wait)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Fast GPU")
    monkeypatch.setattr(MlpStudent, "to", student_to)
    monkeypatch.setattr(torch.Tensor, "to", tensor_to)
    result = finished(models.compare(device="auto", batch_size=4))
    assert student_at == ["cuda", "cpu"]
    assert {device for _, device in moved} == {"cuda"}
    assert {(8, 5), (5, 8), (1, 8), (4, 8)} == {shape for shape, _ in moved}
    assert set(waited) == {"cuda"}
    # batches wait once a block: five calls of a millisecond each, with two for the wait, nearly fill its 8 ms
    assert result.transformer.batch_us_per_query.p50 == pytest.approx((5 * 1_000 + 2_000) / 5 / 4)
    assert result.device == "cuda"
    assert result.machine is not None
    assert result.machine.gpu == "Fast GPU"
    assert result.lda.single_us.p50 == pytest.approx(3_000.0)


def test_the_lda_of_other_devices_is_the_same_function(
    monkeypatch: pytest.MonkeyPatch, models: Models
) -> None:
    monkeypatch.setattr(torch.Tensor, "to", lambda self, device: self)
    call = lda_call(models.teacher, torch.device("cuda"))
    for rows in (models.queries, 1e-3 * models.queries[:1]):
        projected = call(torch.from_numpy(rows))
        assert isinstance(projected, torch.Tensor)
        np.testing.assert_allclose(projected.numpy(), models.teacher.project(rows), rtol=0, atol=1e-5)


def test_on_the_cpu_the_models_themselves_are_timed(models: Models) -> None:
    lda = lda_call(models.teacher, torch.device("cpu"))
    np.testing.assert_array_equal(np.asarray(lda(models.queries)), models.teacher.project(models.queries))
    projected = student_call(models.student.eval())(torch.from_numpy(models.queries))
    assert isinstance(projected, torch.Tensor)
    assert projected.is_inference()
    np.testing.assert_allclose(projected, models.student.project(models.queries), rtol=0, atol=1e-6)


def test_with_the_real_clock_every_figure_is_a_positive_number(models: Models) -> None:
    events = list(replace(models, clock=time.perf_counter_ns).compare(threads=1))
    result = json.loads(msgspec.json.encode(events[-1]))
    assert result["event"] == "finished"
    for model in ("lda", "transformer"):
        for times in (result[model]["single_us"], result[model]["batch_us_per_query"]):
            assert 0 < times["p50"] <= times["p90"] <= times["p99"]
        assert result[model]["single_qps"] > 0
    for ratio in ("single_ratio", "batch_ratio"):
        low, high = result[f"{ratio}_interval"]
        assert 0 < low <= result[ratio] <= high


# What was measured before a stop


def test_a_device_that_fails_is_one_sentence_and_keeps_the_rounds(
    monkeypatch: pytest.MonkeyPatch, clock: PlantedClock, models: Models
) -> None:
    """Warm-up is 4 calls for each batch size of each model, blocks are one call, and 2 settle each copy."""
    numbers, slow = count(), clock.call_taking(9_000)

    def lda(rows: object) -> None:
        if next(numbers) == 8 + (2 * 2 + 2) * 3 + 2 * 2:
            raise RuntimeError("CUDA error: device lost\nmore lines")
        slow()

    plant(monkeypatch, lda, lambda rows: slow())
    failing = models.comparison(blocks=9)
    with pytest.raises(DeviceError, match=r"^The measurement failed: CUDA error: device lost$"):
        list(failing)
    result = failing.result()
    assert result is not None
    assert (result.ended, len(failing.samples()["lda, batch 1"])) == ("interrupted", 3)


@pytest.mark.usefixtures("planted")
def test_a_stopped_comparison_keeps_the_rounds_that_all_have(models: Models) -> None:
    """Four blocks a round; the stop comes inside the third."""
    stopped = models.comparison(blocks=6, batch_size=10)
    assert stopped.result() is None
    events = iter(stopped)
    list(islice(events, 1 + 3))
    assert stopped.result() is None, "the student has no batch yet"
    list(islice(events, 6))
    result = stopped.result()
    assert result is not None
    assert (result.ended, result.single_ratio, result.batch_ratio) == pytest.approx(("interrupted", 3.0, 3.0))
    assert result.method == "single-stream and offline, MLPerf-like, shortened"
    assert finished(events).ended == "complete"


@pytest.mark.usefixtures("planted")
def test_the_raw_samples_are_every_call(models: Models) -> None:
    done = models.comparison(blocks=4, batch_size=10)
    finished(iter(done))
    samples = done.samples()
    assert {name: (len(times), times[0]) for name, times in samples.items()} == {
        "lda, batch 1": (4 * 20, 400.0),
        "lda, batch 10": (4 * 20, 400.0),
        "transformer, batch 1": (4 * 6, 1_200.0),
        "transformer, batch 10": (4 * 6, 1_200.0),
    }
    with np.load(io.BytesIO(samples_bytes(samples))) as loaded:
        np.testing.assert_array_equal(loaded["lda, batch 10"], samples["lda, batch 10"])


# Nothing stands between the clock and the models


def test_the_lda_is_timed_by_its_own_method_on_its_own_query(models: Models) -> None:
    assert lda_call(models.teacher, torch.device("cpu")) == models.teacher.project
    cpu = torch.device("cpu")
    rows = [given(batch, lda_form(cpu), cpu) for batch in query_batches(models.queries, 1)]
    assert {np.asarray(row).shape for row in rows} == {(8,)}
    assert lda_form(torch.device("cuda")) == "tensors"


def test_nothing_sleeps_beside_a_model(monkeypatch: pytest.MonkeyPatch, models: Models) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("sleeps"))
    lda_call(models.teacher, torch.device("cpu"))(models.queries[0])
    torch_lda_call(models.teacher, torch.device("cpu"))(torch.from_numpy(models.queries))
    student_call(models.student.eval())(torch.from_numpy(models.queries))


# What is refused


@pytest.mark.parametrize("shape", [(0, 8), (8,), (2, 3, 8)])
def test_without_queries_there_is_nothing_to_time(models: Models, shape: tuple[int, ...]) -> None:
    with pytest.raises(DistillError, match="no queries to time"):
        next(compare_latency(models.teacher, models.student, np.ones(shape)))


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, models: Models) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    models.student.train()
    with pytest.raises(DeviceError):
        next(models.compare(device="cuda"))
    assert models.student.training


@pytest.mark.parametrize("field", ["batch_size", "blocks"])
def test_settings_out_of_range_are_refused(field: str) -> None:
    with pytest.raises(SettingsError) as caught:
        LatencySettings(**{field: 0})  # type: ignore[arg-type]
    assert caught.value.field == field
