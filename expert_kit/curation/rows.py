"""Rows with the line that each stands on; lines that are no rows are kept as what is wrong with them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expert_kit.errors import DataError
from expert_kit.names import printable


@dataclass(frozen=True)
class DataRow:
    """One line of a file of JSON lines."""

    line: int
    """From 1."""
    text: str
    """The line as it stands there."""
    prompt: str
    completion: str
    problem: str = ""
    """Why it is no row to train on; then prompt and completion are empty."""


def folded(text: str) -> str:
    """What of a text decides whether it is another one: white space does not."""
    return " ".join(text.split())


def read_data(path: Path) -> list[DataRow]:
    """Every line that is not blank; a byte order mark is no part of the first.

    Raises:
        DataError: ``table_unreadable``, the file cannot be read or is not UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"cannot read {printable(str(path))}: {printable(str(error))}",
            hint="give a file of JSON lines in UTF-8",
            code="table_unreadable",
        ) from error
    # Not splitlines, which also splits at U+2028 and others that JSON strings may hold.
    return [_row(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]


def read_good_data(path: Path) -> list[DataRow]:
    """The same where every line must be a row.

    Raises:
        DataError: ``table_unreadable``; ``table_malformed``, naming the first bad line.
    """
    rows = read_data(path)
    if bad := next((row for row in rows if row.problem), None):
        message = printable(f"{path}:{bad.line}: {bad.problem}")
        raise DataError(message, hint=f"see all of them with: expert-kit dataset check {printable(str(path))}", code="table_malformed")
    return rows


def _row(number: int, line: str) -> DataRow:
    try:
        value: Any = json.loads(line)
    except ValueError as error:
        return DataRow(number, line, "", "", f"not JSON: {error}")
    except RecursionError:
        return DataRow(number, line, "", "", "not JSON that can be read: nested too deeply")
    if not isinstance(value, dict):
        return DataRow(number, line, "", "", "not an object")
    texts = {key: value[key] if isinstance(value.get(key), str) else "" for key in ("prompt", "completion")}
    lacking = [key for key, found in texts.items() if not found.strip()]
    problem = f"no text under {' and '.join(lacking)}" if lacking else ""
    if not problem and any("\ud800" <= char <= "\udfff" for char in texts["prompt"] + texts["completion"]):
        problem = "has half of a surrogate pair, which is no character"
    return DataRow(number, line, "", "", problem) if problem else DataRow(number, line, texts["prompt"], texts["completion"])
