"""Names, tags and the words by which a run is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from distill_core.errors import RunError
from distill_core.runs.summary import RunSummary

MAX_NAME_CHARACTERS = 80
_NAMED_IN_HINT = 5


def names_of(summary: RunSummary) -> set[str]:
    """Return the names that a run answers to: the folder's and the user's."""
    return {summary.name, Path(summary.path).name}


def match_run(asked: str, summaries: Sequence[RunSummary]) -> str | None:
    """Return the path of the run with a name, or with the only name that begins so; None if there is none.

    Raises:
        RunError: Several runs fit; the hint names them.
    """
    if not asked:
        return None
    exact = [summary for summary in summaries if asked in names_of(summary)]
    found = exact or [
        summary for summary in summaries if any(name.startswith(asked) for name in names_of(summary))
    ]
    if len(found) > 1:
        raise RunError(f"{asked} fits {len(found)} runs.", f"Take one of {_listed(found)}.")
    return found[0].path if found else None


def checked_name(name: str, others: Iterable[RunSummary]) -> str:
    """Return a name for a run without blanks around it.

    Raises:
        RunError: It is empty, too long, not printable, looks like a path, or another run has it.
    """
    stripped = name.strip()
    hint = f"Take 1 to {MAX_NAME_CHARACTERS} printable characters, no slash."
    if not stripped:
        raise RunError("A run's name cannot be empty.", hint)
    if len(stripped) > MAX_NAME_CHARACTERS:
        raise RunError(f"A run's name cannot have {len(stripped)} characters.", hint)
    if "/" in stripped or not stripped.isprintable():
        raise RunError(f"{stripped!r} cannot be a run's name.", hint)
    if any(stripped in names_of(other) for other in others):
        raise RunError(f"Another run has the name {stripped}.", "Take another name.")
    return stripped


def changed_tags(tags: Iterable[str], add: Iterable[str], remove: Iterable[str]) -> tuple[str, ...]:
    """Return tags in the order given, each once, without blanks around them, and no empty ones."""
    removed = {tag.strip() for tag in remove}
    wanted = dict.fromkeys(tag.strip() for tag in (*tags, *add))
    return tuple(tag for tag in wanted if tag and tag not in removed)


def _listed(summaries: Sequence[RunSummary]) -> str:
    names = [Path(summary.path).name for summary in summaries[:_NAMED_IN_HINT]]
    more = len(summaries) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")
