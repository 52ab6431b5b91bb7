"""What a look at the registry can find."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong."""

    code: str
    where: str
    """An expert, a file or a folder."""
    message: str
    fix: str
    """The command that mends it, or what to do where there is none."""
