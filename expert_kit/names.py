"""Names and digests: parsed once, typed from there on.

Everything that a package may call itself by is spelled here: ``ns/name@version``, ``sha256:<hex>`` and the path of a
member. Text that came out of a package passes :func:`printable` before it reaches a terminal or a log.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from typing import NewType, Self

from expert_kit.errors import ManifestError, UnknownNameError, UnsafePathError

Digest = NewType("Digest", str)
"""``sha256:`` and 64 lower-case hex digits; made by :func:`parse_digest` or :func:`sha256_digest` only."""

NAME_PATTERN = r"[a-z0-9][a-z0-9-]{0,62}"
DIGEST_PATTERN = r"sha256:[0-9a-f]{64}"
MAX_VERSION_LENGTH = 64
MAX_PATH_LENGTH = 200
MAX_PATH_LEVELS = 4

_NAME = re.compile(NAME_PATTERN)
_DIGEST = re.compile(DIGEST_PATTERN)
_COMPONENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
# SemVer 2.0, the expression of semver.org with ASCII digits only.
_VERSION = re.compile(
    r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)"
    r"(?:-((?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?"
)
_BIDI = frozenset({"RLE", "LRE", "RLO", "LRO", "PDF", "RLI", "LRI", "FSI", "PDI"})
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))})

VersionKey = tuple[int, int, int, tuple[tuple[int, int, str], ...]]


def parse_digest(text: str) -> Digest:
    """Take a digest in its one spelling.

    Raises:
        ManifestError: ``digest_invalid``, not ``sha256:`` and 64 lower-case hex digits.
    """
    if not _DIGEST.fullmatch(text):
        raise ManifestError(f"not a digest: {printable(text[:80])!r} (want sha256:<64 lower-case hex digits>)", code="digest_invalid")
    return Digest(text)


def sha256_digest(data: bytes | bytearray | memoryview) -> Digest:
    """Digest of these bytes."""
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def parse_version(text: str) -> str:
    """Take a SemVer 2.0 version of at most 64 characters, without a ``v`` and without normalising.

    Raises:
        UnknownNameError: ``version_invalid``.
    """
    return _match_version(text).string


def version_key(version: str) -> VersionKey:
    """Sort key of SemVer precedence: a pre-release is below its release, build metadata does not count.

    Raises:
        UnknownNameError: ``version_invalid``.
    """
    major, minor, patch, pre = _match_version(version).group(1, 2, 3, 4)
    if pre is None:
        return int(major), int(minor), int(patch), ((2, 0, ""),)
    parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in pre.split("."))
    # The end sorts below any further part: 1.0.0-rc is below 1.0.0-rc.1.
    return int(major), int(minor), int(patch), (*parts, (-1, 0, ""))


def _match_version(text: str) -> re.Match[str]:
    match = _VERSION.fullmatch(text) if len(text) <= MAX_VERSION_LENGTH else None
    if match is None:
        raise UnknownNameError(
            f"not a version: {printable(text[:80])!r}", hint="use SemVer 2.0 with three numbers, such as 1.0.0", code="version_invalid"
        )
    return match


def check_member_path(path: str) -> str:
    """Return the path if it is a safe file name on Linux, macOS and Windows alike.

    Raises:
        UnsafePathError: anything but 1 to 4 plain components, 200 bytes in all, joined by ``/``.
    """
    parts = path.split("/")
    safe = len(path) <= MAX_PATH_LENGTH and len(parts) <= MAX_PATH_LEVELS and all(_is_safe_component(part) for part in parts)
    if not safe:
        raise UnsafePathError(f"unsafe member name {printable(path[:MAX_PATH_LENGTH])!r}", hint="ask the publisher for a new archive")
    return path


def _is_safe_component(part: str) -> bool:
    return bool(_COMPONENT.fullmatch(part)) and not part.endswith(".") and part.split(".")[0].casefold() not in _DEVICES


def printable(text: str) -> str:
    r"""Escape what could steer a terminal or break a log line: every character but printable ones becomes ``\u{..}``.

    Line breaks, tabs, escapes and bidirectional controls are not printable. The result is one line.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else f"\\u{{{ord(char):x}}}" for char in text)


def steers(char: str) -> bool:
    """Whether a character of a longer text could steer a terminal: control characters and bidirectional overrides.

    Lines, tabs, spaces of any kind and the joiners of scripts and emoji are text.
    """
    return (unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\t") or unicodedata.bidirectional(char) in _BIDI


@dataclass(frozen=True, order=True)
class ExpertRef:
    """An expert by name, with or without a version. The constructor checks; :meth:`parse` takes the written form."""

    namespace: str
    name: str
    version: str | None = None

    def __post_init__(self) -> None:
        """Refuse parts that are no names.

        Raises:
            UnknownNameError: ``name_invalid`` or ``version_invalid``.
        """
        for part in (self.namespace, self.name):
            if not _NAME.fullmatch(part) or part in _DEVICES:
                raise _bad_name(f"{self.namespace}/{self.name}")
        if self.version is not None:
            parse_version(self.version)

    @property
    def full_name(self) -> str:
        """``ns/name``, without the version."""
        return f"{self.namespace}/{self.name}"

    @property
    def file_stem(self) -> str:
        """``ns.name-version``, the base name of the archive and of a detached signature.

        Raises:
            UnknownNameError: ``version_invalid``, the reference has no version.
        """
        return f"{self.namespace}.{self.name}-{parse_version(self.version or '')}"

    def __str__(self) -> str:
        """The written form, which :meth:`parse` takes."""
        return self.full_name if self.version is None else f"{self.full_name}@{self.version}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take ``ns/name`` or ``ns/name@1.2.0``.

        Raises:
            UnknownNameError: ``name_invalid`` or ``version_invalid``.
        """
        full_name, at, version = text.partition("@")
        parts = full_name.split("/")
        if len(parts) != 2:
            raise _bad_name(text)
        return cls(parts[0], parts[1], version if at else None)


def _bad_name(text: str) -> UnknownNameError:
    return UnknownNameError(
        f"not an expert name: {printable(text[:160])!r}",
        hint="write namespace/name or namespace/name@version, in lower-case letters, digits and '-', such as expert-kit/sql@1.0.0",
        code="name_invalid",
    )
