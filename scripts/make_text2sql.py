"""Experts for two public data sets, made as a user makes one from a table, beside the published accuracies; a table for recipes/README.md.

    python scripts/make_text2sql.py --data FOLDER --work FOLDER [--folds 0,1,2] [--only restaurants] [--write]

FOLDER of the data holds `restaurants.json`, `advising.json` and what belongs to them of the public text2sql-data collection, version 4.
Each fold of the restaurants, and the question split of advising, is a recipe of `expert-kit recipe new` as it stands, trained and tested by
`expert-kit train`. A score is a file in the work folder, made once; an unfinished training goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from result_cells import keep_cell, known_cell, put_between_marks, share
from text2sql_rows import read_schema, rows, run_rows

from expert_kit.recipe_data import write_jsonl
from expert_kit.training import has_checkpoint

ROOT = Path(__file__).resolve().parents[1]
EXPERT_KIT = (sys.executable, "-m", "expert_kit")
"""The one of this interpreter, whatever else is on the path."""
FOLDS = tuple(map(str, range(10)))
PUBLISHED = {"restaurants": ("93", "100"), "advising": ("83", "70")}
"""Exact match on the question split, in percent: the template baseline as corrected by its authors, and the sequence-to-sequence model
with attention and copying (Finegan-Dollak et al., ACL 2018, Table 3, and the collection's systems/baseline-template/README.md)."""
LICENSES = {"restaurants": "LicenseRef-text2sql-data", "advising": "CC-BY-4.0"}
EXACT, EXECUTION = "held_out", "execution"


@dataclass(frozen=True)
class Part:
    """One training."""

    data: str
    fold: str | None = None

    @property
    def name(self) -> str:
        """Of its cell and its folder."""
        return self.data if self.fold is None else f"{self.data}-{self.fold}"


def main() -> None:
    """Run what is missing, then show or write what is known."""
    options = _options()
    for part in _parts(options.only, options.folds):
        _make(part, options)
    text = _table(options)
    print(text)
    if options.write:
        put_between_marks(ROOT / "recipes" / "README.md", "text2sql", text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the collection's files")
    parser.add_argument("--work", type=Path, required=True, help="where rows, runs and scores are kept")
    parser.add_argument("--folds", type=lambda text: text.split(","), default=list(FOLDS), help="of the restaurants, comma separated")
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(PUBLISHED), help="these data sets, comma separated")
    parser.add_argument("--write", action="store_true", help="put the table into recipes/README.md")
    options = parser.parse_args()
    if unknown := [*(set(options.only) - set(PUBLISHED)), *(set(options.folds) - set(FOLDS))]:
        parser.error(f"unknown: {', '.join(unknown)}")
    return options


def _parts(only: list[str], folds: list[str]) -> Iterator[Part]:
    if "restaurants" in only:
        yield from (Part("restaurants", fold) for fold in folds)
    if "advising" in only:
        yield Part("advising")


def _make(part: Part, options: argparse.Namespace) -> None:
    folder = _folder(part, options)
    recipe = folder / "recipe"
    if not recipe.exists():
        _write_recipe(part, options.data, folder).rename(recipe)
    key = _key(recipe)
    if known_cell(_file(part, options), key):
        return
    output = folder / "run"
    again = ["--resume"] if has_checkpoint(output) else []
    subprocess.run([*EXPERT_KIT, "train", str(recipe), "--output", str(output), *again], check=True)
    found = json.loads((output / "eval.json").read_text(encoding="utf-8"))
    cell = {"key": key, "scores": {row["suite"]: _counts(row) for row in found["results"] if row["metric"] == "accuracy"}}
    keep_cell(_file(part, options), cell)
    print(f"{part.name}: {cell['scores']}", flush=True)


def _counts(row: dict[str, Any]) -> dict[str, int]:
    return {"n": row["n"], "passed": round(row["expert"] * row["n"])}


def _write_recipe(part: Part, data: Path, folder: Path) -> Path:
    """With ``recipe new``, in a folder to be renamed; the restaurants, of which there is a database, get a second test by execution."""
    folder.mkdir(parents=True, exist_ok=True)
    groups = json.loads((data / f"{part.data}.json").read_text(encoding="utf-8"))
    dev = None if part.fold is None else str((int(part.fold) + 1) % len(FOLDS))
    found = list(rows(groups, "", part.fold, dev))
    write_jsonl(folder / "rows.jsonl", found)
    recipe = folder / "unfinished"
    shutil.rmtree(recipe, ignore_errors=True)
    new = [*EXPERT_KIT, "recipe", "new", f"text2sql/{part.name}", "--data", str(folder / "rows.jsonl"), "--prompt", "prompt"]
    new += ["--completion", "sql", "--split", "split", "--license", LICENSES[part.data], "--out", str(recipe)]
    subprocess.run(new, check=True)
    if part.fold is None:
        return recipe
    tables = read_schema((data / f"{part.data}-schema.csv").read_text(encoding="utf-8"))
    database = next(data.glob(f"{part.data}-db*.sqlite"))
    write_jsonl(recipe / "run.jsonl", run_rows([row for row in found if row["split"] == "test"], tables, database))
    text = (recipe / "recipe.yaml").read_text(encoding="utf-8")
    suite = next(line for line in text.splitlines() if line.startswith(f"  {EXACT}: "))
    second = suite.replace(EXACT, EXECUTION).replace("test.jsonl", "run.jsonl").replace("task: exact", "task: sql")
    (recipe / "recipe.yaml").write_text(text.replace(suite, f"{suite}\n{second}"), encoding="utf-8")
    return recipe


def _key(recipe: Path) -> str:
    """What a score was made from: the recipe's settings and rows, without the comments, which name this machine's folders."""
    lines = (recipe / "recipe.yaml").read_text(encoding="utf-8").splitlines()
    made = "\n".join(line for line in lines if not line.startswith("#")).encode()
    return hashlib.sha256(made + b"".join(path.read_bytes() for path in sorted(recipe.glob("*.jsonl")))).hexdigest()


def _folder(part: Part, options: argparse.Namespace) -> Path:
    return Path(options.work).resolve() / part.name


def _file(part: Part, options: argparse.Namespace) -> Path:
    return Path(options.work) / "cells" / f"{part.name}.json"


def _known(part: Part, options: argparse.Namespace) -> dict[str, Any] | None:
    """The score of the recipe as it is now."""
    recipe = _folder(part, options) / "recipe"
    return known_cell(_file(part, options), _key(recipe)) if recipe.exists() else None


def _table(options: argparse.Namespace) -> str:
    """Markdown; folds that were not run, or whose recipe has changed since, do not count."""
    lines = ["| data | tests | ours, exact | ours, run | template baseline | seq2seq with copying |", f"|---|{'--:|' * 5}"]
    for data in PUBLISHED:
        cells = [cell for part in _parts([data], list(FOLDS)) if (cell := _known(part, options))]
        if cells:
            lines.append(f"| {data} | {' | '.join(_row(data, cells))} |")
    return "\n".join(lines)


def _row(data: str, cells: list[dict[str, Any]]) -> list[str]:
    tests = sum(cell["scores"][EXACT]["n"] for cell in cells)
    published = [f"{value} %" for value in PUBLISHED[data]]
    return [str(tests), _share(cells, EXACT), _share(cells, EXECUTION), *published]


def _share(cells: list[dict[str, Any]], suite: str) -> str:
    scores = [cell["scores"][suite] for cell in cells if suite in cell["scores"]]
    total, passed = (sum(score[name] for score in scores) for name in ("n", "passed"))
    return share(passed, total) if total else ""


if __name__ == "__main__":
    main()
