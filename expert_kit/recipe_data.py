"""What the data scripts of recipes share: their command line, and files of JSON lines that appear whole or not at all."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from expert_kit.whole_file import replace_whole

Row = Mapping[str, Any]
"""At least ``prompt`` and ``completion``, both text."""
WARNING = "warning: "
"""How lines on stderr begin that ``expert-kit train``, which runs the script, shows."""
FURTHER = ("further", "wordings")
"""Splits for recipes that go on from the adapter of a first one."""


def write_jsonl(path: Path, rows: Iterable[Row]) -> None:
    """One JSON object a line, in UTF-8; others may read the file."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    replace_whole(path, text.encode(), mode=0o644)


def run_data_script(
    about: str | None, sizes: Mapping[str, int], make: Callable[[str, int, int], Iterable[Row]], arguments: Sequence[str] | None = None
) -> None:
    """Write ``<split>.jsonl`` for each split into the folder after ``--out``.

    Args:
        about: the script's docstring; its first line is shown by ``--help``.
        sizes: rows by split; ``train`` among them, which ``--train-rows`` changes. No split of ``FURTHER`` gets more rows than that says.
        make: split, number of rows and seed -> the rows, the same ones each time.
        arguments: those of the process if None.
    """
    parser = argparse.ArgumentParser(description=(about or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help=f"folder for {', '.join(f'{split}.jsonl' for split in sizes)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train-rows", type=int, help="rows of train.jsonl, and the most that one for further training gets")
    options = parser.parse_args(arguments)
    there = next(path for path in (options.out, *options.out.absolute().parents) if path.exists())
    if not there.is_dir():
        parser.error(f"argument --out: {there} is a file, not a folder")
    for split, count in (sizes if options.train_rows is None else _at_most(sizes, options.train_rows)).items():
        rows = list(make(split, count, options.seed))
        if len(rows) < count:
            sys.stderr.write(f"{WARNING}{split} has {len(rows)} rows, not {count}: there are no more\n")
        options.out.mkdir(parents=True, exist_ok=True)
        write_jsonl(options.out / f"{split}.jsonl", rows)


def _at_most(sizes: Mapping[str, int], train_rows: int) -> dict[str, int]:
    further = {split: min(count, train_rows) for split, count in sizes.items() if split in FURTHER}
    return {**sizes, **further, "train": train_rows}
