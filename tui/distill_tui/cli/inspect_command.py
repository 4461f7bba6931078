"""`distill-tui inspect`: what a database holds, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from distill_core.database import LdaDatabase
from distill_core.errors import DatabaseError, told
from distill_core.evaluation.health import HealthProbe, TeacherHealth
from distill_core.foreign_text import visible
from distill_core.teacher_data import read_questions
from distill_tui.cli.options import chosen_database, database_argument, json_option
from distill_tui.cli.output import say, say_object

_NAME_CHARACTERS = 100


@click.command("inspect")
@database_argument
@json_option
def inspect_database(database: Path | None, database_option: Path | None, *, as_json: bool) -> None:
    """Show the models, the projections with their teachers' health, and the problems of a database."""
    path = chosen_database(database, database_option)
    if as_json:
        say_object(_read(path))
        return
    for line in inspection_lines(path):
        say(line)


def inspection_lines(path: Path) -> Iterator[str]:
    """Yield what a database holds, in lines for a reader."""
    yield from _lines(_read(path))


def _read(path: Path) -> dict[str, Any]:
    with LdaDatabase(path) as database:
        projections = database.projections()
        health = {projection.id: _health(database, projection.id) for projection in projections}
        return {
            "path": str(database.path),
            "sha256": database.sha256,
            "models": database.models(),
            "num_questions": len(database.questions()),
            "projections": projections,
            "health": {str(number): found for number, found in health.items() if found is not None},
            "problems": database.problems(),
        }


def _health(database: LdaDatabase, mh_id: int) -> TeacherHealth | None:
    """Return the health of a teacher; None where it cannot be used, which the problems explain."""
    try:
        labelled = read_questions(database, mh_id)
    except DatabaseError:
        return None
    return HealthProbe(labelled.teacher, labelled.queries, labelled.answers, labelled.true_answers).at()


def _lines(contents: dict[str, Any]) -> Iterator[str]:
    yield contents["path"]
    for model in contents["models"]:
        yield f"model {model.id}: {visible(model.name, _NAME_CHARACTERS)}, {model.dimension} dimensions"
    for projection in contents["projections"]:
        questions = _of(projection.num_questions, contents["num_questions"])
        yield (
            f"projection {projection.id}: {visible(projection.name, _NAME_CHARACTERS) or 'no name'}, "
            f"{projection.num_heads} heads, "
            f"temperature {projection.temperature:g}, {questions} questions, "
            f"model {visible(projection.model, _NAME_CHARACTERS)}"
        )
        health = contents["health"].get(str(projection.id))
        if health is not None:
            yield from _health_lines(health)
    for problem in contents["problems"]:
        where = f" (projection {problem.mh_id})" if problem.mh_id is not None else ""
        yield f"{problem.severity}{where}: {told(problem.message, problem.hint)}"
    if not contents["problems"] and not any(health.warnings for health in contents["health"].values()):
        yield "no problems"


def _of(number: int, total: int) -> str:
    """Return "216", or "216 of 432" where some are left out."""
    return str(number) if number >= total else f"{number} of {total}"


def _health_lines(health: TeacherHealth) -> Iterator[str]:
    heads = health.effective_heads
    yield (
        f"  effective heads {heads.median:.1f} (5th to 95th percentile {heads.p5:.1f} to {heads.p95:.1f}) "
        f"of {health.num_heads}; {len(health.unused_heads)} heads that no question prefers"
    )
    yield f"  a constant would score a mean cosine of {health.constant_cosine:.4f}"
    if health.recall_at_1 is not None and health.mrr is not None:
        over = _of(health.num_judged, health.num_queries)
        judged = "" if health.num_judged == health.num_queries else f" over {over} questions"
        yield f"  the teacher itself: Recall@1 {health.recall_at_1:.3f}, MRR {health.mrr:.3f}{judged}"
    if health.near_duplicates:
        yield f"  {health.near_duplicates} pairs of near-duplicate questions"
    for warning in health.warnings:
        yield f"  warning: {warning}"
