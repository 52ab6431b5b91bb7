"""What ``install`` and ``update`` have in common: options, terms, the archives on offer, and what they tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from expert_kit.cli.lookalikes import warn_of_lookalikes
from expert_kit.cli.output import ask, emit, emit_json, is_interactive, note
from expert_kit.names import printable

if TYPE_CHECKING:
    from expert_kit.registry import InstalledExpert
    from expert_kit.registry.batch import Terms
    from expert_kit.registry.index import Index
    from expert_kit.registry.proposal import Proposal
    from expert_kit.signing import FirstUse

Indexes = Annotated[
    list[Path] | None,
    typer.Option(
        "--index", metavar="DIR", help="A folder of .expert files to choose from; may be given several times.", show_default=False
    ),
]
Pre = Annotated[bool, typer.Option("--pre", help="Let in pre-releases.")]
AllowMissingBase = Annotated[bool, typer.Option("--allow-missing-base", help="Take an expert whose base model is not here yet.")]
AllowDowngrade = Annotated[bool, typer.Option("--allow-downgrade", help="Take a lower version than one that was installed before.")]

WARNINGS: Final = {
    "base_family": "made on another copy of the base model than the one here",
    "adapter_norm_outlier": "some of its weights are unusually large; see `expert-kit validate`",
    "base_pending": "its base model is not here; what depends on it is checked when it is first used",
    "name_confusable": "its name or publisher looks like another one that is installed; look twice whose it is",
    "probe_missing": "it brings no probe: what it does on this base model was not checked",
    "signature_first_use": "its key is trusted from now on",
    "signature_missing": "installed without a signature: nobody vouches for it",
    "signature_skipped": "trust.toml says not to look at its signatures",
    "attestation_missing": "an attestation that trust.toml requires is missing; the policy is permissive",
    "revocation_list_stale": "its publisher's revocation list is too old to rely on; see `expert-kit trust list`",
    "signature_key_expired": "its key has expired; trust.toml says to let it in",
    "trust_root_expired": "its publisher's root has expired; see `expert-kit trust list`",
    "signature_untrusted_key": "signed by a key that nobody trusts; trust.toml says to let it in",
}


def terms(allow_missing_base: bool, allow_downgrade: bool = False, unsafe_allow_unsigned: bool = False) -> Terms:
    """On which terms archives are let in: the options, the base models here, and a person to ask if there is one."""
    from expert_kit.base_models import BaseStore
    from expert_kit.cli.probing import Probing
    from expert_kit.registry import bases_dir
    from expert_kit.registry.batch import Terms

    return Terms(
        BaseStore(bases_dir()).records(),
        allow_missing_base=allow_missing_base,
        ask=_ask if is_interactive() else None,
        unsafe_allow_unsigned=unsafe_allow_unsigned,
        allow_downgrade=allow_downgrade,
        probe=Probing().run,
    )


def offer(folders: Sequence[Path] | None) -> Index:
    """The archives of these folders; what is left out is told."""
    from expert_kit.registry import cache_dir
    from expert_kit.registry.index import read_index
    from expert_kit.registry.proposal import bad_archives

    index = read_index([folder.expanduser() for folder in folders or ()], cache_dir() / "indexes")
    for line in bad_archives(index):
        note(f"warning: {printable(line)}")
    return index


def describe(expert: InstalledExpert, because: Sequence[str]) -> None:
    """Tell what was installed, why, and with which warnings."""
    note(f"installed {expert.ref} ({expert.trust}) for {expert.base.id}")
    for reason in because:
        if not reason.startswith("you asked"):
            note(f"  because {printable(reason)}")
    for code in expert.warnings:
        note(f"warning[{code}]: {WARNINGS.get(code, f'see `expert-kit info {expert.ref}`')}")


def show_proposal(proposal: Proposal, offered: Index, *, dry_run: bool, json: bool) -> None:
    """The steps of a plan as data; what was passed over is told, with what could not even be read."""
    if json:
        passed_over: list[dict[str, Any]] = [{**asdict(one), "path": str(one.path)} for one in proposal.passed_over]
        passed_over += [{"expert": None, **asdict(bad), "path": str(bad.path), "damaged": bad.damaged} for bad in offered.bad]
        emit_json({"dry_run": dry_run, "steps": proposal.to_json(), "passed_over": passed_over})
        return
    tell_passed_over(proposal)
    for step in proposal.plan.steps:
        was = f" (now {step.previous})" if step.previous and step.action != "keep" else ""
        emit(f"{step.action} {step.candidate.ref}{was}: {printable('; '.join(step.because))}")
    if not proposal.plan.changes:
        note("nothing to do")


def tell_passed_over(proposal: Proposal) -> None:
    """Warn of the archives that were left out of the plan."""
    from expert_kit.registry.screening import lines_of

    for line in lines_of(proposal.passed_over):
        note(f"warning: {printable(line)}")


def _ask(use: FirstUse) -> bool:
    note(f"{use.full_name} is signed by a key that has not been seen before:")
    note(f"  {use.key_id}")
    warn_of_lookalikes(use.publisher)
    note(f"Compare it with the fingerprint that the publisher {use.publisher} has announced elsewhere.")
    return ask(f"Trust this key for {use.scope} from now on?")
