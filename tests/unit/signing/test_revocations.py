from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from expert_kit.errors import SignatureError, UnsignedError
from expert_kit.signing import KEY_TYPES, PrivateKey, key_id, sign
from expert_kit.signing.revocations import (
    MAX_ENTRIES,
    PAYLOAD_TYPE,
    RevocationList,
    RevocationStore,
    RevokedKey,
    RevokedPackage,
    cosign_list,
    extended,
    open_list,
    sign_list,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
A, B, C = ("sha256:" + letter * 64 for letter in "abc")
PACKAGE = RevokedPackage(A, "acme/sql@1.0.0", "leaks")
KEY = RevokedKey(B, NOW - DAY, "stolen")
LIST = RevocationList("acme", 3, NOW, NOW + 30 * DAY, (PACKAGE,), (KEY,))


@pytest.fixture
def keys() -> list[PrivateKey]:
    return [make() for make in KEY_TYPES.values()]


def test_a_list_is_read_as_it_was_signed(keys: list[PrivateKey]) -> None:
    found, signers = open_list(sign_list(LIST, keys))
    assert found == LIST
    assert signers == tuple(key_id(key.public_key()) for key in keys)
    assert found.package(A) == PACKAGE
    assert found.package(B) is None


def test_another_signature_is_over_the_same_list(keys: list[PrivateKey]) -> None:
    first = sign_list(LIST, keys[:1])
    both = cosign_list(first, keys[1])
    assert both == sign_list(LIST, keys)
    assert cosign_list(both, keys[1]) == both


def test_a_signature_for_anything_else_is_no_list(keys: list[PrivateKey]) -> None:
    with pytest.raises(SignatureError) as caught:
        open_list(sign(LIST.to_bytes(), keys[0]) + b"\n")
    assert caught.value.code == "signature_kind"


def test_no_line_two_lines_by_one_key_and_lines_of_two_lists_are_refused(keys: list[PrivateKey]) -> None:
    with pytest.raises(UnsignedError):
        open_list(b"")
    for data, code in (
        (sign_list(LIST, [keys[0], keys[0]]), "signature_duplicate_key"),
        (sign_list(LIST, keys[:1]) + sign_list(extended(LIST, "acme", issued=NOW, expires=NOW + DAY), keys[1:]), "revocation_invalid"),
        (b"{}\n", "signature_malformed"),
    ):
        with pytest.raises(SignatureError) as caught:
            open_list(data)
        assert caught.value.code == code


def value(**changes: Any) -> dict[str, Any]:
    import json

    return {**json.loads(LIST.to_bytes()), **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": "revocations/2"},
        {"publisher": "../acme"},
        {"publisher": "acme/*"},
        {"version": 0},
        {"version": 1 << 53},
        {"version": "3"},
        {"issued": "2026-06-01"},
        {"expires": "2026-06-01T00:00:00Z"},
        {"packages": [{"identity": A, "name": "x"}]},
        {"packages": [{"identity": A, "name": "x", "reason": ""}]},
        {"packages": [{"identity": A, "name": "x", "reason": "\x1b[2J"}]},
        {"packages": [{"identity": A, "name": "x", "reason": "y" * 501}]},
        {"packages": [{"identity": "sha256:abc", "name": "x", "reason": "y"}]},
        {"packages": [{"identity": one, "name": "x", "reason": "y"} for one in (B, A)]},
        {"packages": [{"identity": one, "name": "x", "reason": "y"} for one in (A, A)]},
        {"keys": [{"key": A, "compromised_after": "long ago", "reason": "y"}]},
        {"keys": "none"},
        {"surprise": 1},
    ],
)
def test_a_list_that_contradicts_itself_is_refused_whoever_signed_it(keys: list[PrivateKey], changes: dict[str, Any]) -> None:
    try:
        payload = rfc8785.dumps(value(**changes))
    except rfc8785.IntegerDomainError:
        payload = LIST.to_bytes().replace(b'"version":3', b'"version":9007199254740992')
    with pytest.raises(SignatureError) as caught:
        open_list(sign(payload, keys[0], PAYLOAD_TYPE) + b"\n")
    assert caught.value.code == "revocation_invalid"


def test_a_list_has_a_limit() -> None:
    packages = tuple(RevokedPackage(f"sha256:{n:064x}", "x", "y") for n in range(MAX_ENTRIES))
    RevocationList("acme", 1, NOW, NOW + DAY, packages)
    with pytest.raises(ValueError, match="more than 10000"):
        RevocationList("acme", 1, NOW, NOW + DAY, packages, (KEY,))


def test_a_lost_key_counts_for_what_was_seen_before() -> None:
    asked = []

    def seen() -> datetime:
        asked.append(1)
        return NOW - 2 * DAY

    assert LIST.revoked_signers((A, C), seen) == {}
    assert asked == []  # only if it matters
    assert LIST.revoked_signers((B, C), seen) == {}
    assert LIST.revoked_signers((B, C), lambda: NOW) == {B: KEY}
    assert LIST.revoked_signers((B, C), lambda: None) == {B: KEY}


@pytest.mark.parametrize(("days", "stale"), [(0, False), (14, False), (15, True), (31, True)])
def test_a_list_is_stale_after_the_shorter_of_two_times(days: int, stale: bool) -> None:
    now = NOW + days * DAY
    assert LIST.is_stale(now, 14) is stale
    assert LIST.is_stale(now, 1000) is (days > 30)


def test_the_next_version_says_all_that_the_old_one_said() -> None:
    again = RevokedPackage(A, "acme/sql@1.0.0", "leaks a lot")
    new = extended(LIST, "acme", packages=[again], keys=[RevokedKey(A, NOW, "x")], issued=NOW + DAY, expires=NOW + 2 * DAY)
    assert (new.version, new.packages, [one.key for one in new.keys]) == (4, (again,), [A, B])
    assert extended(None, "acme", issued=NOW, expires=NOW + DAY).version == 1
    with pytest.raises(ValueError, match="list of acme"):
        extended(LIST, "other", issued=NOW, expires=NOW + DAY)


def test_the_store_keeps_what_was_received_and_refuses_what_is_damaged(tmp_path: Path, keys: list[PrivateKey]) -> None:
    store, data = RevocationStore(tmp_path / "lists"), sign_list(LIST, keys)
    assert (store.get("acme"), list(store.all())) == (None, [])
    store.write("acme", data)
    assert store.read("acme") == (LIST, tuple(key_id(key.public_key()) for key in keys))
    assert list(store.all()) == [LIST]
    assert store.path("acme").read_bytes() == data
    store.path("acme").write_bytes(data[:-1])
    with pytest.raises(SignatureError) as caught:
        store.get("acme")
    assert caught.value.code == "trust_invalid"
    assert store.get("../lists/acme") is None
    store.path("acme").write_bytes(b"")
    with pytest.raises(SignatureError):
        store.get("acme")
    store.path("acme").rename(store.path("ACME"))
    assert list(store.all()) == []


def test_no_date_is_too_late_to_be_compared() -> None:
    last = datetime(9999, 12, 31, tzinfo=UTC)
    late = extended(None, "acme", issued=last - DAY, expires=last)
    assert not late.is_stale(NOW, 3650)
    assert not late.is_stale(last, 1)
    assert not late.is_stale(NOW, 3_000_000)
