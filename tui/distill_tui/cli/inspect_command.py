"""`distill-tui inspect`: what a database holds, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from distill_core.database import LdaDatabase
from distill_tui.cli.options import chosen_database, database_argument, json_option


@click.command("inspect")
@database_argument
@json_option
def inspect_database(database: Path | None, database_option: Path | None, *, as_json: bool) -> None:
    """Show the models, the projections and the problems of a database."""
    contents = _read(chosen_database(database, database_option))
    if as_json:
        click.echo(msgspec.json.encode(contents))
        return
    click.echo(contents["path"])
    for model in contents["models"]:
        click.echo(f"model {model.id}: {model.name}, {model.dimension} dimensions")
    for projection in contents["projections"]:
        click.echo(
            f"projection {projection.id}: {projection.name or 'no name'}, {projection.num_heads} heads, "
            f"temperature {projection.temperature:g}, {projection.num_questions} questions, "
            f"model {projection.model}"
        )
    for problem in contents["problems"]:
        where = f" (projection {problem.mh_id})" if problem.mh_id is not None else ""
        click.echo(f"{problem.severity}{where}: {problem.message} {problem.hint}".rstrip())
    if not contents["problems"]:
        click.echo("no problems")


def _read(path: Path) -> dict[str, Any]:
    with LdaDatabase(path) as database:
        return {
            "path": str(database.path),
            "sha256": database.sha256,
            "models": database.models(),
            "projections": database.projections(),
            "problems": database.problems(),
        }
