"""What may change whom we trust: a publisher's next root, taken only if the one before and its own keys say so."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from expert_kit.errors import ExpertKitError
from expert_kit.signing import KEY_TYPES, PrivateKey, TrustStore
from expert_kit.signing.rotation import new_root, sign_root
from expert_kit.signing.update import apply_update, start_root

A, B, C, D = (KEY_TYPES["ed25519"]() for _ in range(4))
EXPIRES = datetime(2999, 1, 1, tzinfo=UTC)


def root(*signers: PrivateKey, keys: tuple[PrivateKey, ...] = (A, B), previous: bytes | None = None, **fields: Any) -> bytes:
    """A root of acme with two of its keys needed, signed by ``signers``."""
    public = [key.public_key() for key in keys]
    fields = {"publisher": "acme", "root_threshold": 2, "threshold": 1, "expires": EXPIRES, **fields}
    data = new_root(fields.pop("publisher"), root_keys=public, keys=public, previous=previous, **fields)
    for signer in signers:
        data = sign_root(data, signer)
    return data


FIRST = root(A, B)
NEXT = root(A, B, C, D, keys=(C, D), previous=FIRST)


@pytest.fixture
def trust(tmp_path: Path) -> TrustStore:
    store = TrustStore(tmp_path)
    start_root(store, FIRST)
    return store


def code(trust: TrustStore, data: bytes) -> str:
    before = {path: path.read_bytes() for path in trust.path.parent.rglob("*") if path.is_file()}
    with pytest.raises(ExpertKitError) as caught:
        apply_update(trust, data)
    assert {path: path.read_bytes() for path in trust.path.parent.rglob("*") if path.is_file()} == before
    return caught.value.code


HOSTILE = {
    "old keys only": (root(A, B, keys=(C, D), previous=FIRST), "root_threshold"),
    "new keys only": (root(C, D, keys=(C, D), previous=FIRST), "root_threshold"),
    "below the old threshold": (root(A, C, D, keys=(C, D), previous=FIRST), "root_threshold"),
    "below the new threshold": (root(A, B, C, keys=(C, D), previous=FIRST), "root_threshold"),
    "nobody": (root(previous=FIRST), "root_threshold"),
    "one key twice": (sign_root(root(A, previous=FIRST), A), "root_threshold"),
    "two versions ahead": (root(A, B, C, D, keys=(C, D), previous=NEXT), "root_version"),
    "the same version with other content": (root(A, B, threshold=2), "root_same_version"),
    "another publisher": (root(A, B, publisher="evil"), "root_untrusted"),
    "damaged": (NEXT[:-1] + b" ", "root_invalid"),
    "trailing bytes": (NEXT + b"\n", "root_invalid"),
    "a duplicate key": (NEXT.replace(b'"version":2', b'"version":2,"version":2'), "root_invalid"),
    "empty": (b'{"signatures":', "root_invalid"),
    "deep": (b'{"signatures":' + b"[" * 100_000, "root_invalid"),
    "an empty file": (b"", "signature_missing"),
}


@pytest.mark.parametrize(("data", "wanted"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_root_is_refused_and_changes_nothing(trust: TrustStore, data: bytes, wanted: str) -> None:
    assert code(trust, data) == wanted


def test_the_twin_is_accepted_and_after_it_the_one_before_is_refused(trust: TrustStore) -> None:
    assert apply_update(trust, NEXT).changed
    assert code(trust, FIRST) == "root_version"
