"""The tables of an `lda.db`, as the method publishes them."""

from __future__ import annotations

SCHEMA = """
CREATE TABLE answers (
    answer_id INTEGER PRIMARY KEY,
    parent_id INTEGER REFERENCES answers(answer_id),
    source_file TEXT NOT NULL,
    record_id TEXT,
    text TEXT NOT NULL,
    text_variant TEXT DEFAULT 'default',
    chunk_index INTEGER,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE answer_relations (
    relation_id INTEGER PRIMARY KEY,
    from_answer_id INTEGER REFERENCES answers(answer_id),
    to_answer_id INTEGER REFERENCES answers(answer_id),
    relation_type TEXT NOT NULL,
    metadata TEXT,
    UNIQUE(from_answer_id, to_answer_id, relation_type)
);
CREATE TABLE questions (
    question_id INTEGER PRIMARY KEY,
    text TEXT NOT NULL,
    length_type TEXT CHECK(length_type IN ('short', 'medium', 'long')),
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE qa_clusters (
    cluster_id INTEGER PRIMARY KEY,
    name TEXT,
    description TEXT,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE cluster_answers (
    cluster_id INTEGER REFERENCES qa_clusters(cluster_id),
    answer_id INTEGER REFERENCES answers(answer_id),
    PRIMARY KEY (cluster_id, answer_id)
);
CREATE TABLE cluster_questions (
    cluster_id INTEGER REFERENCES qa_clusters(cluster_id),
    question_id INTEGER REFERENCES questions(question_id),
    PRIMARY KEY (cluster_id, question_id)
);
CREATE TABLE embedding_models (
    model_id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    dimension INTEGER NOT NULL,
    backend TEXT,
    max_tokens INTEGER,
    notes TEXT
);
CREATE TABLE embeddings (
    embedding_id INTEGER PRIMARY KEY,
    model_id INTEGER REFERENCES embedding_models(model_id),
    entity_type TEXT CHECK(entity_type IN ('answer', 'question')),
    entity_id INTEGER,
    vector_path TEXT NOT NULL,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    UNIQUE(model_id, entity_type, entity_id)
);
CREATE TABLE multi_head_projections (
    mh_projection_id INTEGER PRIMARY KEY,
    model_id INTEGER REFERENCES embedding_models(model_id),
    name TEXT,
    temperature REAL DEFAULT 1.0,
    num_heads INTEGER,
    recall_at_1 REAL,
    mrr REAL,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE cluster_heads (
    head_id INTEGER PRIMARY KEY,
    mh_projection_id INTEGER REFERENCES multi_head_projections(mh_projection_id),
    cluster_id INTEGER REFERENCES qa_clusters(cluster_id),
    centroid_path TEXT NOT NULL,
    answer_emb_path TEXT NOT NULL,
    W_path TEXT,
    num_questions INTEGER,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    UNIQUE(mh_projection_id, cluster_id)
);
CREATE TABLE projections (
    projection_id INTEGER PRIMARY KEY,
    input_model_id INTEGER REFERENCES embedding_models(model_id),
    output_model_id INTEGER REFERENCES embedding_models(model_id),
    name TEXT,
    W_path TEXT NOT NULL,
    lambda_reg REAL,
    ridge REAL,
    num_clusters INTEGER,
    num_queries INTEGER,
    recall_at_1 REAL,
    mrr REAL,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE projection_clusters (
    projection_id INTEGER REFERENCES projections(projection_id),
    cluster_id INTEGER REFERENCES qa_clusters(cluster_id),
    PRIMARY KEY (projection_id, cluster_id)
);
CREATE TABLE query_log (
    log_id INTEGER PRIMARY KEY,
    query_text TEXT NOT NULL,
    model_id INTEGER REFERENCES embedding_models(model_id),
    projection_id INTEGER REFERENCES projections(projection_id),
    results TEXT,
    selected_answer_id INTEGER,
    was_helpful BOOLEAN,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE training_batches (
    batch_id INTEGER PRIMARY KEY,
    source_file TEXT NOT NULL,
    file_hash TEXT NOT NULL,
    status TEXT CHECK(status IN ('pending', 'importing', 'embedding', 'training', 'completed', 'failed')),
    model_name TEXT,
    num_clusters INTEGER,
    num_questions INTEGER,
    projection_id INTEGER REFERENCES projections(projection_id),
    started_at TIMESTAMP,
    completed_at TIMESTAMP,
    error_message TEXT,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    UNIQUE(source_file, file_hash)
);
CREATE TABLE batch_status_history (
    history_id INTEGER PRIMARY KEY,
    batch_id INTEGER REFERENCES training_batches(batch_id),
    status TEXT NOT NULL,
    message TEXT,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX idx_embeddings_entity ON embeddings(model_id, entity_type, entity_id);
CREATE INDEX idx_relations_from ON answer_relations(from_answer_id);
CREATE INDEX idx_relations_to ON answer_relations(to_answer_id);
CREATE INDEX idx_relations_type ON answer_relations(relation_type);
"""
