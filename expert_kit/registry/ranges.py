"""Version ranges as npm writes them: ``^1.2``, ``~1.2.3``, ``>=1.0.0 <2``, ``1.x``, ``1.2 - 1.4``, ``^1 || ^3``.

A pre-release is in a range only if the range itself names a pre-release of the same three numbers, or if the caller
asks for pre-releases. Build metadata counts only in an exact ``1.0.0+build``.

Why not ``semantic_version.NpmSpec``: 2.10.0 finds 1.0.0 in ``1.0.0-rc.1`` and 1.0.0-rc.3 in ``<1.0.0-rc.2``. Where no
pre-release is involved both agree, and a test sees to it.

Source: github.com/npm/node-semver, "Ranges".
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, Self

from expert_kit.errors import ExpertKitError, UnknownNameError
from expert_kit.names import VersionKey, parse_version, printable, version_key

MAX_RANGE_LENGTH = 128

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq,
}  # fmt: skip
_N, _X = r"(?:0|[1-9][0-9]*)", r"[xX*]"
_PARTIAL = (
    rf"(?:{_X}(?:\.{_X}){{0,2}}|{_N}(?:\.{_X}){{0,2}}|{_N}\.{_N}(?:\.{_X})?|{_N}\.{_N}\.{_N}(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?)"
)
_SIGN = r"<=|>=|<|>|=|\^|~"
# Compiled at their first use, by ``re`` itself: the load path imports this module and seldom reads a range.
_GAP = rf"({_SIGN}) +"
_WORD = rf"({_SIGN})?({_PARTIAL})"
_HYPHEN = rf"({_PARTIAL}) +- +({_PARTIAL})"


class _Partial(NamedTuple):
    """A version of which the last numbers may be missing."""

    numbers: tuple[int, ...]
    suffix: str
    """Pre-release and build, with their signs."""

    @property
    def full(self) -> bool:
        return len(self.numbers) == 3

    @property
    def low(self) -> str:
        """The lowest version that begins like this one."""
        return _spell(self.numbers) + (self.suffix.split("+")[0] if self.full else "-0")

    @property
    def text(self) -> str:
        return _spell(self.numbers) + self.suffix

    def after(self, level: int) -> str:
        """What comes right after everything that is equal in the numbers 0 to ``level``; ``-0`` is the lowest pre-release."""
        return _spell((*self.numbers[:level], self.numbers[level] + 1)) + "-0"


def _spell(numbers: tuple[int, ...]) -> str:
    return ".".join(str(number) for number in (*numbers, 0, 0)[:3])


def _equal(part: _Partial) -> list[tuple[str, str]]:
    return [("=", part.text)] if part.full else [(">=", part.low), ("<", part.after(len(part.numbers) - 1))]


def _above(part: _Partial) -> list[tuple[str, str]]:
    return [(">", part.low)] if part.full else [(">=", part.after(len(part.numbers) - 1))]


def _up_to(part: _Partial) -> list[tuple[str, str]]:
    return [("<=", part.low)] if part.full else [("<", part.after(len(part.numbers) - 1))]


def _tilde(part: _Partial) -> list[tuple[str, str]]:
    return [(">=", part.low), ("<", part.after(min(1, len(part.numbers) - 1)))]


def _caret(part: _Partial) -> list[tuple[str, str]]:
    first = next((at for at, number in enumerate(part.numbers) if number), len(part.numbers) - 1)
    return [(">=", part.low), ("<", part.after(first))]


_EXPAND: dict[str, Callable[[_Partial], list[tuple[str, str]]]] = {
    "": _equal,
    "=": _equal,
    ">": _above,
    ">=": lambda part: [(">=", part.low)],
    "<": lambda part: [("<", part.low)],
    "<=": _up_to,
    "~": _tilde,
    "^": _caret,
}


@dataclass(frozen=True)
class _Bound:
    sign: str
    version: str
    names_pre_release: bool
    """Whoever wrote the range wrote this pre-release."""

    def holds(self, version: str) -> bool:
        if self.sign == "=" and "+" in self.version:
            return version == self.version
        return _COMPARE[self.sign](_key(version), _key(self.version))


@dataclass(frozen=True)
class VersionRange:
    """A parsed range; ``str()`` is what was written."""

    text: str
    _sets: tuple[tuple[_Bound, ...], ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take a range of at most 128 characters.

        Raises:
            UnknownNameError: ``range_invalid``.
        """
        try:
            if len(text) > MAX_RANGE_LENGTH:
                raise ValueError
            return cls(text.strip(" "), tuple(_parse_set(part) for part in text.split("||")))
        except (ValueError, ExpertKitError) as error:
            raise UnknownNameError(
                f"not a version range: {printable(text[:MAX_RANGE_LENGTH])!r}",
                hint="write it as npm does: ^1.2, ~1.2.3, >=1.0.0 <2, 1.x, 1.2 - 1.4, ^1 || ^3",
                code="range_invalid",
            ) from error

    @property
    def exact(self) -> str | None:
        """The one version that is meant, or None."""
        only = self._sets[0]
        return only[0].version if len(self._sets) == 1 and len(only) == 1 and only[0].sign == "=" else None

    def matches(self, version: str, *, pre: bool = False) -> bool:
        """Whether this SemVer version is in the range; ``pre`` lets in every pre-release between the bounds."""
        return any(_holds(bounds, version, pre) for bounds in self._sets)

    def __str__(self) -> str:
        return self.text


ANY = VersionRange("*", ((),))


def is_pre_release(version: str) -> bool:
    """Whether a SemVer version is a pre-release."""
    return "-" in version.split("+")[0]


def is_range(text: str) -> bool:
    """Whether :meth:`VersionRange.parse` takes it."""
    with suppress(UnknownNameError):
        return bool(VersionRange.parse(text))
    return False


@lru_cache(maxsize=4096)
def in_range(version: str, text: str, *, pre: bool = False) -> bool:
    """Whether a version is in a written range.

    Raises:
        UnknownNameError: ``range_invalid`` or ``version_invalid``.
    """
    return VersionRange.parse(text).matches(version, pre=pre)


@lru_cache(maxsize=4096)
def _key(version: str) -> VersionKey:
    return version_key(version)


def _holds(bounds: tuple[_Bound, ...], version: str, pre: bool) -> bool:
    if not all(bound.holds(version) for bound in bounds):
        return False
    if pre or not is_pre_release(version):
        return True
    return any(bound.names_pre_release and _key(bound.version)[:3] == _key(version)[:3] for bound in bounds)


def _parse_set(text: str) -> tuple[_Bound, ...]:
    hyphen = re.fullmatch(_HYPHEN, text.strip(" "))
    if hyphen:
        return (*_expand(">=", hyphen[1]), *_expand("<=", hyphen[2]))
    words = re.sub(_GAP, r"\1", text).split(" ")
    matches = [re.fullmatch(_WORD, word) for word in words if word]
    if not matches or None in matches:
        raise ValueError
    return tuple(bound for match in matches if match for bound in _expand(match[1] or "", match[2]))


def _expand(sign: str, text: str) -> list[_Bound]:
    core, plus, build = text.partition("+")
    core, dash, pre = core.partition("-")
    part = _Partial(tuple(int(word) for word in core.split(".") if word.isdigit()), dash + pre + plus + build)
    if not part.numbers:
        if sign not in {"", "=", ">="}:
            raise ValueError
        return []
    if part.full:
        parse_version(part.text)
    own = {part.low, part.text} if dash else set()
    return [_Bound(op, version, version in own) for op, version in _EXPAND[sign](part)]
