"""What the runs screen changes on disk: each is made on the UI thread and carried out on a worker's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distill_core.wording import plural

if TYPE_CHECKING:
    from distill_core.runs import RunStore, RunSummary
    from distill_tui.runs.desk import Change


def rename(run: RunSummary, name: str) -> Change:
    """Give a run another name."""

    def change(store: RunStore) -> str:
        store.rename(run.path, name)
        return ""

    return change


def retag(run: RunSummary, text: str) -> Change:
    """Give a run these tags, between commas, and no others."""
    tags = [tag.strip() for tag in text.split(",")]

    def change(store: RunStore) -> str:
        store.tag(run.path, *tags, remove=set(run.tags) - set(tags))
        return ""

    return change


def annotate(run: RunSummary, text: str) -> Change:
    """Replace the text about a run."""

    def change(store: RunStore) -> str:
        store.annotate(run.path, text.strip())
        return ""

    return change


def pin(run: RunSummary) -> Change:
    """Make a run the baseline, or no longer if it is."""

    def change(store: RunStore) -> str:
        store.pin(run.path, pinned=not run.pinned)
        return f"{run.name} is {'no longer ' if run.pinned else ''}the baseline."

    return change


def delete(run: RunSummary) -> Change:
    """Move a run to the trash."""

    def change(store: RunStore) -> str:
        place = store.move_to_trash(run.path)
        return f"{run.name} is in the trash; 'distill-tui runs restore {place.name}' takes it out."

    return change


def empty_trash(store: RunStore) -> str:
    """Delete what is in the trash for good."""
    return f"Deleted {plural(store.empty_trash(), 'run')} for good."
