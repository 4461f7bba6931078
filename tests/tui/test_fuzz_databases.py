"""The benchmark that breaks databases at random has a short form, which runs here."""

from __future__ import annotations

import pytest
from benchmarks import fuzz_databases


def test_databases_broken_at_random_are_told_in_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz_databases.main(["--smoke"]) == 0, capsys.readouterr().out
