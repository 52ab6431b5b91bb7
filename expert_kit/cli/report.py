"""``expert-kit eval --report``: what was measured as JSON, as a model card and as a chart."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expert_kit.cli.output import note, write_whole, writing
from expert_kit.cli.suites import recipe_file
from expert_kit.errors import ExpertKitError, ManifestError, UsageError
from expert_kit.names import printable

if TYPE_CHECKING:
    from expert_kit.archive import ManifestSource
    from expert_kit.bases import AdapterSpec
    from expert_kit.evaluation.card import CardFacts
    from expert_kit.inference import ExpertEngine

REPORT, CARD, CHART = "report.json", "card.md", "chart.png"
_EXAMPLES = 5


def report_file(path: Path) -> Path:
    """The JSON, where the folder that ``eval --report`` wrote may be named instead."""
    return path / REPORT if path.is_dir() else path


def write_report(folder: Path, report: dict[str, Any], facts: CardFacts) -> None:
    """``report.json``, ``card.md`` and ``chart.png``.

    Raises:
        CapacityError: ``output_unwritable``.
    """
    from expert_kit.evaluation.card import model_card
    from expert_kit.evaluation.chart import draw_report

    write_whole(folder / REPORT, jsonlib.dumps(report, indent=2) + "\n")
    write_whole(folder / CARD, model_card(report, facts))
    with writing(folder / CHART):
        draw_report(report, folder / CHART)
    note(f"report: {printable(str(folder / CARD))}; next: expert-kit package SOURCE --report {printable(str(folder))}")


def facts_of(engine: ExpertEngine, label: str, choice: Any, recipe: Path) -> CardFacts:
    """What is known about the choice that a report is for: an installed expert, an adapter folder, or neither."""
    from expert_kit.evaluation.card import CardFacts
    from expert_kit.training import load_recipe

    base = engine.base.record.fingerprint
    found: dict[str, Any] = {"name": label, "summary": "", "license": "", "adapter": ""}
    if isinstance(choice, Path):
        found |= _of_folder(choice)
    elif choice is not None and (installed := _installed(engine, label)):
        found |= installed
    path = recipe_file(recipe)
    data = _data(load_recipe(path), path.parent)
    return CardFacts(target=label, base=base.id, base_sha256=base.weights_root_sha256, data=data, **found)


def _installed(engine: ExpertEngine, label: str) -> dict[str, Any]:
    from expert_kit.names import ExpertRef

    if engine.registry is None:
        return {}
    try:
        expert = engine.registry.get(ExpertRef.parse(label))
    except ExpertKitError:  # a mix, or the router's choice
        return {}
    examples = tuple(example.text for example in engine.registry.examples(expert) if example.split == "fit")
    found = {"name": str(expert.ref), "summary": expert.summary, "license": expert.license, "adapter": _adapter(expert.adapter)}
    return {**found, "examples": examples[:_EXAMPLES]}


def _of_folder(folder: Path) -> dict[str, Any]:
    """From the adapter's configuration, and from the source of an expert if the folder is part of one."""
    from expert_kit.archive import load_source, parse_examples, spec_of_config
    from expert_kit.inference.experts import read_adapter_file

    found: dict[str, Any] = {"adapter": _adapter(spec_of_config(read_adapter_file(folder / "adapter_config.json"), "F32"))}
    if not (folder.parent / "expert.yaml").is_file():
        return found
    try:
        source: ManifestSource = load_source(folder.parent)
    except ManifestError as error:  # such as one whose evaluation is what is being made
        note(f"the card says nothing about the expert: {error}")
        return found
    examples = parse_examples(source.examples.read_bytes()) if source.examples is not None else ()
    asked = tuple(example.text for example in examples if example.split == "fit")[:_EXAMPLES]
    name = f"{source.name}@{source.version}"
    return {**found, "name": name, "summary": source.summary, "license": source.license, "examples": asked}


def _adapter(spec: AdapterSpec) -> str:
    rank = f" of rank {spec.r}" if spec.r else ""
    targets = f" on {', '.join(spec.target_modules)}" if spec.target_modules else ""
    return f"{spec.peft_type}{rank}{targets}" + (f", with {' and '.join(spec.modules_to_save)} of its own" if spec.modules_to_save else "")


def _data(recipe: Any, folder: Path) -> str:
    path = folder / recipe.dataset.train
    try:
        rows = sum(1 for line in path.read_bytes().split(b"\n") if line.strip())
    except OSError:
        return f"`{recipe.dataset.train}` of the recipe `{folder.name}`"
    return f"{rows} rows, `{recipe.dataset.train}` of the recipe `{folder.name}`"


def read_report(path: Path) -> dict[str, Any]:
    """A report with the rows under ``results``.

    Raises:
        UsageError: ``predicate_file``.
    """
    from expert_kit.registry.plain_file import read_plain
    from expert_kit.signing.canonical import parse_free

    file = report_file(path)
    try:
        found = parse_free(read_plain(file))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"cannot read {printable(str(file))}: {reason}", hint="name a JSON file", code="predicate_file") from error
    if not isinstance(found.get("results"), list):
        hint = "make one with: expert-kit eval ... --report FOLDER"
        raise UsageError(f"{printable(str(file))} is no report: it has no results", hint=hint, code="predicate_file")
    return found


def measured_on(report: dict[str, Any]) -> dict[str, str]:
    """Digests of the files that the suites under ``results`` were read from, as far as the report says."""
    from expert_kit.manifest import GENERAL_SUITE

    wanted = {row.get("suite") for row in report["results"] if isinstance(row, dict)}
    named = [(row.get("suite"), row.get("file_sha256")) for row in _rows(report, "scores")]
    named += [(GENERAL_SUITE, row.get("text_sha256")) for row in _rows(report, "general")]
    return {suite: f"sha256:{digest}" for suite, digest in named if isinstance(digest, str) and isinstance(suite, str) and suite in wanted}


def _rows(report: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = report.get(key)
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
