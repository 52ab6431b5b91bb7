"""Reads the small files that are named on a command line."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

MAX_INPUT = 32 << 20
"""Bytes of a list, a statement or a report that somebody may have handed over."""


def read_bounded(path: Path, most: int = MAX_INPUT) -> bytes:
    """A regular file's bytes; neither a pipe that never ends nor a file without end is waited for.

    Raises:
        OSError: with ``strerror``; also for what is no regular file, or is larger than ``most`` bytes.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"larger than {most} bytes")
    return data
