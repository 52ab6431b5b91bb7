"""Readers say for how long they need blobs, so that nobody collects them in between.

A lease is a row for each blob. It is taken in the transaction that looks the expert up: an uninstall comes before it, and
there is no expert, or after it, and the blobs stay. A reader that dies leaves rows that expire.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from uuid import uuid4

from expert_kit.names import Digest

SECONDS = 600.0
"""Longer than any reading of one expert takes."""


def take(connection: sqlite3.Connection, digests: Iterable[Digest], seconds: float) -> str:
    """Protect blobs; the result is the token for :func:`give_back`. Expired leases of others go meanwhile."""
    now, token = time.time(), str(uuid4())
    connection.execute("DELETE FROM lease WHERE expires <= ?", (now,))
    connection.executemany("INSERT INTO lease VALUES (?, ?, ?)", [(digest, token, now + seconds) for digest in sorted(set(digests))])
    return token


def give_back(connection: sqlite3.Connection, token: str) -> None:
    """End a lease early."""
    connection.execute("DELETE FROM lease WHERE token = ?", (token,))
