from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from expert_kit.archive import SIGNATURES, ArchiveReader, replace_meta
from expert_kit.manifest import statement_bytes
from expert_kit.registry import Registry
from expert_kit.signing import KEY_TYPES, PrivateKey, TrustStore, add_line, key_id, sign
from tests.support.builders import build_expert, tiny_base

BASE = tiny_base()


def sign_archive(archive: Path, *keys: PrivateKey) -> Path:
    with ArchiveReader.open(archive) as reader:
        statement, lines = statement_bytes(reader.manifest), reader.signatures_bytes
    for key in keys:
        lines = add_line(lines, sign(statement, key))
    return replace_meta(archive, archive, {SIGNATURES: lines})


@dataclass
class Publisher:
    """Makes signed archives of ``acme/...`` and can be trusted."""

    folder: Path
    key: PrivateKey

    @property
    def key_id(self) -> str:
        return key_id(self.key.public_key())

    def build(self, *, signed: bool = True, **source: Any) -> Path:
        source.setdefault("name", "acme/sql")
        self.folder.mkdir(exist_ok=True, parents=True)
        archive = build_expert(self.folder, **source)
        return sign_archive(archive, self.key) if signed else archive


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    return Publisher(tmp_path / "publisher", KEY_TYPES["ed25519"]())


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Empty, and nobody is trusted."""
    return Registry(tmp_path / "registry", trust_home=tmp_path)


@pytest.fixture
def trusting(registry: Registry, publisher: Publisher) -> Registry:
    """Empty; the publisher is trusted for its namespace."""
    TrustStore(registry.trust_home).trust("acme/*", publisher.key_id)
    return registry


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A folder for very many installs: in memory where there is such a place, since a disk takes milliseconds for each fsync."""
    place = Path("/dev/shm")
    with TemporaryDirectory(dir=place if os.access(place, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture
def files_of(registry: Registry) -> Callable[[], set[str]]:
    """Blobs and staging folders that exist, relative to the registry."""

    def look() -> set[str]:
        paths = [*registry.root.glob("cas/sha256/??/*"), *registry.root.glob("staging/*")]
        return {str(path.relative_to(registry.root)) for path in paths}

    return look
