"""What happened to trust on this machine, in order: ``trust/events.jsonl``, one JSON object a line.

Each line holds the SHA-256 of the line before it, and ``events.head`` the number of lines, their size and the hash of the last one.
So a log that was cut, restored from a backup or edited by accident is noticed. It is no protection against somebody who
runs as the same user.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from expert_kit.errors import SignatureError
from expert_kit.signing.dates import moment_text, parse_moment
from expert_kit.signing.files import locked, read_own_file, unwritable, write_own_file

_START = "0" * 64
_MAX_LOG = 256 << 20


@dataclass(frozen=True)
class _Head:
    count: int
    size: int
    """Bytes of the log."""
    last: str
    """Hash of the last line."""


class EventLog:
    """The log in ``folder``; a missing one is an empty one."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "events.jsonl"
        self._head = folder / "events.head"

    def append(self, moment: datetime, event: str, **facts: str) -> None:
        """Add one line, durably.

        Raises:
            SignatureError: ``trust_unwritable``, or ``trust_invalid`` if the head cannot be read.
        """
        with locked(self.path):
            head = self._read_head()
            try:
                with os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
                    head = _repair(file, head)
                    row = {"n": head.count + 1, "time": moment_text(moment), "event": event, **facts, "previous": head.last}
                    line = json.dumps(row, sort_keys=True, separators=(",", ":")).encode()
                    file.seek(0, os.SEEK_END)
                    file.write(line + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
                    head = _Head(head.count + 1, file.tell(), _hash(line))
            except OSError as error:
                raise unwritable(self.path, error) from error
            write_own_file(self._head, f"{head.count} {head.size} {head.last}\n".encode())

    def first_seen(self, identity: str) -> datetime | None:
        """When a package of that identity was first let in; None if it never was, or if the log is broken."""
        if self.problem() is not None:
            return None
        moments = [parse_moment(row["time"]) for row in self.rows() if row.get("identity") == identity]
        return min(moments, default=None)

    def rows(self) -> Iterator[dict[str, str]]:
        """Every event, oldest first.

        Raises:
            ValueError: a line is no JSON object.
        """
        for line in self._lines():
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("a line is no event")
            yield row

    def problem(self) -> str | None:
        """What is wrong with the log, in words; None if the chain is whole."""
        try:
            head, lines, previous = self._read_head(), self._lines(), _START
            for number, line in enumerate(lines, 1):
                row = json.loads(line)
                if row["n"] != number or row["previous"] != previous:
                    return f"line {number} does not follow the one before it"
                parse_moment(row["time"])
                previous = _hash(line)
                if number == head.count and previous != head.last:
                    return f"line {number} is not the one that was written"
        except (SignatureError, ValueError, KeyError, TypeError) as error:
            return str(error) or "unreadable"
        # One line more than the head: the machine stopped between the two writes.
        return None if len(lines) - head.count in (0, 1) else f"{len(lines)} lines, {head.count} were written"

    def _lines(self) -> list[bytes]:
        data = read_own_file(self.path, _MAX_LOG)
        return data[: data.rfind(b"\n") + 1].splitlines()

    def _read_head(self) -> _Head:
        data = read_own_file(self._head)
        if not data:
            return _Head(0, 0, _START)
        try:
            count, size, last = data.decode().split()
            return _Head(int(count), int(size), last)
        except ValueError as error:
            raise SignatureError(f"{self._head} is damaged", hint="see `expert-kit trust log`", code="trust_invalid") from error


def _repair(file: BinaryIO, head: _Head) -> _Head:
    """Take in the one line that a crash kept from the head, and drop one that was cut off. More than that is left for people."""
    file.seek(head.size)
    extra = file.read()
    if not extra or extra.count(b"\n") > 1:
        return head
    line, end, _ = extra.partition(b"\n")
    if end:
        head = _Head(head.count + 1, head.size + len(line) + 1, _hash(line))
    file.truncate(head.size)
    return head


def _hash(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()
