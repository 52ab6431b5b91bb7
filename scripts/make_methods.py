"""Trains every kind of adapter on the same rows of two recipes; the table of accuracy, time and bytes for recipes/README.md.

    python scripts/make_methods.py --work FOLDER [--rows 1500] [--tests 200] [--only dora,ia3] [--domains dates] [--write]

Every cell is a file in the work folder, made once: after an interruption, or with other options, only what is missing or has changed is
run, and an unfinished training goes on from its last checkpoint. Two processes may share the folder with different --only. The recipes'
own settings hold but for those of METHODS; time is that of the training steps.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from result_cells import keep_cell, known_cell, put_between_marks, share

from expert_kit.adapters import BaseModel, load_base
from expert_kit.base_models import BaseStore
from expert_kit.cli.suites import open_tests
from expert_kit.evaluation import Suite, run_suite
from expert_kit.inference import ExpertEngine
from expert_kit.registry import bases_dir
from expert_kit.training import has_checkpoint, load_recipe, prepare_data, train
from expert_kit.whole_file import replace_whole

ROOT = Path(__file__).resolve().parents[1]
DOMAINS = ("calculus", "dates")
BASE = "base"
METHODS: dict[str, dict[str, Any]] = {
    "lora": {"learning_rate": 8e-4},
    "rslora": {"use_rslora": True, "learning_rate": 3e-4},
    "dora": {"use_dora": True, "learning_rate": 8e-4},
    "ia3": {"peft_type": "ia3", "learning_rate": 2e-2},
    "prompt_tuning": {"peft_type": "prompt_tuning", "num_virtual_tokens": 16, "learning_rate": 3e-2},
}
"""LoRA and DoRA at the rate of the recipes, rsLoRA at that by its larger scale (alpha by the root of r, not by r). It is 2.6 times what
``expert-kit train recipes/calculus --find-lr`` suggests (3.1e-4), and so are the other two of 6.6e-3 for IA3 and 1.1e-2 for
prompt tuning."""
TITLES = {"lora": "LoRA", "rslora": "rsLoRA", "dora": "DoRA", "ia3": "IA3", "prompt_tuning": "prompt tuning"}


@dataclass(frozen=True)
class Domain:
    """A recipe with the rows that all methods get."""

    name: str
    folder: Path
    recipe: dict[str, Any]
    """What its file says."""
    rows: Path
    suite: Suite
    digest: str
    """Of training rows, tests and their number."""


def main() -> None:
    """Run what is missing, then show or write what is known."""
    options = _options()
    domains = [_domain(name, options) for name in options.domains]
    for domain in domains:
        for method in [BASE, *options.only]:
            _make(domain, method, options)
    text = _table([_domain(name, options) for name in DOMAINS], options)
    print(text)
    if options.write:
        put_between_marks(ROOT / "recipes" / "README.md", "methods", text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--work", type=Path, default=ROOT / ".methods", help="where the cells are kept (default: .methods)")
    parser.add_argument("--rows", type=int, default=1500, help="first rows of the training data")
    parser.add_argument("--tests", type=int, default=200, help="first rows of the generated tests")
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(METHODS), help="these methods, comma separated")
    parser.add_argument("--domains", type=lambda text: text.split(","), default=list(DOMAINS), help="these recipes, comma separated")
    parser.add_argument("--write", action="store_true", help="put the table into recipes/README.md")
    parser.add_argument("--batch-size", type=int, default=16, help="of the tests")
    options = parser.parse_args()
    if unknown := [*(set(options.only) - set(METHODS)), *(set(options.domains) - set(DOMAINS))]:
        parser.error(f"unknown: {', '.join(unknown)}")
    return options


def _domain(name: str, options: argparse.Namespace) -> Domain:
    path = ROOT / "recipes" / name / "recipe.yaml"
    recipe = load_recipe(path)
    prepare_data(recipe, path.parent)
    _, suites = open_tests(path.parent)
    lines = (path.parent / recipe.dataset.train).read_text(encoding="utf-8").split("\n")[: options.rows]
    data = ("\n".join(lines) + "\n").encode()
    rows = options.work.resolve() / "rows" / f"{name}.{options.rows}.jsonl"
    rows.parent.mkdir(parents=True, exist_ok=True)
    replace_whole(rows, data, mode=0o644)
    digest = hashlib.sha256(data + suites[0].path.read_bytes() + str(options.tests).encode()).hexdigest()
    return Domain(name, path.parent, yaml.safe_load(path.read_text(encoding="utf-8")), rows, suites[0], digest)


def _settings(domain: Domain, method: str) -> dict[str, Any]:
    """Of a recipe: its file's, with the method's."""
    own = METHODS[method]
    kept = {key: value for key, value in domain.recipe.items() if "peft_type" not in own or not key.startswith("lora_")}
    dataset = {"train": str(domain.rows), "validation": str((domain.folder / kept["dataset"]["validation"]).resolve())}
    return {**kept, "dataset": dataset, "eval_strategy": "epoch", "save_steps": 50, **own}


def _cell(domain: Domain, method: str, options: argparse.Namespace) -> tuple[Path, str]:
    """Its file, and what it must have been made from."""
    made = {} if method == BASE else {key: value for key, value in _settings(domain, method).items() if key != "dataset"}
    key = hashlib.sha256(json.dumps([domain.digest, made, domain.recipe["model_name_or_path"]], sort_keys=True).encode()).hexdigest()
    return options.work / "cells" / f"{domain.name}.{method}.json", key


def _known(domain: Domain, method: str, options: argparse.Namespace) -> dict[str, Any] | None:
    return known_cell(*_cell(domain, method, options))


def _make(domain: Domain, method: str, options: argparse.Namespace) -> None:
    if _known(domain, method, options):
        return
    path, key = _cell(domain, method, options)
    entry = BaseStore(bases_dir()).get(domain.recipe["model_name_or_path"])
    base = load_base(entry.folder, entry.record, device="cpu", dtype="float32")
    found: dict[str, Any] = {"key": key}
    adapter = None
    if method != BASE:
        result = _trained(domain, method, base, options.work / "runs" / f"{domain.name}.{method}", key)
        adapter = result.adapter
        found |= {
            "bytes": (adapter / "adapter_model.safetensors").stat().st_size, "tokens": result.tokens,
            "tokens_per_second": result.tokens_per_second, "train_loss": result.train_loss, "eval_loss": result.eval_loss,
        }  # fmt: skip
    score = run_suite(ExpertEngine(base), domain.suite, adapter, batch_size=options.batch_size, limit=options.tests)
    found |= {"passed": score.passed, "total": score.total}
    keep_cell(path, found)
    print(f"{domain.name}, {method}: {score.passed} of {score.total}", flush=True)


def _trained(domain: Domain, method: str, base: BaseModel, folder: Path, key: str) -> Any:
    """A run of its own, or the rest of one that was interrupted; a folder made from anything else is removed."""
    mark = folder / "cell"
    if folder.exists() and not (mark.is_file() and mark.read_text() == key):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    mark.write_text(key)
    recipe = folder / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(_settings(domain, method), sort_keys=False), encoding="utf-8")
    return train(load_recipe(recipe), folder, base, folder, resume=has_checkpoint(folder))


def _table(domains: list[Domain], options: argparse.Namespace) -> str:
    """Markdown; a cell that was not run is empty."""
    heads = [text for domain in domains for text in (f"`{domain.name}`", "minutes")]
    lines = [f"| method | learning rate | MB | {' | '.join(heads)} |", f"|---|--:|--:|{'--:|' * len(heads)}"]
    for method in (BASE, *METHODS):
        cells = [_known(domain, method, options) for domain in domains]
        size = next((f"{cell['bytes'] / 1e6:.2f}" for cell in cells if cell and "bytes" in cell), "")
        name, rate = (TITLES[method], f"{METHODS[method]['learning_rate']:.0e}") if method != BASE else ("none: the base alone", "")
        lines.append(f"| {name} | {rate} | {size} | {' | '.join(text for cell in cells for text in _shown(cell))} |")
    return "\n".join(lines)


def _shown(cell: dict[str, Any] | None) -> tuple[str, str]:
    """Accuracy with its interval, and minutes of training."""
    if cell is None:
        return "", ""
    minutes = f"{cell['tokens'] / cell['tokens_per_second'] / 60:.1f}" if "tokens" in cell else ""
    return share(cell["passed"], cell["total"]), minutes


if __name__ == "__main__":
    main()
