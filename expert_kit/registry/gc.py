"""Garbage collection: blobs that nothing needs, and what dead installs left in staging.

Mark and sweep. What is marked is looked at again under the database's write lock, a few blobs at a time, and removed
only if then no row and no reader's lease names it. An install links its blobs before it writes its rows; it links again
what is missing under the same lock (``Registry.record``). So whoever wins the lock, no row ever lacks its blob, and a
process that dies in here leaves garbage behind and nothing else.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from expert_kit.names import Digest
from expert_kit.registry.blobs import BlobStore
from expert_kit.registry.database import Database

_BATCH = 256
_USED = """SELECT 1 FROM file WHERE sha256 = :digest
    UNION ALL SELECT 1 FROM expert WHERE identity = :digest OR signatures = :digest
    UNION ALL SELECT 1 FROM lease WHERE digest = :digest AND expires > :now LIMIT 1"""
_ALL_USED = """SELECT sha256 FROM file UNION SELECT identity FROM expert UNION SELECT signatures FROM expert WHERE signatures IS NOT NULL
    UNION SELECT digest FROM lease WHERE expires > ?"""


@dataclass(frozen=True)
class Garbage:
    """What was removed, or would be."""

    blobs: int
    stages: int
    """Staging folders of installs that are gone."""
    size: int
    """Bytes of both; what a hard link or an open reader holds becomes free later."""


def unused(database: Database, blobs: BlobStore) -> list[Digest]:
    """The blobs in the store that no row and no lease names at this moment."""
    # The store first: a blob that is linked later is no candidate, one whose rows come later is not either.
    present = list(blobs.digests())
    with database.reading() as connection:
        used = set() if connection is None else {row[0] for row in connection.execute(_ALL_USED, (time.time(),))}
    return [digest for digest in present if digest not in used]


def collect(database: Database, blobs: BlobStore, candidates: Iterable[Digest]) -> Garbage:
    """Remove those of the candidates that nothing needs."""
    rest, sizes = iter(candidates), []
    while batch := list(islice(rest, _BATCH)):
        with database.writing() as connection:
            sizes += [blobs.remove(digest) for digest in batch if not is_used(connection, digest)]
    return Garbage(len(sizes), 0, sum(sizes))


def collect_garbage(database: Database, blobs: BlobStore, *, dry_run: bool) -> Garbage:
    """Remove everything that nothing needs; ``dry_run`` only counts it."""
    stages = blobs.clear_stages(dry_run=dry_run)
    garbage = unused(database, blobs)
    found = Garbage(len(garbage), 0, sum(map(blobs.size, garbage))) if dry_run else collect(database, blobs, garbage)
    return Garbage(found.blobs, len(stages), found.size + sum(stages))


def is_used(connection: sqlite3.Connection, digest: Digest) -> bool:
    """Whether a row or a lease names the blob."""
    return connection.execute(_USED, {"digest": digest, "now": time.time()}).fetchone() is not None
