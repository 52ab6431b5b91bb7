"""Rows for `expert-kit recipe new` from a data set of the public text2sql-data collection, by its own splits.

    python scripts/text2sql_rows.py advising.json --schema advising-schema.csv --out advising.jsonl
    python scripts/text2sql_rows.py restaurants.json --schema restaurants-schema.csv --test-fold 0 --dev-fold 1 --out restaurants.jsonl \
        --database restaurants-db.sqlite --run-out restaurants-run.jsonl
    expert-kit recipe new me/restaurants --data restaurants.jsonl --prompt prompt --completion sql --split split --license MIT

A prompt is the question alone, since a data set has one schema; ``--with-schema`` puts it before. ``--run-out`` writes the test's rows
once more, with the database that they are to be run on, for a second test of the recipe (``task: sql``): only those whose query
finds something there, since nothing is what most wrong queries find, too, and no more rows than the check compares.

Every sentence is a row, its variables filled in, with the first query of its group, written plainly: ``FROM course WHERE course.id = 1``
for ``FROM COURSE AS COURSEalias0 WHERE COURSEalias0.ID = 1``. Queries are the same written plainly where they were the same before, so
exact match is what it was, and a model has half as many tokens to write.

Splits are by question, as the published accuracies of
the collection are: words of a split, or folds, of which one is the test and one for development. Sentences that the split leaves out
stay out.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from expert_kit.evaluation.sql_database import MAX_ROWS
from expert_kit.recipe_data import write_jsonl

_KEYWORDS = frozenset(
    [
        *(
            "SELECT",
            "DISTINCT",
            "FROM",
            "INNER",
            "LEFT",
            "JOIN",
            "ON",
            "AS",
            "WHERE",
            "GROUP",
            "BY",
            "HAVING",
            "ORDER",
            "ASC",
            "DESC",
            "LIMIT",
        ),
        *("AND", "OR", "NOT", "IN", "IS", "NULL", "LIKE", "BETWEEN", "EXISTS", "ALL", "UNION", "COUNT", "SUM", "MIN", "MAX", "AVG"),
    ]
)
"""Left in capitals, as people write them."""


def main() -> None:
    """Write the rows and say how many there are of each part."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--schema", type=Path, required=True)
    parser.add_argument("--test-fold")
    parser.add_argument("--dev-fold")
    parser.add_argument("--with-schema", action="store_true")
    parser.add_argument("--database", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--run-out", type=Path)
    options = parser.parse_args()
    if (options.database is None) != (options.run_out is None):
        parser.error("--database and --run-out belong together")
    tables = read_schema(options.schema.read_text(encoding="utf-8"))
    before = f"{described(tables)} Question: " if options.with_schema else ""
    found = list(rows(json.loads(options.data.read_text(encoding="utf-8")), before, options.test_fold, options.dev_fold))
    write_jsonl(options.out, found)
    parts = [row["split"] for row in found]
    print(", ".join(f"{parts.count(part)} {part}" for part in ("train", "dev", "test")))
    if options.run_out is not None:
        runnable = list(run_rows([row for row in found if row["split"] == "test"], tables, options.database))
        write_jsonl(options.run_out, runnable)
        print(f"{len(runnable)} test rows whose query finds something")


def read_schema(text: str) -> dict[str, list[str]]:
    """Columns by table, from the collection's list of columns."""
    tables: dict[str, list[str]] = {}
    for line in list(csv.reader(text.splitlines()))[1:]:
        table, column = (cell.strip() for cell in line[:2])
        if table != "-":
            tables.setdefault(table, []).append(column)
    return tables


def described(tables: dict[str, list[str]]) -> str:
    """``table(column, ...)`` after each other."""
    return " ".join(f"{table}({', '.join(columns)})" for table, columns in tables.items())


def run_rows(tests: Sequence[dict[str, str]], tables: dict[str, list[str]], database: Path) -> Iterator[dict[str, str]]:
    """Rows for the check ``sql``; the database's columns get the names that the queries use, which are others in some releases."""
    schema = " ".join(f"CREATE TABLE {table} ({', '.join(columns)});" for table, columns in tables.items())
    with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        setup = "\n".join(line for table in tables for line in _inserts(connection, table))
    with closing(sqlite3.connect(":memory:")) as filled_in:
        filled_in.executescript(schema + setup)
        for row in tests:
            found = filled_in.execute(row["sql"]).fetchmany(MAX_ROWS + 1)
            if len(found) <= MAX_ROWS and any(any(value not in (None, 0) for value in line) for line in found):
                yield {"prompt": row["prompt"], "completion": row["sql"], "schema": schema, "setup": setup}


def _inserts(connection: sqlite3.Connection, table: str) -> Iterator[str]:
    for line in connection.execute(f"SELECT * FROM {table}"):
        yield f"INSERT INTO {table} VALUES ({', '.join(map(_literal, line))});"


def _literal(value: object) -> str:
    return "NULL" if value is None else str(value) if isinstance(value, int | float) else "'" + str(value).replace("'", "''") + "'"


def rows(
    groups: list[dict[str, Any]], before: str = "", test_fold: str | None = None, dev_fold: str | None = None
) -> Iterator[dict[str, str]]:
    """One row a sentence; with a test fold the splits are numbers, and all others are for training."""
    for group in groups:
        for sentence in group["sentences"]:
            part = part_of(sentence["question-split"], test_fold, dev_fold)
            if part is not None:
                values = sentence["variables"]
                sql = " ".join(filled(plain(group["sql"][0]), values).rstrip("; ").split())
                yield {"prompt": before + filled(sentence["text"], values), "sql": sql, "split": part}


def plain(sql: str) -> str:
    """Without aliases of tables that occur once, and with names in lower case; what stands in quotes is left alone."""
    often = set(re.findall(r"\b(\w+?)alias[1-9]", sql))
    short = re.sub(r"\b(\w+?)alias(\d+)\b", lambda found: found[1] + (found[2] if found[1] in often else ""), sql)
    short = re.sub(r"\b(\w+) AS \1\b", r"\1", short)
    return re.sub(r""""[^"]*"|'[^']*'|\b[A-Z][A-Z_]*\d*\b""", lambda found: _lower_name(found.group()), short)


def _lower_name(found: str) -> str:
    return found if found in _KEYWORDS or found[0] in "'\"" else found.lower()


def part_of(split: str, test_fold: str | None, dev_fold: str | None) -> str | None:
    """``train``, ``dev`` or ``test``; None where the collection leaves the sentence out."""
    if test_fold is None:
        return split if split in ("train", "dev", "test") else None
    return {test_fold: "test", dev_fold: "dev"}.get(split, "train")


def filled(text: str, values: dict[str, str]) -> str:
    """Names of variables replaced by their values, the longest first, so that ``number10`` is not ``number1`` and a zero."""
    if not values:
        return text
    names = "|".join(map(re.escape, sorted(values, key=len, reverse=True)))
    return re.sub(names, lambda found: values[found.group()], text)


if __name__ == "__main__":
    main()
