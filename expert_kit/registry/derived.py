"""Rows that follow from other rows or from a stored manifest: do they, and how are they made again."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from expert_kit.errors import ExpertKitError
from expert_kit.names import Digest, ExpertRef
from expert_kit.registry.blobs import BlobStore

FileRow = tuple[str, int, str, str]

_LABELS = """SELECT 'tag' AS kind, value, expert.id AS expert FROM expert, json_each(expert.tags)
    UNION SELECT 'capability', value, expert.id FROM expert, json_each(expert.relations, '$.capabilities')
    UNION SELECT 'requires', key, expert.id FROM expert, json_each(expert.relations, '$.requires')
    UNION SELECT 'base', value, expert.id FROM expert, json_each(expert.relations, '$.bases')
    UNION SELECT 'base', json_extract(base, '$.id'), id FROM expert"""
_KEPT = "SELECT kind, value, expert FROM label"
# Names without a current version, and names whose history ends with another version than the current one.
_UNCLEAR = """SELECT DISTINCT expert.namespace, expert.name FROM expert LEFT JOIN current USING (namespace, name)
    LEFT JOIN expert AS chosen ON chosen.id = current.expert
    LEFT JOIN history ON history.id =
        (SELECT max(id) FROM history WHERE history.namespace = expert.namespace AND history.name = expert.name)
    WHERE chosen.id IS NULL OR history.version IS NOT chosen.version ORDER BY 1, 2"""


def manifest_of(blobs: BlobStore, identity: Digest) -> dict[str, Any] | None:
    """The stored manifest; it was checked when it was installed, and its digest is checked now. None if it is damaged."""
    try:
        manifest: dict[str, Any] = json.loads(blobs.read(identity))
    except ExpertKitError:
        return None
    return manifest


def manifest_files(manifest: dict[str, Any]) -> set[FileRow]:
    """The files that a manifest names, as rows have them."""
    return {(entry["path"], entry["size"], entry["sha256"], entry["role"]) for entry in manifest["files"]}


def file_rows(connection: sqlite3.Connection, expert: int) -> set[FileRow]:
    """The files that the rows name; attestations, which no manifest names, are left out."""
    statement = "SELECT path, size, sha256, role FROM file WHERE expert = ? AND role != 'attestation'"
    return {tuple(row) for row in connection.execute(statement, (expert,))}


def words_agree(connection: sqlite3.Connection) -> bool:
    """Whether the full-text index has exactly the words of the experts; to SQLite the question is a change, which changes nothing."""
    try:
        connection.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_CORRUPT:
            return False
        raise
    return True


def labels_agree(connection: sqlite3.Connection) -> bool:
    """Whether the filters have exactly the labels of the experts."""
    wrong = f"SELECT * FROM ({_LABELS} EXCEPT {_KEPT}) UNION ALL SELECT * FROM ({_KEPT} EXCEPT SELECT * FROM ({_LABELS})) LIMIT 1"
    return connection.execute(wrong).fetchone() is None


def make_search_again(connection: sqlite3.Connection) -> None:
    """Build what ``search`` looks in from the experts' rows."""
    connection.execute("INSERT INTO words (words) VALUES ('rebuild')")
    connection.execute("DELETE FROM label")
    connection.execute(f"INSERT INTO label SELECT kind, value, expert FROM ({_LABELS})")


def unclear_names(connection: sqlite3.Connection) -> list[ExpertRef]:
    """Names whose rows do not agree on which version is current."""
    return [ExpertRef(*row) for row in connection.execute(_UNCLEAR)]
