"""Opens a file that somebody handed over: neither through a link nor by waiting for a pipe."""

from __future__ import annotations

import os
import stat
from pathlib import Path

READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Flags for ``os.open``."""


class NotRegularError(Exception):
    """A folder, a pipe, a device."""


def open_regular(path: Path) -> tuple[int, int]:
    """A descriptor of a regular file, and its size.

    Raises:
        OSError: it cannot be opened, or is a link. NotRegularError: it is no regular file.
    """
    descriptor = os.open(path, READ)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise NotRegularError
    return descriptor, status.st_size
