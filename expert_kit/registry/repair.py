"""Mends what ``doctor.py`` finds, as far as it follows from what is still sound. No bytes of an expert are ever made up."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from contextlib import suppress

from expert_kit.errors import ExpertKitError
from expert_kit.names import ExpertRef
from expert_kit.registry import history
from expert_kit.registry.derived import (
    file_rows,
    labels_agree,
    make_search_again,
    manifest_files,
    manifest_of,
    unclear_names,
    words_agree,
)
from expert_kit.registry.doctor import open_paths
from expert_kit.registry.faults import typed_errors
from expert_kit.registry.records import relations_of
from expert_kit.registry.rows import insert_files
from expert_kit.registry.store import Registry

_log = logging.getLogger(__name__)


def repair(registry: Registry) -> None:
    """Make permissions, derived rows and the search again, and remove garbage; what cannot be mended stays for ``examine`` to tell."""
    for step in (_close_permissions, _mend_rows, _remove_garbage):
        with suppress(ExpertKitError), typed_errors(registry.root):
            step(registry)


def _close_permissions(registry: Registry) -> None:
    for path in open_paths(registry) if os.name == "posix" else ():
        path.chmod(path.stat().st_mode & ~0o022)


def _mend_rows(registry: Registry) -> None:
    if not registry.database.exists():
        return
    with registry.database.writing() as connection:
        for row in connection.execute("SELECT * FROM expert ORDER BY id").fetchall():
            _mend_expert(registry, connection, row)
        for name in unclear_names(connection):
            _mend_current(connection, name)
        if not words_agree(connection) or not labels_agree(connection):
            make_search_again(connection)


def _mend_expert(registry: Registry, connection: sqlite3.Connection, row: sqlite3.Row) -> None:
    manifest, present = manifest_of(registry.blobs, row["identity"]), file_rows(connection, row["id"])
    if manifest is None:
        if not any(path == row["weights"] for path, *_ in present):
            _log.warning("removing what is left of %s/%s@%s", row["namespace"], row["name"], row["version"])
            connection.execute("DELETE FROM expert WHERE id = ?", (row["id"],))
        return
    wanted = manifest_files(manifest)
    if wanted != present:
        connection.execute("DELETE FROM file WHERE expert = ? AND role != 'attestation'", (row["id"],))
        insert_files(connection, row["id"], iter(sorted(wanted)))
    if row["relations"] is None:
        connection.execute("UPDATE expert SET relations = ? WHERE id = ?", (json.dumps(relations_of(manifest)), row["id"]))


def _mend_current(connection: sqlite3.Connection, name: ExpertRef) -> None:
    statement = """SELECT expert.id, expert.version FROM current JOIN expert ON expert.id = current.expert
        WHERE current.namespace = ? AND current.name = ?"""
    chosen = connection.execute(statement, (name.namespace, name.name)).fetchone()
    if chosen is None:
        connection.execute("DELETE FROM current WHERE namespace = ? AND name = ?", (name.namespace, name.name))
        history.elect_current(connection, name, "repair")
    else:
        history.make_current(connection, ExpertRef(name.namespace, name.name, chosen["version"]), chosen["id"], "repair")


def _remove_garbage(registry: Registry) -> None:
    registry.collect_garbage()
