"""Files that appear whole or not at all, and folders whose entries survive a power cut."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def replace_whole(path: Path, data: bytes, *, mode: int = 0o600, durable: bool = True) -> None:
    """Put ``data`` in place of what is at ``path``; by default durably, and only the owner can read it.

    Args:
        path: in a folder that is there.
        data: all of it.
        mode: of the new file.
        durable: wait for the disk; what can be computed again may be lost in a power cut.

    Raises:
        OSError: nothing is left over; the old file is still there, or a power cut could bring it back.
    """
    # Not tempfile, whose import costs as much as the start of the whole command line, nor secrets, which brings random and hmac.
    name = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(name, flags, 0o600), "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.chmod(name, mode)
        os.replace(name, path)
        if durable:
            sync_folder(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def replace_png(path: Path, figure: Figure) -> None:
    """Put a figure in place of what is at ``path``, as PNG whatever its name ends in; everybody can read it.

    Raises:
        OSError: see :func:`replace_whole`.
    """
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    replace_whole(path, picture.getvalue(), mode=0o644)


def sync_folder(folder: Path) -> None:
    """Make the entries of a folder durable."""
    if os.name != "posix":  # pragma: no cover - only POSIX opens folders
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
