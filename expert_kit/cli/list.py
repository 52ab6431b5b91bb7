"""``expert-kit list``: what is installed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from expert_kit.cli.experts import Capabilities, ForBase, License, Limit, Namespace, Tags, emit_summaries
from expert_kit.cli.options import Json, Quiet
from expert_kit.cli.output import note

if TYPE_CHECKING:
    from expert_kit.registry import Query, Registry, Summary


def list_experts(
    tag: Tags = None,
    license: License = None,
    base: ForBase = None,
    namespace: Namespace = None,
    capability: Capabilities = None,
    current: Annotated[bool, typer.Option("--current", help="Only the versions that a name without one means.")] = False,
    all: Annotated[bool, typer.Option("--all", help="Withdrawn (yanked) versions too.")] = False,
    limit: Limit = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """List the installed experts. A * marks the version that a name without one means."""
    from expert_kit.registry import Query, Registry

    query = Query(
        namespace=namespace,
        tags=tuple(tag or ()),
        license=license,
        base=base,
        capabilities=tuple(capability or ()),
        current_only=current,
        yanked=all,
        limit=limit,
    )
    registry = Registry.default()
    found = registry.find(query)
    emit_summaries(found, json=json, quiet=quiet)
    if json or quiet:
        return
    hidden = [] if all else _hidden(registry, query)
    for one in hidden:
        note(f"{one.name} means {one.version}, which is withdrawn and not shown; see `expert-kit list --all`")
    if not found and not hidden:
        note(_nothing(query == Query()))


def _hidden(registry: Registry, query: Query) -> list[Summary]:
    """What fits, and is left out although its name means it."""
    if not registry.yanks():  # few have any, and to look through all experts again takes its time
        return []
    return [one for one in registry.find(replace(query, current_only=True, yanked=True, limit=None)) if one.yanked is not None]


def _nothing(unfiltered: bool) -> str:
    return "no experts are installed; next: expert-kit install FILE.expert" if unfiltered else "no installed expert fits these filters"
