"""Results as the version before wrote them into runs, letter for letter: they still open."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distill_core.config import DataConfig, RunConfig
from distill_core.evaluation import Estimate
from distill_core.runs import RunFolder

MODEL = (
    '{"single_us":{"p50":20.0,"p90":22.0,"p99":30.0},"batch_us_per_query":{"p50":2.0,"p90":2.2,"p99":3.0},'
    '"single_qps":50000.0,"batch_qps":500000.0,"outliers":3'
)
INTERVALS = (
    ',"single_p50_interval":[19.0,21.0],"single_p90_interval":[20.0,25.0],"batch_interval":[1.5,2.5],'
    '"offline_interval":[450000.0,550000.0]'
)
RATIOS = (
    '"single_ratio":61.0,"single_ratio_interval":[58.0,64.0],"batch_ratio":60.0,'
    '"batch_ratio_interval":[59.0,62.0]'
)
MACHINE = (
    '{"cpu":"Planted CPU","cores":2,"usable_cores":2,"threads":1,"blas":"openblas 0.3.31, 1 thread",'
    '"torch":"2.9.0+cpu","torch_cpu_capability":"AVX2","gpu":null,"clock_mhz":2500.0,"load_average":0.2,'
    '"system":"Linux x86_64","python":"3.11.9","gpu_clock_mhz":null}'
)
LATENCY = (
    f'{{"event":"finished","lda":{MODEL}{INTERVALS}}},"transformer":{MODEL}{INTERVALS}}},'
    f'"unfolded":{MODEL}{INTERVALS},{RATIOS}}},{RATIOS},"batch_size":32,"device":"cpu","threads":1,'
    f'"num_heads":4,"steady":true,"machine":{MACHINE},"method":"single-stream and offline, MLPerf-like, '
    'shortened","ended":"complete"}'
)
OLDEST_LATENCY = (
    f'{{"event":"finished","lda":{MODEL}}},"transformer":{MODEL}}},{RATIOS},"batch_size":32,"device":"cpu",'
    '"threads":1,"num_heads":4,"steady":true}'
)
POINT = (
    '{"event":"point","num_heads":16,"real_heads":4,"batch_size":1,"lda_us":11.6,"fixed":{"layers":2,'
    '"us":500.0,"over_lda":{"ratio":43.0,"low":40.0,"high":45.0}},"grown":{"layers":5,"us":2000.0,'
    '"over_lda":{"ratio":172.0,"low":163.0,"high":181.0}},"blocks":12,"outliers":0,"unsteady":false,'
    '"refining":false,"elapsed_seconds":12.0,"budget_seconds":60.0}'
)
CROSSOVER = (
    '{"event":"finished","fixed":{"single":{"low":4096,"high":8192,"reached":true,"measured_to":16384,'
    '"limited_by":""}},"grown":{"single":{"low":16384,"high":null,"reached":false,"measured_to":16384,'
    f'"limited_by":""}}}},"curve":[{POINT}],"ended":"complete","elapsed_seconds":12.0,"unsteady":false,'
    f'"machine":{MACHINE}}}'
)
CONTESTANTS = (
    '{"event":"finished","rows":[{"name":"LDA, NumPy","single_us":{"p50":90.0,"p90":100.0,"p99":200.0},'
    '"single_p90_interval":null,"single_over_lda":{"ratio":1.0,"low":0.95,"high":1.05},'
    '"offline_per_second":200000.0,"offline_interval":null,"offline_over_lda":{"ratio":1.1,"low":0.9,'
    '"high":1.25},"parameters":64000,"size_bytes":256000,"cosine":1.0,"pareto_best":true,"outliers":7,'
    '"note":""},{"name":"student, compiled","single_us":null,"single_p90_interval":null,'
    '"single_over_lda":null,"offline_per_second":null,"offline_interval":null,"offline_over_lda":null,'
    '"parameters":null,"size_bytes":null,"cosine":null,"pareto_best":false,"outliers":null,'
    '"note":"takes half a minute"}],"batch_size":32,"num_heads":4,"device":"cpu",'
    f'"machine":{MACHINE},"ended":"complete","steady":true,"method":"single-stream and offline, MLPerf-like, '
    'shortened","reference":"LDA, NumPy"}'
)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "runs", RunConfig(data=DataConfig(database="lda.db")))


ADDED_SINCE: dict[str, dict[str, object]] = {
    "latency": {"rounds": 0, "teacher_sha256": "", "student_sha256": ""},
    "contestants": {"rounds": 0},
}


@pytest.mark.parametrize(
    ("name", "content"), [("latency", LATENCY), ("crossover", CROSSOVER), ("contestants", CONTESTANTS)]
)
def test_a_result_of_the_version_before_is_read_and_written_as_it_was(
    run: RunFolder, name: str, content: str
) -> None:
    run.result_path(name).write_text(content)
    read = {"latency": run.read_latency, "crossover": run.read_crossover, "contestants": run.read_contestants}
    result = read[name]()
    assert result is not None
    run.write_result(name, result)
    expected = json.loads(content) | ADDED_SINCE.get(name, {})
    assert json.loads(run.result_path(name).read_text()) == expected


def test_a_latency_of_the_time_before_folding_is_read(run: RunFolder) -> None:
    run.result_path("latency").write_text(OLDEST_LATENCY)
    read = run.read_latency()
    assert read is not None
    assert (read.unfolded, read.machine, read.ended) == (None, None, "complete")
    assert (read.single_ratio_interval, read.lda.single_p90_interval) == ((58.0, 64.0), None)


def test_ratios_are_estimates(run: RunFolder) -> None:
    run.result_path("crossover").write_text(CROSSOVER)
    crossover = run.read_crossover()
    assert crossover is not None
    ratio = crossover.curve[0].fixed.over_lda
    assert isinstance(ratio, Estimate)
    assert (ratio.value, ratio.low, ratio.high) == (43.0, 40.0, 45.0)
