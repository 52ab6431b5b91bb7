"""Small local logs: JSON lines, readable by their owner only, the oldest rows dropped first."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from expert_kit.errors import CapacityError
from expert_kit.whole_file import replace_whole

_LOG = logging.getLogger(__name__)
LONGEST_TEXT: Final = 500
_SLACK: Final = 1.25
_BYTES_A_ROW: Final = 2_000


class Journal:
    """One file of rows; a row that cannot be read is left out and said."""

    def __init__(self, path: Path, most: int) -> None:
        """Name the file.

        Args:
            path: need not exist.
            most: rows to keep.
        """
        self.path, self.most = path, most

    def rows(self) -> list[dict[str, Any]]:
        """The oldest first."""
        try:
            lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        found = [row for line in lines if (row := _parsed(line)) is not None]
        if len(found) != len(lines):
            _LOG.warning("%s: %d lines cannot be read and are left out", self.path, len(lines) - len(found))
        return found[-self.most :]

    def add(self, row: Mapping[str, Any]) -> None:
        """Append one row.

        Raises:
            CapacityError: ``journal_unwritable``.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # One write of one line, so that two processes do not mix theirs.
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(json.dumps(row).encode() + b"\n")
            if self.path.stat().st_size > self.most * _BYTES_A_ROW or self._is_long():
                self.replace(self.rows())
        except OSError as error:
            raise CapacityError(
                f"cannot write {self.path}: {error.strerror}", hint="check the folder and the free space", code="journal_unwritable"
            ) from error

    def replace(self, rows: list[dict[str, Any]]) -> None:
        """Write these rows in place of all."""
        replace_whole(self.path, "".join(json.dumps(row) + "\n" for row in rows[-self.most :]).encode())

    def _is_long(self) -> bool:
        with self.path.open("rb") as file:
            return sum(1 for _ in file) > _SLACK * self.most


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None
