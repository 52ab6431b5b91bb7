"""The registry's tables. Package text reaches SQL as bound parameters only."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from expert_kit.errors import RegistryError
from expert_kit.names import printable

SCHEMA_VERSION = 1
BUSY_SECONDS = 30.0

_SCHEMA = (
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
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)


class Database:
    """One SQLite file in WAL mode with full synchronisation; a connection per use, so threads and forks are no matter."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """A connection to read from, or None if nothing was ever installed; in that case nothing is created either."""
        if not self._path.exists():
            yield None
            return
        with closing(self._connect()) as connection:
            connection.execute("BEGIN")  # one snapshot for all statements
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One ``BEGIN IMMEDIATE`` transaction: committed at the end, rolled back if anything is raised."""
        self._path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        version = _user_version(connection)
        if version == 0:
            _switch_to_wal(connection)
            version = _create(connection)
        if version != SCHEMA_VERSION:
            raise RegistryError(
                f"the registry {printable(str(self._path))} has schema {version}, this expert-kit knows {SCHEMA_VERSION}",
                hint="install the expert-kit version that wrote it, or a newer one",
                code="registry_schema_newer",
            )


def _user_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    # SQLite does not call the busy handler while the journal mode changes.
    give_up = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.02)


def _create(connection: sqlite3.Connection) -> int:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _user_version(connection) == 0:  # else another process was faster
            for statement in _SCHEMA:
                connection.execute(statement)
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    return _user_version(connection)
