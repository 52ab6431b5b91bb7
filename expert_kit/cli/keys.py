"""``expert-kit keys``: the user's own key pairs, and whose keys are trusted."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from expert_kit.cli.coercion import LeanTyper
from expert_kit.cli.options import Json, PassphraseFile, Quiet, read_passphrase
from expert_kit.cli.output import emit, emit_json, emit_table, note
from expert_kit.cli.roots import cosign, root, rotate
from expert_kit.cli.secrets import ask_passphrase
from expert_kit.cli.trust import trust_key, trust_store

if TYPE_CHECKING:
    from expert_kit.signing import KeyInfo

keys = LeanTyper(help="Make signing keys, and say whose keys to trust.", no_args_is_help=True)

_Key = Annotated[str, typer.Argument(help="A fingerprint, the name of an own key, or a public key PEM file.")]
_Scope = Annotated[str, typer.Option("--scope", help='What the key may sign: "ns/*" or "ns/name".')]


@keys.command(epilog="Example: expert-kit keys new release")
def new(
    name: Annotated[str, typer.Argument(help="Name of the key on this machine.")],
    key_type: Annotated[str, typer.Option("--type", help="ed25519 or p256.")] = "ed25519",
    passphrase_file: PassphraseFile = None,
    passphrase: Annotated[bool, typer.Option("--passphrase", help="Ask for a passphrase.")] = False,
    json: Json = False,
) -> None:
    """Make a key pair; the fingerprint goes to stdout."""
    from expert_kit.registry import keys_dir
    from expert_kit.signing import new_key

    secret = ask_passphrase(confirm=True) if passphrase else read_passphrase(passphrase_file)
    info = new_key(keys_dir(), name, key_type, secret)
    if json:
        emit_json(_plain(info))
        return
    emit(info.key_id)
    note(f"public key, to give away: {info.public_path}")
    note(f"next: expert-kit sign ARCHIVE --key {info.name}")


@keys.command("list", epilog="Example: expert-kit keys list --trusted")
def list_keys(
    trusted: Annotated[bool, typer.Option("--trusted", help="Show whose keys are trusted for what, instead of own keys.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """List own keys, or trusted ones."""
    rows = _trusted() if trusted else _own()
    if quiet:
        for key_id in dict.fromkeys(row["key_id"] for row in rows):
            emit(key_id)
    elif json:
        emit_json(rows)
    elif not rows:
        note("no key is trusted yet" if trusted else "no keys yet; make one with: expert-kit keys new NAME")
    elif trusted:
        emit_table(("SCOPE", "LEVEL", "FINGERPRINT"), [(row["scope"], row["level"], row["key_id"]) for row in rows])
    else:
        emit_table(("NAME", "TYPE", "FINGERPRINT"), [(row["name"], row["key_type"], row["key_id"]) for row in rows])


@keys.command(epilog="Example: expert-kit keys trust sha256:... --scope 'acme/*'")
def trust(
    key: _Key,
    scope: _Scope,
    expires: Annotated[
        str | None, typer.Option("--expires", help="Last day, YYYY-MM-DD in UTC; without it the key does not expire.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Let a key sign for a scope."""
    trust_key(key, scope, expires, as_json=json)


@keys.command(epilog="Example: expert-kit keys untrust sha256:... --scope 'acme/*'")
def untrust(key: _Key, scope: _Scope, json: Json = False) -> None:
    """Stop trusting a key for a scope. What is installed stays installed."""
    fingerprint = _identify(key)
    trust_store().remove(scope, fingerprint)
    if json:
        emit_json({"scope": scope, "key_id": fingerprint})
        return
    emit(fingerprint)
    note(f"no longer signs for {scope}")


keys.command("root", epilog="Example: expert-kit keys root acme --root-key offline --key release")(root)
keys.command("rotate", epilog="Example: expert-kit keys rotate root.json --add release-2 --drop release")(rotate)
keys.command("cosign", epilog="Example: expert-kit keys cosign 2.root.json --key offline-2")(cosign)


def _own() -> list[dict[str, Any]]:
    from expert_kit.registry import keys_dir
    from expert_kit.signing import list_keys as own_keys

    return [_plain(info) for info in own_keys(keys_dir())]


def _trusted() -> list[dict[str, Any]]:
    policies = trust_store().list()
    return [
        {"scope": policy.scope, "level": policy.level, "key_id": key, "expires": policy.expires.get(key, "")}
        for policy in policies
        for key in policy.keys
    ]


def _plain(info: KeyInfo) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(info).items()}


def _identify(text: str) -> str:
    from expert_kit.registry import keys_dir
    from expert_kit.signing import identify

    return identify(text, keys_dir())
