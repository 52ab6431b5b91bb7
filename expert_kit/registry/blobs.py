"""The content-addressed store: ``cas/sha256/ab/<64 hex>``, and the staging folders beside it.

A blob is written to a staging folder of its own install, hashed on the way, made durable, and then linked into the
store under its digest. Nothing is ever written to a blob in place.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from expert_kit.errors import BlobDigestError, DigestMismatchError, ManifestError
from expert_kit.names import Digest, parse_digest, sha256_digest
from expert_kit.registry.durable import make_folder
from expert_kit.registry.staging import clear_abandoned, held_folder
from expert_kit.whole_file import sync_folder


class BlobStore:
    """Blobs under ``<root>/cas``, staging folders under ``<root>/staging``."""

    def __init__(self, root: Path) -> None:
        self._cas = root / "cas" / "sha256"
        self._staging = root / "staging"

    def path(self, digest: Digest) -> Path:
        """Where the blob is; the digest's spelling is checked before it becomes part of a path."""
        name = parse_digest(digest).removeprefix("sha256:")
        return self._cas / name[:2] / name

    def read(self, digest: Digest) -> bytes:
        """The bytes of a blob; the returned buffer is the one that was hashed.

        Raises:
            BlobDigestError: missing, a link, or other bytes than were installed.
        """
        try:
            with os.fdopen(os.open(self.path(digest), _READ), "rb") as file:
                data = file.read()
        except OSError as error:
            raise _damaged(digest, f"cannot be read ({error.strerror})") from error
        if sha256_digest(data) != digest:
            raise _changed(digest)
        return data

    def read_apart(self, digest: Digest) -> memoryview:
        """The same in memory of its own, which may also be written to; a blob of megabytes is read faster so.

        Raises:
            BlobDigestError: see :meth:`read`.
        """
        try:
            with os.fdopen(os.open(self.path(digest), _READ), "rb") as file:
                data = _memory(os.fstat(file.fileno()).st_size)
                read = file.readinto(data)
        except OSError as error:
            raise _damaged(digest, f"cannot be read ({error.strerror})") from error
        if read != len(data) or "sha256:" + hashlib.sha256(data).hexdigest() != digest:
            raise _changed(digest)
        return data

    def is_sound(self, digest: Digest) -> bool:
        """Hash the blob in pieces; False if it is missing or damaged."""
        try:
            with os.fdopen(os.open(self.path(digest), _READ), "rb") as file:
                return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest() == digest
        except OSError:
            return False

    def exists(self, digest: Digest) -> bool:
        """A blob of that name is there; its bytes are not looked at."""
        return self.path(digest).is_file()

    def digests(self) -> Iterator[Digest]:
        """Every blob in the store."""
        for path in self._cas.glob("??/*"):
            with suppress(ManifestError):  # a file that is no blob
                digest = parse_digest("sha256:" + path.name)
                if path == self.path(digest):
                    yield digest

    def strangers(self) -> list[Path]:
        """What lies in the store and is no blob under its right name."""
        known = {self._cas, *map(self.path, self.digests())}
        shards = [path for path in sorted(self._cas.glob("*")) if _SHARD.fullmatch(path.name) and path.is_dir()]
        found = [path for folder in (self._cas.parent, self._cas, *shards) for path in sorted(folder.glob("*"))]
        return [path for path in found if path not in known and path not in shards]

    def folders(self) -> list[Path]:
        """The folders that hold blobs, and those of staging."""
        return [path for path in (self._cas.parent, self._cas, *sorted(self._cas.glob("??")), self._staging) if path.is_dir()]

    def size(self, digest: Digest) -> int:
        """Bytes of the blob on disk; 0 if it is missing."""
        try:
            return self.path(digest).stat(follow_symlinks=False).st_size
        except FileNotFoundError:
            return 0

    def remove(self, digest: Digest) -> int:
        """Remove a blob and say its size; one that is gone already is fine."""
        size = self.size(digest)
        self.path(digest).unlink(missing_ok=True)
        return size

    @contextmanager
    def stage(self) -> Iterator[Stage]:
        """A staging folder for one install, removed at the end whatever happens."""
        make_folder(self._staging)
        with held_folder(self._staging) as folder:
            yield Stage(self, folder)

    def clear_stages(self, *, dry_run: bool = False) -> list[int]:
        """Remove what killed installs left behind; the bytes of each folder that was, or with ``dry_run`` would be, removed."""
        sizes = [clear_abandoned(folder, dry_run=dry_run) for folder in sorted(self._staging.glob("*"))]
        return [size for size in sizes if size is not None]


class Stage:
    """The blobs of one install, until the database knows them."""

    def __init__(self, store: BlobStore, folder: Path) -> None:
        self._store, self._folder = store, folder
        self._digests: list[Digest] = []

    def open(self, digest: Digest, size: int) -> StagedBlob:
        """A sink for the bytes of one blob, to be used in a ``with``."""
        self._digests.append(digest)
        return StagedBlob(self._path(digest), digest, size)

    def link_all(self) -> frozenset[Digest]:
        """Link every staged blob into the store and make the links durable.

        A blob that is there already is hashed again, and replaced if it is damaged.

        Returns:
            The digests whose blob in the store is new or was healed.
        """
        changed = frozenset(digest for digest in self._digests if self._link(digest))
        for shard in {self._store.path(digest).parent for digest in self._digests}:
            sync_folder(shard)
        return changed

    def link_missing(self) -> None:
        """Link again what another process has collected since; call it while nobody else may collect."""
        for digest in self._digests:
            if not self._store.exists(digest):
                self._link(digest)
                sync_folder(self._store.path(digest).parent)

    def _link(self, digest: Digest) -> bool:
        source, target = self._path(digest), self._store.path(digest)
        make_folder(target.parent)
        try:
            os.link(source, target)
        except FileExistsError:
            if self._store.is_sound(digest):
                return False
            fresh = source.with_suffix(".heal")
            os.link(source, fresh)
            fresh.replace(target)
        return True

    def _path(self, digest: Digest) -> Path:
        return self._folder / digest.removeprefix("sha256:")


class StagedBlob:
    """Takes at most ``size`` bytes; leaving the ``with`` checks size and digest and makes the file durable and 0444."""

    def __init__(self, path: Path, digest: Digest, size: int) -> None:
        self._path, self._digest, self._left = path, digest, size
        self._hash = hashlib.sha256()

    def __enter__(self) -> Self:
        """Make the file."""
        # Two members of equal content share one blob.
        self._path.unlink(missing_ok=True)
        self._file = os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        return self

    def write(self, data: bytes, /) -> None:
        """Take the next piece.

        Raises:
            DigestMismatchError: more bytes than the signed size.
        """
        self._left -= len(data)
        if self._left < 0:
            raise _not_as_signed(self._digest)
        self._hash.update(data)
        self._file.write(data)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Check, make durable; after an error only close."""
        with self._file:
            if kind is not None:
                return
            if self._left or "sha256:" + self._hash.hexdigest() != self._digest:
                raise _not_as_signed(self._digest)
            self._file.flush()
            os.fsync(self._file.fileno())
        self._path.chmod(0o444)


_SHARD = re.compile("[0-9a-f]{2}")
_LARGE_PAGE = 2 << 20
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def _memory(size: int) -> memoryview:
    """Memory that is filled quickly: most of the time of a read is spent on getting it, page by page of 4 kB."""
    if os.name != "posix" or not size:
        return memoryview(bytearray(size))
    # Linux lays out only whole multiples of its large pages so that these can be used.
    room = size if size < _LARGE_PAGE else size + -size % _LARGE_PAGE
    memory = mmap.mmap(-1, room, flags=mmap.MAP_PRIVATE | mmap.MAP_ANON)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel without large pages
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(memory)[:size]


def _changed(digest: Digest) -> BlobDigestError:
    return _damaged(digest, "does not have the bytes that were installed")


def _damaged(digest: Digest, what: str) -> BlobDigestError:
    return BlobDigestError(f"installed blob {digest} {what}", hint="install the expert again from its archive; that heals the blob")


def _not_as_signed(digest: Digest) -> DigestMismatchError:
    return DigestMismatchError(f"a member does not have the signed size and digest {digest}", hint="fetch the archive again")
