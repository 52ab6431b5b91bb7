"""Reads ``.expert`` files: one reading or none.

There is no extraction: the reader gives entries and digest-checked bytes.
"""

from __future__ import annotations

import hashlib
import io
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

from expert_kit.archive.layout import (
    CENTRAL_SIZE,
    END_SIZE,
    MAX_ENTRIES,
    MAX_SIZE,
    SIGNATURES,
    Entry,
    Layout,
    layout,
    parse_directory,
    parse_end,
)
from expert_kit.archive.opening import NotRegularError, open_regular
from expert_kit.archive.safetensors_header import TensorInfo, header_end, parse_head
from expert_kit.errors import ArchiveError, DigestMismatchError, ManifestError
from expert_kit.manifest import MANIFEST_NAME, MAX_MANIFEST_SIZE, FileEntry, Manifest
from expert_kit.names import MAX_PATH_LENGTH, printable

CHUNK = 1 << 20
_HINT = "fetch the archive again, or ask the publisher for a new one"


class Sink(Protocol):
    """What :meth:`ArchiveReader.stream` writes to."""

    def write(self, data: bytes, /) -> object:
        """Take the next piece."""


class ArchiveReader:
    """An open archive whose framing, manifest and member list have been checked; bodies are checked as they are read.

    Opening raises:
        ArchiveError: ``archive_unreadable``, ``archive_not_regular``, ``archive_too_small``, ``archive_too_large``,
            ``archive_no_end_record``, ``archive_directory``, ``archive_framing``, ``archive_member_set`` and what ``layout`` raises.
        ManifestError: what ``Manifest.parse`` raises.
        DigestMismatchError: the CRC of the manifest.
    """

    def __init__(self, file: BinaryIO, size: int, label: str) -> None:
        self._file, self._label = file, printable(label)
        self._files: dict[str, FileEntry] = {}
        try:
            self._layout = self._read_framing(size)
            self._index = {entry.name: position for position, entry in enumerate(self._layout.entries)}
            self.manifest_bytes = self._read_manifest()
            self.manifest = Manifest.parse(self.manifest_bytes)
        except (ArchiveError, ManifestError) as error:
            raise error.about(self._label)  # noqa: B904 - the same error
        self._files = {entry.path: entry for entry in self.manifest.files}
        self._check_member_set()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a file; a link is not followed, and the descriptor stays the same until :meth:`close`."""
        try:
            descriptor, size = open_regular(path)
        except NotRegularError as error:
            message = f"{printable(str(path))} is not a regular file"
            raise ArchiveError(message, hint="give the path of an .expert file", code="archive_not_regular") from error
        except OSError as error:
            message = f"cannot open {printable(str(path))}: {error.strerror}"
            raise ArchiveError(message, hint="give the path of an .expert file", code="archive_unreadable") from error
        file = os.fdopen(descriptor, "rb", buffering=0)
        try:
            return cls(file, size, path.name)
        except BaseException:
            file.close()
            raise

    @classmethod
    def from_bytes(cls, data: bytes, label: str = "archive") -> Self:
        """Read an archive that is in memory already."""
        return cls(io.BytesIO(data), len(data), label)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        """The reader itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the file."""
        self.close()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All members in their order: the manifest, the payload, ``META/``."""
        return self._layout.entries

    @property
    def files(self) -> tuple[FileEntry, ...]:
        """The payload, as the manifest lists it."""
        return self.manifest.files

    @property
    def signatures_bytes(self) -> bytes:
        """The bundle lines, CRC-checked; empty if the archive is unsigned."""
        return self.read(SIGNATURES) if SIGNATURES in self._index else b""

    @property
    def meta(self) -> dict[str, bytes]:
        """The members under ``META/``, CRC-checked: no digest covers them."""
        return {entry.name: self.read(entry.name) for entry in self.entries if entry.name.startswith("META/")}

    def read(self, name: str) -> bytes:
        """Body of a member, checked against its CRC and, for the payload, against the manifest's digest.

        Raises:
            DigestMismatchError: the body is not the one that the framing or the manifest names.
            ArchiveError: ``archive_no_member``.
        """
        return b"".join(self.chunks(name))

    def stream(self, name: str, sink: Sink) -> int:
        """Write a body to ``sink`` piece by piece; returns its size. The sink is to be thrown away if this raises."""
        return sum(_write(sink, piece) for piece in self.chunks(name))

    def chunks(self, name: str) -> Iterator[bytes]:
        """Pieces of a body of at most 1 MiB; the check comes after the last one. Errors as for :meth:`read`."""
        entry, offset = self._find(name)
        wanted = self._files.get(name)
        crc, sha256 = 0, hashlib.sha256()
        for piece in self._body(entry, offset):
            crc = zlib.crc32(piece, crc)
            sha256.update(piece)
            yield piece
        if crc != entry.crc or (wanted is not None and "sha256:" + sha256.hexdigest() != wanted.sha256):
            raise DigestMismatchError(f"{self._label}: the bytes of {entry.name} are not the ones that were packed", hint=_HINT)

    def tensors(self, name: str) -> dict[str, TensorInfo]:
        """Tensors of a safetensors member by its header alone; the rest of the body is not read, and no digest is checked.

        Raises:
            ArchiveError: ``tensor_header``, the whole file would be refused; ``archive_no_member``.
        """
        entry, offset = self._find(name)
        try:
            end = header_end(self._read_at(offset, min(8, entry.size)), entry.size)
            return parse_head(self._read_at(offset, end), entry.size)
        except ArchiveError as error:
            raise error.about(self._label)  # noqa: B904 - the same error

    def check_bodies(self) -> None:
        """Read every body once. Errors as for :meth:`read`."""
        for entry in self.entries:
            for _ in self.chunks(entry.name):
                pass

    def _find(self, name: str) -> tuple[Entry, int]:
        """The entry of a member and where its body begins."""
        position = self._index.get(name)
        if position is None:
            raise ArchiveError(f"{self._label} has no member {printable(name)!r}", code="archive_no_member")
        return self._layout.entries[position], self._layout.bodies[position]

    def _body(self, entry: Entry, offset: int) -> Iterator[bytes]:
        end = offset + entry.size
        while offset < end:
            piece = self._read_at(offset, min(CHUNK, end - offset))
            offset += len(piece)
            yield piece

    def _read_at(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        data = self._file.read(size)
        if len(data) != size:
            raise ArchiveError(f"{self._label} became shorter while it was read", code="archive_unreadable")
        return data

    def _read_framing(self, size: int) -> Layout:
        if size < END_SIZE:
            raise ArchiveError(f"{self._label}: {size} bytes are too few for an archive", hint=_HINT, code="archive_too_small")
        if size > MAX_SIZE:
            raise ArchiveError(f"{self._label} is larger than {MAX_SIZE} bytes", code="archive_too_large")
        count, directory_size, offset = parse_end(self._read_at(size - END_SIZE, END_SIZE))
        if count > MAX_ENTRIES:
            raise ArchiveError(f"{self._label}: {count} members, at most {MAX_ENTRIES} are allowed", code="archive_too_many_members")
        if offset + directory_size + END_SIZE != size or directory_size > MAX_ENTRIES * (CENTRAL_SIZE + MAX_PATH_LENGTH):
            raise self._framing_error("end record")
        plan = layout(parse_directory(self._read_at(offset, directory_size), count))
        if plan.size != size or self._read_at(size - len(plan.tail), len(plan.tail)) != plan.tail:
            raise self._framing_error("central directory")
        for entry, header, body in zip(plan.entries, plan.headers, plan.bodies, strict=True):
            if self._read_at(body - len(header), len(header)) != header:
                raise self._framing_error(f"header of {entry.name}")
        return plan

    def _framing_error(self, where: str) -> ArchiveError:
        return ArchiveError(
            f"{self._label}: the {where} differs from what expert-kit would have written", hint=_HINT, code="archive_framing"
        )

    def _read_manifest(self) -> bytes:
        entry = self._layout.entries[0]
        if entry.size > MAX_MANIFEST_SIZE:
            raise ArchiveError(f"{self._label}: {MANIFEST_NAME} is larger than {MAX_MANIFEST_SIZE} bytes", code="archive_too_large")
        return self.read(MANIFEST_NAME)

    def _check_member_set(self) -> None:
        """The payload is exactly what the manifest lists."""
        found = [(entry.name, entry.size) for entry in self.entries[1:] if not entry.name.startswith("META/")]
        listed = [(entry.path, entry.size) for entry in self.manifest.files]
        if found != listed:
            odd = sorted({name for name, _ in set(found) ^ set(listed)})
            raise ArchiveError(
                f"{self._label}: members and manifest do not agree on {', '.join(odd[:5])}", hint=_HINT, code="archive_member_set"
            )


def _write(sink: Sink, piece: bytes) -> int:
    sink.write(piece)
    return len(piece)
