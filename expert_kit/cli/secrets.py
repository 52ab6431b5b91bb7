"""Private keys for the commands that sign: found by name, opened with a passphrase that never is a word of the command line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from expert_kit.cli.options import read_passphrase
from expert_kit.cli.output import is_interactive, note
from expert_kit.errors import UsageError

if TYPE_CHECKING:
    from expert_kit.signing import PrivateKey, PublicKey


def ask_passphrase(*, confirm: bool = False) -> str:
    """Ask at the terminal, without an echo.

    Raises:
        UsageError: ``passphrase_needs_terminal``.
    """
    if not is_interactive():
        raise UsageError("there is no terminal to ask for a passphrase", hint="use --passphrase-file", code="passphrase_needs_terminal")
    return str(typer.prompt("passphrase", hide_input=True, confirmation_prompt=confirm, err=True))


def load_key(name: str, passphrase_file: Path | None) -> PrivateKey:
    """The own key of that name; its passphrase comes from the file, the environment or the person at the terminal.

    Raises:
        KeyFileError: see ``signing.load_private_key``. UsageError: ``passphrase_file``.
    """
    from expert_kit.registry import keys_dir
    from expert_kit.signing import find_key, load_private_key

    info = find_key(keys_dir(), name)
    secret = read_passphrase(passphrase_file)
    if secret is None and info.encrypted and is_interactive():
        note(f"key {info.name}")
        secret = ask_passphrase()
    return load_private_key(info.private_path, secret)


def load_own_keys(public: Iterable[PublicKey], passphrase_file: Path | None) -> list[PrivateKey]:
    """The private halves that are here of these keys.

    Raises:
        KeyFileError, UsageError: see :func:`load_key`.
    """
    from expert_kit.registry import keys_dir
    from expert_kit.signing import key_id, list_keys

    wanted = {key_id(key) for key in public}
    return [load_key(info.name, passphrase_file) for info in list_keys(keys_dir()) if info.key_id in wanted]
