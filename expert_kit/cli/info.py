"""``expert-kit info``: all about one installed expert."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from expert_kit.cli.experts import expert_json
from expert_kit.cli.options import Json
from expert_kit.cli.output import emit, emit_json
from expert_kit.names import printable

if TYPE_CHECKING:
    from expert_kit.registry import Change, InstalledExpert, RoutingExample

_CHANGES = 10


def info(name: Annotated[str, typer.Argument(help="ns/name, or ns/name@version.", show_default=False)], json: Json = False) -> None:
    """Show an installed expert. Origin, signers, base model, adapter, files."""
    from expert_kit.registry import Registry

    registry = Registry.default()
    expert = registry.get(name)
    examples = registry.examples(expert)
    changes, dependents = registry.history(expert.ref), registry.dependents(expert.ref)
    if json:
        more = {"examples": [asdict(one) for one in examples], "history": [asdict(one) for one in changes]}
        emit_json({**expert_json(expert), **more, "dependents": [str(one.ref) for one in dependents]})
        return
    for label, value in (*_lines(expert, examples), *_around(expert, changes, dependents)):
        emit(f"{label}: {printable(value)}")


def _lines(expert: InstalledExpert, examples: list[RoutingExample]) -> Iterator[tuple[str, str]]:
    adapter = expert.adapter
    yield "expert", str(expert.ref) + ("" if expert.current else " (not the current version)")
    if expert.yanked is not None:
        yield "yanked", expert.yanked
    yield "summary", expert.summary
    yield "publisher", expert.publisher
    yield "license", expert.license
    yield "tags", ", ".join(expert.tags) or "none"
    yield "identity", expert.identity
    yield "installed", expert.installed_at
    yield "trust", " by ".join([expert.trust, *([", ".join(expert.signers)] if expert.signers else [])])
    yield "warnings", ", ".join(expert.warnings) or "none"
    yield "base", f"{expert.base.id} ({expert.base_match})"
    yield "adapter", adapter.describe()
    yield "routing", f"{len(examples)} examples" + (f', such as "{examples[0].text}"' if examples else "")
    for entry in expert.files:
        yield "file", f"{entry.path}  {entry.size} bytes  {entry.sha256}"


def _around(expert: InstalledExpert, changes: Sequence[Change], dependents: Sequence[InstalledExpert]) -> Iterator[tuple[str, str]]:
    yield "requires", _ranges(expert.requires)
    yield "conflicts", _ranges(expert.conflicts)
    yield "capabilities", ", ".join(expert.capabilities) or "none"
    yield "needed by", ", ".join(str(one.ref) for one in dependents) or "none"
    for change in changes[-_CHANGES:]:
        yield "current", f"{change.version} since {change.since} ({change.cause})"


def _ranges(ranges: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {wanted}" for name, wanted in ranges.items()) or "none"
