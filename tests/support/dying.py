"""Processes that are killed, or whose disk fails, at their n-th step; and file systems of their own for children."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHANGES = {"os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.chmod", "os.truncate", "sqlite3.connect"}
NEEDS_ROOM = {"os.link", "os.mkdir", "os.rename"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_RDONLY, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18


@dataclass(frozen=True)
class Child:
    """A forked process that answers with one JSON value."""

    pid: int
    pipe: int

    def wait(self) -> Any:
        """What it answered; None if it was killed. An error in it is one here."""
        with os.fdopen(self.pipe, "rb") as file:
            text = file.read().decode()
        _, status = os.waitpid(self.pid, 0)
        if os.WIFSIGNALED(status):
            assert os.WTERMSIG(status) == signal.SIGKILL, f"killed by {os.WTERMSIG(status)}"
            return None
        assert os.WEXITSTATUS(status) == 0, text
        return json.loads(text)


def fork(work: Callable[[], Any]) -> Child:
    """Do this in a child; a new interpreter would take a hundred times as long."""
    read, write = os.pipe()
    pid = os.fork()
    if pid:
        os.close(write)
        return Child(pid, read)
    code = 1
    try:
        os.close(read)
        answer = json.dumps(work()).encode()
        code = 0
    except BaseException:  # noqa: BLE001 - it goes to the parent, which fails
        answer = traceback.format_exc().encode()
    os.write(write, answer)
    os._exit(code)


def dies_at(step: int, work: Callable[[], Any]) -> bool:
    """Do this in a child that is killed right before its n-th change of files or rows; False if it ends before."""

    def child() -> bool:
        at_step(step, lambda: os.kill(os.getpid(), signal.SIGKILL), CHANGES, statements=True)
        work()
        return True

    return fork(child).wait() is None


def full_at(step: int, work: Callable[[], Any]) -> Any:
    """Do this in a child for which there is no room at its n-th step that takes some; what ``work`` returned."""

    def child() -> Any:
        at_step(step, _no_room, NEEDS_ROOM, statements=False)
        return work()

    return fork(child).wait()


def at_step(step: int, strike: Callable[[], None], events: set[str], *, statements: bool) -> None:
    """Count the steps of this process from now on, and call ``strike`` before the n-th one. There is no way back: only in a child."""
    left = step

    def count() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            strike()

    def traced(sql: str) -> None:
        # The steps of triggers, which come as comments, are parts of one statement.
        if not sql.startswith(("SELECT", "PRAGMA", "WITH", "--")):
            count()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in events or (event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING):
            count()

    def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = real_connect(*arguments, **options)
        if statements:
            connection.set_trace_callback(traced)
        return connection

    real, real_connect = os.fsync, sqlite3.connect

    def fsync(descriptor: int) -> None:
        count()
        real(descriptor)

    os.fsync = fsync  # type: ignore[assignment] # no audit event
    sqlite3.connect = connect  # type: ignore[assignment]
    sys.addaudithook(hook)


def small_disk(folder: Path, size: int) -> None:
    """Mount an empty file system of so many bytes, for this child alone. Raises OSError where that is not allowed."""
    _own_mounts()
    _mount(b"tmpfs", folder, b"tmpfs", 0, f"size={size}".encode())


def read_only(folder: Path) -> None:
    """Let this child alone only read the folder. Raises OSError where that is not allowed."""
    _own_mounts()
    _mount(os.fsencode(folder), folder, None, _MS_BIND, None)
    _mount(None, folder, None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY, None)


def may_mount() -> bool:
    """Whether this system lets a child have mounts of its own."""
    if sys.platform != "linux":
        return False

    def attempt() -> bool:
        try:
            _own_mounts()
        except OSError:
            return False
        return True

    return bool(fork(attempt).wait())


def _own_mounts() -> None:
    user, group = os.getuid(), os.getgid()
    if _libc().unshare(_CLONE_NEWNS | (_CLONE_NEWUSER if user else 0)):
        raise _failure()
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    _mount(None, Path("/"), None, _MS_REC | _MS_PRIVATE, None)


def _mount(source: bytes | None, target: Path, kind: bytes | None, flags: int, data: bytes | None) -> None:
    if _libc().mount(source, os.fsencode(target), kind, ctypes.c_ulong(flags), data):
        raise _failure()


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _failure() -> OSError:
    return OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _no_room() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
