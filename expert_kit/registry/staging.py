"""Folders that belong to one living install each.

An install holds a lock on its folder, and the system takes that lock away when the process ends, however it ends. Where
there are no such locks, a folder that nothing has touched for a day belongs to an install that is gone. The locks only
say what is garbage: an install whose folder is removed under its hands fails, and nothing in the store is harmed.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

if sys.platform != "win32":
    import fcntl

STALE_SECONDS = 24 * 3600


@contextmanager
def held_folder(parent: Path) -> Iterator[Path]:
    """A new folder in ``parent``, held and at the end removed whatever happens."""
    folder, descriptor = _make(parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def clear_abandoned(folder: Path, *, dry_run: bool = False) -> int | None:
    """Remove a folder whose install is gone; its bytes, or None if the install is alive, or it is no folder. ``dry_run`` only looks."""
    if not folder.is_dir():
        return None
    try:
        descriptor = _open(folder)
    except OSError:
        return None
    try:
        if not _is_free(folder, descriptor):
            return None
        size = sum(file.stat(follow_symlinks=False).st_size for file in folder.rglob("*"))
        if not dry_run:
            shutil.rmtree(folder)
    except FileNotFoundError:
        return None  # its install, or another collector, was faster
    finally:
        if descriptor is not None:
            os.close(descriptor)
    return size


def _make(parent: Path) -> tuple[Path, int | None]:
    while True:
        folder = parent / str(uuid4())
        folder.mkdir(mode=0o700, parents=True)
        try:
            descriptor = _open(folder)
        except FileNotFoundError:
            continue  # somebody took the new folder for garbage before it was locked
        if descriptor is None or (_lock(descriptor) is not False and folder.exists()):
            return folder, descriptor
        os.close(descriptor)


def _open(folder: Path) -> int | None:
    return None if sys.platform == "win32" else os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)


def _is_free(folder: Path, descriptor: int | None) -> bool:
    free = None if descriptor is None else _lock(descriptor)
    return time.time() - folder.stat().st_mtime > STALE_SECONDS if free is None else free


def _lock(descriptor: int) -> bool | None:
    """Whether we have the lock now; None where there are no locks, as on some network file systems."""
    if sys.platform == "win32":
        return None
    with suppress(OSError):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
    return None
