"""Writes ``.expert`` files: the same input gives the same bytes, and a file is there whole or not at all."""

from __future__ import annotations

import hashlib
import os
import secrets
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from expert_kit.archive.layout import Entry, layout, member_order
from expert_kit.archive.reader import CHUNK, ArchiveReader
from expert_kit.errors import ArchiveError, CapacityError, DigestMismatchError
from expert_kit.manifest import MANIFEST_NAME, Manifest
from expert_kit.names import printable
from expert_kit.whole_file import sync_folder

_Body = Callable[[str], Iterator[bytes]]


def write_archive(out: Path, manifest: Manifest, members: Mapping[str, Path | bytes], meta: Mapping[str, bytes] | None = None) -> Path:
    """Write an archive; an existing file of that name is replaced when the new one is complete.

    Args:
        out: the file to write; its folder exists.
        manifest: lists exactly the names in ``members``, with their sizes and digests.
        members: body of each payload member, as bytes or as a file to copy.
        meta: bodies of the members under ``META/``.

    Raises:
        ArchiveError: ``archive_member_set``, members and manifest list different names; what ``layout`` raises.
        DigestMismatchError: a body is not the one that the manifest lists.
        CapacityError: the file cannot be written.
    """
    if sorted(members) != [entry.path for entry in manifest.files]:
        raise ArchiveError("members and manifest do not list the same names", code="archive_member_set")
    _check_meta(meta or {})
    bodies: dict[str, Path | bytes] = {MANIFEST_NAME: manifest.to_bytes(), **members, **(meta or {})}
    _write(out, sorted(bodies, key=member_order), lambda name: _chunks(bodies[name]), _digests(manifest))
    return out


def replace_meta(path: Path, out: Path, meta: Mapping[str, bytes]) -> Path:
    """Write the archive ``path`` to ``out`` (which may be the same file) with these members under ``META/`` and no others.

    The manifest and the payload keep their bytes, so the identity stays.

    Raises:
        ArchiveError, ManifestError, DigestMismatchError: ``path`` is not a sound archive, or ``meta`` has a name that is not allowed.
        CapacityError: the file cannot be written.
    """
    _check_meta(meta)
    with ArchiveReader.open(path) as reader:
        kept = [entry.name for entry in reader.entries if not entry.name.startswith("META/")]
        names = kept + sorted(meta, key=member_order)
        _write(out, names, lambda name: iter((meta[name],)) if name in meta else reader.chunks(name), _digests(reader.manifest))
    return out


def _check_meta(meta: Mapping[str, bytes]) -> None:
    for name in meta:
        if not name.startswith("META/"):
            raise ArchiveError(f"{printable(name)!r} is not a name under META/", code="archive_member_refused")


def _digests(manifest: Manifest) -> dict[str, str]:
    return {entry.path: entry.sha256 for entry in manifest.files}


def _chunks(body: Path | bytes) -> Iterator[bytes]:
    if isinstance(body, bytes):
        yield body
        return
    with body.open("rb") as file:
        while piece := file.read(CHUNK):
            yield piece


def _write(out: Path, names: list[str], body: _Body, digests: Mapping[str, str]) -> None:
    plan = layout([_measure(name, body(name), digests.get(name)) for name in names])
    temporary = out.with_name(f".{out.name}.{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            for entry, header in zip(plan.entries, plan.headers, strict=True):
                file.write(header)
                crc = 0
                for piece in body(entry.name):
                    crc = zlib.crc32(piece, crc)
                    file.write(piece)
                if crc != entry.crc:
                    raise DigestMismatchError(f"{entry.name} changed while it was packed", hint="pack again")
            file.write(plan.tail)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(out)
        sync_folder(out.parent)
    except OSError as error:
        raise CapacityError(f"cannot write {printable(str(out))}: {error.strerror}", hint="check the folder and the free space") from error
    finally:
        temporary.unlink(missing_ok=True)


def _measure(name: str, chunks: Iterator[bytes], digest: str | None) -> Entry:
    crc, size, sha256 = 0, 0, hashlib.sha256()
    for piece in chunks:
        crc, size = zlib.crc32(piece, crc), size + len(piece)
        sha256.update(piece)
    if digest is not None and "sha256:" + sha256.hexdigest() != digest:
        raise DigestMismatchError(f"{name} is not the file that the manifest lists", hint="pack again")
    return Entry(name, crc, size)
