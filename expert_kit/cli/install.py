"""``expert-kit install``: archives -> the local registry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from expert_kit.cli.experts import expert_json
from expert_kit.cli.installing import (
    AllowDowngrade,
    AllowMissingBase,
    Indexes,
    Pre,
    describe,
    offer,
    show_proposal,
    tell_passed_over,
    terms,
)
from expert_kit.cli.options import Json
from expert_kit.cli.output import counted, emit, emit_json, note
from expert_kit.errors import UsageError

if TYPE_CHECKING:
    from expert_kit.registry import InstalledExpert, Registry
    from expert_kit.registry.batch import Terms
    from expert_kit.registry.index import Index
    from expert_kit.registry.proposal import Proposal


def install(
    wanted: Annotated[
        list[str] | None,
        typer.Argument(
            help="Signed .expert files; or ns/name, ns/name@RANGE (with --index).", metavar="FILE|NAME[@RANGE]", show_default=False
        ),
    ] = None,
    index: Indexes = None,
    pre: Pre = False,
    allow_missing_base: AllowMissingBase = False,
    allow_downgrade: AllowDowngrade = False,
    unsafe_allow_unsigned: Annotated[
        bool, typer.Option("--unsafe-allow-unsigned", help="Take an archive that nobody signed; its content can be anyone's.")
    ] = False,
    frozen: Annotated[bool, typer.Option("--frozen", help="Exactly what the lock file says, or nothing.")] = False,
    lock: Annotated[Path, typer.Option("--lock", help="The lock file for --frozen.")] = Path("expert.lock"),
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only say what would be done; of named files the manifest alone is read, and no signature checked."),
    ] = False,
    json: Json = False,
) -> None:
    """Verify and install archives and what they require. All of them are installed, or none is."""
    from expert_kit.registry import Registry

    registry = Registry.default()
    accepted = terms(allow_missing_base, allow_downgrade, unsafe_allow_unsigned)
    words, offered = wanted or [], offer(index)
    if frozen:
        _frozen(registry, lock, words, accepted, offered, dry_run=dry_run, json=json)
        return
    if not words or not all(words):
        raise UsageError("name archives or experts", hint="expert-kit install FILE.expert", code="install_what")
    from expert_kit.registry.proposal import carry_out, propose_install

    proposal = propose_install(registry, words, accepted, offered, pre=pre)
    if dry_run:
        show_proposal(proposal, offered, dry_run=True, json=json)
        return
    tell_passed_over(proposal)
    _report(registry, proposal, carry_out(registry, proposal, accepted), json=json)


def _frozen(registry: Registry, path: Path, files: list[str], accepted: Terms, offered: Index, *, dry_run: bool, json: bool) -> None:
    from expert_kit.registry.lock import check_locked, propose_frozen, read_lock
    from expert_kit.registry.proposal import carry_out

    locked = read_lock(path)
    proposal = propose_frozen(registry, locked, files, accepted, offered)
    if dry_run:
        show_proposal(proposal, offered, dry_run=True, json=json)
        return
    tell_passed_over(proposal)
    _report(registry, proposal, carry_out(registry, proposal, accepted, lambda expert: check_locked(locked, expert, accepted)), json=json)
    note(f"{counted(len(locked), 'expert')} installed as the lock file says")


def _report(registry: Registry, proposal: Proposal, installed: list[InstalledExpert], *, json: bool) -> None:
    kept = [registry.get(step.candidate.ref) for step in proposal.kept]
    if json:
        emit_json([expert_json(expert) for expert in (*kept, *installed)])
    for expert in kept:
        emit(str(expert.ref)) if not json else None
        note(f"{expert.ref} is installed already; a newer one: expert-kit update {expert.ref.full_name} --index DIR")
    reasons = {step.candidate.ref: step.because for step in proposal.plan.steps}
    for expert in installed:
        emit(str(expert.ref)) if not json else None
        describe(expert, reasons.get(expert.ref, ()))
