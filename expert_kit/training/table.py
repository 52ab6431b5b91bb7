"""Rows of a user's own file or of a Hub data set, and the prompt and completion that their columns make."""

from __future__ import annotations

import csv
import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from datasets import load_dataset

from expert_kit.curation import folded, read_json_lines
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
        """The record's prompt and completion; a column that is missing gives an empty text.

        Raises:
            DataError: ``cell_unwritable``, naming the column.
        """

        def text(name: str) -> str:
            return _text_of(record.get(name), name)

        parts = _FIELD.findall(self.prompt)
        prompt = _FIELD.sub(lambda match: text(match[1]), self.prompt) if parts else text(self.prompt)
        empty = any(not text(name) for name in self.named)
        return {"prompt": "" if empty else prompt, "completion": text(self.completion)}


def _text_of(value: Any, column: str) -> str:
    """A cell as text; what is no text becomes JSON, and a number that is none, as tables write a missing one, is empty."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, date | time | Decimal):
        return str(value)
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        message = f"the column {printable(column)} holds what is no text: {printable(str(error))}"
        raise DataError(message, hint="name another column, or write it as text first", code="cell_unwritable") from error


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
        DataError: ``rows_incomplete``, with the numbers of the records that lack a text or have no sound one; ``cell_unwritable``.
    """
    rows: dict[tuple[str, str], dict[str, str]] = {}
    bad: dict[str, list[int]] = defaultdict(list)
    count = 0
    for number, record in records:
        count += 1
        try:
            row = columns.row(record)
        except DataError as error:
            raise error.about(f"row {number}")  # noqa: B904 - the same error
        if problem := _problem(row):
            bad[problem].append(number)
        else:
            rows.setdefault((folded(row["prompt"]), folded(row["completion"])), row)
    if bad:
        named = " or ".join(map(printable, columns.named))
        found = "; ".join(f"{len(numbers)} of {count} rows {problem} in {named}: {_listed(numbers)}" for problem, numbers in bad.items())
        raise DataError(f"not every row has text to train on: {found}", hint="correct these rows, or take them out", code="rows_incomplete")
    return list(rows.values()), count - len(rows)


def _problem(row: Mapping[str, str]) -> str:
    """Why it is no row to train on. JSON and CSV let characters through that no text has."""
    text = row["prompt"] + row["completion"]
    if not row["prompt"] or not row["completion"]:
        return "lack a text"
    if "\0" in text:
        return "have a NUL character"
    return "have half of a surrogate pair" if any("\ud800" <= char <= "\udfff" for char in text) else ""


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:_MAX_LISTED])) + (", ..." if len(numbers) > _MAX_LISTED else "")


def _from_file(path: Path, read: Callable[[Path], Iterator[Numbered]]) -> Iterator[Numbered]:
    try:
        yield from read(path)
    except OSError as error:
        message = f"cannot read {printable(str(path))}: {error.strerror}"
        raise DataError(message, hint="check its name and who may read it", code="table_unreadable") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{printable(str(path))} is not UTF-8: {error}", hint="save it as UTF-8", code="table_malformed") from error


def _json_lines(path: Path) -> Iterator[Numbered]:
    for line in read_json_lines(path):
        if line.problem:
            message = printable(f"{path}:{line.number}: {line.problem}")
            raise DataError(message, hint="write one JSON object a line", code="table_malformed")
        yield line.number, line.value


def _separated(delimiter: str) -> Callable[[Path], Iterator[Numbered]]:
    def read(path: Path) -> Iterator[Numbered]:
        with path.open(encoding="utf-8-sig", newline="") as file:
            csv.field_size_limit(_MAX_FIELD)
            reader = csv.DictReader(file, delimiter=delimiter, strict=True)
            try:
                names = list(reader.fieldnames or ())
                _check_separator(path, names, delimiter)
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


def _check_separator(path: Path, names: Sequence[str], delimiter: str) -> None:
    """Refuse a file of which all columns are read as one; spreadsheets write semicolons where commas stand in numbers."""
    other = next((sign for sign in ",;\t" if sign != delimiter and names and sign in names[0]), "")
    if other and len(names) == 1:
        message = printable(f"{path}:1: one column, {names[0]}, where {other!r} seems to be the separator")
        hint = "separate the columns by commas in a .csv file, and by tabs in a .tsv file"
        raise DataError(message, hint=hint, code="table_malformed")


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
