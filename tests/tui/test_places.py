from __future__ import annotations

from pathlib import Path

import pytest

from distill_tui import places


def touch(path: Path) -> Path:
    path.write_text("")
    return path


def test_recent_databases_come_newest_first_without_doubles(tmp_path: Path) -> None:
    first, second = touch(tmp_path / "a.db"), touch(tmp_path / "b.db")
    for path in (first, second, first):
        places.remember(path)
    assert places.read_recent() == (first, second)


def test_recent_databases_that_are_gone_are_left_out(tmp_path: Path) -> None:
    first, second = touch(tmp_path / "a.db"), touch(tmp_path / "b.db")
    places.remember(first)
    places.remember(second)
    second.unlink()
    assert places.read_recent() == (first,)


def test_at_most_ten_are_remembered(tmp_path: Path) -> None:
    paths = [touch(tmp_path / f"{number}.db") for number in range(12)]
    for path in paths:
        places.remember(path)
    assert places.read_recent() == tuple(reversed(paths[2:]))


def test_a_state_folder_that_cannot_be_made_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTILL_TUI_STATE", str(touch(tmp_path / "file")))
    places.remember(tmp_path / "a.db")
    assert places.read_recent() == ()


def test_the_keymap_is_read_by_binding_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILL_TUI_CONFIG", str(tmp_path))
    assert places.read_keymap() == {}
    (tmp_path / "keymap.toml").write_text('"app.quit" = "x"\n')
    assert places.read_keymap() == {"app.quit": "x"}


@pytest.mark.parametrize("text", ["not toml", '"app.quit" = 3', "\xff"])
def test_a_wrong_keymap_names_the_file(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILL_TUI_CONFIG", str(tmp_path))
    (tmp_path / "keymap.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"keymap\.toml"):
        places.read_keymap()
