"""The registry's tables, and the steps that bring the tables of an older expert-kit up to date.

A step runs in the transaction that also raises ``user_version``: it happens wholly or not at all. Nothing here may
change once it was released; what a later version needs is a further step.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any

from expert_kit.errors import ExpertKitError
from expert_kit.names import Digest
from expert_kit.registry.records import relations_of

SCHEMA_VERSION = 2

ReadBlob = Callable[[Digest], bytes]

_TABLES_1 = (
    """CREATE TABLE expert (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        namespace TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL,
        identity TEXT NOT NULL, publisher TEXT NOT NULL, summary TEXT NOT NULL, license TEXT NOT NULL, tags TEXT NOT NULL,
        installed_at TEXT NOT NULL, trust TEXT NOT NULL, signers TEXT NOT NULL, warnings TEXT NOT NULL,
        base TEXT NOT NULL, base_match TEXT NOT NULL, adapter TEXT NOT NULL, weights TEXT NOT NULL, signatures TEXT,
        UNIQUE (namespace, name, version)) STRICT""",
    """CREATE TABLE file (
        expert INTEGER NOT NULL REFERENCES expert (id) ON DELETE CASCADE,
        path TEXT NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL, role TEXT NOT NULL,
        PRIMARY KEY (expert, path)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE current (
        namespace TEXT NOT NULL, name TEXT NOT NULL, expert INTEGER NOT NULL REFERENCES expert (id) ON DELETE CASCADE,
        PRIMARY KEY (namespace, name)) STRICT, WITHOUT ROWID""",
    # Outlives uninstall: an old version must not come back unnoticed.
    """CREATE TABLE highest (
        namespace TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL,
        PRIMARY KEY (namespace, name)) STRICT, WITHOUT ROWID""",
    "CREATE INDEX file_sha256 ON file (sha256)",
    "CREATE INDEX expert_identity ON expert (identity)",
    "CREATE INDEX expert_signatures ON expert (signatures)",
)

_LABELS_OF_NEW = """
        INSERT OR IGNORE INTO label SELECT 'tag', value, new.id FROM json_each(new.tags);
        INSERT OR IGNORE INTO label SELECT 'capability', value, new.id FROM json_each(new.relations, '$.capabilities');
        INSERT OR IGNORE INTO label SELECT 'requires', key, new.id FROM json_each(new.relations, '$.requires');
        INSERT OR IGNORE INTO label SELECT 'base', value, new.id FROM json_each(new.relations, '$.bases');
        INSERT OR IGNORE INTO label VALUES ('base', json_extract(new.base, '$.id'), new.id);"""
_WORDS = "namespace, name, summary, tags, license"
_NEW_WORDS = "new.id, new.namespace, new.name, new.summary, new.tags, new.license"
_OLD_WORDS = "old.id, old.namespace, old.name, old.summary, old.tags, old.license"

_TABLES_2 = (
    "ALTER TABLE expert ADD COLUMN relations TEXT",
    # Withdrawn versions; outlives uninstall, so that a version does not come back as if nothing had been said.
    """CREATE TABLE yank (
        namespace TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, reason TEXT NOT NULL, since TEXT NOT NULL,
        PRIMARY KEY (namespace, name, version)) STRICT, WITHOUT ROWID""",
    # Every change of what is current, the newest last; ``previous`` is the entry that a rollback goes back to.
    """CREATE TABLE history (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        namespace TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, since TEXT NOT NULL, cause TEXT NOT NULL,
        previous INTEGER REFERENCES history (id) ON DELETE SET NULL) STRICT""",
    "CREATE INDEX history_name ON history (namespace, name, id)",
    # Blobs that a reader is about to read, until ``expires`` (seconds since 1970).
    """CREATE TABLE lease (
        digest TEXT NOT NULL, token TEXT NOT NULL, expires REAL NOT NULL,
        PRIMARY KEY (digest, token)) STRICT, WITHOUT ROWID""",
    # What experts are filtered by, one row each: tag, capability, base, requires. Made from the expert's row by triggers.
    """CREATE TABLE label (
        kind TEXT NOT NULL, value TEXT NOT NULL, expert INTEGER NOT NULL REFERENCES expert (id) ON DELETE CASCADE,
        PRIMARY KEY (kind, value, expert)) STRICT, WITHOUT ROWID""",
    "CREATE INDEX label_expert ON label (expert)",
    "CREATE INDEX current_expert ON current (expert)",
    # With the row's id at its end: the order in which everything is listed.
    "CREATE INDEX expert_name ON expert (namespace, name)",
    f"""CREATE VIRTUAL TABLE words USING fts5 (
        {_WORDS}, content = 'expert', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2', prefix = '1 2 3')""",
    f"""CREATE TRIGGER expert_added AFTER INSERT ON expert BEGIN
        INSERT INTO words (rowid, {_WORDS}) VALUES ({_NEW_WORDS});{_LABELS_OF_NEW}
        END""",
    f"""CREATE TRIGGER expert_changed AFTER UPDATE OF {_WORDS}, relations, base ON expert BEGIN
        INSERT INTO words (words, rowid, {_WORDS}) VALUES ('delete', {_OLD_WORDS});
        INSERT INTO words (rowid, {_WORDS}) VALUES ({_NEW_WORDS});
        DELETE FROM label WHERE expert = old.id;{_LABELS_OF_NEW}
        END""",
    f"""CREATE TRIGGER expert_removed AFTER DELETE ON expert BEGIN
        INSERT INTO words (words, rowid, {_WORDS}) VALUES ('delete', {_OLD_WORDS});
        END""",
)


def upgrade(connection: sqlite3.Connection, version: int, read: ReadBlob) -> None:
    """Bring the tables of schema ``version`` (0: none yet) to :data:`SCHEMA_VERSION`; inside a transaction.

    Args:
        connection: in ``BEGIN IMMEDIATE``.
        version: one that :data:`SCHEMA_VERSION` is not below.
        read: the bytes of a blob of the same registry.
    """
    for step in _STEPS[version:]:
        step(connection, read)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _first_tables(connection: sqlite3.Connection, read: ReadBlob) -> None:
    for statement in _TABLES_1:
        connection.execute(statement)


def _relations_history_and_search(connection: sqlite3.Connection, read: ReadBlob) -> None:
    for statement in _TABLES_2:
        connection.execute(statement)
    connection.execute("INSERT INTO words (words) VALUES ('rebuild')")
    for row in connection.execute("SELECT id, identity FROM expert").fetchall():
        # The update also makes the labels, with or without relations.
        connection.execute("UPDATE expert SET relations = ? WHERE id = ?", (relations_in_manifest(row["identity"], read), row["id"]))
    # In version 1 the last installed version was the current one.
    last: dict[tuple[str, str], int | None] = {}
    for row in connection.execute("SELECT namespace, name, version, installed_at FROM expert ORDER BY id").fetchall():
        name = row["namespace"], row["name"]
        values = (*name, row["version"], row["installed_at"], "install", last.get(name))
        entry = "INSERT INTO history (namespace, name, version, since, cause, previous) VALUES (?, ?, ?, ?, ?, ?)"
        last[name] = connection.execute(entry, values).lastrowid


def relations_in_manifest(identity: Digest, read: ReadBlob) -> str | None:
    """The value of ``expert.relations`` from the stored manifest; None if that blob is missing or damaged."""
    try:
        manifest: dict[str, Any] = json.loads(read(identity))
    except (ExpertKitError, ValueError):
        return None
    return json.dumps(relations_of(manifest))


_STEPS = (_first_tables, _relations_history_and_search)
