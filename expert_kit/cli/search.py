"""``expert-kit search``: installed experts by words."""

from __future__ import annotations

from typing import Annotated

import typer

from expert_kit.cli.experts import Capabilities, ForBase, License, Namespace, Tags, emit_summaries
from expert_kit.cli.options import Json, Quiet
from expert_kit.cli.output import note
from expert_kit.names import printable


def search(
    query: Annotated[str, typer.Argument(help="Words, or beginnings of words; all must be there.", show_default=False)],
    tag: Tags = None,
    license: License = None,
    base: ForBase = None,
    namespace: Namespace = None,
    capability: Capabilities = None,
    all: Annotated[bool, typer.Option("--all", help="Every version, not only the current ones; withdrawn (yanked) ones too.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 20,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find installed experts by name, summary, tags and licence. Best matches first."""
    from expert_kit.registry import Query, Registry

    wanted = Query(
        query,
        namespace=namespace,
        tags=tuple(tag or ()),
        license=license,
        base=base,
        capabilities=tuple(capability or ()),
        current_only=not all,
        yanked=all,
        limit=limit,
    )
    found = Registry.default().find(wanted)
    emit_summaries(found, json=json, quiet=quiet)
    if not found and not json and not quiet:
        note(f'no installed expert fits "{printable(query)}"; see `expert-kit list`')
