"""Builds any archive, sound or not: what the project's own writer refuses to write, a hostile publisher writes by hand.

Nothing here uses the writer, the layout or the manifest's schema, so a check that is missing there is not missing here.
"""

from __future__ import annotations

import copy
import hashlib
import io
import os
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import rfc8785

from expert_kit.archive import ArchiveReader
from expert_kit.signing import PrivateKey, sign

MANIFEST, SIGNATURES = "expert.json", "META/signatures.jsonl"
_MEDIA_TYPES = {
    "weights": "application/vnd.safetensors", "config": "application/json", "probe": "application/json",
    "routing": "application/jsonl", "grammar": "text/plain", "tokenizer": "application/json", "template": "text/plain",
    "card": "text/markdown", "license": "text/plain",
}  # fmt: skip


@dataclass(frozen=True)
class Member:
    """One member with everything that its two headers may say; ``local`` and ``central`` replace fields of one of them."""

    name: bytes
    body: bytes
    local: Mapping[str, Any] = field(default_factory=dict)
    central: Mapping[str, Any] = field(default_factory=dict)
    padding_id: int = 0x4B45
    hole: int = 0
    """Zero bytes after the body, which take no room on the disk."""
    in_directory: bool = True
    in_file: bool = True


def change(members: Sequence[Member], name: str, **changes: Any) -> list[Member]:
    """The members with one of them changed."""
    return [replace(member, **changes) if member.name == name.encode() else member for member in members]


def frame(members: Sequence[Member]) -> bytes:
    """The bytes of an archive of these members, whatever they are called and whatever they hold."""
    file = io.BytesIO()
    write_frame(file, members)
    return file.getvalue()


def write_frame(file: BinaryIO, members: Sequence[Member]) -> None:
    """The same to a file, in which holes stay holes."""
    records, offset = [], 0
    for member in members:
        if member.in_file:
            offset = file.tell()
            file.write(_local(member, offset) + member.body)
            file.seek(member.hole, os.SEEK_CUR)
        if member.in_directory:
            records.append(_central(member, offset))
    start, central, count = file.tell(), b"".join(records), len(records)
    file.write(central + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, count & 0xFFFF, count & 0xFFFF, len(central), start, 0))


def _local(member: Member, position: int) -> bytes:
    name = member.local.get("name", member.name)
    alignment = 4096 if name.endswith(b".safetensors") else 64
    gap = -(position + 30 + len(name)) % alignment
    gap += alignment if 0 < gap < 4 else 0
    padding = struct.pack("<HH", member.padding_id, gap - 4) + bytes(gap - 4) if gap else b""
    padding = member.local.get("extra", padding)
    fields = _fields(member, member.local)
    return struct.pack("<IHHHHHIIIHH", 0x04034B50, *fields, len(name), len(padding)) + name + padding


def _central(member: Member, position: int) -> bytes:
    name, extra, comment = (member.central.get(key, default) for key, default in (("name", member.name), ("extra", b""), ("comment", b"")))
    mode = member.central.get("mode", 0o100644)
    offset = member.central.get("offset", position)
    lengths = (len(name), len(extra), len(comment))
    fields = _fields(member, member.central)
    return struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 0x030A, *fields, *lengths, 0, 0, mode << 16, offset) + name + extra + comment


def _fields(member: Member, changes: Mapping[str, Any]) -> list[int]:
    size = len(member.body) + member.hole
    fields = {"version": 10, "flags": 0, "method": 0, "time": 0, "date": 33, "crc": zlib.crc32(member.body), "packed": size, "size": size}
    return [changes.get(name, value) for name, value in fields.items()]


@dataclass
class Parts:
    """An archive taken apart: the manifest as a JSON value, the payload, the signature lines."""

    value: dict[str, Any]
    bodies: dict[str, bytes]
    lines: bytes
    raw_manifest: bytes | None = None
    """Instead of the canonical bytes of ``value``."""
    meta: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, archive: Path) -> Parts:
        """Of a sound archive."""
        with ArchiveReader.open(archive) as reader:
            bodies = {entry.path: reader.read(entry.path) for entry in reader.files}
            value = reader.manifest.model_dump(mode="json", by_alias=True, exclude_none=True)
            return cls(value, bodies, reader.signatures_bytes)

    def copy(self) -> Parts:
        """One that can be changed."""
        return copy.deepcopy(self)

    def add(self, path: str, body: bytes, role: str) -> None:
        """A member with its entry in the manifest."""
        self.bodies[path] = body
        self.value["files"].append({"path": path, "role": role, "media_type": _MEDIA_TYPES.get(role, "text/plain")})

    def remove(self, path: str) -> None:
        """Take a member away, and its entry."""
        del self.bodies[path]
        self.value["files"] = [entry for entry in self.value["files"] if entry["path"] != path]

    @property
    def manifest(self) -> bytes:
        """The bytes of ``expert.json``."""
        return rfc8785.dumps(self.value) if self.raw_manifest is None else self.raw_manifest

    def seal(self) -> None:
        """Give every entry of the manifest the size and digest of its body, in the order that the format wants."""
        for entry in self.value["files"]:
            body = self.bodies.get(entry["path"])
            if body is not None:
                entry |= {"size": len(body), "sha256": "sha256:" + hashlib.sha256(body).hexdigest()}
        self.value["files"].sort(key=lambda entry: entry["path"])

    def statement(self) -> bytes:
        """What a signature covers, built from the JSON value alone."""
        digests = {entry["path"]: entry["sha256"].removeprefix("sha256:") for entry in self.value["files"]}
        digests[MANIFEST] = hashlib.sha256(self.manifest).hexdigest()
        return statement_of(digests, self.value)

    def resign(self, *keys: PrivateKey) -> None:
        """Sign what is there now."""
        self.lines = b"".join(sign(self.statement(), key) + b"\n" for key in keys)

    def members(self) -> list[Member]:
        """All members in the order of the format."""
        payload = [Member(name.encode(), self.bodies[name]) for name in sorted(self.bodies)]
        meta = [Member(name.encode(), self.meta[name]) for name in sorted(self.meta)]
        last = [Member(SIGNATURES.encode(), self.lines)] if self.lines else []
        return [Member(MANIFEST.encode(), self.manifest), *payload, *meta, *last]


def statement_of(digests: Mapping[str, str], value: Mapping[str, Any], edit: Callable[[dict[str, Any]], None] = lambda _: None) -> bytes:
    """An in-toto statement over these digests (hex); ``edit`` spoils it before it is written."""
    resources = [{"name": name, "digest": digest, "algorithm": "sha256"} for name, digest in sorted(digests.items())]
    root = hashlib.sha256(b"".join(bytes.fromhex(resource["digest"]) for resource in resources)).hexdigest()
    statement: dict[str, Any] = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": f"{value['name'].replace('/', '.')}-{value['version']}", "digest": {"sha256": root}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": []},
            "resources": resources,
        },
    }
    edit(statement)
    return rfc8785.dumps(statement)
