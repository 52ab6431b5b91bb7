"""An installed expert as plain files, for tools that know nothing of archives and registries."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from expert_kit.errors import CapacityError, UsageError
from expert_kit.manifest import MANIFEST_NAME
from expert_kit.names import printable
from expert_kit.registry.records import InstalledExpert
from expert_kit.registry.store import Registry


def export(registry: Registry, expert: InstalledExpert, folder: Path) -> list[Path]:
    """Write exactly ``expert.json`` and the files of the manifest, and each signature as a ``.sig`` file beside the folder.

    A ``.sig`` file is one Sigstore bundle. Upstream OMS tools verify the folder with it, if the key is P-256.

    Args:
        registry: where the expert is installed; every blob is hashed on the way.
        expert: not revoked.
        folder: does not exist, or is empty.

    Returns:
        The signature files.

    Raises:
        UsageError: ``export_not_empty``. BlobDigestError: a blob is damaged. RevokedError: see ``Registry.check_revoked``.
        CapacityError: ``output_unwritable``. In any case nothing is left behind.
    """
    registry.check_revoked(expert)
    files = {MANIFEST_NAME: expert.identity, **{entry.path: entry.sha256 for entry in expert.files if entry.role != "attestation"}}
    signatures = dict(_signature_files(registry, expert, folder))
    _check_free(folder, list(signatures))
    # All of it is read before anything is written, so that a damaged blob leaves nothing behind.
    bodies = {folder / name: registry.read(digest) for name, digest in files.items()}
    there = folder.exists()
    written: list[Path] = []
    try:
        for path, data in {**bodies, **signatures}.items():
            written.append(path)
            _write_new(path, data)
    except OSError as error:
        _take_back(written, folder, keep=there)
        message = f"cannot write {printable(str(folder))}: {error.strerror}"
        raise CapacityError(message, hint="check the folder and the free space", code="output_unwritable") from error
    return sorted(signatures)


def parent_of(folder: Path) -> Path:
    """The folder that this one lies in, also where it is written as ``.`` or ``..``; a link lies where it is, not where it points."""
    return (folder if folder.name not in ("", "..") else folder.resolve()).parent


def _check_free(folder: Path, signatures: Sequence[Path]) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        message, hint = f"{printable(str(folder))} is not an empty folder", "name a folder that does not exist yet"
        raise UsageError(message, hint=hint, code="export_not_empty")
    for path in signatures:
        if path.exists():
            message = f"the signature file {printable(str(path))} is there already, from an earlier export"
            hint = f"remove it, or export into another place: rm {shlex.quote(printable(str(path)))}"
            raise UsageError(message, hint=hint, code="export_not_empty")


def _take_back(written: Sequence[Path], folder: Path, *, keep: bool) -> None:
    """Remove these files and the folders that held nothing else, ``folder`` itself unless it is to be kept."""
    for path in reversed(written):
        with suppress(OSError):
            path.unlink(missing_ok=True)
            for parent in path.parents if path.is_relative_to(folder) else ():
                if parent == folder.parent or (keep and parent == folder):
                    break
                parent.rmdir()


def _signature_files(registry: Registry, expert: InstalledExpert, folder: Path) -> Iterator[tuple[Path, bytes]]:
    lines = registry.read(expert.signatures).splitlines() if expert.signatures else []
    for line in lines:
        # The digest tells signatures apart without trusting anything in them.
        yield parent_of(folder) / f"{expert.ref.file_stem}.{hashlib.sha256(line).hexdigest()[:12]}.sig", line


def _write_new(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o644), "wb") as file:
        file.write(data)
