"""Processes that die at any step, disks that are full or only to be read, and processes that work at once.

Afterwards the registry is as it was before or as it was to become, what was installed can be read, and ``doctor`` finds
nothing but garbage, for which it names the command.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from expert_kit.errors import AlreadyInstalledError, ExpertKitError
from expert_kit.registry import Registry, blobs, rows, staging
from expert_kit.registry.batch import Terms
from expert_kit.registry.doctor import examine
from expert_kit.registry.index import read_index
from expert_kit.registry.proposal import carry_out, propose_install, propose_update
from expert_kit.registry.repair import repair
from expert_kit.signing import KEY_TYPES, TrustStore
from tests.support.dying import dies_at, fork, full_at, may_mount, read_only, small_disk
from tests.support.shelf import Shelf
from tests.unit.registry.conftest import BASE, Publisher

TERMS = Terms([BASE])
HARMLESS = {"blob_orphan": "expert-kit gc", "staging_stale": "expert-kit gc"}


@dataclass(frozen=True)
class World:
    """A registry with acme/lib 1.0.0 and acme/app 1.0.0, and newer archives of both; every test works on copies."""

    folder: Path
    shelf: Path

    def copy(self, target: Path) -> Registry:
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.folder, target)
        return Registry(target / "registry", trust_home=target)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    shelf = Shelf(folder / "shelf", folder / "work", KEY_TYPES["ed25519"]())
    registry = Registry(folder / "home" / "registry", trust_home=folder / "home")
    TrustStore(registry.trust_home).trust("acme/*", Publisher(folder, shelf.key).key_id)
    for name in ("acme/lib", "acme/app"):
        registry.install(shelf.put(name, "1.0.0"), bases=[BASE])
    shelf.put("acme/lib", "1.1.0", seed=1)
    shelf.put("acme/app", "1.1.0", experts={"acme/lib": "^1.1"}, seed=2)
    shelf.put("other/new", "1.0.0", seed=3)
    return World(folder / "home", folder / "shelf")


def install_one(registry: Registry, shelf: Path) -> None:
    registry.install(shelf / "acme.lib-1.1.0.expert", bases=[BASE])


def install_on_first_use(registry: Registry, shelf: Path) -> None:
    registry.install(shelf / "other.new-1.0.0.expert", bases=[BASE], ask=lambda use: True)


def update_all(registry: Registry, shelf: Path) -> None:
    carry_out(registry, propose_update(registry, [], TERMS, read_index([shelf])), TERMS)


def uninstall(registry: Registry, shelf: Path) -> None:
    registry.uninstall("acme/app")


def collect_garbage(registry: Registry, shelf: Path) -> None:
    registry.collect_garbage()


def roll_back(registry: Registry, shelf: Path) -> None:
    registry.rollback("acme/lib")


def mend(registry: Registry, shelf: Path) -> None:
    repair(registry)


def nothing(registry: Registry, shelf: Path) -> None:
    """As it is."""


def leave_garbage(registry: Registry, shelf: Path) -> None:
    with registry.database.writing() as connection:
        rows.delete(connection, registry.get("acme/app"))
    (registry.root / "staging" / "dead").mkdir()
    (registry.root / "staging" / "dead" / "rest").write_bytes(b"x")


def break_derived_rows(registry: Registry, shelf: Path) -> None:
    with registry.database.writing() as connection:
        connection.execute("DELETE FROM current")
        connection.execute("DELETE FROM label")
        connection.execute("DELETE FROM file WHERE role = 'routing'")


Step = Callable[[Registry, Path], None]
OPERATIONS: dict[str, tuple[Step, Step]] = {
    "install": (nothing, install_one),
    "first-use": (nothing, install_on_first_use),
    "update": (nothing, update_all),
    "uninstall": (nothing, uninstall),
    "gc": (leave_garbage, collect_garbage),
    "rollback": (install_one, roll_back),
    "repair": (break_derived_rows, mend),
}


def state(registry: Registry) -> list[tuple[str, bool]]:
    """What is there; every byte of it was read."""
    experts = registry.list()
    assert all(registry.read(digest) for expert in experts for digest in expert.digests())
    return [(str(expert.ref), expert.current) for expert in experts]


def complaints(registry: Registry) -> set[str]:
    """What ``doctor`` finds beyond garbage."""
    findings = examine(registry, [BASE])
    return {finding.code for finding in findings if HARMLESS.get(finding.code) != finding.fix}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_process_killed_at_any_step_has_done_all_of_it_or_nothing(world: World, in_memory: Path, name: str) -> None:
    prepare, work = OPERATIONS[name]
    registry = world.copy(in_memory / "template")
    prepare(registry, world.shelf)
    template, broken = World(in_memory / "template", world.shelf), complaints(registry)
    before = state(registry) if not broken else None
    done = template.copy(in_memory / "done")
    work(done, world.shelf)
    after = state(done)
    for step in count(1):
        registry = template.copy(in_memory / "copy")
        killed = dies_at(step, lambda registry=registry: work(registry, world.shelf))
        if broken and (wrong := complaints(registry)):
            assert wrong <= broken, step
            repair(registry)
        assert complaints(registry) == set(), step
        now = state(registry)
        assert now == after or (now == before and killed), step
        if killed and step % 7:
            continue
        if now != after:  # it can be done again
            work(registry, world.shelf)
            assert state(registry) == after, step
        registry.collect_garbage()
        assert examine(registry, [BASE]) == [], step
        if not killed:
            break
    assert step > 5


@pytest.mark.parametrize("name", ["install", "gc"])
def test_a_disk_that_is_full_at_any_step_is_a_typed_error_and_nothing_is_lost(world: World, in_memory: Path, name: str) -> None:
    prepare, work = OPERATIONS[name]
    prepare(world.copy(in_memory / "template"), world.shelf)
    template = World(in_memory / "template", world.shelf)
    before = state(template.copy(in_memory / "copy"))

    def attempt(registry: Registry) -> str:
        try:
            work(registry, world.shelf)
        except ExpertKitError as error:
            return error.code
        return "done"

    for step in count(1):
        registry = template.copy(in_memory / "copy")
        answer = full_at(step, lambda registry=registry: attempt(registry))
        assert complaints(registry) == set(), step
        if answer == "done":
            break
        assert answer in {"registry_disk_full", "trust_unwritable"}, step
        assert state(registry) == before, step
    assert name == "gc" or step > 20


@pytest.mark.skipif(not may_mount(), reason="this system gives a test no file system of its own")
def test_a_really_full_disk_keeps_what_is_installed(world: World, tmp_path: Path) -> None:
    target = tmp_path / "disk"
    target.mkdir()

    def attempt(room: int) -> tuple[str, list[tuple[str, bool]], list[str]]:
        small_disk(target, 4 << 20)
        registry = world.copy(target / "home")
        free = os.statvfs(target).f_bavail * os.statvfs(target).f_frsize
        (target / "filler").write_bytes(bytes(free - room))
        try:
            update_all(registry, world.shelf)
            answer = "done"
        except ExpertKitError as error:
            answer = error.code
        listed = [[str(expert.ref), expert.current] for expert in registry.list()]
        assert answer == "done" or listed == before
        (target / "filler").unlink()
        return answer, state(registry), sorted(complaints(registry))

    before = [list(one) for one in state(world.copy(tmp_path / "copy"))]
    rooms = [kilobytes << 10 for kilobytes in (0, 4, 12, 24, 40, 60, 90, 130, 1000)]
    outcomes = [fork(lambda room=room: attempt(room)).wait() for room in rooms]
    assert [wrong for _, _, wrong in outcomes] == [[]] * len(rooms)
    assert outcomes[-1][0] == "done"
    full = [now for answer, now, _ in outcomes if answer == "registry_disk_full"]
    assert len(full) >= 3
    assert full == [before] * len(full)
    assert {answer for answer, _, _ in outcomes} == {"done", "registry_disk_full"}


@pytest.mark.skipif(not may_mount(), reason="this system gives a test no file system of its own")
def test_a_store_that_is_only_to_be_read_serves_and_refuses_in_words(world: World, tmp_path: Path) -> None:
    registry = world.copy(tmp_path / "home")
    before = state(registry)

    def attempt() -> tuple[list[tuple[str, bool]], list[str], list[str]]:
        read_only(tmp_path / "home")
        codes = []
        for work in (install_one, update_all, uninstall, collect_garbage):
            try:
                work(registry, world.shelf)
                codes.append("done")
            except ExpertKitError as error:
                codes.append(error.code)
        with registry.lease("acme/app") as (expert,):
            assert all(registry.read(digest) for digest in expert.digests())
        return state(registry), codes, [finding.code for finding in examine(registry, [BASE])]

    now, codes, findings = fork(attempt).wait()
    assert [tuple(one) for one in now] == before
    assert codes == ["registry_read_only"] * 3 + ["done"]
    assert findings == ["registry_read_only"]


def test_two_processes_install_the_same_archive_and_one_wins(trusting: Registry, publisher: Publisher) -> None:
    archive = publisher.build()

    def attempt() -> str:
        try:
            return str(trusting.install(archive, bases=[BASE]).ref)
        except AlreadyInstalledError as error:
            return error.code

    answers = [child.wait() for child in [fork(attempt) for _ in range(2)]]
    assert sorted(answers) == ["acme/sql@1.0.0", "expert_already_installed"]
    assert state(trusting) == [("acme/sql@1.0.0", True)]


def test_two_installers_a_collector_and_a_reader_at_once(trusting: Registry, publisher: Publisher) -> None:
    halves = [[publisher.build(name=f"acme/{side}-{number}") for number in range(4)] for side in ("left", "right")]
    stop = trusting.trust_home / "stop"

    def install_all(archives: list[Path]) -> list[str]:
        return [str(trusting.install(archive, bases=[BASE]).ref) for archive in archives]

    def install_and_remove() -> bool:
        archive = halves[0][0].with_name("acme.again-1.0.0.expert")
        while not stop.exists():
            trusting.install(archive, bases=[BASE])
            trusting.uninstall("acme/again")
            trusting.collect_garbage()
        return True

    def read() -> int:
        found = 0
        while not stop.exists():
            for expert in trusting.list():
                try:
                    with trusting.lease(expert.ref) as (leased,):
                        assert all(trusting.read(digest) for digest in leased.digests())
                        found += 1
                except ExpertKitError as error:
                    if error.code != "expert_not_found":  # removed since the list
                        raise
        return found

    publisher.build(name="acme/again")
    others = [fork(install_and_remove), fork(read)]
    try:
        answers = [child.wait() for child in [fork(lambda half=half: install_all(half)) for half in halves]]
    finally:
        stop.touch()
        ended = [child.wait() for child in others]
    assert sorted(map(len, answers)) == [4, 4]
    assert ended[0] is True
    assert len([name for name, current in state(trusting) if current]) == 8
    assert complaints(trusting) == set()


def test_a_plan_that_another_process_has_overtaken_is_not_carried_out(world: World, tmp_path: Path) -> None:
    registry = world.copy(tmp_path / "home")
    proposal = propose_install(registry, [str(world.shelf / "acme.lib-1.1.0.expert"), "acme/app@1.1.0"], TERMS, read_index([world.shelf]))
    late = propose_install(registry, ["acme/lib@1.0.0"], TERMS, read_index([world.shelf]))
    assert late.archives == ()
    only_app = type(proposal)(proposal.plan, tuple(one for one in proposal.archives if one.name == "acme/app"))
    before = state(registry)
    with pytest.raises(ExpertKitError) as caught:
        carry_out(registry, only_app, TERMS)
    assert caught.value.code == "registry_changed"
    assert "acme/app@1.1.0 requires acme/lib ^1.1, which is 1.0.0" in caught.value.message
    assert state(registry) == before


def test_a_blob_collected_between_link_and_rows_is_linked_again(
    trusting: Registry, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = publisher.build()
    real = blobs.Stage.link_all

    def link_then_lose(stage: blobs.Stage) -> frozenset[str]:
        linked = real(stage)
        trusting.collect()  # what an uninstall in another process may do at this moment
        assert list(trusting.blobs.digests()) == []
        return linked

    monkeypatch.setattr(blobs.Stage, "link_all", link_then_lose)
    expert = trusting.install(archive, bases=[BASE])
    assert all(trusting.read(digest) for digest in expert.digests())


def test_what_a_killed_install_left_in_staging_goes_with_the_next_one(trusting: Registry, publisher: Publisher) -> None:
    with trusting.blobs.stage():  # of an install that is alive
        dead = trusting.root / "staging" / "dead"
        dead.mkdir()
        (dead / "blob").write_bytes(b"x")
        trusting.install(publisher.build(), bases=[BASE])
        assert not dead.exists()
        assert len(list((trusting.root / "staging").iterdir())) == 1


def test_without_locks_only_what_is_old_is_garbage(trusting: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "_lock", lambda descriptor: None)  # as on some network file systems
    for name, age in (("old", staging.STALE_SECONDS + 60), ("young", 60)):
        folder = trusting.root / "staging" / name
        folder.mkdir(parents=True)
        os.utime(folder, (time.time() - age,) * 2)
    assert trusting.blobs.clear_stages() == [0]
    assert [path.name for path in (trusting.root / "staging").iterdir()] == ["young"]
