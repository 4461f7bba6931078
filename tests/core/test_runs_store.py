from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from distill_core.config import DataConfig, RunConfig
from distill_core.errors import RunError
from distill_core.runs import RunFolder, RunNotes, RunStore, RunSummary, default_root, liveness
from tests.core.test_runs_folder import CONFIG, Clock, make_run


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> RunStore:
    return RunStore(tmp_path / "runs", clock)


def add_run(store: RunStore, clock: Clock, database: str) -> RunFolder:
    clock.advance(60)
    return RunFolder.create(store.root, RunConfig(data=DataConfig(database=database)), clock)


def content_of(run: RunFolder) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in run.path.iterdir() if file.is_file()}


def test_a_store_without_a_folder_is_empty(store: RunStore) -> None:
    assert (store.list(), store.trashed(), store.problem, store.empty_trash()) == ((), (), "", 0)


def test_a_run_is_summed_up_from_its_files(store: RunStore, clock: Clock) -> None:
    run = make_run(store.root, clock)
    run.mark("finished")
    (summary,) = store.list()
    assert summary.settings_id
    assert (summary,) == (
        RunSummary(
            name="λ scan",
            path=str(run.path),
            state="finished",
            database=CONFIG.data.database,
            projection=3,
            temperature=0.1,
            student="encoder",
            heads=2,
            layers=3,
            cosine_weight=0.1 + 0.2,
            recipe="book",
            seed=2**32 - 1,
            cosine=0.75,
            skill=0.625,
            latency_us=12.5,
            created=clock.now,
            tags=("a", "b"),
            pinned=True,
            problem="",
            train_seconds=1.5,
            epochs=4,
            settings_id=summary.settings_id,
        ),
    )


def test_a_run_that_has_only_begun_has_no_figures(store: RunStore, clock: Clock) -> None:
    add_run(store, clock, "/a/n18/lda.db").mark("running")
    (summary,) = store.list()
    assert (summary.state, summary.cosine, summary.skill, summary.latency_us) == ("running", None, None, None)
    assert (summary.temperature, summary.heads, summary.layers, summary.problem) == (None, 4, 2, "")


def test_the_newest_run_comes_first_and_other_folders_are_none(store: RunStore, clock: Clock) -> None:
    runs = [add_run(store, clock, f"/a/{name}.db") for name in "zxy"]
    (store.root / "empty").mkdir()
    (store.root / "mine").mkdir()
    (store.root / "mine" / "thesis.txt").write_text("chapter 1")
    (store.root / ".hidden.new").mkdir()
    (store.root / "a file").write_text("")
    assert [summary.path for summary in store.list()] == [str(run.path) for run in reversed(runs)]


def test_a_change_shows_in_the_next_listing(store: RunStore, clock: Clock) -> None:
    run = add_run(store, clock, "/a/x.db")
    assert [summary.state for summary in store.list()] == ["stopped"]
    run.mark("finished")
    assert [summary.state for summary in store.list()] == ["finished"]
    run.write_notes(make_run(store.root / "other").read_notes())
    assert store.list()[0].name == "λ scan"
    run.last_checkpoint.write_bytes(b"{")
    assert "last.safetensors" in store.list()[0].problem


def test_a_run_of_another_machine_shows_as_interrupted_without_any_change_on_disk(
    store: RunStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("distill_core.runs.folder._watch", liveness.Watch(lambda: now))
    run = add_run(store, clock, "/a/x.db")
    state = json.loads((run.path / "state.json").read_text()) | {"state": "running", "host": "gpu-2"}
    (run.path / "state.json").write_text(json.dumps(state))
    assert store.list()[0].state == "running"
    now += liveness.SILENT_SECONDS
    assert store.list()[0].state == "interrupted"
    run.beat()
    assert store.list()[0].state == "running"


def test_a_run_that_nobody_here_can_look_up_is_watched_before_it_is_told_of(
    store: RunStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, waits = 0.0, 0
    monkeypatch.setattr("distill_core.runs.folder._watch", liveness.Watch(lambda: now))
    live, dead = (add_run(store, clock, "/a/x.db") for _ in range(2))
    for run in (live, dead):
        state = json.loads((run.path / "state.json").read_text()) | {"state": "running", "host": "gpu-2"}
        (run.path / "state.json").write_text(json.dumps(state))

    def wait(seconds: float) -> None:
        nonlocal now, waits
        now, waits = now + seconds, waits + 1
        live.beat()

    states = {row.path: row.state for row in store.watched(wait)}
    assert states == {str(live.path): "running", str(dead.path): "interrupted"}
    assert waits == pytest.approx(liveness.SILENT_SECONDS / liveness.LOOK_SECONDS, abs=1)
    assert len(store.watched(wait)) == 2


def test_a_run_is_found_by_its_names_their_beginnings_and_its_path(
    store: RunStore, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = add_run(store, clock, "/a/x.db"), add_run(store, clock, "/a/y.db")
    store.rename(first, "baseline")
    elsewhere = make_run(tmp_path / "elsewhere", clock)
    for asked in (first.name, first.name[:18], "baseline", "base", str(first.path), first.path, first):
        assert store.find(asked).path == first.path
    assert store.find(second.name[:18]).path == second.path
    assert store.find(elsewhere.path).path == elsewhere.path
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert store.find(f"./{elsewhere.name}").path == elsewhere.path


@pytest.mark.parametrize("asked", ["nothing", "", "/nowhere/at/all", "..", "."])
def test_a_run_that_is_not_there_is_not_found(store: RunStore, clock: Clock, asked: str) -> None:
    add_run(store, clock, "/a/x.db")
    with pytest.raises(RunError, match="There is no run"):
        store.find(asked)


def test_a_beginning_that_fits_several_runs_is_refused_with_names(store: RunStore, clock: Clock) -> None:
    runs = [add_run(store, clock, "/a/x.db"), add_run(store, clock, "/a/y.db")]
    with pytest.raises(RunError, match="fits 2 runs") as raised:
        store.find("2026-09")
    assert all(run.name in raised.value.hint for run in runs)


def test_an_exact_name_goes_before_a_beginning(store: RunStore, clock: Clock) -> None:
    short, long = add_run(store, clock, "/a/x.db"), add_run(store, clock, "/a/y.db")
    store.rename(short, "scan")
    store.rename(long, "scan 2")
    assert store.find("scan").path == short.path
    assert store.find("scan ").path == long.path


def test_runs_are_named_tagged_and_annotated(store: RunStore, clock: Clock) -> None:
    run = add_run(store, clock, "/a/x.db")
    store.rename(run, "  τ = 0.1 ")
    store.tag(run, "night", " wide ", "night", "")
    store.tag(run, "seed 2", remove=("night",))
    notes = store.annotate("τ = 0.1", "Too cold.\nTry 0.3.")
    assert notes == RunNotes(name="τ = 0.1", tags=("wide", "seed 2"), annotation="Too cold.\nTry 0.3.")
    assert run.read_notes() == notes
    assert run.path.exists()


@pytest.mark.parametrize("name", ["", "  ", "a/b", "two\nlines", "\x1b[31m", "x" * 81, "taken"])
def test_a_name_that_cannot_be_used_is_refused(store: RunStore, clock: Clock, name: str) -> None:
    store.rename(add_run(store, clock, "/a/x.db"), "taken")
    run = add_run(store, clock, "/a/y.db")
    with pytest.raises(RunError, match="name"):
        store.rename(run, name)
    assert run.read_notes().name == ""


def test_one_run_at_a_time_is_the_baseline(store: RunStore, clock: Clock) -> None:
    first, second = add_run(store, clock, "/a/x.db"), add_run(store, clock, "/a/y.db")
    store.pin(first)
    assert [run.pinned for run in store.list()] == [False, True]
    store.pin(second)
    assert [run.pinned for run in store.list()] == [True, False]
    store.pin(second, pinned=False)
    assert [run.pinned for run in store.list()] == [False, False]


def test_a_run_goes_to_the_trash_and_comes_back_whole(store: RunStore, clock: Clock) -> None:
    run = make_run(store.root, clock)
    before = content_of(run)
    place = store.move_to_trash(run.name)
    assert (store.list(), [summary.path for summary in store.trashed()]) == ((), [str(place)])
    back = store.restore(place.name)
    assert back.path == run.path
    assert content_of(run) == before | {"lock": b""}
    assert (len(store.list()), store.trashed()) == (1, ())
    with pytest.raises(RunError, match="in the trash"):
        store.restore(run.name)


def test_only_the_trash_is_emptied(store: RunStore, clock: Clock, tmp_path: Path) -> None:
    kept, linked = add_run(store, clock, "/a/x.db"), make_run(tmp_path / "elsewhere", clock)
    for name in "yz":
        store.move_to_trash(add_run(store, clock, f"/a/{name}.db"))
    (store.root / ".trash" / "link").symlink_to(linked.path)
    assert store.empty_trash() == 3
    assert [summary.path for summary in store.list()] == [str(kept.path)]
    assert store.trashed() == ()
    assert linked.read_config() == CONFIG


@pytest.mark.parametrize("name", ["..", ".", "", "../elsewhere"])
def test_nothing_but_a_run_is_taken_out_of_the_trash(store: RunStore, clock: Clock, name: str) -> None:
    store.move_to_trash(add_run(store, clock, "/a/x.db"))
    with pytest.raises(RunError, match="in the trash"):
        store.restore(name)


def test_a_name_that_was_taken_meanwhile_is_not_overwritten(store: RunStore, clock: Clock) -> None:
    run = add_run(store, clock, "/a/x.db")
    place = store.move_to_trash(run)
    run.path.mkdir()
    (run.path / "config.toml").write_text("other")
    with pytest.raises(RunError, match="already"):
        store.restore(place.name)
    assert store.move_to_trash(run).name == f"{run.name}-2"
    assert len(store.trashed()) == 2


def test_a_run_in_training_or_of_another_place_is_not_thrown_away(
    store: RunStore, clock: Clock, tmp_path: Path
) -> None:
    run, elsewhere = add_run(store, clock, "/a/x.db"), make_run(tmp_path / "elsewhere", clock)
    with run.lock(), pytest.raises(RunError, match="already being trained"):
        store.move_to_trash(run)
    with pytest.raises(RunError, match="not among the runs"):
        store.move_to_trash(elsewhere)
    assert run.path.exists()
    assert elsewhere.path.exists()


def test_runs_are_kept_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILL_TUI_RUNS", str(tmp_path / "there"))
    assert (default_root(), RunStore().root) == (tmp_path / "there", tmp_path / "there")
    monkeypatch.delenv("DISTILL_TUI_RUNS")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_root().name == "runs"
    assert default_root().is_relative_to(tmp_path)


def test_a_thousand_runs_are_read_file_by_file_only_once(
    store: RunStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        add_run(store, clock, f"/a/{number}.db")
    before = store.list()
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was read again"))
    assert store.list() == before
    assert before[0].created - before[-1].created == timedelta(minutes=4)


def test_runs_are_listed_without_torch_and_without_an_interface(tmp_path: Path) -> None:
    make_run(tmp_path)
    program = (
        "import sys\nfrom distill_core.runs import RunStore, RunFolder, read_checkpoint_info\n"
        "assert len(RunStore(sys.argv[1]).list()) == 1\n"
        "assert {'torch', 'scipy', 'textual', 'rich'}.isdisjoint(sys.modules)\nprint('light')"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("light\n", "")
