from __future__ import annotations

import json
from pathlib import Path

import pytest

from expert_kit.errors import CheckUnavailableError, SignatureError
from expert_kit.signing.roots import RoleKeys, RootStore, root_digest

A, B = "a" * 64, "b" * 64


def file(version: int, key: str = A) -> bytes:
    """As ``rotation.py`` lets it in; the store checks no signatures."""
    roles = {"root": {"keyids": [B], "threshold": 1}, "targets": {"keyids": [key], "threshold": 1}}
    signed = {"x-expert-kit-publisher": "acme", "version": version, "expires": "2031-01-01T00:00:00Z", "roles": roles}
    return json.dumps({"signatures": [], "signed": signed}).encode()


@pytest.fixture
def store(tmp_path: Path) -> RootStore:
    return RootStore(tmp_path / "roots")


def test_the_highest_version_of_the_chain_counts(store: RootStore) -> None:
    anchor = store.start("acme", 9, file(9))
    store.add("acme", 10, file(10, B))
    root, data = store.current("acme", anchor)
    assert (anchor, root.version, data) == (root_digest(file(9)), 10, file(10, B))
    assert (root.publisher, root.targets) == ("acme", RoleKeys((f"sha256:{B}",), 1))
    assert list(store.publishers()) == ["acme"]


def test_starting_anew_forgets_the_old_chain(store: RootStore) -> None:
    old = store.start("acme", 1, file(1))
    store.add("acme", 2, file(2))
    new = store.start("acme", 1, file(1, B))
    assert store.current("acme", new)[0].version == 1
    with pytest.raises(CheckUnavailableError):
        store.current("acme", old)


@pytest.mark.parametrize("publisher", ["acme", "other", "../acme", ""])
def test_a_chain_that_does_not_begin_with_the_anchor_is_missing(store: RootStore, publisher: str) -> None:
    store.start("acme", 2, file(2))
    with pytest.raises(CheckUnavailableError) as caught:
        store.current(publisher, root_digest(file(1)))
    assert caught.value.code == "trust_root_missing"
    assert "expert-kit trust add FILE" in caught.value.hint


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"signed":{"version":2}}'])
def test_a_damaged_root_is_an_error(store: RootStore, data: bytes) -> None:
    anchor = store.start("acme", 1, file(1))
    store.add("acme", 2, data)
    with pytest.raises(SignatureError) as caught:
        store.current("acme", anchor)
    assert caught.value.code == "trust_invalid"


def test_other_files_in_the_folder_are_no_roots(store: RootStore) -> None:
    anchor = store.start("acme", 1, file(1))
    for name in ("x.root.json", "-2.root.json", "2.root.json.bak"):
        (store.folder / "acme" / name).write_bytes(file(2))
    assert store.current("acme", anchor)[0].version == 1


def test_a_threshold_counts_different_keys() -> None:
    assert RoleKeys((A, B), 2).count((A, A, "c")) == 1
    assert RoleKeys((A, B), 2).count((A, B)) == 2
