"""Writes what a new expert for a gap starts from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from expert_kit.cli.output import write_whole
from expert_kit.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from expert_kit.routing import Gap

_RECIPE = """\
# expert-kit train {folder}/recipe.yaml
# data: seed.jsonl holds {count} prompts that were asked and that no expert covers. Write a completion for each, add more of the
# same kind, and put them into train.jsonl and validation.jsonl.
model_name_or_path: smollm2-135m
method: sft
dataset: {{train: train.jsonl, validation: validation.jsonl}}
max_length: 512
lora_r: 8
lora_alpha: 16
learning_rate: 2.0e-4
num_train_epochs: 2
seed: 0
"""


def write_skeleton(gap: Gap, out: Path) -> Path:
    """``recipe.yaml``, ``seed.jsonl`` (prompts with empty completions) and ``examples.jsonl`` (for the router); the folder.

    Raises:
        UsageError: ``folder_exists``. CapacityError: it cannot be written.
    """
    folder = out / gap.name
    if folder.exists():
        raise UsageError(f"{folder} is there already", hint="choose another --out", code="folder_exists")
    write_whole(folder / "recipe.yaml", _RECIPE.format(folder=folder.as_posix(), count=len(gap.prompts)))
    seed = [{"id": f"{gap.name}-{at}", "prompt": text, "completion": ""} for at, text in enumerate(gap.prompts)]
    write_whole(folder / "seed.jsonl", "".join(json.dumps(row) + "\n" for row in seed))
    examples = [{"text": text, "split": "validate" if at % 5 == 4 else "fit"} for at, text in enumerate(gap.prompts)]
    write_whole(folder / "examples.jsonl", "".join(json.dumps(row) + "\n" for row in examples))
    return folder
