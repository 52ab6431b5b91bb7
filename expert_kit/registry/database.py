"""The registry's tables. Package text reaches SQL as bound parameters only."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from expert_kit.errors import RegistryError
from expert_kit.names import printable
from expert_kit.registry.blobs import BlobStore
from expert_kit.registry.schema import SCHEMA_VERSION, upgrade

BUSY_SECONDS = 30.0


class Database:
    """One SQLite file in WAL mode with full synchronisation; a connection per use, so threads and forks are no matter."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def exists(self) -> bool:
        """Whether anything was ever installed."""
        return self._path.exists()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """A connection to read from, or None if nothing was ever installed; in that case nothing is created either."""
        if not self.exists():
            yield None
            return
        with closing(self._connect_to_read()) as connection:
            connection.execute("BEGIN")  # one snapshot for all statements
            yield connection

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """One ``BEGIN IMMEDIATE`` transaction: committed at the end, rolled back if anything is raised.

        What is not ``durable`` may be gone after a power cut, never half there.
        """
        self._path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with closing(self._connect()) as connection:
            if not durable:
                connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    def _connect(self) -> sqlite3.Connection:
        return self._configured(sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None))

    def _connect_to_read(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.OperationalError as error:
            if not self._is_still(error):
                raise
        # A folder that we may only read, or a disk without room for SQLite's files beside the database, and no log of a writer.
        uri = f"{self._path.absolute().as_uri()}?mode=ro&immutable=1"
        return self._configured(sqlite3.connect(uri, uri=True, isolation_level=None))

    def _is_still(self, error: sqlite3.OperationalError) -> bool:
        log = self._path.with_name(f"{self._path.name}-wal")
        if log.exists() and log.stat().st_size:
            return False
        if error.sqlite_errorcode == sqlite3.SQLITE_IOERR_SHMSIZE:
            return True
        cannot_write = error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
        return cannot_write and not os.access(self._path.parent, os.W_OK)

    def _configured(self, connection: sqlite3.Connection) -> sqlite3.Connection:
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
        if version < SCHEMA_VERSION:
            version = self._upgrade(connection)
        if version != SCHEMA_VERSION:
            raise RegistryError(
                f"the registry {printable(str(self._path))} has schema {version}, this expert-kit knows {SCHEMA_VERSION}",
                hint="install the expert-kit version that wrote it, or a newer one",
                code="registry_schema_newer",
            )

    def _upgrade(self, connection: sqlite3.Connection) -> int:
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = _user_version(connection)
            if version < SCHEMA_VERSION:  # else another process was faster
                upgrade(connection, version, BlobStore(self._path.parent).read)
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
        return _user_version(connection)


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
