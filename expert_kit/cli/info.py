"""``expert-kit info``: all about one installed expert."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from expert_kit.cli.experts import expert_json
from expert_kit.cli.options import Json
from expert_kit.cli.output import emit, emit_json
from expert_kit.names import printable

if TYPE_CHECKING:
    from expert_kit.registry import InstalledExpert, RoutingExample


def info(name: Annotated[str, typer.Argument(help="ns/name, or ns/name@version.", show_default=False)], json: Json = False) -> None:
    """Show an installed expert. Origin, signers, base model, adapter, files."""
    from expert_kit.registry import Registry

    registry = Registry.default()
    expert = registry.get(name)
    examples = registry.examples(expert)
    if json:
        emit_json({**expert_json(expert), "examples": [{"text": one.text, "split": one.split} for one in examples]})
        return
    for label, value in _lines(expert, examples):
        emit(f"{label}: {printable(value)}")


def _lines(expert: InstalledExpert, examples: list[RoutingExample]) -> Iterator[tuple[str, str]]:
    adapter = expert.adapter
    yield "expert", str(expert.ref) + ("" if expert.current else " (not the current version)")
    yield "summary", expert.summary
    yield "publisher", expert.publisher
    yield "license", expert.license
    yield "tags", ", ".join(expert.tags) or "none"
    yield "identity", expert.identity
    yield "installed", expert.installed_at
    yield "trust", " by ".join([expert.trust, *([", ".join(expert.signers)] if expert.signers else [])])
    yield "warnings", ", ".join(expert.warnings) or "none"
    yield "base", f"{expert.base.id} ({expert.base_match})"
    yield "adapter", f"LoRA, rank {adapter.r}, alpha {adapter.lora_alpha}, {adapter.dtype}, on {', '.join(adapter.target_modules)}"
    yield "routing", f"{len(examples)} examples" + (f', such as "{examples[0].text}"' if examples else "")
    for entry in expert.files:
        yield "file", f"{entry.path}  {entry.size} bytes  {entry.sha256}"
