"""SQL to records: what is asked of which table, and how a row is read."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from distill_core.config import check_temperature
from distill_core.database.records import Answer, EmbeddingModel, Head, Projection, Question
from distill_core.database.schema import (
    UNMISSED,
    Tables,
    integer,
    once,
    optional_integer,
    optional_real,
    real,
    text,
)
from distill_core.errors import DatabaseError, ProjectionNotFoundError, SettingsError

DEFAULT_TEMPERATURE = 1.0
"""What the schema gives a projection that names no temperature."""

MAX_DIMENSION = 1_000_000
"""Far beyond any model; keeps an absurd row from asking for all memory."""

_PROJECTION_COLUMNS = (
    "mh_projection_id",
    "model_id",
    "name",
    "temperature",
    "created_at",
    "num_heads",
    "recall_at_1",
    "mrr",
)


class ProjectionRows(NamedTuple):
    """The projections that can be read, and for the others the number (None if unreadable) and the reason."""

    readable: tuple[Projection, ...]
    unreadable: tuple[tuple[int | None, DatabaseError], ...]


class HeadRow(NamedTuple):
    """A head with the paths of its two vectors, as stored."""

    head: Head
    centroid_path: str
    answer_path: str


@once
def read_models(tables: Tables) -> tuple[EmbeddingModel, ...]:
    """Return the embedding models, ordered by id."""
    rows = tables.select("embedding_models", ("model_id", "name", "dimension"), order_by=("model_id",))
    return tuple(_model(*row) for row in rows)


def _model(model_id: object, name: object, dimension: object) -> EmbeddingModel:
    number = integer(model_id, "A model_id in embedding_models")
    length = integer(dimension, f"The dimension of embedding_models row {number}")
    if not 1 <= length <= MAX_DIMENSION:
        message = (
            f"The dimension of embedding_models row {number} is {length}, not between 1 and {MAX_DIMENSION}."
        )
        raise DatabaseError(message, "Correct that row, or make the database again.")
    return EmbeddingModel(id=number, name=text(name), dimension=length)


@once
def read_projections(tables: Tables) -> ProjectionRows:
    """Return the projections, ordered by id. One bad row does not hide the others."""
    models = {model.id: model for model in read_models(tables)}
    num_heads = tables.count("cluster_heads", "*", group_by="mh_projection_id")
    num_questions = tables.count(
        "embeddings", "entity_id", group_by="model_id", equal=("entity_type", "question")
    )
    readable: list[Projection] = []
    unreadable: list[tuple[int | None, DatabaseError]] = []
    for row in tables.select("multi_head_projections", _PROJECTION_COLUMNS, order_by=("mh_projection_id",)):
        try:
            readable.append(_projection(row, models, num_heads.get(row[0], 0), num_questions.get(row[1], 0)))
        except DatabaseError as error:
            unreadable.append((optional_integer(row[0]), error))
    return ProjectionRows(tuple(readable), tuple(unreadable))


def _projection(
    row: tuple[object, ...], models: dict[int, EmbeddingModel], num_heads: int, num_questions: int
) -> Projection:
    mh_id, model_id, name, temperature, created_at, stored_num_heads, recall_at_1, mrr = row
    number = integer(mh_id, "An mh_projection_id in multi_head_projections")
    where = f"of multi_head_projections row {number}"
    model = models.get(integer(model_id, f"The model_id {where}"))
    if model is None:
        raise DatabaseError(f"The model_id {where} is {model_id}, which embedding_models does not have.")
    return Projection(
        id=number,
        name=text(name),
        model_id=model.id,
        model=model.name,
        dimension=model.dimension,
        num_heads=num_heads,
        temperature=DEFAULT_TEMPERATURE
        if temperature is None
        else real(temperature, f"The temperature {where}"),
        num_questions=num_questions,
        created_at=text(created_at),
        stored_num_heads=optional_integer(stored_num_heads),
        recall_at_1=optional_real(recall_at_1),
        mrr=optional_real(mrr),
    )


@once
def read_clusters(tables: Tables) -> dict[int, str]:
    """Return the names of the clusters by id, in order; a row without a number is nobody's cluster."""
    rows = tables.select("qa_clusters", ("cluster_id", "name"), order_by=("cluster_id",))
    numbered = ((optional_integer(number), name) for number, name in rows)
    return {number: text(name) for number, name in numbered if number is not None}


@once
def read_heads(tables: Tables, mh_id: int) -> tuple[HeadRow, ...]:
    """Return the heads of a projection, ordered by cluster."""
    names = read_clusters(tables)
    rows = tables.select(
        "cluster_heads",
        ("cluster_id", "num_questions", "W_path", "centroid_path", "answer_emb_path"),
        order_by=("cluster_id", "head_id", "centroid_path"),
        equal=("mh_projection_id", mh_id),
    )
    return tuple(_head(mh_id, row, names) for row in rows)


def _head(mh_id: int, row: tuple[object, ...], names: dict[int, str]) -> HeadRow:
    cluster_id, num_questions, matrix_path, centroid_path, answer_path = row
    cluster = integer(cluster_id, f"A cluster_id of projection {mh_id} in cluster_heads")
    head = Head(
        cluster_id=cluster,
        cluster_name=names.get(cluster, ""),
        num_questions=optional_integer(num_questions) or 0,
        has_matrix=bool(text(matrix_path)),
    )
    return HeadRow(head, text(centroid_path), text(answer_path))


@once
def read_vector_paths(tables: Tables, model_id: int, entity_type: str) -> dict[int, str]:
    """Return the stored vector path of each "question" or "answer" of a model, ordered by id.

    An older schema may hold several rows for one of them; the newest counts.
    """
    rows = tables.select(
        "embeddings",
        ("entity_type", "entity_id", "vector_path"),
        order_by=("entity_id", "embedding_id", "vector_path"),
        equal=("model_id", model_id),
    )
    where = f"An entity_id of model {model_id} in embeddings"
    paths = {integer(entity_id, where): text(path) for kind, entity_id, path in rows if kind == entity_type}
    return dict(sorted(paths.items()))


@once
def read_questions(tables: Tables) -> dict[int, Question]:
    """Return the questions by id, in order."""
    clusters = _clusters_of(tables, "cluster_questions", "question_id")
    rows = tables.select("questions", ("question_id", "text", "length_type"), order_by=("question_id",))
    questions = {}
    for question_id, words, length_type in rows:
        number = integer(question_id, "A question_id in questions")
        questions[number] = Question(
            id=number,
            text=text(words),
            length_type=text(length_type),
            cluster_ids=clusters.get(question_id, ()),
        )
    return questions


@once
def read_asked(tables: Tables) -> dict[str, int]:
    """Return how often the log of searches has each text; empty where there is no log."""
    if not tables.has("query_log", UNMISSED["query_log"]):
        return {}
    logged = tables.count("query_log", "*", group_by="query_text")
    return {text(words): times for words, times in logged.items()}


@once
def read_answers(tables: Tables) -> dict[int, Answer]:
    """Return the answers by id, in order."""
    clusters = _clusters_of(tables, "cluster_answers", "answer_id")
    answers = {}
    for answer_id, words in tables.select("answers", ("answer_id", "text"), order_by=("answer_id",)):
        number = integer(answer_id, "An answer_id in answers")
        answers[number] = Answer(id=number, text=text(words), cluster_ids=clusters.get(answer_id, ()))
    return answers


def _clusters_of(tables: Tables, table: str, member: str) -> dict[object, tuple[int, ...]]:
    members: defaultdict[object, list[int]] = defaultdict(list)
    for member_id, cluster_id in tables.select(
        table, (member, "cluster_id"), order_by=(member, "cluster_id")
    ):
        members[member_id].append(integer(cluster_id, f"A cluster_id in {table}"))
    return {member_id: tuple(dict.fromkeys(cluster_ids)) for member_id, cluster_ids in members.items()}


_SHOWN_IDS = 10


def list_projections(tables: Tables) -> tuple[Projection, ...]:
    """Return the projections that can be read, ordered by id.

    Raises:
        DatabaseError: There are projections, but none of them can be read.
    """
    readable, unreadable = read_projections(tables)
    if unreadable and not readable:
        raise unreadable[0][1]
    return readable


def find_projection(tables: Tables, mh_id: int) -> Projection:
    """Return one projection.

    Raises:
        ProjectionNotFoundError: There is none of this number; the message names those there are.
        DatabaseError: Its row cannot be read.
    """
    readable, unreadable = read_projections(tables)
    for projection in readable:
        if projection.id == mh_id:
            return projection
    for number, error in unreadable:
        if number == mh_id:
            raise error
    raise projection_not_found(tables.path, mh_id, [projection.id for projection in readable])


def stored_temperature(projection: Projection) -> float:
    """Return the stored tau.

    Raises:
        DatabaseError: No projection can be computed with it.
    """
    try:
        subject = f"The temperature of multi_head_projections row {projection.id}"
        return check_temperature(projection.temperature, subject)
    except SettingsError as error:
        raise DatabaseError(error.message, error.hint) from error


def projection_not_found(path: Path, mh_id: int, ids: list[int]) -> ProjectionNotFoundError:
    """Return the error for a projection that a database has not; the message names those it has."""
    if not ids:
        return ProjectionNotFoundError(
            f"{path} holds no multi-head projection that can be read.",
            "Train a multi-head projection first.",
        )
    shown = ", ".join(str(number) for number in ids[:_SHOWN_IDS])
    more = f" and {len(ids) - _SHOWN_IDS} more" if len(ids) > _SHOWN_IDS else ""
    return ProjectionNotFoundError(
        f"{path} has no projection {mh_id}; it has {shown}{more}.", "Choose one of these."
    )
