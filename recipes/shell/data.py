"""Write the data of the shell recipe, tasks and command lines, from the tldr-pages in the folder after --data.

    python recipes/shell/data.py --out recipes/shell/data --data FOLDER

FOLDER is a checkout of tldr-pages or holds ``tldr-en.jsonl``; without --data it is the one that EXPERT_KIT_TLDR names, which is how
``expert-kit train`` is told. Validation and test ask for command lines of training, in words and with values that training never uses.
``new_commands`` asks for commands that training does not know at all. ``further`` is for further.yaml: the command lines of training,
asked for in training's words again, with other values.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from expert_kit.recipe_data import run_data_script

sys.path.insert(0, str(Path(__file__).resolve().parent))

from shell_lines import Lines  # the recipe's folder is not a package
from shell_prompts import Row, ask
from tldr_pages import MissingPagesError, read_examples

HERE = Path(__file__).resolve().parent
FOLDER_VARIABLE = "EXPERT_KIT_TLDR"
SIZES = {"train": 6_000, "further": 8_000, "validation": 200, "test": 400, "new_commands": 100}

TRAINING = ("train", "further")
"""Splits of the same lines and words."""


@cache
def hand_written() -> frozenset[str]:
    """Prompts and command lines of the hand-written tests: no split has such a prompt, nor such a line with values."""
    found: set[str] = set()
    for name in ("handwritten.jsonl", "handwritten_dev.jsonl"):
        for text in (HERE / name).read_text(encoding="utf-8").split("\n"):
            if text:
                row = json.loads(text)
                found |= {row["prompt"].lower(), row["completion"], *row.get("accept", ())}
    return frozenset(found)


def questions(lines: Lines, split: str, count: int, seed: int) -> list[Row]:
    """The rows of one split; no prompt twice, and every line about as often as every other."""
    rng = random.Random(f"shell/{split}/{seed}")
    held = split not in TRAINING
    source = lines.new if split == "new_commands" else lines.known
    if not source:
        raise MissingPagesError(f"the pages have no command line for {split}; they are not all there")
    found: dict[str, Row] = {}
    tries = 0
    while len(found) < count and tries < 40 * count:
        for line in rng.sample(source, len(source)):
            tries += 1
            row = ask(rng, line, held=held)
            if row.prompt.lower() in hand_written() or (row.filled and row.code.removeprefix("sudo ") in hand_written()):
                continue
            if len(found) < count and row.prompt.lower() not in found and (not held or row.unseen):
                found[row.prompt.lower()] = row
    return list(found.values())


def rows(lines: Lines, split: str, count: int, seed: int) -> list[dict[str, object]]:
    """All rows of a split, as JSON takes them."""
    made: list[dict[str, object]] = []
    for number, row in enumerate(questions(lines, split, count, seed)):
        identity = f"shell-{split}-{number:05d}"
        plain: dict[str, object] = {"id": identity, "prompt": row.prompt, "completion": row.code, "kind": row.line.page}
        if split not in TRAINING:
            plain |= {"group": row.line.page, "options": lines.options.get(row.line.page, {})}
        made.append(plain)
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the five files."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--data", type=Path, default=os.environ.get(FOLDER_VARIABLE))
    options, rest = parser.parse_known_args(arguments)
    lines: list[Lines] = []

    def make(split: str, count: int, seed: int) -> list[dict[str, object]]:
        if not lines:
            lines.append(Lines(read_examples(_folder(options.data))))
        return rows(lines[0], split, count, seed)

    try:
        run_data_script(__doc__, SIZES, make, rest)
    except MissingPagesError as error:
        sys.exit(f"{error}\nname a checkout of tldr-pages with --data FOLDER, or with {FOLDER_VARIABLE}=FOLDER")


def _folder(given: Path | str | None) -> Path:
    if given is None:
        raise MissingPagesError("the shell recipe is made from the tldr-pages, which are not part of this project")
    return Path(given)


if __name__ == "__main__":
    main()
