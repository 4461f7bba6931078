from __future__ import annotations

from pathlib import Path

import pytest

from distill_core.database import LdaDatabase, demo_database_path
from distill_core.errors import DatabaseError


def test_the_demo_opens_without_an_error() -> None:
    with LdaDatabase(demo_database_path()) as lda:
        assert lda.projections()
        assert [problem for problem in lda.problems() if problem.severity == "error"] == []
        for projection in lda.projections():
            assert lda.teacher(projection.id).dimension == lda.queries(projection.id)[1].shape[1]


def test_a_missing_demo_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.resources.files", lambda _: tmp_path)
    with pytest.raises(DatabaseError, match=r"demo_data/lda\.db is missing") as caught:
        demo_database_path()
    assert "Install distill-tui again" in caught.value.hint
