"""Next steps that name a key: never one that only the file in question vouches for, without saying so."""

from __future__ import annotations

import shlex
from collections.abc import Sequence


def trust_command(key: str, scope: str) -> str:
    """The command that trusts a key, as a shell takes it."""
    return f"expert-kit keys trust {key} --scope {shlex.quote(scope)}"


def untrust_command(key: str, scope: str) -> str:
    """The reverse."""
    return f"expert-kit keys untrust {key} --scope {shlex.quote(scope)}"


def compare_first(publisher: str, commands: Sequence[str]) -> str:
    """What to do about a key that nothing but the file vouches for, before any of ``commands``."""
    what = f"anybody can make a key and sign with it: ask {publisher} for its fingerprint in another way"
    return f"{what}, and only if it is the same: {' ; '.join(commands)}" if commands else what
