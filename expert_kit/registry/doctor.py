"""Everything that can be wrong with a registry, found without changing it; ``repair.py`` mends what can be derived."""

from __future__ import annotations

import json
import os
import shlex
import sqlite3
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from expert_kit.bases import BaseFingerprint, BaseMatch, BaseRecord, compare
from expert_kit.errors import ExpertKitError
from expert_kit.names import Digest, printable
from expert_kit.registry import gc
from expert_kit.registry.dependents import unmet
from expert_kit.registry.derived import file_rows, labels_agree, manifest_files, manifest_of, unclear_names, words_agree
from expert_kit.registry.faults import typed_errors
from expert_kit.registry.findings import Finding
from expert_kit.registry.records import TOOL
from expert_kit.registry.refusals import say_unmet
from expert_kit.registry.store import Registry
from expert_kit.registry.strangers import strangers
from expert_kit.registry.trust_findings import revoked_findings, trust_findings

REPAIR = "expert-kit doctor --repair"
_LISTED = 5
_FIXES = {
    "expert_requires_unmet": 'expert-kit install "{other}@{wanted}" --index DIR, or: expert-kit uninstall {expert}',
    "expert_conflict": "expert-kit uninstall {other}, or: expert-kit uninstall {expert}",
    "tool": "install expert-kit {wanted}, or: expert-kit uninstall {expert}",
    "expert_range_invalid": "ask its publisher for a new version; this range binds nobody",
}
_STRAY = "lies in the registry and is none of its files; gc and --repair leave it alone"
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def examine(registry: Registry, bases: Sequence[BaseRecord]) -> list[Finding]:
    """All that is wrong; an empty list is a clean bill. Reads and hashes every blob.

    Args:
        registry: nothing is changed in it.
        bases: the base models that are here.
    """
    findings = list(_permissions(registry))
    try:
        findings += trust_findings(registry)
        findings += revoked_findings(registry)
        with typed_errors(registry.root), registry.database.reading() as connection:
            if connection is not None:
                findings += [finding for check in _CHECKS for finding in check(registry, connection)]
                findings += _bases(connection, bases)
        findings += _search(registry)
        findings += _garbage(registry)
    except ExpertKitError as error:
        findings.append(Finding(error.code, str(registry.root), error.message, error.hint))
    return findings


def _database(registry: Registry, connection: sqlite3.Connection) -> Iterator[Finding]:
    problems = [row[0] for row in connection.execute("PRAGMA quick_check(10)") if row[0] != "ok"]
    problems += [f"{row[0]} row {row[1]} refers to a {row[2]} that is gone" for row in connection.execute("PRAGMA foreign_key_check")]
    if problems:
        path = registry.root / "registry.sqlite"
        fix = f"move {registry.root} away and install the experts again"
        yield Finding("registry_corrupt", str(path), f"the database is damaged: {'; '.join(problems[:_LISTED])}", fix)


def _rows(registry: Registry, connection: sqlite3.Connection) -> Iterator[Finding]:
    for row in connection.execute("SELECT id, namespace, name, version, identity, relations, weights FROM expert ORDER BY id").fetchall():
        label, manifest = _label(row), manifest_of(registry.blobs, row["identity"])
        present = set(file_rows(connection, row["id"]))
        if manifest is not None and present != manifest_files(manifest):
            yield Finding("expert_incomplete", label, "its rows do not name the files that it has", REPAIR)
        elif manifest is None and not any(path == row["weights"] for path, *_ in present):
            message = "neither its rows nor its manifest say what it consists of; --repair removes what is left of it"
            yield Finding("expert_lost", label, message, f"{REPAIR}, then install {label} again")
        if manifest is not None and row["relations"] is None:
            yield Finding("expert_relations_missing", label, "its rows do not say what it requires", REPAIR)


def _blobs(registry: Registry, connection: sqlite3.Connection) -> Iterator[Finding]:
    users: dict[Digest, list[str]] = {}
    for row in connection.execute(_NEEDED):
        users.setdefault(row["digest"], []).append(_label(row))
    for digest, experts in users.items():
        if registry.blobs.is_sound(digest) or not _still_needed(registry, digest):
            continue
        missing = not registry.blobs.exists(digest)
        what = "is missing" if missing else "does not have the bytes that were installed"
        message = f"the blob {what}; {_some(experts)} cannot be loaded"
        fix = f"expert-kit install FILE, with the archive of {experts[0]}"
        yield Finding("blob_missing" if missing else "blob_damaged", digest, message, fix)


def _current(registry: Registry, connection: sqlite3.Connection) -> Iterator[Finding]:
    for name in unclear_names(connection):
        yield Finding("current_unclear", name.full_name, "its rows do not agree on which version is current", REPAIR)


def _relations(registry: Registry, connection: sqlite3.Connection) -> Iterator[Finding]:
    for problem in unmet(connection):
        fix = "tool" if problem.other == TOOL and problem.code != "expert_range_invalid" else problem.code
        yield Finding(problem.code, problem.expert, say_unmet(problem), _FIXES[fix].format(**vars(problem)))


def _bases(connection: sqlite3.Connection, bases: Sequence[BaseRecord]) -> Iterator[Finding]:
    users: dict[BaseFingerprint, list[str]] = {}
    for row in connection.execute("SELECT namespace, name, version, base FROM expert WHERE base_match != 'pending' ORDER BY id"):
        users.setdefault(BaseFingerprint(**json.loads(row["base"])), []).append(_label(row))
    for base, experts in users.items():
        if all(compare(base, record.fingerprint).match is BaseMatch.INCOMPATIBLE for record in bases):
            message = f"the base model of {_some(experts)} is not here any more"
            yield Finding("base_missing", printable(base.id), message, f"expert-kit base pull {printable(base.id)}")


def _search(registry: Registry) -> Iterator[Finding]:
    if not registry.database.exists() or not os.access(registry.root, os.W_OK):
        return  # FTS5 checks itself by a statement that counts as writing
    with typed_errors(registry.root), registry.database.writing() as connection:
        if not words_agree(connection) or not labels_agree(connection):
            message = "what `expert-kit search` looks in does not agree with the installed experts"
            yield Finding("search_out_of_date", str(registry.root / "registry.sqlite"), message, REPAIR)


def _garbage(registry: Registry) -> Iterator[Finding]:
    with typed_errors(registry.root):
        orphans = gc.unused(registry.database, registry.blobs)
        stages = registry.blobs.clear_stages(dry_run=True)
        strays = strangers(registry)
    if orphans:
        size = sum(map(registry.blobs.size, orphans))
        yield Finding("blob_orphan", str(registry.root), f"{len(orphans)} blobs, {size} bytes, that no expert needs", "expert-kit gc")
    if stages:
        message = f"{len(stages)} folders, {sum(stages)} bytes, of installs that did not come to their end"
        yield Finding("staging_stale", str(registry.root / "staging"), message, "expert-kit gc")
    for path in strays[:_LISTED]:
        remove = f"rm {'-r ' if path.is_dir() and not path.is_symlink() else ''}{shlex.quote(str(path))}"
        yield Finding("stray_file", str(path), _STRAY, f"{remove}, if it is not yours")


def _permissions(registry: Registry) -> Iterator[Finding]:
    if os.name != "posix" or not registry.root.is_dir():
        return
    if not os.access(registry.root, os.W_OK | os.X_OK):
        message = "the folder cannot be written: what is installed loads, nothing can be installed or removed"
        yield Finding("registry_read_only", str(registry.root), message, f"chmod u+rwx {shlex.quote(str(registry.root))}, if it is yours")
    trust = registry.trust_home / "trust.toml"
    for path in open_paths(registry):
        fix = f"look in it for what others may have written, then: {REPAIR}" if path == trust else REPAIR
        yield Finding("permissions_open", str(path), "other users may write it", fix)


def open_paths(registry: Registry) -> list[Path]:
    """Files and folders of the registry and its trust that other users may write."""
    kept = registry.trust_home / "trust"
    folders = [registry.root, *registry.blobs.folders(), registry.trust_home / "trust.toml", kept, *sorted(kept.rglob("*"))]
    files = [registry.root / "registry.sqlite", *map(registry.blobs.path, registry.blobs.digests())]
    return [path for path in (*folders, *files) if _is_open(path)]


def _is_open(path: Path) -> bool:
    try:
        mode = path.stat(follow_symlinks=False).st_mode
    except FileNotFoundError:
        return False
    return not stat.S_ISLNK(mode) and bool(mode & _OTHERS_MAY_WRITE)


def _still_needed(registry: Registry, digest: Digest) -> bool:
    # Hashing takes its time, and meanwhile experts are uninstalled.
    with registry.database.reading() as connection:
        return connection is not None and gc.is_used(connection, digest)


def _label(row: sqlite3.Row) -> str:
    return printable(f"{row['namespace']}/{row['name']}@{row['version']}")


def _some(experts: Sequence[str]) -> str:
    more = f" and {len(experts) - _LISTED} more" if len(experts) > _LISTED else ""
    return ", ".join(experts[:_LISTED]) + more


_NEEDED = """SELECT file.sha256 AS digest, namespace, name, version FROM file JOIN expert ON expert.id = file.expert
    UNION SELECT identity, namespace, name, version FROM expert
    UNION SELECT signatures, namespace, name, version FROM expert WHERE signatures IS NOT NULL ORDER BY digest, namespace, name, version"""
_CHECKS: tuple[Callable[[Registry, sqlite3.Connection], Iterator[Finding]], ...] = (_database, _rows, _blobs, _current, _relations)
