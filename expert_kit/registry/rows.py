"""Rows of experts: read, written and compared inside a transaction that the caller holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter

from expert_kit.names import ExpertRef, version_key
from expert_kit.registry.records import InstalledExpert, Standing

Experts = list[InstalledExpert]

EXPERTS = """SELECT expert.*, current.expert IS NOT NULL AS current, yank.reason AS yanked FROM expert
    LEFT JOIN current ON current.expert = expert.id LEFT JOIN yank USING (namespace, name, version)"""
_STANDINGS = """SELECT expert.namespace, expert.name, expert.version, identity, relations, current.expert IS NOT NULL AS current,
    yank.reason AS yanked FROM expert LEFT JOIN current ON current.expert = expert.id LEFT JOIN yank USING (namespace, name, version)"""
_IN_ORDER = "ORDER BY expert.namespace, expert.name, expert.id"
_DEMANDING = """current.expert IS NOT NULL
    AND (json_extract(relations, '$.requires') != '{}' OR json_extract(relations, '$.conflicts') != '{}')"""
_FILES = "SELECT file.* FROM file JOIN expert ON expert.id = file.expert"
# What a later install of the same content may change.
_CHANGING = ("trust", "signers", "warnings", "base", "base_match", "adapter", "weights", "signatures", "relations")


def now() -> str:
    """The time as it is written into rows: UTC, ``2026-01-31T12:00:00Z``."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def key(ref: ExpertRef) -> tuple[str, str, str]:
    """Namespace, name and version; the version is empty if there is none."""
    return ref.namespace, ref.name, ref.version or ""


def experts(connection: sqlite3.Connection, where: str = "", parameters: Sequence[str | int] = ()) -> Experts:
    """Experts by name, the newest install last; two statements, however many there are.

    ``where`` is SQL of this room, over ``expert`` only; package text comes as parameters.
    """
    found = connection.execute(f"{EXPERTS} {where} ORDER BY expert.namespace, expert.name, expert.id", parameters).fetchall()
    if not found:
        return []
    files = connection.execute(f"{_FILES} {where} ORDER BY file.expert, file.path", parameters).fetchall()
    entries = {expert: [dict(row) for row in rows] for expert, rows in groupby(files, itemgetter("expert"))}
    return [InstalledExpert.from_rows(dict(row), entries.get(row["id"], ())) for row in found]


def versions(connection: sqlite3.Connection, ref: ExpertRef) -> Experts:
    """Every version of this name, the newest install last."""
    return experts(connection, "WHERE expert.namespace = ? AND expert.name = ?", (ref.namespace, ref.name))


def standings(connection: sqlite3.Connection) -> list[Standing]:
    """Every installed version as the resolver sees it, by name; one statement that reads little, however many there are."""
    return [Standing.from_row(row) for row in connection.execute(f"{_STANDINGS} {_IN_ORDER}")]


def demanding(connection: sqlite3.Connection) -> list[Standing]:
    """The current versions that require or exclude something."""
    return [Standing.from_row(row) for row in connection.execute(f"{_STANDINGS} WHERE {_DEMANDING} {_IN_ORDER}")]


def current_versions(connection: sqlite3.Connection) -> dict[str, str]:
    """What every name means, by full name."""
    statement = "SELECT expert.namespace || '/' || expert.name, version FROM current JOIN expert ON expert.id = current.expert"
    return dict(connection.execute(statement).fetchall())


def stored(connection: sqlite3.Connection, ref: ExpertRef) -> InstalledExpert | None:
    """The expert of this name and version."""
    return next(iter(experts(connection, "WHERE expert.namespace = ? AND expert.name = ? AND expert.version = ?", key(ref))), None)


def insert(connection: sqlite3.Connection, expert: InstalledExpert) -> int:
    """Add an expert; the result is the key of its row. What is current is not changed."""
    row = expert.to_row()
    columns = ", ".join(row)
    marks = ", ".join(f":{name}" for name in row)
    added = connection.execute(f"INSERT INTO expert ({columns}) VALUES ({marks})", row).lastrowid
    assert added is not None
    insert_files(connection, added, ((entry.path, entry.size, entry.sha256, entry.role) for entry in expert.files))
    _raise_highest(connection, expert)
    return added


def insert_files(connection: sqlite3.Connection, expert: int, files: Iterator[tuple[str, int, str, str]]) -> None:
    """Add the files of an expert: path, size, digest, role."""
    statement = "INSERT INTO file (expert, path, size, sha256, role) VALUES (?, ?, ?, ?, ?)"
    connection.executemany(statement, [(expert, *file) for file in files])


def update(connection: sqlite3.Connection, expert: InstalledExpert, old: InstalledExpert) -> bool:
    """Change the columns that a later install of the same content may change; False if they are as they were."""
    before, after = old.to_row(), expert.to_row()
    changes = {name: after[name] for name in _CHANGING if after[name] != before[name]}
    if not changes:
        return _replace_attestations(connection, expert, old)
    _replace_attestations(connection, expert, old)
    assignments = ", ".join(f"{name} = :{name}" for name in changes)
    connection.execute(f"UPDATE expert SET {assignments} WHERE identity = :identity", {**changes, "identity": expert.identity})
    _raise_highest(connection, expert)
    return True


def _replace_attestations(connection: sqlite3.Connection, expert: InstalledExpert, old: InstalledExpert) -> bool:
    """Attestations may come later, and are the only files that a package of the same identity can have more of."""
    if set(expert.files) == set(old.files):
        return False
    row = connection.execute("SELECT id FROM expert WHERE identity = ?", (expert.identity,)).fetchone()["id"]
    connection.execute("DELETE FROM file WHERE expert = ? AND role = 'attestation'", (row,))
    attestations = (entry for entry in expert.files if entry.role == "attestation")
    insert_files(connection, row, ((entry.path, entry.size, entry.sha256, entry.role) for entry in attestations))
    return True


def delete(connection: sqlite3.Connection, expert: InstalledExpert) -> bool:
    """Remove an expert's rows; False if another process was faster."""
    statement = "DELETE FROM expert WHERE namespace = ? AND name = ? AND version = ? AND identity = ?"
    return connection.execute(statement, (*key(expert.ref), expert.identity)).rowcount > 0


def highest(connection: sqlite3.Connection, ref: ExpertRef) -> str | None:
    """The highest version of this name that was ever installed with trusted signatures."""
    row = connection.execute("SELECT version FROM highest WHERE namespace = ? AND name = ?", (ref.namespace, ref.name)).fetchone()
    return None if row is None else str(row["version"])


def names(connection: sqlite3.Connection) -> list[ExpertRef]:
    """Every installed name, without versions."""
    return [ExpertRef(row["namespace"], row["name"]) for row in connection.execute("SELECT DISTINCT namespace, name FROM expert")]


def all_highest(connection: sqlite3.Connection) -> dict[str, str]:
    """The same for every name, by full name."""
    return {f"{row['namespace']}/{row['name']}": row["version"] for row in connection.execute("SELECT * FROM highest")}


def _raise_highest(connection: sqlite3.Connection, expert: InstalledExpert) -> None:
    known = highest(connection, expert.ref)
    if expert.trust == "signed" and (known is None or version_key(expert.ref.version or "") > version_key(known)):
        connection.execute("INSERT OR REPLACE INTO highest VALUES (?, ?, ?)", key(expert.ref))
