"""Which version of a name is current, which was before, and which versions are withdrawn.

``history`` only grows. Each entry points to the one that a rollback from it goes back to, so rolling back twice goes
back two versions, and installing after a rollback forgets the version that was left, as an editor's undo does.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from expert_kit.names import ExpertRef
from expert_kit.registry.rows import key, now

_TOP = "SELECT max(id) FROM history WHERE namespace = ? AND name = ?"
# From the newest entry backwards: the nearest version that is installed, not withdrawn and not the current one.
_BACK = f"""WITH RECURSIVE back (id, version, previous, depth) AS (
        SELECT id, version, previous, 0 FROM history WHERE id = ({_TOP})
        UNION ALL SELECT history.id, history.version, history.previous, depth + 1 FROM history JOIN back ON history.id = back.previous)
    SELECT expert.id AS expert, expert.version, back.previous FROM back
    JOIN expert ON expert.namespace = ? AND expert.name = ? AND expert.version = back.version
    LEFT JOIN current ON current.expert = expert.id LEFT JOIN yank USING (namespace, name, version)
    WHERE current.expert IS NULL AND yank.reason IS NULL AND expert.version NOT IN (SELECT value FROM json_each(?))
    ORDER BY depth LIMIT 1"""
_LAST = """SELECT expert.id AS expert, expert.version, NULL AS previous FROM expert LEFT JOIN yank USING (namespace, name, version)
    WHERE namespace = ? AND name = ?
    ORDER BY expert.version IN (SELECT value FROM json_each(?)), yank.reason IS NOT NULL, expert.id DESC LIMIT 1"""


@dataclass(frozen=True)
class Change:
    """A moment from which on a version was the current one."""

    version: str
    since: str
    """UTC, ``2026-01-31T12:00:00Z``."""
    cause: str
    """``install``, ``rollback``, ``use``, ``uninstall`` (of the version that was current before) or ``repair``."""


def changes(connection: sqlite3.Connection, ref: ExpertRef) -> list[Change]:
    """The history of a name, the newest last; it goes on over an uninstall."""
    statement = "SELECT version, since, cause FROM history WHERE namespace = ? AND name = ? ORDER BY id"
    return [Change(*row) for row in connection.execute(statement, (ref.namespace, ref.name))]


def make_current(connection: sqlite3.Connection, ref: ExpertRef, expert: int, cause: str) -> None:
    """Let the name mean this expert; a rollback goes back to what it means now."""
    previous = connection.execute(_TOP, (ref.namespace, ref.name)).fetchone()[0]
    _set_current(connection, ref, expert, cause, previous)


def choose(connection: sqlite3.Connection, ref: ExpertRef) -> None:
    """Let the name mean this version, if it is installed and not current yet; a rollback goes back to what it means now."""
    statement = """SELECT expert.id FROM expert LEFT JOIN current ON current.expert = expert.id
        WHERE expert.namespace = ? AND expert.name = ? AND expert.version = ? AND current.expert IS NULL"""
    if (row := connection.execute(statement, key(ref)).fetchone()) is not None:
        make_current(connection, ref, row["id"], "use")


def go_back(connection: sqlite3.Connection, ref: ExpertRef, barred: Sequence[str] = ()) -> ExpertRef | None:
    """Let the name mean what it meant before the present version; None, and no change, if nothing is left of that.

    Args:
        connection: in a transaction.
        ref: the name.
        barred: versions that were revoked.
    """
    row = connection.execute(_BACK, (*(ref.namespace, ref.name) * 2, json.dumps(barred))).fetchone()
    return None if row is None else _follow(connection, ref, row, "rollback")


def elect_current(connection: sqlite3.Connection, ref: ExpertRef, cause: str = "uninstall", barred: Sequence[str] = ()) -> ExpertRef | None:
    """Give a name that has lost its current version the one before, else the last installed; None if it has one or no version.

    A revoked version, one of ``barred``, only if there is no other: it is refused when it is loaded, and says why.
    """
    if connection.execute("SELECT 1 FROM current WHERE namespace = ? AND name = ?", (ref.namespace, ref.name)).fetchone():
        return None
    listed = json.dumps(barred)
    row = connection.execute(_BACK, (*(ref.namespace, ref.name) * 2, listed)).fetchone()
    row = row or connection.execute(_LAST, (ref.namespace, ref.name, listed)).fetchone()
    return None if row is None else _follow(connection, ref, row, cause)


def yank(connection: sqlite3.Connection, ref: ExpertRef, reason: str) -> None:
    """Withdraw a version; a new reason replaces the old one, the date stays."""
    statement = "INSERT INTO yank VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET reason = excluded.reason"
    connection.execute(statement, (*key(ref), reason, now()))


def unyank(connection: sqlite3.Connection, ref: ExpertRef) -> bool:
    """Take that back; False if the version was not withdrawn."""
    return connection.execute("DELETE FROM yank WHERE namespace = ? AND name = ? AND version = ?", key(ref)).rowcount > 0


def yanks(connection: sqlite3.Connection) -> dict[ExpertRef, str]:
    """Every withdrawn version and the reason, installed or not."""
    rows = connection.execute("SELECT namespace, name, version, reason FROM yank ORDER BY namespace, name, version")
    return {ExpertRef(row["namespace"], row["name"], row["version"]): row["reason"] for row in rows}


def _follow(connection: sqlite3.Connection, ref: ExpertRef, row: sqlite3.Row, cause: str) -> ExpertRef:
    target = ExpertRef(ref.namespace, ref.name, row["version"])
    _set_current(connection, target, row["expert"], cause, row["previous"])
    return target


def _set_current(connection: sqlite3.Connection, ref: ExpertRef, expert: int, cause: str, previous: int | None) -> None:
    connection.execute("INSERT OR REPLACE INTO current VALUES (?, ?, ?)", (ref.namespace, ref.name, expert))
    connection.execute(
        "INSERT INTO history (namespace, name, version, since, cause, previous) VALUES (?, ?, ?, ?, ?, ?)",
        (*key(ref), now(), cause, previous),
    )
