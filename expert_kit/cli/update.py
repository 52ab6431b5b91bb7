"""``expert-kit update``: newer versions of what is installed."""

from __future__ import annotations

from typing import Annotated

import typer

from expert_kit.cli.installing import AllowMissingBase, Indexes, Pre, describe, offer, show_proposal, terms
from expert_kit.cli.options import Json
from expert_kit.cli.output import note
from expert_kit.errors import UsageError


def update(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="ns/name or ns/name@RANGE; all installed experts if there is none.", metavar="NAME[@RANGE]", show_default=False
        ),
    ] = None,
    index: Indexes = None,
    pre: Pre = False,
    allow_missing_base: AllowMissingBase = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    json: Json = False,
) -> None:
    """Install the newest versions that fit together. All or nothing; the old versions stay, see `expert-kit rollback`."""
    from expert_kit.registry import Registry
    from expert_kit.registry.proposal import carry_out, propose_update

    if not index:
        raise UsageError("no archives to choose from", hint="name a folder of .expert files: --index DIR", code="update_no_index")
    registry, accepted = Registry.default(), terms(allow_missing_base)
    proposal = propose_update(registry, names or [], accepted, offer(index), pre=pre)
    installed = [] if dry_run else carry_out(registry, proposal, accepted)
    show_proposal(proposal, dry_run=dry_run, json=json)
    for expert in installed:
        describe(expert, ())
    if installed:
        note(f"to go back: expert-kit rollback {installed[-1].ref.full_name}")
