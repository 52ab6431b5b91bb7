"""``expert-kit list``: what is installed."""

from __future__ import annotations

from typing import Annotated

import typer

from expert_kit.cli.experts import Capabilities, ForBase, License, Limit, Namespace, Tags, emit_summaries
from expert_kit.cli.options import Json, Quiet
from expert_kit.cli.output import note


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
    found = Registry.default().find(query)
    emit_summaries(found, json=json, quiet=quiet)
    if not found and not json and not quiet:
        note(_nothing(query == Query()))


def _nothing(unfiltered: bool) -> str:
    return "no experts are installed; next: expert-kit install FILE.expert" if unfiltered else "no installed expert fits these filters"
