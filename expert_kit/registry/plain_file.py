"""Reads small files that somebody may have handed over."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

MAX_INPUT = 32 << 20
"""Bytes of a list, a statement or a report."""


def read_plain(path: Path, most: int = MAX_INPUT, *, follow: bool = True) -> bytes:
    """A regular file's bytes; neither a pipe that never ends nor a file without end is waited for.

    Args:
        path: the file.
        most: the largest that is read.
        follow: whether it may be a symbolic link.

    Raises:
        OSError: with ``strerror``; also for what is no regular file, or is larger than ``most`` bytes.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | (0 if follow else getattr(os, "O_NOFOLLOW", 0))
    descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"larger than {most} bytes")
    return data
