"""Rows of a user's own file or of a Hub data set, and the prompt and completion that their columns make."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import load_dataset

from expert_kit.errors import DataError, UsageError
from expert_kit.names import printable

Record = Mapping[str, Any]
Numbered = tuple[int, Record]
"""Line or row number, from 1, and the record that stands there."""

USUAL_COLUMNS = (("prompt", "completion"), ("question", "answer"), ("instruction", "output"), ("input", "output"), ("question", "sql"))
"""Pairs of columns that are taken when none are named."""
_FIELD = re.compile(r"\{([^{}]+)\}")
_MAX_LISTED = 10
_MAX_FIELD = 1 << 24
"""Characters of one field."""


@dataclass(frozen=True)
class Columns:
    """What a record's prompt and completion are made of."""

    prompt: str
    """A column, or a text with columns in braces: ``{schema} Question: {question}``."""
    completion: str
    """A column."""

    @property
    def named(self) -> tuple[str, ...]:
        """The columns that a record must have."""
        return (*(_FIELD.findall(self.prompt) or [self.prompt]), self.completion)

    def row(self, record: Record) -> dict[str, str]:
        """The record's prompt and completion; a column that is missing gives an empty text."""

        def text(name: str) -> str:
            value = record.get(name)
            return value.strip() if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)

        parts = _FIELD.findall(self.prompt)
        prompt = _FIELD.sub(lambda match: text(match[1]), self.prompt) if parts else text(self.prompt)
        empty = any(not text(name) for name in self.named)
        return {"prompt": "" if empty else prompt, "completion": text(self.completion)}


def read_table(data: str) -> Iterator[Numbered]:
    """The records of a ``.jsonl``, ``.csv`` or ``.tsv`` file, or of the ``train`` part of a Hub data set.

    Raises:
        DataError: ``table_unreadable``, ``table_malformed`` with the line. UsageError: ``table_unknown``, no such file and no such name.
    """
    path = Path(data)
    read = _READERS.get(path.suffix.lower())
    if read is not None:
        yield from _from_file(path, read)
    elif not path.exists() and re.fullmatch(r"[\w.-]+(/[\w.-]+)?", data):
        yield from _from_hub(data)
    else:
        hint = f"give a file that ends in {', '.join(_READERS)}, or the name of a data set on the Hub"
        raise UsageError(f"{printable(data)} is no table that can be read", hint=hint, code="table_unknown")


def choose_columns(records: Iterable[Numbered], prompt: str | None, completion: str | None) -> Columns:
    """The columns that were named, or a usual pair that the first record has.

    Raises:
        UsageError: ``columns_unknown``; the message lists those that are there. DataError: ``table_empty``.
    """
    first = next((record for _, record in records), None)
    if first is None:
        raise DataError("the table has no rows", hint="name a table with a row for each example", code="table_empty")
    if prompt is None and completion is None:
        for pair in USUAL_COLUMNS:
            if all(name in first for name in pair):
                return Columns(*pair)
    wanted = Columns(prompt or "prompt", completion or "completion")
    missing = [name for name in wanted.named if name not in first]
    if missing:
        there = ", ".join(printable(str(name)) for name in first)
        message = f"no column {', '.join(printable(name) for name in missing)}; there are: {there}"
        raise UsageError(message, hint="name them with --prompt and --completion", code="columns_unknown")
    return wanted


def make_rows(records: Iterable[Numbered], columns: Columns) -> tuple[list[dict[str, str]], int]:
    """Rows with ``prompt`` and ``completion``, each pair once, and the number of repeated ones that were left out.

    Raises:
        DataError: ``rows_incomplete``, with the numbers of the records that lack a text.
    """
    rows: dict[tuple[str, str], dict[str, str]] = {}
    lacking, count = [], 0
    for number, record in records:
        count += 1
        row = columns.row(record)
        if row["prompt"] and row["completion"] and _is_text(row["prompt"] + row["completion"]):
            rows.setdefault((row["prompt"], row["completion"]), row)
        else:
            lacking.append(number)
    if lacking:
        listed = ", ".join(map(str, lacking[:_MAX_LISTED])) + (", ..." if len(lacking) > _MAX_LISTED else "")
        message = f"{len(lacking)} of {count} rows lack a text in {' or '.join(map(printable, columns.named))}: {listed}"
        raise DataError(message, hint="fill them in, or take these rows out", code="rows_incomplete")
    return list(rows.values()), count - len(rows)


def _is_text(text: str) -> bool:
    """Whether it has neither NUL nor half of a surrogate pair, which JSON and CSV let through and UTF-8 does not."""
    return not any(char == "\0" or "\ud800" <= char <= "\udfff" for char in text)


def _from_file(path: Path, read: Callable[[Path], Iterator[Numbered]]) -> Iterator[Numbered]:
    try:
        yield from read(path)
    except OSError as error:
        message = f"cannot read {printable(str(path))}: {error.strerror}"
        raise DataError(message, hint="check its name and who may read it", code="table_unreadable") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{printable(str(path))} is not UTF-8: {error}", hint="save it as UTF-8", code="table_malformed") from error


def _json_lines(path: Path) -> Iterator[Numbered]:
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DataError(f"{printable(str(path))}:{number}: not JSON: {error}", code="table_malformed") from error
            if not isinstance(record, dict):
                raise DataError(
                    f"{printable(str(path))}:{number}: not an object", hint="write one JSON object a line", code="table_malformed"
                )
            yield number, record


def _separated(delimiter: str) -> Callable[[Path], Iterator[Numbered]]:
    def read(path: Path) -> Iterator[Numbered]:
        with path.open(encoding="utf-8-sig", newline="") as file:
            csv.field_size_limit(_MAX_FIELD)
            reader = csv.DictReader(file, delimiter=delimiter, strict=True)
            try:
                names = list(reader.fieldnames or ())
                if len(set(names)) < len(names):
                    raise DataError(
                        f"{printable(str(path))}:1: a column is named twice", hint="give each column its own name", code="table_malformed"
                    )
                for record in reader:
                    if None in record or None in record.values():
                        message = f"{printable(str(path))}:{reader.line_num}: not as many fields as the first line names"
                        raise DataError(message, hint="put fields that hold the separator into double quotes", code="table_malformed")
                    yield reader.line_num, record
            except csv.Error as error:
                message = f"{printable(str(path))}:{reader.reader.line_num}: {error}"  # the line that was read last
                raise DataError(message, hint="close every double quote, and double those inside", code="table_malformed") from error

    return read


_READERS: dict[str, Callable[[Path], Iterator[Numbered]]] = {
    ".jsonl": _json_lines,
    ".csv": _separated(","),
    ".tsv": _separated("\t"),
}


def _from_hub(name: str) -> Iterator[Numbered]:
    try:
        found = load_dataset(name, split="train")
    except Exception as error:
        message = f"cannot load the data set {name}: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
        raise DataError(message, hint="check its name and the network, or download it as JSON lines", code="table_unreadable") from error
    yield from enumerate(found, start=1)
