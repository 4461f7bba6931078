"""What is known of one run, in words, where a row has no room for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.text import Text

from distill_core.foreign_text import visible
from distill_tui.runs.rows import COLUMNS, heads_words

if TYPE_CHECKING:
    from distill_core.runs import RunSummary
    from distill_tui.runs.desk import RunRemarks


LINE_CHARACTERS = 500


def run_facts(run: RunSummary, remarks: RunRemarks | None) -> Text:
    """Return the name, what is wrong, what the user said, and the settings, a line each.

    Args:
        run: The run as it was listed.
        remarks: None until they are read.
    """
    text = Text().append(visible(run.name), "bold")
    for words, style in _facts(run, remarks):
        text.append(f"\n{visible(words, LINE_CHARACTERS)}", style)
    return text


def _facts(run: RunSummary, remarks: RunRemarks | None) -> Iterator[tuple[str, str]]:
    baseline = ", the baseline" if run.pinned else ""
    yield f"{run.state} · {run.created.astimezone():%Y-%m-%d %H:%M}{baseline}", ""
    if remarks is not None and remarks.error and run.state == "failed":
        yield f"Failed: {remarks.error}", "bold"
    if run.problem:
        problem = run.problem.replace(f"{run.path}/", "")
        yield f"Damaged: {problem}", "bold"
    if run.tags:
        yield f"Tags: {', '.join(run.tags)}", ""
    if remarks is not None and remarks.annotation:
        yield remarks.annotation, ""
    if run.database:
        yield _settings(run), "dim"
    yield run.path, "dim"


def _settings(run: RunSummary) -> str:
    text = {column.name: column.text(run) for column in COLUMNS}
    heads = f" H {heads}" if (heads := heads_words(run)) else ""
    tau = f" τ {text['τ']}" if text["τ"] else ""
    return (
        f"{run.student}{heads} L {text['L']} · {run.recipe} λ {text['λ']} seed {text['seed']} · "
        f"projection {text['projection']}{tau} of {run.database}"
    )
