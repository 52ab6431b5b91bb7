from __future__ import annotations

import hashlib
import os
import pickle  # noqa: TID251 - the result of a forked child of this very test
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from expert_kit.errors import ExpertKitError
from expert_kit.registry import Registry
from expert_kit.signing import KEY_TYPES, PrivateKey, TrustStore, key_id
from tests.hostile.forge import Parts, frame
from tests.hostile.watch import SQLITE, changed_paths, peak_memory, seconds_allowed
from tests.support.builders import build_expert, tiny_base

BASE = tiny_base()
MEMORY = 256 << 20
BEFORE_THE_SIGNATURE = ("archive_", "manifest_")


@dataclass(frozen=True)
class Gate:
    """A registry that trusts one key for ``acme/*`` and has one expert; every refusal must leave it as it is."""

    folder: Path
    registry: Registry
    key: PrivateKey
    sound: Parts

    def parts(self) -> Parts:
        """A signed archive, taken apart."""
        return self.sound.copy()

    def sealed(self, parts: Parts, form: str) -> bytes:
        """The archive of changed parts: signed again by the trusted key, or with the signature from before the change."""
        parts.seal()
        if form == "resigned":
            parts.resign(self.key)
        return frame(parts.members())

    def code(self, data: bytes, *, bases: list[object] | None = None) -> str:
        """The code with which an archive of these bytes is refused; checks time, memory and files."""
        archive = self.folder / "hostile.expert"
        archive.write_bytes(data)
        return self.code_of_file(archive, bases=bases)

    def code_of_file(self, archive: Path, *, bases: list[object] | None = None, allow_missing_base: bool = False) -> str:
        """The same for a file; CPU time counts, as other programs may run beside the tests."""
        before, started = self.tree(), time.process_time()
        with changed_paths() as changed, peak_memory() as grown, pytest.raises(ExpertKitError) as caught:
            self.registry.install(archive, bases=[BASE] if bases is None else bases, allow_missing_base=allow_missing_base)  # type: ignore[arg-type]
        assert time.process_time() - started < seconds_allowed()
        assert grown[0] < MEMORY
        assert [one for one in changed if not self.may_change(*one)] == []
        assert self.tree() == before
        assert caught.value.message.isprintable()
        assert len(caught.value.message) < 20_000
        return caught.value.code

    def code_in_child(self, archive: Path, **options: object) -> str:
        """The same in a process that may take 256 MB more than this one, and no more."""
        return in_child(lambda: self.code_of_file(archive, **options))  # type: ignore[arg-type]

    def may_change(self, event: str, path: Path) -> bool:
        """Whether a refused install may touch this file: in staging; and the database is opened, which ``tree`` compares."""
        staging, database = self.registry.root / "staging", self.registry.root / "registry.sqlite"
        return path.is_relative_to(staging) or (event, path) == (SQLITE, database)

    def tree(self) -> dict[str, str]:
        """Digest of every file below the folder of this test; SQLite's own side files say nothing."""
        files = (path for path in self.folder.rglob("*") if path.suffix != ".expert" and not path.name.endswith(("-wal", "-shm")))
        return {str(path): _digest(path) if path.is_file() else "folder" for path in files}

    def accepts(self, data: bytes, **options: object) -> None:
        """Install it, and take it away again."""
        archive = self.folder / "sound.expert"
        archive.write_bytes(data)
        expert = self.registry.install(archive, bases=[BASE], allow_downgrade=True, **options)  # type: ignore[arg-type]
        self.registry.uninstall(expert.ref)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def in_child(work: Callable[[], str]) -> str:
    """Run in a fork under a limit of address space; a crash, a timeout or a failed check there fails here."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            resource.setrlimit(resource.RLIMIT_AS, (_address_space() + MEMORY,) * 2)
            answer: object = work()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the parent has to see it
            answer = RuntimeError(f"{type(error).__name__}: {error}")
        os.write(writing, pickle.dumps(answer))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        data = pipe.read()
    _, status = os.waitpid(child, 0)
    assert status == 0, f"the child ended with status {status}"
    answer = pickle.loads(data)
    if isinstance(answer, Exception):
        raise answer
    return str(answer)


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


@pytest.fixture(scope="session")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    folder = tmp_path_factory.mktemp("hostile")
    key = KEY_TYPES["ed25519"]()
    registry = Registry(folder / "registry", trust_home=folder / "home")
    TrustStore(registry.trust_home).trust("acme/*", key_id(key.public_key()))
    built = folder / "built"
    built.mkdir()
    parts = Parts.of(build_expert(built, name="acme/sql"))
    parts.resign(key)
    installed = parts.copy()
    installed.value |= {"name": "acme/installed"}
    installed.resign(key)
    (folder / "installed.expert").write_bytes(frame(installed.members()))
    registry.install(folder / "installed.expert", bases=[BASE])
    return Gate(folder, registry, key, parts)


@pytest.fixture
def memory() -> int:
    """Bytes that a case may take."""
    return MEMORY


@pytest.fixture(autouse=True)
def _contained(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: int) -> Iterator[None]:
    """No case of this suite, whatever it calls, writes outside the folders of the tests or takes too much memory."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ours = tmp_path_factory.getbasetemp()
    with changed_paths() as changed, peak_memory() as grown:
        yield
    assert grown[0] < memory
    assert [path for _, path in changed if not (path.is_relative_to(ours) or "__pycache__" in path.parts)] == []


def in_form(form: str, code: str) -> str:
    """What is said about content that is refused as ``code`` when the trusted key signed it."""
    return code if form == "resigned" or code.startswith(BEFORE_THE_SIGNATURE) else "signature_statement_mismatch"


@pytest.fixture(params=["tampered", "resigned"])
def form(request: pytest.FixtureRequest) -> str:
    """What the attacker has: an archive signed by somebody else, or the key that is trusted."""
    return str(request.param)
