"""The one reader of JSON lines: what looks rows over, trains on them and tests with them takes the same files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expert_kit.errors import DataError
from expert_kit.names import printable

TEXTS = ("prompt", "completion")
"""Keys of a row to train on or to test with."""
# What editors count as lines. Not splitlines, which also splits at U+2028 and others that JSON strings may hold.
_LINE_END = re.compile("\r\n|\r|\n")


@dataclass(frozen=True)
class JsonLine:
    """One line that is not blank."""

    number: int
    """From 1; blank lines count."""
    text: str
    """The line as it stands there."""
    value: dict[str, Any]
    problem: str = ""
    """Why it is no object; then the value is empty."""

    def lacks(self, keys: Sequence[str]) -> str:
        """Why it is no row with text under these keys; empty if it is one."""
        missing = [key for key in keys if not isinstance(self.value.get(key), str) or not self.value[key].strip()]
        return self.problem or (f"no text under {' and '.join(map(repr, missing))}" if missing else "")


def json_lines(data: bytes, path: Path) -> Iterator[JsonLine]:
    """The lines of a file's bytes, bad ones with what is wrong; a byte order mark is no part of the first.

    Raises:
        DataError: ``table_unreadable``, not UTF-8.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"cannot read {printable(str(path))}: {error}"
        raise DataError(message, hint="give a file of JSON lines in UTF-8", code="table_unreadable") from error
    return (_line(number, line) for number, line in enumerate(_LINE_END.split(text), start=1) if line.strip())


def read_json_lines(path: Path) -> Iterator[JsonLine]:
    """The same of a file.

    Raises:
        DataError: ``table_unreadable``.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        message = f"cannot read {printable(str(path))}: {error.strerror}"
        raise DataError(message, hint="check its name and who may read it", code="table_unreadable") from error
    return json_lines(data, path)


def checked_rows(lines: Iterable[JsonLine], path: Path, keys: Sequence[str] = TEXTS) -> list[dict[str, Any]]:
    """The rows of a file where each must have text under these keys.

    Raises:
        DataError: ``table_malformed``, naming the first bad line; ``dataset_empty``, there is none.
    """
    rows = []
    for line in lines:
        if problem := line.lacks(keys):
            raise malformed(path, line.number, problem, keys)
        rows.append(line.value)
    if not rows:
        raise DataError(f"{printable(str(path))} has no rows", hint=f"write lines with text under {', '.join(keys)}", code="dataset_empty")
    return rows


def read_rows(path: Path, keys: Sequence[str] = TEXTS) -> list[dict[str, Any]]:
    """The same of a file that is read.

    Raises:
        DataError: ``table_unreadable``, ``table_malformed``, ``dataset_empty``.
    """
    return checked_rows(read_json_lines(path), path, keys)


def malformed(path: Path, number: int, problem: str, keys: Sequence[str] = TEXTS) -> DataError:
    """The error for a line that is no row with these keys."""
    # ``dataset check`` looks for prompts and completions, whatever else a method wants.
    check = f"see all of them with: expert-kit dataset check {printable(str(path))}"
    hint = check if tuple(keys) == TEXTS else f"a row has text under {', '.join(keys)}"
    return DataError(printable(f"{path}:{number}: {problem}"), hint=hint, code="table_malformed")


def _line(number: int, text: str) -> JsonLine:
    problem = "not an object"
    try:
        value: Any = json.loads(text)
        # JSON can spell half of a surrogate pair, which nothing that is written in UTF-8 can hold.
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        value, problem = None, f"not JSON: {error.msg}, column {error.colno}"
    except UnicodeEncodeError:
        value, problem = None, "has half of a surrogate pair, which is no character"
    except ValueError as error:
        value, problem = None, f"not JSON that can be read: {error}"
    except RecursionError:
        value, problem = None, "not JSON that can be read: nested too deeply"
    return JsonLine(number, text, value) if isinstance(value, dict) else JsonLine(number, text, {}, problem)
