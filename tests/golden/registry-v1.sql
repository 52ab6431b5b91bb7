-- The tables of a registry of schema version 1, as expert-kit 0.1.0 made them.
CREATE TABLE expert (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    namespace TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL,
    identity TEXT NOT NULL, publisher TEXT NOT NULL, summary TEXT NOT NULL, license TEXT NOT NULL, tags TEXT NOT NULL,
    installed_at TEXT NOT NULL, trust TEXT NOT NULL, signers TEXT NOT NULL, warnings TEXT NOT NULL,
    base TEXT NOT NULL, base_match TEXT NOT NULL, adapter TEXT NOT NULL, weights TEXT NOT NULL, signatures TEXT,
    UNIQUE (namespace, name, version)) STRICT;
CREATE TABLE file (
    expert INTEGER NOT NULL REFERENCES expert (id) ON DELETE CASCADE,
    path TEXT NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL, role TEXT NOT NULL,
    PRIMARY KEY (expert, path)) STRICT, WITHOUT ROWID;
CREATE TABLE current (
    namespace TEXT NOT NULL, name TEXT NOT NULL, expert INTEGER NOT NULL REFERENCES expert (id) ON DELETE CASCADE,
    PRIMARY KEY (namespace, name)) STRICT, WITHOUT ROWID;
CREATE TABLE highest (
    namespace TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL,
    PRIMARY KEY (namespace, name)) STRICT, WITHOUT ROWID;
CREATE INDEX file_sha256 ON file (sha256);
CREATE INDEX expert_identity ON expert (identity);
CREATE INDEX expert_signatures ON expert (signatures);
PRAGMA user_version = 1;
