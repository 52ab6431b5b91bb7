"""A folder as PEFT saves it, read by exact names relative to one descriptor, so that no link is followed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from expert_kit.archive.importer.material import LEFT_OUT, LIMITS, NEEDED, Material, folder_digest
from expert_kit.archive.opening import READ
from expert_kit.errors import ArchiveError, UnsupportedMemberError
from expert_kit.names import printable

_COPY = "copy the files themselves into a folder of their own: cp -L"
_SHOWN = 20


def read_folder(folder: Path) -> Material:
    """The files of an adapter; subfolders and files of other names are left alone.

    Raises:
        ArchiveError: ``import_unreadable``; ``import_link``, a link or anything but a file under a name that is read;
            ``import_too_large``; ``import_incomplete``, weights or configuration are missing.
        UnsupportedMemberError: ``import_pickle``, there is a ``.bin`` file.
    """
    try:
        descriptor = os.open(folder, READ | getattr(os, "O_DIRECTORY", 0))
    except OSError as error:
        message = f"cannot open the folder {printable(str(folder))}: {error.strerror}"
        raise ArchiveError(message, hint="name the folder itself, not a link to it", code="import_unreadable") from error
    try:
        names = sorted(os.listdir(descriptor))
        _refuse_pickles(folder, names)
        files = {name: _read(descriptor, name) for name in names if name in LIMITS}
    finally:
        os.close(descriptor)
    check_complete(printable(str(folder)), files.keys())
    others = [name for name in names if name not in LIMITS]
    # Names that nobody chose come last, and not all of them.
    listed = sorted(others, key=lambda name: (name not in LEFT_OUT, name))[:_SHOWN]
    return Material("peft-folder", files, folder_digest(files), tuple(map(printable, listed)))


def check_complete(label: str, names: object) -> None:
    """Refuse a source without the two files that make an adapter.

    Raises:
        ArchiveError: ``import_incomplete``.
    """
    missing = [name for name in NEEDED if name not in names]  # type: ignore[operator]
    if missing:
        raise ArchiveError(f"{label} has no {' and no '.join(missing)}", hint="name what PEFT saved", code="import_incomplete")


def _refuse_pickles(folder: Path, names: list[str]) -> None:
    pickles = [name for name in names if name.endswith(".bin")]
    if pickles:
        raise UnsupportedMemberError(
            f"{printable(str(folder))} has {', '.join(map(printable, pickles[:3]))}: such a file is a pickle, which runs code",
            hint="save the adapter with safe_serialization=True where you trust it, or move other .bin files away",
            code="import_pickle",
        )


def _read(folder: int, name: str) -> bytes:
    try:
        descriptor = os.open(name, READ, dir_fd=folder)
    except OSError as error:
        raise ArchiveError(f"cannot open {name}: {error.strerror}", hint=_COPY, code="import_link") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ArchiveError(f"{name} is not a regular file", hint=_COPY, code="import_link")
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(LIMITS[name] + 1)
    if len(data) > LIMITS[name]:
        raise ArchiveError(f"{name} is larger than {LIMITS[name]} bytes", code="import_too_large")
    return data
