"""``expert-kit install``: archives -> the local registry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from expert_kit.cli.experts import expert_json
from expert_kit.cli.options import Json
from expert_kit.cli.output import ask, emit, emit_json, is_interactive, note
from expert_kit.names import printable

if TYPE_CHECKING:
    from expert_kit.registry import InstalledExpert
    from expert_kit.signing import FirstUse

_WARNINGS: Final = {
    "base_family": "made on another copy of the base model than the one here",
    "base_pending": "its base model is not here; what depends on it is checked when it is first used",
    "signature_first_use": "its key is trusted from now on",
    "signature_missing": "installed without a signature: nobody vouches for it",
    "signature_skipped": "trust.toml says not to look at its signatures",
    "signature_untrusted_key": "signed by a key that nobody trusts; trust.toml says to let it in",
}


def install(
    archives: Annotated[list[Path], typer.Argument(help="Signed .expert files.", show_default=False)],
    allow_missing_base: Annotated[
        bool, typer.Option("--allow-missing-base", help="Take an expert whose base model is not here yet.")
    ] = False,
    allow_downgrade: Annotated[
        bool, typer.Option("--allow-downgrade", help="Take a lower version than one that was installed before.")
    ] = False,
    unsafe_allow_unsigned: Annotated[
        bool, typer.Option("--unsafe-allow-unsigned", help="Take an archive that nobody signed; its content can be anyone's.")
    ] = False,
    json: Json = False,
) -> None:
    """Verify and install archives. Each one is installed wholly or not at all."""
    options: dict[str, Any] = {
        "allow_missing_base": allow_missing_base,
        "allow_downgrade": allow_downgrade,
        "unsafe_allow_unsigned": unsafe_allow_unsigned,
    }
    installed = []
    for archive in archives:
        installed.append(_install(archive, options))
        if not json:
            emit(str(installed[-1].ref))
    if json:
        emit_json([expert_json(expert) for expert in installed])


def _install(archive: Path, options: dict[str, Any]) -> InstalledExpert:
    from expert_kit.base_models import BaseStore
    from expert_kit.registry import Registry, bases_dir

    ask = _ask if is_interactive() else None
    expert = Registry.default().install(archive, bases=BaseStore(bases_dir()).records(), ask=ask, **options)
    note(f"installed {expert.ref} ({expert.trust}) for {expert.base.id}")
    for code in expert.warnings:
        note(f"warning[{code}]: {_WARNINGS.get(code, f'see `expert-kit validate {printable(str(archive))}`')}")
    return expert


def _ask(use: FirstUse) -> bool:
    note(f"{use.full_name} is signed by a key that has not been seen before:")
    note(f"  {use.key_id}")
    note(f"Compare it with the fingerprint that the publisher {use.publisher} has announced elsewhere.")
    return ask(f"Trust this key for {use.scope} from now on?")
