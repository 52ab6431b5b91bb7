"""What has to be on the disk before something else may refer to it: the order of fsync, link, rename and COMMIT."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from expert_kit.registry import Registry
from expert_kit.signing import TrustStore
from tests.unit.registry.conftest import BASE, Publisher

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs the names of open files")


@dataclass
class Steps:
    """What was done, in order: ``("fsync", path)``, ``("link", source, target)``, ``("rename", ...)``, ``("commit",)``."""

    done: list[tuple[str, ...]] = field(default_factory=list)

    def at(self, *step: str) -> int:
        assert step in self.done, f"never happened: {step}"
        return self.done.index(step)

    def last(self, *step: str) -> int:
        return len(self.done) - 1 - self.done[::-1].index(step)

    def of(self, kind: str) -> list[tuple[str, ...]]:
        return [step for step in self.done if step[0] == kind]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Records the real calls of this process."""
    seen, real = Steps(), {name: getattr(os, name) for name in ("fsync", "link", "replace", "mkdir")}
    connect = sqlite3.connect

    def fsync(descriptor: int) -> None:
        real["fsync"](descriptor)
        seen.done.append(("fsync", os.readlink(f"/proc/self/fd/{descriptor}")))

    def link(source: Any, target: Any) -> None:
        real["link"](source, target)
        seen.done.append(("link", str(source), str(target)))

    def replace(source: Any, target: Any) -> None:
        real["replace"](source, target)
        seen.done.append(("rename", str(source), str(target)))

    def mkdir(path: Any, *mode: int) -> None:
        real["mkdir"](path, *mode)
        seen.done.append(("mkdir", str(path)))

    def traced(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        connection.set_trace_callback(lambda sql: seen.done.append(("commit",)) if sql == "COMMIT" else None)
        return connection

    for name, call in {"fsync": fsync, "link": link, "replace": replace, "mkdir": mkdir}.items():
        monkeypatch.setattr(os, name, call)
    monkeypatch.setattr(sqlite3, "connect", traced)
    return seen


def test_blobs_and_their_folders_are_durable_before_the_rows_are(trusting: Registry, publisher: Publisher, steps: Steps) -> None:
    archive = publisher.build()
    steps.done.clear()
    expert = trusting.install(archive, bases=[BASE])
    commit = steps.last("commit")
    links = {Path(target): source for _, source, target in steps.of("link")}
    assert links.keys() == {trusting.blobs.path(digest) for digest in expert.digests()}
    for target, source in links.items():
        linked = steps.at("link", source, str(target))
        assert steps.at("fsync", source) < linked
        assert linked < steps.last("fsync", str(target.parent)) < commit


def test_every_new_folder_of_the_store_is_durable_in_its_parent(trusting: Registry, publisher: Publisher, steps: Steps) -> None:
    archive = publisher.build()
    steps.done.clear()
    trusting.install(archive, bases=[BASE])
    made = [Path(path) for _, path in steps.of("mkdir") if "staging" not in path or path.endswith("staging")]
    assert {trusting.root, trusting.root / "cas", trusting.root / "cas" / "sha256"} <= set(made)
    for folder in made:
        assert steps.at("mkdir", str(folder)) < steps.last("fsync", str(folder.parent)) < steps.last("commit"), folder


def test_the_database_waits_for_the_disk(trusting: Registry, publisher: Publisher) -> None:
    trusting.install(publisher.build(), bases=[BASE])
    with trusting.database.writing() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_a_healed_blob_is_durable_before_it_takes_the_place_of_the_damaged_one(
    trusting: Registry, publisher: Publisher, steps: Steps
) -> None:
    archive = publisher.build()
    blob = trusting.blobs.path(trusting.install(archive, bases=[BASE]).weights.sha256)
    blob.chmod(0o644)
    blob.write_bytes(b"other bytes")
    steps.done.clear()
    trusting.install(archive, bases=[BASE])
    (fresh,) = [source for _, source, target in steps.of("rename") if target == str(blob)]
    staged = fresh.removesuffix(".heal")
    assert steps.at("fsync", staged) < steps.at("link", staged, fresh) < steps.at("rename", fresh, str(blob))
    assert steps.at("rename", fresh, str(blob)) < steps.last("fsync", str(blob.parent)) < steps.last("commit")


def test_a_trust_file_is_durable_before_its_rename_and_the_rename_after_it(tmp_path: Path, steps: Steps) -> None:
    trust = TrustStore(tmp_path / "home")
    trust.trust("acme/*", "sha256:" + "a" * 64)
    for target in (trust.path, tmp_path / "home" / "trust" / "events.head"):
        (temporary,) = [source for _, source, to in steps.of("rename") if to == str(target)]
        renamed = steps.at("rename", temporary, str(target))
        assert steps.at("fsync", temporary) < renamed < steps.last("fsync", str(target.parent))
