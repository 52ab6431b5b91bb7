"""Every test has its own home folder and no network; the tiny model is random, real code runs on it."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MPLBACKEND", "agg")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh EXPERT_KIT_HOME."""
    folder = tmp_path / "home"
    monkeypatch.setenv("EXPERT_KIT_HOME", str(folder))
    return folder


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("network"):
        return
    connect = socket.socket.connect

    def refuse(self: socket.socket, address: object) -> None:
        if self.family != socket.AF_UNIX:
            raise OSError(f"tests open no connections: {address}")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete folder of a random two-layer Llama with a byte tokenizer and a chat template."""
    from tests.support.tiny_model import write_tiny_model

    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny-llama")


@pytest.fixture(scope="session")
def tiny_record(tiny_folder: Path):
    """The record of the tiny model."""
    from expert_kit.base_models.fingerprint import fingerprint_folder

    return fingerprint_folder(tiny_folder, "tiny-llama")


@pytest.fixture
def tiny(tiny_folder: Path, tiny_record):
    """The tiny model, loaded in float32 on the CPU, fresh for each test."""
    from expert_kit.adapters import load_base

    return load_base(tiny_folder, tiny_record, device="cpu", dtype="float32")


@pytest.fixture(scope="session")
def real_bases() -> Path:
    """The folder of real base models that scripts/test fills; without it the tests that need it are skipped."""
    folder = os.environ.get("EXPERT_KIT_TEST_BASES")
    if not folder or not Path(folder, "smollm2-135m", "base.json").is_file():
        pytest.skip("EXPERT_KIT_TEST_BASES holds no smollm2-135m; scripts/test sets it")
    return Path(folder)


@pytest.fixture
def real_home(home: Path, real_bases: Path) -> Path:
    """A fresh home in which the real base model is already pulled."""
    home.mkdir(parents=True)
    (home / "bases").symlink_to(real_bases)
    return home


@pytest.fixture(scope="session")
def shipped_home(tmp_path_factory: pytest.TempPathFactory, real_bases: Path) -> Path:
    """A home with the real base and the shipped experts, shared by all tests and workers, which must not change it."""
    from tests.support.shipped import shared_home

    shared = tmp_path_factory.getbasetemp()
    return shared_home(shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared, real_bases)


@pytest.fixture
def own_shipped_home(home: Path, shipped_home: Path) -> Path:
    """A copy of it for one test."""
    shutil.copytree(shipped_home, home, symlinks=True)
    return home
