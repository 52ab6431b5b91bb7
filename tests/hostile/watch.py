"""What a piece of code did to the machine: the files that it changed, and the memory that it took."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SQLITE = "sqlite3.connect"
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_FIRST, _SECOND, _BOTH = slice(1), slice(1, 2), slice(2)
# Event -> those of its arguments that are paths which it makes, changes or takes away.
_CHANGES = {
    "os.chmod": _FIRST, "os.chown": _FIRST, "os.link": _SECOND, "os.mkdir": _FIRST, "os.remove": _FIRST, "os.rename": _BOTH,
    "os.rmdir": _FIRST, "os.setxattr": _FIRST, "os.symlink": _SECOND, "os.truncate": _FIRST, "os.utime": _FIRST, SQLITE: _FIRST,
}  # fmt: skip
_REMOVALS = {"os.remove", "os.rmdir"}
_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_NO_FILES = {_RESET, Path(os.devnull)}
_watchers: list[list[tuple[str, Path]]] = []


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if not _watchers:
        return
    paths = arguments[_CHANGES.get(event, slice(0))]
    if event in _REMOVALS and arguments[1] != -1:
        return  # in an open folder, whose name is not told: rmtree on what was made here
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING and not _is_folder(arguments[0]):
        paths = arguments[:1]
    found = [(event, Path(os.path.abspath(os.fsdecode(path)))) for path in paths if isinstance(path, (str, bytes, os.PathLike))]
    for watcher in _watchers:
        watcher += [one for one in found if one[1] not in _NO_FILES]


def _is_folder(path: object) -> bool:
    """A folder that is opened to be written gives a file that has no name and goes with its last reader."""
    return isinstance(path, (str, bytes)) and os.path.isdir(path)


# A hook cannot be taken away again; without a watcher it does nothing.
sys.addaudithook(_hook)


def seconds_allowed() -> float:
    """CPU seconds within which an archive has to be refused; more of them where coverage traces every line."""
    return 1.0 if sys.gettrace() is None else 3.0


@contextmanager
def changed_paths() -> Iterator[list[tuple[str, Path]]]:
    """Every path that this process makes, writes, renames or removes meanwhile, with the event that told it, even if it is gone after.

    Of SQLite only the name of the database is told; of other processes, and of files without a name, nothing.
    """
    found: list[tuple[str, Path]] = []
    _watchers.append(found)
    try:
        yield found
    finally:
        _watchers[:] = [watcher for watcher in _watchers if watcher is not found]


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    """A list that holds at the end by how many bytes this process was larger, at its largest, than it was at the beginning."""
    grown: list[int] = []
    before = _start_peak()
    yield grown
    grown.append(_status("VmHWM") - before)


def _start_peak() -> int:
    try:
        _RESET.write_text("5")
    except OSError:  # no such file, or not for us: then only what goes beyond the largest size so far is seen
        return _status("VmHWM")
    return _status("VmRSS")


def _status(field: str) -> int:
    if not _STATUS.exists():  # another system than Linux, which only tells of the largest size ever
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024
