"""A registry of an older expert-kit is brought up to date when it is first opened; one of a newer expert-kit is left alone."""

from __future__ import annotations

import shutil
import sqlite3
from itertools import count
from pathlib import Path

import pytest

from expert_kit.errors import RegistryError
from expert_kit.registry import Query, Registry
from expert_kit.registry.doctor import examine
from expert_kit.registry.repair import repair
from tests.support.dying import dies_at, fork
from tests.unit.registry.conftest import BASE, Publisher

TABLES = Path(__file__).parents[2] / "golden" / "registry-v1.sql"
COPIED = ("expert", "file", "current", "highest")


@pytest.fixture
def old(trusting: Registry, publisher: Publisher) -> Registry:
    """acme/sql 1.0.0 and 1.1.0, installed, in tables of version 1."""
    for version in ("1.0.0", "1.1.0"):
        trusting.install(publisher.build(version=version, extra='conflicts:\n  acme/rival: "^1"\n'), bases=[BASE])
    make_old(trusting)
    return trusting


def make_old(registry: Registry) -> None:
    path = registry.root / "registry.sqlite"
    with sqlite3.connect(path.with_name("old.sqlite")) as connection:
        connection.executescript(f"PRAGMA journal_mode = WAL;\n{TABLES.read_text()}")
        connection.execute("ATTACH ? AS new", (str(path),))
        for table in COPIED:
            columns = ", ".join(row[1] for row in connection.execute(f"PRAGMA main.table_info({table})"))
            connection.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM new.{table}")
    connection.close()
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.with_name("old.sqlite").replace(path)


def version_of(registry: Registry) -> int:
    connection = sqlite3.connect(registry.root / "registry.sqlite")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    return int(version)


def test_everything_that_version_1_knew_is_there_and_what_it_lacked_is_made_from_the_manifests(old: Registry) -> None:
    assert version_of(old) == 1
    assert [(str(one.ref), one.current) for one in old.list()] == [("acme/sql@1.0.0", False), ("acme/sql@1.1.0", True)]
    assert version_of(old) == 2
    assert old.get("acme/sql").conflicts == {"acme/rival": "^1"}
    assert old.get("acme/sql").bases == ("tiny",)
    assert [(one.version, one.cause) for one in old.history("acme/sql")] == [("1.0.0", "install"), ("1.1.0", "install")]
    assert [one.version for one in old.find(Query("tiny", tags=("sql",), base="tiny"))] == ["1.1.0", "1.0.0"]
    assert examine(old, [BASE]) == []
    assert old.rollback("acme/sql").ref.version == "1.0.0"


def test_a_manifest_that_is_lost_costs_its_relations_only_and_is_told(old: Registry) -> None:
    with sqlite3.connect(old.root / "registry.sqlite") as connection:
        identity = connection.execute("SELECT identity FROM expert WHERE version = '1.0.0'").fetchone()[0]
    connection.close()
    blob = old.blobs.path(identity)
    kept = blob.rename(old.root.parent / "kept")
    assert len(old.list()) == 2
    assert old.get("acme/sql@1.0.0").conflicts == {}
    assert [finding.code for finding in examine(old, [BASE])] == ["blob_missing"]
    kept.rename(blob)
    assert [finding.code for finding in examine(old, [BASE])] == ["expert_relations_missing"]
    repair(old)
    assert old.get("acme/sql@1.0.0").conflicts == {"acme/rival": "^1"}
    assert examine(old, [BASE]) == []


def test_an_upgrade_killed_at_any_step_is_done_by_the_next_opening(old: Registry, in_memory: Path) -> None:
    versions: list[int] = []
    for step in count(1):
        registry = Registry(in_memory / "copy" / "registry", trust_home=old.trust_home)
        shutil.rmtree(in_memory / "copy", ignore_errors=True)
        shutil.copytree(old.root, registry.root)
        killed = dies_at(step, registry.list)
        versions.append(version_of(registry))
        assert [str(one.ref) for one in registry.list()] == ["acme/sql@1.0.0", "acme/sql@1.1.0"], step
        if step % 8 == 0:
            assert examine(registry, [BASE]) == [], step
        if not killed:
            break
    assert versions == sorted(versions)
    assert versions.count(1) > 15
    assert versions[-1] == 2


def test_two_processes_may_upgrade_at_once(old: Registry) -> None:
    assert [child.wait() for child in [fork(lambda: len(old.list())) for _ in range(3)]] == [2, 2, 2]
    assert examine(old, [BASE]) == []


def test_a_registry_of_a_newer_expert_kit_is_refused_and_not_touched(old: Registry) -> None:
    path = old.root / "registry.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 3")
    connection.close()
    before = path.read_bytes()
    for attempt in (old.list, lambda: old.uninstall("acme/sql"), old.collect_garbage):
        with pytest.raises(RegistryError) as caught:
            attempt()
        assert caught.value.code == "registry_schema_newer"
    assert "registry_schema_newer" in [finding.code for finding in examine(old, [BASE])]
    assert path.read_bytes() == before
