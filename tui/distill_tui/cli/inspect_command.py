"""`distill-tui inspect`: what a database holds, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from distill_core.config import DataConfig
from distill_core.database import Database, open_database
from distill_core.errors import DatabaseError, told
from distill_core.evaluation.health import HealthProbe, TeacherHealth, known_health
from distill_core.foreign_text import visible
from distill_core.teacher_data import LabelledQuestions, content_sha256, heads_sha256, read_questions
from distill_core.wording import estimate_words
from distill_tui.cli.options import chosen_database, database_argument, json_option, setting
from distill_tui.cli.output import say, say_object
from distill_tui.text import best_temperature_words, finding_rows, left_out_words

_NAME_CHARACTERS = 100


@click.command("inspect")
@database_argument
@setting(DataConfig, "temperature")
@click.option("--whole", is_flag=True, help="Look at every question, however long it takes, not at a sample.")
@json_option
def inspect_database(
    database: Path | None,
    database_option: Path | None,
    temperature: float | None,
    *,
    whole: bool,
    as_json: bool,
) -> None:
    """Show the models, the projections with their teachers' health, and the problems of a database."""
    path = chosen_database(database, database_option)
    if as_json:
        say_object(_read(path, temperature, whole=whole))
        return
    for line in inspection_lines(path, temperature, whole=whole):
        say(line)


def inspection_lines(path: Path, temperature: float | None = None, *, whole: bool = False) -> Iterator[str]:
    """Yield what a database holds, in lines for a reader."""
    yield from _lines(_read(path, temperature, whole=whole))


def _read(path: Path, temperature: float | None, *, whole: bool) -> dict[str, Any]:
    with open_database(path) as database:
        projections = database.projections()
        health = _health(database, [projection.id for projection in projections], temperature, whole=whole)
        return {
            "path": str(database.path),
            "sha256": database.sha256,
            "models": database.models(),
            "num_questions": len(database.questions()),
            "projections": projections,
            "health": health,
            "problems": database.problems(),
        }


def _health(
    database: Database, numbers: list[int], temperature: float | None, *, whole: bool
) -> dict[str, TeacherHealth]:
    """Return the health of the teachers that can be used, by number; the problems explain the others.

    Projections that differ in their temperature alone share what is known of their heads.
    """
    probes: dict[str, HealthProbe] = {}
    health = {}
    for number in numbers:
        try:
            labelled = read_questions(database, number, temperature)
        except DatabaseError:
            continue
        identity, tau = heads_sha256(labelled), labelled.teacher.temperature

        def probe(labelled: LabelledQuestions = labelled, identity: str = identity) -> HealthProbe:
            if identity not in probes:
                probes[identity] = HealthProbe(labelled, whole=whole)
            return probes[identity]

        if whole:
            health[str(number)] = probe().at(tau)
        else:
            content = content_sha256(labelled)
            health[str(number)] = known_health(probe, content, tau, labelled.weights)
    return health


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
    for warning in health.warnings:
        yield f"  warning: {warning}"
    heads = health.effective_heads
    if health.num_looked_at < health.num_queries:
        seen = _of(health.num_looked_at, health.num_queries)
        yield f"  seen through {seen} questions, drawn by cluster; --whole asks all"
    unused = (
        "" if health.unused_heads is None else f"; {len(health.unused_heads)} heads that no question prefers"
    )
    yield (
        f"  at temperature {health.temperature:g}: effective heads {heads.median:.1f} "
        f"(5th to 95th percentile {heads.p5:.1f} to {heads.p95:.1f}) of {health.num_heads}{unused}"
    )
    yield f"  a constant would score a mean cosine of {health.constant_cosine:.4f}"
    yield from _finding_lines(health)
    if health.near_duplicates:
        yield f"  {health.near_duplicates} pairs of near-duplicate questions"
    for note in health.notes:
        yield f"  note: {note}"


def _finding_lines(health: TeacherHealth) -> Iterator[str]:
    findings = health.findings
    if findings is None:
        return
    some = _of(findings.num_judged, health.num_looked_at)
    yield f"  who finds a true answer, over {some} questions of {findings.num_clusters} clusters, with 95 %:"
    yield f"    {'':19}{'Recall@1':22}{'Recall@10':22}MRR"
    for name, found in finding_rows(findings):
        figures = (found.recall_at_1, found.recall_at_10, found.mrr)
        yield f"    {name:19}{''.join(f'{estimate_words(figure, 3):22}' for figure in figures)}".rstrip()
    yield f"    {left_out_words(findings)}"
    yield f"  the LDA's MRR minus the bare query's: {estimate_words(findings.difference, 3)}"
    yield f"  the temperature that finds most: {best_temperature_words(findings)}"
