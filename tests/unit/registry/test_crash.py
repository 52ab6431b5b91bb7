"""Processes that die in the middle, and processes that work at once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from expert_kit.registry import Registry, blobs
from tests.unit.registry.conftest import BASE, Publisher

ROOT = Path(__file__).parents[3]

# Dies without any clean-up at the n-th call of a function that changes files or rows.
KILLED = """
import os, sqlite3, sys
from pathlib import Path
from expert_kit.bases import BaseRecord
from expert_kit.registry import Registry

root, home, archive, base, step, count = sys.argv[1:]
left = int(count)

def dying(real):
    def call(*arguments, **options):
        global left
        left -= 1
        if left == 0:
            os._exit(9)
        return real(*arguments, **options)
    return call

class Connection(sqlite3.Connection):
    writes = False  # counts what comes after the BEGIN of the transaction

    def execute(self, sql, *parameters):
        self.writes = self.writes or sql == "BEGIN IMMEDIATE"
        real = super().execute
        return dying(real)(sql, *parameters) if self.writes else real(sql, *parameters)

    def executemany(self, *arguments):
        return dying(super().executemany)(*arguments)

    def commit(self):
        os._exit(9)

if step == "transaction":
    connect = sqlite3.connect
    sqlite3.connect = lambda *arguments, **options: connect(*arguments, factory=Connection, **options)
else:
    setattr(os, step, dying(getattr(os, step)))
registry = Registry(Path(root), trust_home=Path(home))
registry.install(Path(archive), bases=[BaseRecord.from_json(Path(base).read_text())])
print("installed")
"""

INSTALLED = """
import sys
from pathlib import Path
from expert_kit.bases import BaseRecord
from expert_kit.errors import AlreadyInstalledError
from expert_kit.registry import Registry

root, home, base, *archives = sys.argv[1:]
record = BaseRecord.from_json(Path(base).read_text())
import expert_kit.registry.install
print("ready", flush=True)
sys.stdin.readline()
for archive in archives:
    try:
        print(Registry(Path(root), trust_home=Path(home)).install(Path(archive), bases=[record]).ref)
    except AlreadyInstalledError as error:
        print(error.code)
"""


@pytest.fixture
def base_file(tmp_path: Path) -> Path:
    path = tmp_path / "base.json"
    path.write_text(BASE.to_json())
    return path


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)


@pytest.mark.parametrize(
    ("step", "count"),
    # 99: at the commit
    [("fsync", 1), ("fsync", 4), ("link", 1), ("link", 4), ("chmod", 3)] + [("transaction", count) for count in (1, 2, 4, 5, 6, 7, 99)],
)
def test_an_install_that_is_killed_is_not_there_and_the_next_one_works(
    trusting: Registry, publisher: Publisher, base_file: Path, step: str, count: int
) -> None:
    sound = trusting.install(publisher.build(name="acme/sound"), bases=[BASE])
    archive = publisher.build()
    process = start(KILLED, trusting.root, trusting.trust_home, archive, base_file, step, count)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 9, output + errors
    assert trusting.list() == [sound]
    expert = trusting.install(archive, bases=[BASE])
    assert trusting.get("acme/sql") == expert
    assert all(trusting.read(digest) for digest in expert.digests())
    trusting.collect()
    assert set(trusting.blobs.digests()) == expert.digests() | sound.digests()


def test_two_processes_install_the_same_archive_and_one_wins(trusting: Registry, publisher: Publisher, base_file: Path) -> None:
    archive = publisher.build()
    answers = _at_once([start(INSTALLED, trusting.root, trusting.trust_home, base_file, archive) for _ in range(2)])
    assert sorted(answers) == [["acme/sql@1.0.0"], ["expert_already_installed"]]
    (expert,) = trusting.list()
    assert all(trusting.read(digest) for digest in expert.digests())


def test_two_processes_install_different_experts_with_common_blobs(trusting: Registry, publisher: Publisher, base_file: Path) -> None:
    halves = [[publisher.build(name=f"acme/{side}-{number}") for number in range(4)] for side in ("left", "right")]
    answers = _at_once([start(INSTALLED, trusting.root, trusting.trust_home, base_file, *half) for half in halves])
    assert sorted(len(answer) for answer in answers) == [4, 4]
    experts = trusting.list()
    assert len(experts) == 8
    assert all(trusting.read(digest) for expert in experts for digest in expert.digests())


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


def test_what_a_killed_install_left_in_staging_is_removed_once_it_is_old(trusting: Registry, publisher: Publisher) -> None:
    for name, age in (("old", blobs.STALE_SECONDS + 60), ("young", 60)):
        folder = trusting.root / "staging" / name
        folder.mkdir(parents=True)
        (folder / "blob").write_bytes(b"x")
        os.utime(folder, (time.time() - age,) * 2)
    trusting.install(publisher.build(), bases=[BASE])
    assert [path.name for path in (trusting.root / "staging").iterdir()] == ["young"]


def _at_once(processes: list[subprocess.Popen[str]]) -> list[list[str]]:
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    answers = []
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        answers.append(output.split())
    return answers
