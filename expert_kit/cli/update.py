"""``expert-kit update``: newer versions of what is installed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from expert_kit.cli.installing import AllowMissingBase, Indexes, Pre, describe, offer, show_proposal, terms
from expert_kit.cli.options import Json
from expert_kit.cli.output import note
from expert_kit.errors import ArchiveError, UsageError

_LISTED = 5


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
    """Install the newest versions that fit together. All or nothing; the old versions stay, see `expert-kit rollback`.

    A damaged archive is passed over; the rest is done, and the exit code is 4.
    """
    from expert_kit.registry import Registry
    from expert_kit.registry.proposal import carry_out, propose_update

    if not index:
        raise UsageError("no archives to choose from", hint="name a folder of .expert files: --index DIR", code="update_no_index")
    registry, accepted = Registry.default(), terms(allow_missing_base)
    offered = offer(index)
    proposal = propose_update(registry, names or [], accepted, offered, pre=pre)
    installed = [] if dry_run else carry_out(registry, proposal, accepted)
    show_proposal(proposal, offered, dry_run=dry_run, json=json)
    for expert in installed:
        describe(expert, ())
    if installed:
        note(f"to go back: expert-kit rollback {installed[-1].ref.full_name}")
    damaged = [one.path for one in proposal.passed_over if one.damaged] + [bad.path for bad in offered.bad if bad.damaged]
    if damaged:
        raise _passed_over(damaged)


def _passed_over(damaged: Sequence[Path]) -> ArchiveError:
    more = f" and {len(damaged) - _LISTED} more" if len(damaged) > _LISTED else ""
    message = f"damaged, and therefore passed over: {', '.join(map(str, damaged[:_LISTED]))}{more}"
    return ArchiveError(message, hint="fetch it again, or remove it", code="update_damaged")
