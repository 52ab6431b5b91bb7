"""Training tokens per second and peak memory beside TRL's SFTTrainer: same base, rows, order, LoRA, batch, dtype and optimiser.

Run alone on an idle machine: python scripts/bench_training.py [--only calculus sql] [--steps 8] [--json]. Needs the base model
(expert-kit base pull smollm2-135m) and TRL (pip install 'expert-kit[methods]').

Each side has a process of its own, so that its peak memory is its own, and they train in turns. Tokens are those of all rows, prompts too,
padding not; seconds are those of the steps alone. A run whose losses differ between the two is refused.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench_report import Case, Machine, alternate, arguments, show

ROOT = Path(__file__).resolve().parent.parent
BATCH = 16
RATE = 2e-4
CASES = ("calculus", "sql")
"""Rows of the first share the system prompt alone; of the second, neighbours ask about one schema and often begin with it."""
Turn = dict[str, Any]
"""What a turn measured, and which side it was."""


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__.splitlines()[0])
    parser.set_defaults(runs=2)
    parser.add_argument("--only", nargs="+", choices=CASES, default=CASES, help="cases")
    parser.add_argument("--steps", type=int, default=8, help="of a counted run")
    options = parser.parse_args()
    machine = Machine()
    cases = [case for name in options.only for case in measured(name, options.steps, options.runs)]
    show(cases, machine, as_json=options.json)


def measured(name: str, steps: int, runs: int) -> list[Case]:
    """Speed and memory of one case."""
    with tempfile.TemporaryDirectory() as folder:
        recipe = write_recipe(name, steps, Path(folder))
        ours, peer = Side(our_turn, recipe), Side(peer_turn, recipe)
        try:
            speeds = alternate(runs, lambda: ours.turn("tokens_per_second"), lambda: peer.turn("tokens_per_second"))
        finally:
            found = [side.close() for side in (ours, peer)]
    for when in ("first_loss", "last_loss"):
        if abs(found[0][when] - found[1][when]) > 0.01 * found[1][when]:
            raise SystemExit(f"{name}: the two do not train the same: {when} {found[0][when]:.4f} and {found[1][when]:.4f}")
    memory = [side["peak_mb"] for side in found]
    return [
        against(f"train_{name}", "tokens/s", speeds[0], speeds[1], speeds[0] / speeds[1]),
        against(f"train_{name}_peak_memory", "MB", memory[0], memory[1], memory[1] / memory[0]),
    ]


def against(name: str, unit: str, ours: float, peer: float, ratio: float) -> Case:
    """A case whose target is to be on par."""
    return Case(name, unit, ours, peer, "TRL SFTTrainer", ratio, ">= 1.0x", ratio >= 1.0)


def write_recipe(name: str, steps: int, folder: Path) -> Path:
    """The recipe's first rows, its LoRA and length, and settings that both sides have."""
    import yaml

    from expert_kit.training import load_recipe, prepare_data

    path = ROOT / "recipes" / name / "recipe.yaml"
    recipe = load_recipe(path)
    prepare_data(recipe, path.parent)
    lines = (path.parent / recipe.dataset.train).read_text(encoding="utf-8").split("\n")[: steps * BATCH]
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    kept = recipe.model_dump(include={"model_name_or_path", "max_length", "lora_r", "lora_alpha", "lora_target_modules"})
    own = {
        "dataset": {"train": "rows.jsonl", "validation": "rows.jsonl"}, "learning_rate": RATE, "lr_scheduler_type": "constant",
        "warmup_steps": 0, "max_steps": steps, "per_device_train_batch_size": BATCH, "train_sampling_strategy": "sequential",
        "logging_steps": 1, "eval_strategy": "no", "save_steps": 10 * steps, "bf16": False,
    }  # fmt: skip
    (folder / "recipe.yaml").write_text(yaml.safe_dump(kept | own), encoding="utf-8")
    return folder / "recipe.yaml"


class Side:
    """A process that has loaded the base and trains an adapter on it when asked to."""

    def __init__(self, train: Callable[..., Turn], recipe: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(train, recipe, theirs), daemon=True)
        self.process.start()
        theirs.close()
        self.last: Turn = {}
        self.steps = 1
        """Of the next turn; the first one is not counted, and short."""

    def turn(self, key: str) -> float:
        """Train once, and what it measured under this key."""
        self.pipe.send(self.steps)
        self.last, self.steps = self.pipe.recv(), -1
        print(json.dumps(self.last), file=sys.stderr, flush=True)
        found: float = self.last[key]
        return found

    def close(self) -> Turn:
        """The last turn, with the peak memory."""
        self.pipe.close()
        self.process.join()
        return self.last


def serve(train: Callable[..., Turn], recipe_file: Path, pipe: Connection) -> None:
    """Train for as many steps as the pipe says, -1 for those of the recipe, until it is closed."""
    from expert_kit.adapters import load_base
    from expert_kit.base_models import BaseStore
    from expert_kit.registry import bases_dir
    from expert_kit.training import load_recipe

    recipe = load_recipe(recipe_file)
    entry = BaseStore(bases_dir()).get(recipe.model_name_or_path)
    base = load_base(entry.folder, entry.record, device="cpu", dtype="float32")
    while True:
        try:
            steps = pipe.recv()
        except EOFError:
            return
        with tempfile.TemporaryDirectory() as output:
            asked = recipe if steps < 0 else recipe.model_copy(update={"max_steps": steps})
            turn = train(asked, recipe_file.parent, base, Path(output))
        pipe.send(turn | {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6})


def our_turn(recipe: Any, folder: Path, base: Any, output: Path) -> Turn:
    """As ``expert-kit train`` does it."""
    from expert_kit.training import train

    result = train(recipe, folder, base, output)
    return turn_of("ours", result.tokens, result.tokens / result.tokens_per_second, result.history)


def peer_turn(recipe: Any, folder: Path, base: Any, output: Path) -> Turn:
    """As TRL does it, on the same tokens and labels; without the gradient checkpoints that it makes unless told otherwise."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import PrinterCallback, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from expert_kit.training.data import IGNORED, encode_file

    class Clock(TrainerCallback):
        seconds = 0.0

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.start = time.monotonic()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.seconds += time.monotonic() - self.start

    rows = encode_file(folder / recipe.dataset.train, base.tokenizer, recipe.max_length)
    masks = [[int(label != IGNORED) for label in labels] for labels in rows["labels"]]
    clock = Clock()
    trainer = SFTTrainer(
        model=base.model,
        args=SFTConfig(
            output_dir=str(output), learning_rate=RATE, lr_scheduler_type="constant", max_steps=recipe.max_steps, logging_steps=1,
            per_device_train_batch_size=BATCH, train_sampling_strategy="sequential", seed=recipe.seed, save_strategy="no", report_to="none",
            use_cpu=True, bf16=False, gradient_checkpointing=False, max_length=None, completion_only_loss=True, disable_tqdm=True,
            dataloader_pin_memory=False,
        ),
        train_dataset=Dataset.from_dict({"input_ids": rows["input_ids"], "completion_mask": masks}),
        processing_class=base.tokenizer,
        peft_config=LoraConfig(
            r=recipe.lora_r, lora_alpha=recipe.lora_alpha, target_modules=recipe.lora_target_modules, task_type="CAUSAL_LM"
        ),
        callbacks=[clock],
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    trainer.model.unload()
    return turn_of("TRL", sum(rows["length"][: recipe.max_steps * BATCH]), clock.seconds, trainer.state.log_history)


def turn_of(side: str, tokens: int, seconds: float, history: list[dict[str, float]]) -> Turn:
    """What is compared."""
    losses = [entry["loss"] for entry in history if "loss" in entry]
    return {"side": side, "tokens_per_second": tokens / seconds, "first_loss": losses[0], "last_loss": losses[-1]}


if __name__ == "__main__":
    main()
