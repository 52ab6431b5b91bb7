"""Containers that stock tools open and we must not: the framing has one form, whoever signed the content."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence

import pytest

from tests.hostile.conftest import Gate
from tests.hostile.forge import Member, change, frame

Frame = Callable[[list[Member]], bytes]
CENTRAL = b"PK\x01\x02"
FRAMING, DIRECTORY, NO_END = "archive_framing", "archive_directory", "archive_no_end_record"


def with_member(**changes: object) -> Frame:
    """The licence's headers are changed."""
    return lambda members: frame(change(members, "LICENSE", **changes))


def both(**fields: object) -> Frame:
    return with_member(local=fields, central=fields)


def tail(edit: Callable[[bytes, bytes], bytes]) -> Frame:
    """``edit`` gets everything up to the end record, and the end record."""
    return lambda members: edit(*_split(frame(members)))


def _split(data: bytes) -> tuple[bytes, bytes]:
    return data[:-22], data[-22:]


def copied(name: str, body: bytes) -> Frame:
    """A member more, in its place in the order; nothing lists it."""
    return lambda members: frame(sorted([*members, Member(name.encode(), body)], key=_order))


def _order(member: Member) -> tuple[bool, bool, bytes]:
    return member.name != b"expert.json", member.name.startswith(b"META/"), member.name


def hidden(members: Sequence[Member]) -> bytes:
    """A member in the file that the directory does not know."""
    return frame([*members[:-1], Member(b"hidden.py", b"import os", in_directory=False), members[-1]])


def twice_listed(members: Sequence[Member]) -> bytes:
    """A record in the directory for a member that is not in the file."""
    position = next(index for index, member in enumerate(members) if member.name == b"LICENSE") + 1
    again = Member(b"NOTICE", members[position - 1].body, in_file=False)
    return frame([*members[:position], again, *members[position:]])


def zip64(body: bytes, end: bytes) -> bytes:
    record = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, 6, 6, 300, len(body) - 300)
    locator = struct.pack("<IIQI", 0x07064B50, 0, len(body), 1)
    return body + record + locator + end


def wrong_body(members: Sequence[Member]) -> bytes:
    """The right CRC over another body than the one that is there."""
    body = next(member.body for member in members if member.name == b"LICENSE")
    crc = {"crc": zlib.crc32(body)}
    return frame(change(members, "LICENSE", body=body[:-1] + b"!", local=crc, central=crc))


FRAMINGS: list[tuple[int, str, Frame, str]] = [
    (1, "parent", copied("../x", b"x"), "archive_unsafe_path"),
    (1, "absolute", copied("/etc/x", b"x"), "archive_unsafe_path"),
    (1, "inner parent", copied("a/../../x", b"x"), "archive_unsafe_path"),
    (1, "dot", copied("a/./x", b"x"), "archive_unsafe_path"),
    (1, "empty component", copied("a//x", b"x"), "archive_unsafe_path"),
    (1, "folder", copied("a/", b""), "archive_unsafe_path"),
    (1, "empty", copied("", b"x"), "archive_unsafe_path"),
    (1, "home", copied("~/x", b"x"), "archive_unsafe_path"),
    (1, "nul byte", copied("x\0.py", b"x"), "archive_unsafe_path"),
    (1, "line break", copied("x\ny", b"x"), "archive_unsafe_path"),
    (1, "escape", copied("\x1b[2J", b"x"), "archive_unsafe_path"),
    (1, "201 bytes", copied("a" * 201, b"x"), "archive_unsafe_path"),
    (1, "five levels", copied("a/b/c/d/e", b"x"), "archive_unsafe_path"),
    (1, "64 KB", copied("a" * 65_000, b"x"), FRAMING),
    (1, "not ascii", copied("\u00e9.md", b"x"), DIRECTORY),
    (1, "overlong dot", lambda members: frame([*members, Member(b"\xc0\xae\xc0\xae/x", b"x")]), DIRECTORY),
    (2, "drive", copied("C:\\x", b"x"), "archive_unsafe_path"),
    (2, "drive relative", copied("C:x", b"x"), "archive_unsafe_path"),
    (2, "unc", copied("\\\\srv\\x", b"x"), "archive_unsafe_path"),
    (2, "device", copied("aux.json", b"x"), "archive_unsafe_path"),
    (2, "stream", copied("README.md:x", b"x"), "archive_unsafe_path"),
    (2, "trailing dot", copied("README.md.", b"x"), "archive_unsafe_path"),
    (2, "trailing space", copied("README.md ", b"x"), "archive_unsafe_path"),
    (3, "backslashes", copied("a\\..\\..\\x", b"x"), "archive_unsafe_path"),
    (4, "symlink", with_member(central={"mode": 0o120777}), FRAMING),
    (4, "fifo", with_member(central={"mode": 0o010644}), FRAMING),
    (4, "device", with_member(central={"mode": 0o060644}), FRAMING),
    (4, "folder", with_member(central={"mode": 0o040755}), FRAMING),
    (4, "setuid", with_member(central={"mode": 0o104755}), FRAMING),
    (6, "same name", copied("LICENSE", b"x"), "archive_duplicate_member"),
    (6, "same name, other case", copied("license", b"x"), "archive_duplicate_member"),
    (6, "second manifest", copied("EXPERT.json", b"x"), "archive_duplicate_member"),
    (6, "file and folder", copied("LICENSE/x", b"x"), "archive_duplicate_member"),
    (7, "other local name", with_member(local={"name": b"LICENCE"}), FRAMING),
    (7, "other central name", with_member(central={"name": b"LICENCE"}), FRAMING),
    (8, "not in the directory", hidden, FRAMING),
    (8, "in the directory only", twice_listed, FRAMING),
    (9, "shell polyglot", lambda members: b"#!/bin/sh\nexit\n" + frame(members), FRAMING),
    (9, "PE polyglot", lambda members: b"MZ" + bytes(62) + frame(members), FRAMING),
    (9, "byte at the end", lambda members: frame(members) + b"\0", NO_END),
    (9, "bytes before the directory", tail(lambda body, end: body.replace(CENTRAL, b"\0" * 4 + CENTRAL, 1) + end), FRAMING),
    (10, "two archives", lambda members: frame(members) * 2, FRAMING),
    (10, "two end records", tail(lambda body, end: body + end + end), FRAMING),
    (10, "an archive as a member", lambda members: frame(change(members, "LICENSE", body=frame(members))), "archive_member_set"),
    (11, "ZIP64 records", tail(zip64), FRAMING),
    (11, "ZIP64 extra", both(extra=struct.pack("<HHQQ", 1, 16, 8, 8)), DIRECTORY),
    (11, "ZIP64 sizes", both(packed=0xFFFFFFFF, size=0xFFFFFFFF), "archive_member_too_large"),
    (12, "archive comment", tail(lambda body, end: body + end[:-2] + b"\2\0hi"), NO_END),
    (12, "member comment", with_member(central={"comment": b"hi"}), DIRECTORY),
    (12, "Unicode path", with_member(local={"extra": struct.pack("<HHBI", 0x7075, 9, 1, 0) + b"evil"}), FRAMING),
    (12, "other padding", with_member(padding_id=0x5455), FRAMING),
    (12, "data descriptor", both(flags=8), FRAMING),
    (13, "encrypted", both(flags=1), FRAMING),
    (13, "patched data", both(flags=0x20), FRAMING),
    (13, "strong encryption", both(flags=0x40), FRAMING),
    (13, "encrypted in one header", with_member(local={"flags": 1}), FRAMING),
    (13, "deflate", both(method=8), FRAMING),
    (14, "wrong CRC", both(crc=0), "archive_digest_mismatch"),
    (14, "wrong CRC in one header", with_member(local={"crc": 0}), FRAMING),
    (14, "right CRC, other body", wrong_body, "archive_digest_mismatch"),
    (15, "two records over one body", with_member(central={"offset": 0}), FRAMING),
    (16, "10 bytes said, more there", both(packed=10, size=10), FRAMING),
    (16, "more said than there", both(packed=1 << 20, size=1 << 20), FRAMING),
    (0, "no members", lambda _: frame([]), "archive_member_order"),
    (0, "no manifest", lambda members: frame(members[1:]), "archive_member_order"),
    (0, "other order", lambda members: frame([members[0], *members[:0:-1]]), "archive_member_order"),
    (0, "meta in capitals", copied("Meta/signatures.jsonl", b"x"), "archive_member_refused"),
    (0, "unknown meta", copied("META/run.jsonl", b"x"), "archive_member_refused"),
    (0, "unlisted member", copied("NOTICE", b"x"), "archive_member_set"),
    (0, "missing member", lambda members: frame([member for member in members if member.name != b"LICENSE"]), "archive_member_set"),
]  # fmt: skip


@pytest.mark.parametrize(("hostile", "code"), [case[2:] for case in FRAMINGS], ids=[f"{row}-{name}" for row, name, *_ in FRAMINGS])
def test_other_framing_is_refused(gate: Gate, form: str, hostile: Frame, code: str) -> None:
    parts = gate.parts()
    if form == "resigned":
        parts.value["summary"] = "Signed by the trusted key."
        parts.resign(gate.key)
    assert gate.code(hostile(parts.members())) == code


@pytest.mark.parametrize("name", ["../x", "/etc/x", "C:\\x", "a\\..\\x", "LICENSE/x", "META/x.md", "aux.md", "README.MD"])
def test_a_manifest_that_lists_a_hostile_name_is_refused_though_signed(gate: Gate, name: str) -> None:
    parts = gate.parts()
    parts.add(name, b"x", "license")
    parts.seal()
    parts.resign(gate.key)
    assert gate.code(frame(parts.members())) in {"archive_unsafe_path", "archive_duplicate_member", "archive_member_refused"}
    members = [member for member in parts.members() if member.name != name.encode()]
    assert gate.code(frame(members)) == "manifest_invalid"  # listed, and not there


def test_the_twin_is_accepted(gate: Gate) -> None:
    gate.accepts(frame(gate.sound.members()))
