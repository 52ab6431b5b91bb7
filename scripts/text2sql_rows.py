"""Rows for `expert-kit recipe new` from a data set of the public text2sql-data collection, by its own splits.

    python scripts/text2sql_rows.py advising.json --schema advising-schema.csv --out advising.jsonl
    python scripts/text2sql_rows.py restaurants.json --schema restaurants-schema.csv --test-fold 0 --dev-fold 1 --out restaurants.jsonl
    expert-kit recipe new me/advising --data advising.jsonl --prompt '{schema} Question: {question}' --completion sql --split split ...

Every sentence is a row, its variables filled in, with the first query of its group. Splits are by question, as the published accuracies of
the collection are: words of a split, or folds, of which one is the test and one for development. Sentences that the split leaves out
stay out.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from expert_kit.recipe_data import write_jsonl


def main() -> None:
    """Write the rows and say how many there are of each part."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--schema", type=Path, required=True)
    parser.add_argument("--test-fold")
    parser.add_argument("--dev-fold")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    schema = read_schema(options.schema.read_text(encoding="utf-8"))
    found = list(rows(json.loads(options.data.read_text(encoding="utf-8")), schema, options.test_fold, options.dev_fold))
    write_jsonl(options.out, found)
    parts = [row["split"] for row in found]
    print(", ".join(f"{parts.count(part)} {part}" for part in ("train", "dev", "test")))


def read_schema(text: str) -> str:
    """``table(column, ...)`` after each other, from the collection's list of columns."""
    tables: dict[str, list[str]] = {}
    for line in list(csv.reader(text.splitlines()))[1:]:
        table, column = (cell.strip() for cell in line[:2])
        if table != "-":
            tables.setdefault(table, []).append(column)
    return " ".join(f"{table}({', '.join(columns)})" for table, columns in tables.items())


def rows(groups: list[dict[str, Any]], schema: str, test_fold: str | None = None, dev_fold: str | None = None) -> Iterator[dict[str, str]]:
    """One row a sentence; with a test fold the splits are numbers, and all others are for training."""
    for group in groups:
        for sentence in group["sentences"]:
            part = part_of(sentence["question-split"], test_fold, dev_fold)
            if part is not None:
                values = sentence["variables"]
                sql = " ".join(filled(group["sql"][0], values).rstrip("; ").split())
                yield {"schema": schema, "question": filled(sentence["text"], values), "sql": sql, "split": part}


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
