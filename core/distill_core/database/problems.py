"""What is wrong with a database, or worth a look, collected for `inspect` instead of raised."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from distill_core.database.records import Problem, Projection
from distill_core.database.rows import (
    find_projection,
    read_answers,
    read_clusters,
    read_heads,
    read_projections,
    read_questions,
    read_vector_paths,
    stored_temperature,
)
from distill_core.database.schema import Tables
from distill_core.database.vector_store import EntityType, ProjectionVectors
from distill_core.errors import DatabaseError, DistillError

FEW_QUERIES = 10
"""Below this many queries, no split leaves enough to train on and enough to judge by."""


def find_problems(tables: Tables, vectors: ProjectionVectors, mh_id: int | None) -> tuple[Problem, ...]:
    """Return the problems of the whole database, then those of one projection or of each."""
    try:
        readable, unreadable = read_projections(tables)
        chosen = readable if mh_id is None else (find_projection(tables, mh_id),)
    except DatabaseError as error:
        return (_raised(error, mh_id),)
    found = [*_missing_tables(tables)]
    if mh_id is None:
        found.extend(_raised(error, number) for number, error in unreadable)
    if not readable and not unreadable:
        message = f"{tables.path} holds no multi-head projection."
        found.append(Problem(severity="error", message=message, hint="Train a multi-head projection first."))
    inspection = _ProjectionInspection(tables, vectors)
    for projection in chosen:
        found.extend(inspection.problems(projection))
    return tuple(found)


def _raised(error: DistillError, mh_id: int | None) -> Problem:
    return Problem(severity="error", message=error.message, hint=error.hint, mh_id=mh_id)


def note(mh_id: int | None, message: str, hint: str = "") -> Problem:
    """Return what can be used, but should be looked at."""
    return Problem(severity="note", message=message, hint=hint, mh_id=mh_id)


def _warning(mh_id: int, message: str, hint: str = "") -> Problem:
    return Problem(severity="warning", message=message, hint=hint, mh_id=mh_id)


def few_queries(projection: Projection) -> Problem:
    """Return the note on a projection with fewer than `FEW_QUERIES`."""
    message = f"Projection {projection.id} has only {projection.num_questions} queries."
    return note(projection.id, message, "That is too few to train a student and to judge it.")


def one_head(mh_id: int) -> Problem:
    """Return the note on a projection with a single head."""
    return note(mh_id, f"Projection {mh_id} has one head, so every query gets the same answer.")


def _missing_tables(tables: Tables) -> Iterator[Problem]:
    if tables.missing:
        yield note(
            None, f"The database lacks {', '.join(tables.missing)}.", "Texts or clusters are not shown."
        )


def place_warnings(tables: Tables, vectors: ProjectionVectors, projection: Projection) -> Iterator[Problem]:
    """Yield where the vector files were found, if that is not simply where the database says. Reads none.

    Beside the database is where they lie once it was moved, which needs no alarm; the working directory does.
    """
    located = vectors.locate(projection)
    how = located.remapping()
    if how.remapped:
        places = " and ".join(str(place) for place in how.places)
        total = how.remapped + how.as_stored + len(how.missing)
        message = f"{how.remapped} of {total} vector files are not at their stored paths; found in {places}."
        yield note(projection.id, message)
    absolute = set(vectors.stored_paths(projection))
    beside = f"{tables.path.parent}/"
    elsewhere = [
        file
        for file in located.found
        if file.as_stored and file.path not in absolute and not file.path.startswith(beside)
    ]
    if elsewhere:
        folder = elsewhere[0].folder
        message = f"{len(elsewhere)} vector files were found from the working directory in {folder}."
        yield _warning(projection.id, message, "If they are another database's, start from another folder.")


class _ProjectionInspection:
    """Looks at one projection after another; vectors that they share are read once."""

    def __init__(self, tables: Tables, vectors: ProjectionVectors) -> None:
        self._tables = tables
        self._vectors = vectors
        self._embedding_errors: dict[tuple[int, EntityType], DatabaseError | None] = {}

    def problems(self, projection: Projection) -> Iterator[Problem]:
        """Yield what is wrong; a check that fails itself is one more problem."""
        checks: tuple[Callable[[Projection], Iterator[Problem]], ...] = (
            self._temperature,
            self._head_rows,
            self._head_vectors,
            self._queries,
            self._answers,
            self._counterparts,
            self._places,
        )
        for check in checks:
            try:
                yield from check(projection)
            except DatabaseError as error:
                yield _raised(error, projection.id)

    def _temperature(self, projection: Projection) -> Iterator[Problem]:
        stored_temperature(projection)
        yield from ()

    def _head_rows(self, projection: Projection) -> Iterator[Problem]:
        number, counted, stored = projection.id, projection.num_heads, projection.stored_num_heads
        if stored is not None and stored != counted:
            yield note(number, f"Projection {number} says that it has {stored} heads; {counted} are there.")
        if counted == 1:
            yield one_head(number)
        num_matrices = sum(row.head.has_matrix for row in read_heads(self._tables, number))
        if num_matrices:
            owners = f"{num_matrices} of {counted} heads of projection {number}"
            message = (
                f"Per-cluster matrices are stored for {owners}, but the distilled teacher does not use them."
            )
            yield note(number, message, "It uses the centroids and the answer embeddings only.")

    def _head_vectors(self, projection: Projection) -> Iterator[Problem]:
        try:
            self._vectors.centroids(projection)
        except DatabaseError as error:
            yield _raised(error, projection.id)
        if projection.num_heads:
            self._vectors.head_answers(projection)

    def _queries(self, projection: Projection) -> Iterator[Problem]:
        if error := self._embedding_error(projection, "question"):
            yield _raised(error, projection.id)
        elif projection.num_questions < FEW_QUERIES:
            yield few_queries(projection)

    def _answers(self, projection: Projection) -> Iterator[Problem]:
        if error := self._embedding_error(projection, "answer"):
            hint = f"{error.hint} Until then retrieval cannot be measured.".strip()
            yield note(projection.id, error.message, hint)

    def _counterparts(self, projection: Projection) -> Iterator[Problem]:
        """Yield each place where one side of a relation has what the other side lacks."""
        tables = self._tables
        questions, answers = read_questions(tables), read_answers(tables)
        clusters = dict.fromkeys(read_clusters(tables))
        heads = {row.head.cluster_id: None for row in read_heads(tables, projection.id)}
        queries = read_vector_paths(tables, projection.model_id, "question")
        vectors = read_vector_paths(tables, projection.model_id, "answer")
        asked = {
            cluster for number in queries if number in questions for cluster in questions[number].cluster_ids
        }
        answered = {
            cluster for number in vectors if number in answers for cluster in answers[number].cluster_ids
        }
        model = projection.model or f"model {projection.model_id}"
        has_questions = "questions" not in tables.missing
        has_members = has_questions and "cluster_questions" not in tables.missing
        has_answers = vectors and not {"answers", "cluster_answers"} & {*tables.missing}
        known = [number for number in queries if number in questions]
        relations: tuple[tuple[bool, Collection[int], Collection[int], str, str], ...] = (
            (
                bool(queries),
                questions,
                queries,
                f"questions have no vector of {model}",
                "Nothing is asked of them.",
            ),
            (bool(vectors), answers, vectors, f"answers have no vector of {model}", "Nobody retrieves them."),
            (
                has_questions,
                queries,
                questions,
                "queries have no row in questions",
                "They are used, but have no text and no cluster.",
            ),
            (
                "answers" not in tables.missing,
                vectors,
                answers,
                "answer vectors have no row in answers",
                "They are retrieved, but have no text and are nobody's true answer.",
            ),
            (
                has_members,
                known,
                [number for number in known if questions[number].cluster_ids],
                "queries belong to no cluster",
                "A split by cluster cannot keep their paraphrases together.",
            ),
            (
                bool(heads),
                clusters,
                heads,
                f"clusters have no head in projection {projection.id}",
                "Their questions are projected by the heads of other clusters.",
            ),
            (
                "qa_clusters" not in tables.missing,
                heads,
                clusters,
                f"heads of projection {projection.id} belong to no cluster in qa_clusters",
                "They are used, but have no name.",
            ),
            (
                has_members and bool(queries),
                heads,
                asked,
                f"heads of projection {projection.id} have a cluster without a query",
                "Nothing is asked that they should answer.",
            ),
            (
                has_members and bool(has_answers),
                asked,
                answered,
                "clusters of the queries have no answer with a vector",
                "Recall@1 and MRR leave their queries out.",
            ),
        )
        for is_asked, wanted, there, words, hint in relations:
            lacking = [number for number in wanted if number not in there] if is_asked else []
            if lacking:
                message = f"{len(lacking)} of {len(wanted)} {words}, the first is {min(lacking)}."
                yield note(projection.id, message, hint)

    def _places(self, projection: Projection) -> Iterator[Problem]:
        yield from place_warnings(self._tables, self._vectors, projection)

    def _embedding_error(self, projection: Projection, entity_type: EntityType) -> DatabaseError | None:
        key = (projection.model_id, entity_type)
        if key not in self._embedding_errors:
            self._embedding_errors[key] = None
            try:
                self._vectors.embeddings(projection, entity_type)
            except DatabaseError as error:
                self._embedding_errors[key] = error
        return self._embedding_errors[key]
