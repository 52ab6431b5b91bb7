"""A folder of ``.expert`` files as a source of experts.

The folder is not trusted: of each archive the manifest is read through ``ArchiveReader``, and what is chosen is checked
as any other archive when it is installed. A bad archive is reported and left out; it takes no other one with it.

What was read is cached per folder, by name, size and time of change of each file. The cache is only a shortcut: an
archive that changed behind its back is noticed at the install, where the identity has to be the one that was chosen.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from expert_kit import __version__
from expert_kit.bases import BaseFingerprint
from expert_kit.errors import ExpertKitError, RegistryError
from expert_kit.names import ExpertRef, parse_digest, printable, sha256_digest
from expert_kit.registry.candidates import Candidate, read_candidate
from expert_kit.whole_file import replace_whole

SUFFIX = ".expert"
MAX_ARCHIVES = 100_000

_CACHE_SCHEMA = f"expert-index/1 {__version__}"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BadArchive:
    """A file of an index that cannot be used."""

    path: Path
    code: str
    message: str

    @property
    def damaged(self) -> bool:
        """Damaged on its way, or made badly; otherwise a newer expert-kit can read it."""
        return self.code != "manifest_schema_unknown"


@dataclass(frozen=True)
class Index:
    """What the archives of some folders say about themselves."""

    folders: tuple[Path, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    """By folder in the order given, then by file name."""
    bad: tuple[BadArchive, ...] = ()


class _Stamp(NamedTuple):
    name: str
    size: int
    mtime_ns: int


def read_index(folders: Sequence[Path], cache: Path | None = None) -> Index:
    """Read every archive directly in these folders; links and folders in them are left out.

    Args:
        folders: each one has to be there.
        cache: folder for what was read; without it every archive is opened.

    Raises:
        RegistryError: ``index_unreadable``, no such folder; ``index_too_large``.
    """
    candidates: list[Candidate] = []
    bad: list[BadArchive] = []
    for folder in dict.fromkeys(folders):
        for found in _read_folder(folder, cache):
            (candidates if isinstance(found, Candidate) else bad).append(found)  # type: ignore[arg-type]
    return Index(tuple(folders), tuple(candidates), tuple(bad))


def _read_folder(folder: Path, cache: Path | None) -> Iterator[Candidate | BadArchive]:
    stamps = _stamps(folder)
    file = None if cache is None else cache / f"{sha256_digest(str(folder.absolute()).encode()).removeprefix('sha256:')}.json"
    known = {} if file is None else _load(file)
    rows: dict[str, list[Any]] = {}
    fresh = False
    for stamp in stamps:
        row = known.get(stamp.name)
        found = None if row is None or row[:2] != [stamp.size, stamp.mtime_ns] else _from_json(folder / stamp.name, row[2])
        if found is None:
            found, fresh = _read_archive(folder / stamp.name), True
        rows[stamp.name] = [stamp.size, stamp.mtime_ns, _to_json(found)]
        yield found
    if file is not None and (fresh or len(rows) != len(known)):
        _save(file, rows)


def _stamps(folder: Path) -> list[_Stamp]:
    try:
        with os.scandir(folder) as entries:
            found = sorted(_stamp(entry) for entry in entries if entry.name.endswith(SUFFIX) and entry.is_file(follow_symlinks=False))
    except OSError as error:
        message = f"cannot read the index {printable(str(folder))}: {error.strerror}"
        raise RegistryError(message, hint="name a folder with .expert files", code="index_unreadable") from error
    if len(found) > MAX_ARCHIVES:
        message = f"the index {printable(str(folder))} has more than {MAX_ARCHIVES} archives"
        raise RegistryError(message, hint="split the folder; --index may be given several times", code="index_too_large")
    return found


def _stamp(entry: os.DirEntry[str]) -> _Stamp:
    with suppress(FileNotFoundError):  # gone since; opening it will say so
        status = entry.stat(follow_symlinks=False)
        return _Stamp(entry.name, status.st_size, status.st_mtime_ns)
    return _Stamp(entry.name, 0, 0)


def _read_archive(path: Path) -> Candidate | BadArchive:
    try:
        return read_candidate(path)
    except ExpertKitError as error:
        return BadArchive(path, error.code, error.message)


def _to_json(found: Candidate | BadArchive) -> dict[str, Any]:
    if isinstance(found, BadArchive):
        return {"code": found.code, "message": found.message}
    return {
        "ref": str(found.ref),
        "identity": found.identity,
        "requires": dict(found.requires),
        "conflicts": dict(found.conflicts),
        "bases": [asdict(base) for base in found.bases],
        "signed": found.signed,
    }


def _from_json(path: Path, row: Any) -> Candidate | BadArchive | None:
    """None if another version wrote the row, nobody of us did, or the file has to be opened again."""
    with suppress(TypeError, KeyError, ValueError, ExpertKitError):
        if "code" in row:
            # What could not be opened says nothing about the file, and what changes that changes neither its size nor its time.
            return None if row["code"] == "archive_unreadable" else BadArchive(path, row["code"], row["message"])
        return Candidate(
            ExpertRef.parse(row["ref"]),
            parse_digest(row["identity"]),
            row["requires"],
            row["conflicts"],
            tuple(BaseFingerprint(**base) for base in row["bases"]),
            path=path,
            signed=row["signed"],
        )
    return None


def _load(file: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError, TypeError, KeyError):
        content = json.loads(file.read_bytes())
        if content["schema"] == _CACHE_SCHEMA:
            return {str(name): row for name, row in content["archives"].items() if len(row) == 3}
    return {}


def _save(file: Path, rows: dict[str, list[Any]]) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_whole(file, json.dumps({"schema": _CACHE_SCHEMA, "archives": rows}, separators=(",", ":")).encode(), durable=False)
    except OSError as error:
        _log.debug("no cache of the index: %s", error)


def unique_candidates(candidates: Iterable[Candidate]) -> list[Candidate]:
    """One archive per identity: one with signatures if there is one, else the first."""
    best: dict[str, Candidate] = {}
    for candidate in candidates:
        known = best.get(candidate.identity)
        if known is None or (candidate.signed and not known.signed):
            best[candidate.identity] = candidate
    return list(best.values())
