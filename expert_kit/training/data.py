"""JSON lines -> token ids with labels on the completion only."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset

from expert_kit.adapters import answer_ids, chat_ids
from expert_kit.curation import read_rows
from expert_kit.errors import DataError, RecipeError
from expert_kit.recipe_data import WARNING
from expert_kit.training.recipe import Recipe, missing_files

IGNORED = -100
"""Label of a token that carries no loss, as in PyTorch ``cross_entropy``."""

_log = logging.getLogger(__name__)


def prepare_data(recipe: Recipe, folder: Path) -> None:
    """Run the recipe's own data script if a file is missing; ``folder`` is the recipe's.

    Raises:
        RecipeError: ``recipe_data_missing``, files are missing and there is no script, or it did not write them.
        DataError: a test set that the script wrote has bad rows or none, which would be seen behind the training only.
    """
    before = missing_files(recipe, folder)
    if before and recipe.dataset.prepare is not None:
        _run_script(folder / recipe.dataset.prepare, (folder / recipe.dataset.train).parent)
    if missing := missing_files(recipe, folder):
        names = ", ".join(str(path) for path in missing)
        raise RecipeError(
            f"{folder}: data files are missing: {names}",
            hint="write them, or name a script under dataset.prepare",
            code="recipe_data_missing",
        )
    if before:
        for test in recipe.tests.values():
            read_rows(folder / test.path)


def _run_script(script: Path, out: Path) -> None:
    _log.info("preparing data: %s --out %s", script, out)
    done = subprocess.run([sys.executable, str(script), "--out", str(out)], capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        message = f"{script} failed:\n{done.stderr.strip()[-2000:]}"
        raise RecipeError(message, hint="give it what it asks for, and run this again", code="recipe_data_missing")
    for line in done.stderr.splitlines():
        if line.startswith(WARNING):
            _log.warning("%s: %s", script, line.removeprefix(WARNING))


def encode_file(path: Path, tokenizer: Any, max_length: int) -> Dataset:
    """Columns ``input_ids``, ``labels`` (-100 on the prompt) and ``length``; rows over ``max_length`` tokens are left out.

    Raises:
        DataError: see ``curation.read_rows``; no row is short enough.
    """
    columns: dict[str, list[Any]] = {"input_ids": [], "labels": [], "length": []}
    rows = read_rows(path)
    for row in rows:
        ids, labels = encode_example(tokenizer, row["prompt"], row["completion"])
        if len(ids) > max_length:
            continue
        columns["input_ids"].append(ids)
        columns["labels"].append(labels)
        columns["length"].append(len(ids))
    tell_left_out(path, len(rows) - len(columns["length"]), len(rows), max_length)
    return Dataset.from_dict(columns)


def tell_left_out(path: Path, left_out: int, total: int, max_length: int) -> None:
    """Say how many rows are too long.

    Raises:
        DataError: all of them are.
    """
    if left_out:
        _log.warning("%s: left out %d rows of more than max_length=%d tokens", path, left_out, max_length)
    if left_out == total:
        raise DataError(f"{path}: no row of at most {max_length} tokens", hint="raise max_length in the recipe")


def encode_example(tokenizer: Any, prompt: str, completion: str) -> tuple[list[int], list[int]]:
    """Chat-template ids of one exchange, and labels that are -100 up to the start of the answer; the end token is learned.

    Prompt and answer are tokenised apart, as at inference, where the answer starts after the prompt's last token.
    """
    prompt_ids = chat_ids(tokenizer, [{"role": "user", "content": prompt}])
    answer = answer_ids(tokenizer, completion)
    return prompt_ids + answer, [IGNORED] * len(prompt_ids) + answer


class PadRight:
    """Collator: rows padded on the right to the longest of the batch."""

    def __init__(self, pad_token_id: int) -> None:
        self.pad_token_id = pad_token_id

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Int64 tensors ``input_ids``, ``attention_mask`` and ``labels``, each (batch, longest)."""
        longest = max(len(row["input_ids"]) for row in rows)
        return {
            "input_ids": _stack(rows, "input_ids", longest, self.pad_token_id),
            "attention_mask": torch.tensor([[1] * len(row["input_ids"]) + [0] * (longest - len(row["input_ids"])) for row in rows]),
            "labels": _stack(rows, "labels", longest, IGNORED),
        }


def _stack(rows: list[dict[str, Any]], key: str, length: int, fill: int) -> torch.Tensor:
    return torch.tensor([row[key] + [fill] * (length - len(row[key])) for row in rows])
