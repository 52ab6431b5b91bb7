"""The user's own trust files: read with their mode checked, written whole or not at all."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from expert_kit.errors import SignatureError
from expert_kit.whole_file import replace_whole

MAX_BYTES = 1 << 20


def read_own_file(path: Path, limit: int = MAX_BYTES) -> bytes:
    """The bytes of a file that nobody but its owner may write; empty if there is no such file.

    Raises:
        SignatureError: ``trust_invalid``, unreadable or larger than ``limit`` bytes; ``trust_mode``, others may write it.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read(limit + 1)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise SignatureError(f"cannot read {path}: {error.strerror}", hint=f"check the owner of {path}", code="trust_invalid") from error
    if os.name == "posix" and mode & 0o022:
        hint = f"look in it for what others may have written, then: chmod 600 {shlex.quote(str(path))}, or: expert-kit doctor --repair"
        raise SignatureError(f"{path} has mode {mode:04o}: others may write it", hint=hint, code="trust_mode")
    if len(data) > limit:
        raise SignatureError(f"{path} is larger than {limit} bytes", hint=f"correct {path}", code="trust_invalid")
    return data


def write_own_file(path: Path, data: bytes) -> None:
    """Replace a file of mode 0600, durably and in one step; its folder is made if it is missing.

    Raises:
        SignatureError: ``trust_unwritable``; the old file is still there, or a power cut could bring it back.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_whole(path, data)
    except OSError as error:
        raise unwritable(path, error) from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep everyone else from changing ``path`` meanwhile. Not to be nested: the second one would wait for the first.

    Raises:
        SignatureError: ``trust_unwritable``, the lock file cannot be made.
    """
    lock = FileLock(path.with_name(f".{path.name}.lock"), mode=0o600)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        yield
    finally:
        lock.release()


def unwritable(path: Path, error: OSError) -> SignatureError:
    """The error for a trust file that cannot be written."""
    return SignatureError(f"cannot write {path}: {error.strerror}", hint="check the folder's owner and free space", code="trust_unwritable")
