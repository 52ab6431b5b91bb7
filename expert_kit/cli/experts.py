"""How installed experts look: one as JSON, many as lines, and the filters that many commands share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from json import dumps
from typing import TYPE_CHECKING, Annotated, Any

import typer

from expert_kit.cli.output import emit, emit_table
from expert_kit.names import printable

if TYPE_CHECKING:
    from expert_kit.registry import InstalledExpert, Summary

Tags = Annotated[list[str] | None, typer.Option("--tag", help="Only experts with this tag; several: with all of them.", show_default=False)]
License = Annotated[str | None, typer.Option("--license", help="Only this SPDX licence expression.", show_default=False)]
ForBase = Annotated[str | None, typer.Option("--base", help="Only experts for this base model, by its id.", show_default=False)]
Namespace = Annotated[str | None, typer.Option("--namespace", help="Only experts of this publisher.", show_default=False)]
Capabilities = Annotated[
    list[str] | None, typer.Option("--capability", help="Only experts with this capability; several: with all of them.", show_default=False)
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="At most so many.", show_default=False)]


def expert_json(expert: InstalledExpert) -> dict[str, Any]:
    """Plain data; ``expert`` is the full name with the version."""
    fields = asdict(expert)
    del fields["ref"]
    return {"expert": str(expert.ref), "name": expert.ref.full_name, "version": expert.ref.version, **fields}


def emit_summaries(found: Sequence[Summary], *, json: bool, quiet: bool) -> None:
    """A line each, or ids, or JSON; a * marks the version that a name without one means."""
    if quiet:
        emit("\n".join(printable(one.ref) for one in found)) if found else None
    elif json:
        # A line each: json.dumps with an indent is several times slower, which one notices with thousands of experts.
        emit("[" + ",\n ".join(dumps(one.to_json()) for one in found) + "]")
    elif found:
        emit_table(("", "EXPERT", "BASE", "TRUST", "SUMMARY"), [_cells(one) for one in found])


def _cells(one: Summary) -> tuple[str, ...]:
    summary = one.summary if one.yanked is None else f"(yanked: {one.yanked}) {one.summary}"
    return "*" if one.current else "", one.ref, f"{one.base_id} ({one.base_match})", one.trust, summary
