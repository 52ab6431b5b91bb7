"""The one way in which a list of members becomes the bytes of an archive (container v1, strict STORED ZIP).

The writer writes what :func:`layout` says, and the reader refuses every file that differs from it in a single byte
outside the bodies of the members.

Source: PKWARE APPNOTE 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from expert_kit.errors import ArchiveError
from expert_kit.manifest import MANIFEST_NAME, path_clashes, role_of
from expert_kit.names import check_member_path, printable

ATTESTATIONS = "META/attestations/"
SIGNATURES = "META/signatures.jsonl"
MAX_ENTRIES = 256
MAX_META = 1 << 24
"""Bytes of all members under ``META/``, which no signature covers."""
MAX_SIGNATURES = 1 << 22
"""Bytes of ``META/signatures.jsonl``; 32 signatures over the largest manifest have less."""
MAX_MEMBER: dict[str, int] = {"config": 1 << 20, "probe": 1 << 20, "routing": 1 << 25, "tokenizer": 1 << 26}
"""Bytes of a member by its role, where it is not ``MAX_TEXT``; only the size of the archive limits weights."""
MAX_TEXT = 1 << 22
MAX_SIZE = (1 << 32) - 1
END_SIZE = 22
CENTRAL_SIZE = 46
LOCAL_SIZE = 30

_DOS_DATE = (1 << 5) | 1  # 1980-01-01; the time is 00:00
_MADE_BY = (3 << 8) | 10  # Unix, version 1.0
_MODE = 0o100644 << 16
_PADDING_ID = 0x4B45
_LOCAL = struct.Struct("<IHHHHHIIIHH")
_CENTRAL = struct.Struct("<IHHHHHHIIIHHHHHII")
_END = struct.Struct("<IHHHHIIH")


@dataclass(frozen=True)
class Entry:
    """One member: name, CRC-32 and size in bytes of its body."""

    name: str
    crc: int
    size: int


@dataclass(frozen=True)
class Layout:
    """Where everything stands. The file is ``header, body`` for each member in turn, then ``tail``."""

    entries: tuple[Entry, ...]
    headers: tuple[bytes, ...]
    """Local header of each member, with its padding."""
    bodies: tuple[int, ...]
    """Offset of each body."""
    tail: bytes
    """Central directory and end record."""
    size: int


def member_order(name: str) -> tuple[int, str]:
    """Sort key: manifest, payload, attestations, signatures."""
    if name == MANIFEST_NAME:
        return 0, ""
    if not name.startswith("META/"):
        return 1, name
    return (3, "") if name == SIGNATURES else (2, name)


def layout(entries: Sequence[Entry]) -> Layout:
    """Lay out these members, in the order in which they are given.

    Raises:
        UnsafePathError: a name that is no safe file name.
        ArchiveError: ``archive_member_order``, ``archive_duplicate_member``, ``archive_member_refused``,
            ``archive_too_many_members``, ``archive_member_too_large`` or ``archive_too_large``.
    """
    _check_names([entry.name for entry in entries])
    _check_sizes(entries)
    headers, bodies, central, position = [], [], [], 0
    for entry in entries:
        if position + entry.size > MAX_SIZE:
            raise _too_large()
        header = _local_header(entry, position)
        central.append(_central_header(entry, position))
        headers.append(header)
        bodies.append(position + len(header))
        position += len(header) + entry.size
    directory = b"".join(central)
    if position + len(directory) + END_SIZE > MAX_SIZE:
        raise _too_large()
    end = _END.pack(0x06054B50, 0, 0, len(entries), len(entries), len(directory), position, 0)
    tail = directory + end
    return Layout(tuple(entries), tuple(headers), tuple(bodies), tail, position + len(tail))


def parse_end(end: bytes) -> tuple[int, int, int]:
    """Number of members, size and offset of the central directory, as the last 22 bytes of the file say.

    Raises:
        ArchiveError: ``archive_no_end_record``, these are not the bytes of an end record without comment.
    """
    magic, *zeros, count, _, size, offset, comment = _END.unpack(end)
    if magic != 0x06054B50 or any(zeros) or comment:
        raise ArchiveError("the file does not end with the end record of an archive", hint="fetch it again", code="archive_no_end_record")
    return count, size, offset


def parse_directory(directory: bytes, count: int) -> list[Entry]:
    """Name, CRC and size of each member; everything else is for the comparison with the layout to judge.

    Raises:
        ArchiveError: ``archive_directory``, these are not ``count`` central headers with ASCII names and nothing more.
    """
    entries, position = [], 0
    try:
        for _ in range(count):
            fields = _CENTRAL.unpack_from(directory, position)
            crc, size, name_length = fields[7], fields[9], fields[10]
            start = position + CENTRAL_SIZE
            name = directory[start : start + name_length]
            if len(name) != name_length or fields[0] != 0x02014B50:
                raise ValueError("not a central header")
            entries.append(Entry(name.decode("ascii"), crc, size))
            position = start + name_length
    except (struct.error, ValueError) as error:
        raise ArchiveError("the central directory is damaged", hint="fetch the archive again", code="archive_directory") from error
    if position != len(directory):
        raise ArchiveError("the central directory holds more than its members", code="archive_directory")
    return entries


def _check_names(names: list[str]) -> None:
    if len(names) > MAX_ENTRIES:
        raise ArchiveError(f"{len(names)} members, at most {MAX_ENTRIES} are allowed", code="archive_too_many_members")
    for name in names:
        check_member_path(name)
        meta = name.split("/")[0].casefold() == "meta"
        attestation = name.startswith(ATTESTATIONS) and name.count("/") == 2 and name.endswith(".jsonl")
        if meta and not attestation and name != SIGNATURES:
            raise ArchiveError(f"no member may be named {printable(name)!r}", code="archive_member_refused")
    for clash in path_clashes(names):
        raise ArchiveError(clash, code="archive_duplicate_member")
    if names[:1] != [MANIFEST_NAME] or names != sorted(names, key=member_order):
        raise ArchiveError(f"the members do not begin with {MANIFEST_NAME} or are not in order", code="archive_member_order")


def _check_sizes(entries: Sequence[Entry]) -> None:
    """Everything but weights is read into memory as a whole, so its size is limited before that."""
    for entry in entries:
        if entry.size > _limit(entry.name):
            raise _member_too_large(entry.name, _limit(entry.name))
    if sum(entry.size for entry in entries if entry.name.startswith(ATTESTATIONS)) > MAX_META:
        raise _member_too_large("META/", MAX_META)


def _limit(name: str) -> int:
    if name == SIGNATURES:
        return MAX_SIGNATURES
    role = role_of(name)
    # The manifest has a limit and a code of its own in the reader.
    return MAX_SIZE if role == "weights" or name == MANIFEST_NAME else MAX_MEMBER.get(role or "", MAX_TEXT)


def _member_too_large(name: str, limit: int) -> ArchiveError:
    return ArchiveError(
        f"{printable(name)} is larger than {limit} bytes", hint="ask the publisher for a new archive", code="archive_member_too_large"
    )


def _alignment(name: str) -> int:
    return 4096 if name.endswith(".safetensors") else 64


def _padding(name: str, position: int) -> bytes:
    alignment = _alignment(name)
    gap = -(position + LOCAL_SIZE + len(name)) % alignment
    if 0 < gap < 4:  # an extra field needs four bytes for its own header
        gap += alignment
    return struct.pack("<HH", _PADDING_ID, gap - 4) + bytes(gap - 4) if gap else b""


def _local_header(entry: Entry, position: int) -> bytes:
    name, padding = entry.name.encode("ascii"), _padding(entry.name, position)
    sizes = (entry.crc, entry.size, entry.size, len(name), len(padding))
    return _LOCAL.pack(0x04034B50, 10, 0, 0, 0, _DOS_DATE, *sizes) + name + padding


def _central_header(entry: Entry, position: int) -> bytes:
    name = entry.name.encode("ascii")
    sizes = (entry.crc, entry.size, entry.size, len(name), 0)
    return _CENTRAL.pack(0x02014B50, _MADE_BY, 10, 0, 0, 0, _DOS_DATE, *sizes, 0, 0, 0, _MODE, position) + name


def _too_large() -> ArchiveError:
    return ArchiveError("the archive would be 4 GiB or larger", code="archive_too_large")
