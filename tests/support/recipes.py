"""The data scripts of recipes, run as ``expert-kit train`` runs them, and their modules."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2] / "recipes"
SPLITS = ("train", "validation", "test")
Rows = dict[str, list[dict[str, Any]]]
TRAIN_ROWS = {"sql": 300, "json": 1200, "dates": 3000}
"""Enough to see that splits are apart; whole training sets take a minute to make."""
FURTHER_ROWS = {"sql": {"further": 300}, "json": {"further": 1_200}}
"""The splits of a recipe's further training, which are as large as that of training at most."""


def generate(name: str, out: Path, train_rows: int, *, seed: int = 0, hash_seed: str = "1") -> Rows:
    """What the recipe's data.py writes; ``hash_seed`` is Python's, which must make no difference."""
    command = [sys.executable, str(ROOT / name / "data.py"), "--out", str(out), "--train-rows", str(train_rows), "--seed", str(seed)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": hash_seed})
    splits = (*SPLITS, *FURTHER_ROWS.get(name, ()))
    assert {path.name for path in out.iterdir()} == {f"{split}.jsonl" for split in splits}
    return {split: [json.loads(line) for line in (out / f"{split}.jsonl").read_text().split("\n") if line] for split in splits}


def recipe_module(name: str, module: str) -> ModuleType:
    """A module that lies in the recipe's folder, which is not a package."""
    sys.path.insert(0, str(ROOT / name))
    try:
        return importlib.import_module(module)
    finally:
        sys.path.remove(str(ROOT / name))
