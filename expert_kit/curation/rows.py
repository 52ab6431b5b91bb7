"""Rows with the line that each stands on; lines that are no rows are kept as what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from expert_kit.curation.json_lines import TEXTS, JsonLine, malformed, read_json_lines


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
    """Every line that is not blank.

    Raises:
        DataError: ``table_unreadable``, the file cannot be read or is not UTF-8.
    """
    return [_row(line) for line in read_json_lines(path)]


def read_good_data(path: Path) -> list[DataRow]:
    """The same where every line must be a row.

    Raises:
        DataError: ``table_unreadable``; ``table_malformed``, naming the first bad line.
    """
    rows = read_data(path)
    if bad := next((row for row in rows if row.problem), None):
        raise malformed(path, bad.line, bad.problem)
    return rows


def _row(line: JsonLine) -> DataRow:
    if problem := line.lacks(TEXTS):
        return DataRow(line.number, line.text, "", "", problem)
    return DataRow(line.number, line.text, line.value["prompt"], line.value["completion"])
