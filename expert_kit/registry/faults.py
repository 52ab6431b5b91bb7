"""Errors of the operating system and of SQLite, turned into ours at the room's edge."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from expert_kit.errors import CapacityError, ExpertKitError, RegistryError
from expert_kit.names import printable

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}


@contextmanager
def typed_errors(root: Path) -> Iterator[None]:
    """Raise CapacityError for a full disk and RegistryError for every other failure of files or of the database."""
    try:
        yield
    except OSError as error:
        raise _of_system(error, printable(str(root))) from error
    except sqlite3.Error as error:
        raise _of_database(error, printable(str(root))) from error


def _of_system(error: OSError, root: str) -> ExpertKitError:
    if error.errno in _FULL:
        return _full(root)
    if error.errno in _READ_ONLY:
        return _read_only(root)
    return RegistryError(f"registry {root}: {error.strerror or error}", hint="check the folder and its disk", code="registry_io")


def _of_database(error: sqlite3.Error, root: str) -> ExpertKitError:
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if primary == sqlite3.SQLITE_FULL or getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR_SHMSIZE:
        return _full(root)
    if primary in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}:
        return _read_only(root)
    if primary in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return RegistryError(f"registry {root} is in use by another process", hint="try again when it has finished", code="registry_busy")
    if primary in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        hint = f"move {root} away and install the experts again"
        return RegistryError(f"registry {root}: the database is damaged", hint=hint, code="registry_corrupt")
    return RegistryError(f"registry {root}: {error}", hint="check the folder and its disk", code="registry_io")


def _full(root: str) -> CapacityError:
    return CapacityError(f"no room left for the registry {root}", hint="free some space, then try again", code="registry_disk_full")


def _read_only(root: str) -> RegistryError:
    hint = "check the folder's owner and mode, or set EXPERT_KIT_HOME to a folder of your own"
    return RegistryError(f"the registry {root} cannot be written", hint=hint, code="registry_read_only")
