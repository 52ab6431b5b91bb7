"""Writes a recipe for a user's own rows: the splits, the settings, and what the expert's package needs beside the adapter."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from expert_kit.curation import folded
from expert_kit.errors import DataError, UsageError
from expert_kit.names import printable
from expert_kit.recipe_data import write_jsonl
from expert_kit.training.table import Numbered
from expert_kit.whole_file import replace_whole

LEAST_ROWS = 20
_HELD_SHARES = {"test": (0.1, 400), "validation": (0.05, 200)}
"""Share of the prompts in each held-out file, and the most."""
_LEAST_HELD = 3
_PART_WORDS = {"train": "train", "validation": "validation", "valid": "validation", "dev": "validation", "test": "test"}
_EXAMPLES = {"fit": 80, "validate": 20}
"""Routing examples, which are training prompts, and the most of each kind."""
_EXAMPLE_LENGTH = 500
"""Characters of a prompt that become a routing example."""
_MOST_ANSWER, _MOST_LENGTH = 512, 2048
"""The largest ``max_new_tokens`` and ``max_length`` of a new recipe, in tokens."""
_STEPS = 800
"""Training steps to aim at for little data: more rows give more, up to one epoch."""
_BATCH = 4

_RECIPE = """\
# expert-kit train {folder}
# data: {count} rows from {origin}{apart}
model_name_or_path: {base}
method: sft
dataset: {{train: train.jsonl, validation: validation.jsonl}}
tests:
  held_out: {{path: test.jsonl, task: {task}, max_new_tokens: {answer}}}
max_length: {length}

lora_r: 8
lora_alpha: 16
lora_target_modules: all-linear
adapter_dtype: bfloat16

learning_rate: 5.0e-4
lr_scheduler_type: cosine
warmup_steps: 0.05
num_train_epochs: {epochs}
per_device_train_batch_size: {batch}
eval_strategy: epoch
save_steps: {epoch}
seed: 0
"""

_CARD = """\
# {name}

{summary}

Trained from {count} rows of {origin}. Scores on held-out rows are in the evaluation that the package carries.
What its answers may be used for, and what they must not, is for its publisher to say here.
"""


@dataclass(frozen=True)
class Plan:
    """What a new recipe is to say."""

    name: str
    """``namespace/name`` of the expert."""
    folder: str
    """Where the recipe will be, for its first line."""
    origin: str
    """Where the rows came from, for people."""
    base: str
    task: str
    license: str
    summary: str


@dataclass(frozen=True)
class Splits:
    """Rows of the three files; no prompt is in two of them."""

    train: list[dict[str, str]]
    validation: list[dict[str, str]]
    test: list[dict[str, str]]


def split_rows(rows: Sequence[dict[str, str]]) -> Splits:
    """Hold out prompts by their hash: the same rows give the same files, and rows of one prompt stay together.

    Not ``curation.split_data``, which meets its shares exactly: here a table that grows keeps nearly all of its tests, whatever its
    order, so that scores of last month's expert still mean something.

    Raises:
        DataError: ``too_few_rows``.
    """
    by_prompt: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        by_prompt[folded(row["prompt"])].append(row)
    if len(by_prompt) < LEAST_ROWS:
        message = f"{len(by_prompt)} different prompts are too few to train on some and test on others"
        raise DataError(message, hint=f"give at least {LEAST_ROWS}; hundreds are better", code="too_few_rows")
    order = sorted(by_prompt, key=lambda prompt: hashlib.sha256(prompt.encode()).digest())
    held: dict[str, list[dict[str, str]]] = {}
    for name, (share, most) in _HELD_SHARES.items():
        count = min(most, max(_LEAST_HELD, round(share * len(by_prompt))))
        held[name], order = [row for prompt in order[:count] for row in by_prompt[prompt]], order[count:]
    kept = set(order)
    train = [row for row in rows if folded(row["prompt"]) in kept]
    return Splits(train, held["validation"], held["test"])


def given_parts(records: Iterable[Numbered], column: str) -> dict[str, list[Numbered]]:
    """The records of ``train``, ``validation`` and ``test``, where a column says it; ``dev`` and ``valid`` mean validation.

    Raises:
        UsageError: ``columns_unknown``, no record has that column. DataError: ``split_unknown``; ``too_few_rows``, a part is empty.
    """
    parts: dict[str, list[Numbered]] = {"train": [], "validation": [], "test": []}
    for number, record in records:
        if column not in record:
            there = ", ".join(printable(str(name)) for name in record)
            message = f"row {number} has no column {printable(column)}; there are: {there}"
            raise UsageError(message, hint="name the column of the parts with --split", code="columns_unknown")
        word = str(record[column]).strip().lower()
        if (name := _PART_WORDS.get(word)) is None:
            message = f"row {number}: {printable(word)!r} under {printable(column)} is no part"
            raise DataError(message, hint=f"use {', '.join(_PART_WORDS)}", code="split_unknown")
        parts[name].append((number, record))
    if empty := [name for name, found in parts.items() if not found]:
        raise DataError(f"no row is of the part {' or '.join(empty)}", hint="give each part some rows", code="too_few_rows")
    return parts


def shared_prompts(splits: Splits) -> int:
    """Held-out rows whose prompt is a training prompt too."""
    trained = {folded(row["prompt"]) for row in splits.train}
    return sum(folded(row["prompt"]) in trained for row in (*splits.validation, *splits.test))


def _apart(splits: Splits) -> str:
    shared = shared_prompts(splits)
    return f"; {shared} held-out prompts are in train.jsonl too" if shared else "; test and validation prompts are not in train.jsonl"


def contradictions(rows: Sequence[dict[str, str]]) -> int:
    """Rows whose prompt an earlier row answers otherwise: of these a model can learn one at most."""
    answered = {(folded(row["prompt"]), folded(row["completion"])) for row in rows}
    return len(answered) - len({prompt for prompt, _ in answered})


def over_caps(rows: Sequence[dict[str, str]]) -> int:
    """Rows that may be longer than the largest ``max_new_tokens`` or ``max_length`` that a new recipe gets."""
    return sum(_tokens(row["completion"]) > _MOST_ANSWER or _length(row) > _MOST_LENGTH for row in rows)


def write_recipe(folder: Path, plan: Plan, splits: Splits) -> None:
    """Write data, ``recipe.yaml`` and ``expert/`` (``expert.yaml``, card, routing examples) into a new folder.

    Raises:
        OSError: it cannot be written.
    """
    (folder / "expert" / "routing").mkdir(parents=True)
    files = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    for name, rows in files.items():
        write_jsonl(folder / f"{name}.jsonl", ({"id": f"{name}-{at}", **row} for at, row in enumerate(rows)))
    write_jsonl(folder / "expert" / "routing" / "examples.jsonl", _examples(splits.train))
    count = sum(map(len, files.values()))
    origin = printable(plan.origin)
    texts = {
        "recipe.yaml": _RECIPE.format(
            folder=printable(plan.folder), count=count, origin=origin, apart=_apart(splits), **_settings(plan, files)
        ),
        "expert/expert.yaml": _expert(plan),
        "expert/README.md": _CARD.format(name=plan.name, summary=plan.summary, count=count, origin=origin),
    }
    for path, text in texts.items():
        replace_whole(folder / path, text.encode(), mode=0o644)


def _settings(plan: Plan, files: dict[str, list[dict[str, str]]]) -> dict[str, object]:
    rows = [row for found in files.values() for row in found]
    # A tokenizer of bytes never makes more tokens than bytes; of plain English it makes one of four.
    answers = max(len(row["completion"].encode()) for row in rows)
    longest = max(map(_length, rows))
    steps = len(files["train"]) / _BATCH
    return {
        "base": json.dumps(plan.base),
        "task": plan.task,
        "answer": _rounded(answers, _MOST_ANSWER),
        "length": _rounded(longest, _MOST_LENGTH),
        "epochs": max(1, min(10, round(_STEPS / steps))),
        "batch": _BATCH,
        # An interrupted run goes on from the last of these, and little data makes few steps.
        "epoch": max(1, min(100, round(steps))),
    }


def _length(row: dict[str, str]) -> int:
    """Tokens of a row at most, with those of the chat template."""
    return _tokens(row["prompt"]) + _tokens(row["completion"]) + 64


def _tokens(text: str) -> int:
    """At most; half a token for a letter of the alphabet that tokenizers know best."""
    size = len(text.encode())
    return size // 2 if size == len(text) else size


def _rounded(tokens: int, most: int) -> int:
    return min(most, (tokens // 32 + 1) * 32)


def _expert(plan: Plan) -> str:
    fields = {
        "name": plan.name,
        "version": "0.1.0",
        "license": plan.license,
        "summary": plan.summary,
        "adapter": "adapter/",
        "base": plan.base,
        "routing": {"examples": "routing/examples.jsonl"},
        "card": "README.md",
        "eval": "eval.yaml",
    }
    return yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=140)


def _examples(rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    prompts = dict.fromkeys(folded(row["prompt"])[:_EXAMPLE_LENGTH] for row in rows)
    # A package takes no characters that are not printable, such as the joiner in some emoji.
    shown = filter(str.isprintable, prompts)
    chosen = sorted(shown, key=lambda prompt: hashlib.sha256(prompt.encode()).digest())[: sum(_EXAMPLES.values())]
    every = sum(_EXAMPLES.values()) // _EXAMPLES["validate"]
    return [{"text": text, "split": "validate" if at % every == every - 1 else "fit"} for at, text in enumerate(chosen)]
