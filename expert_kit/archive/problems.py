"""What a check found: plain data, collected in a list, so that an author sees everything at once."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """What a problem means for the archive."""

    REFUSED = "refused"
    WARNING = "warning"
    UNCHECKED = "unchecked"
    """Not known to be bad, but it could not be checked."""


@dataclass(frozen=True)
class Problem:
    """One finding. ``code`` is stable; ``where`` is a member, a field or a tensor; ``message`` is printable."""

    code: str
    severity: Severity
    where: str
    message: str


def refused(code: str, where: str, message: str) -> Problem:
    """A problem for which the archive is refused."""
    return Problem(code, Severity.REFUSED, where, message)
