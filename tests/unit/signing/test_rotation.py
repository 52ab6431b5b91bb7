"""Roots, with the real TUF library on both sides."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from expert_kit.errors import ExpertKitError
from expert_kit.signing import KEY_TYPES, PrivateKey, key_id
from expert_kit.signing.roots import TrustedRoot, root_digest
from expert_kit.signing.rotation import check_first, check_next, missing_signatures, new_root, publisher_of, root_keys_of, sign_root

END = datetime(2031, 1, 1, tzinfo=UTC)
OLD, OLD_2, NEW, PACKAGES, PACKAGES_2, THIEF = (KEY_TYPES["p256" if n == 1 else "ed25519"]() for n in range(6))


def root(
    *signers: PrivateKey,
    root_keys: tuple[PrivateKey, ...] = (OLD,),
    keys: tuple[PrivateKey, ...] = (PACKAGES,),
    root_threshold: int = 1,
    threshold: int = 1,
    previous: bytes | None = None,
    publisher: str = "acme",
) -> bytes:
    data = new_root(
        publisher,
        root_keys=[key.public_key() for key in root_keys],
        keys=[key.public_key() for key in keys],
        root_threshold=root_threshold,
        threshold=threshold,
        expires=END,
        previous=previous,
    )
    for signer in signers:
        data = sign_root(data, signer)
    return data


FIRST = root(OLD)
TWO = root(OLD, OLD_2, root_keys=(OLD, OLD_2), root_threshold=2)


def refused(check: Callable[..., object], *data: bytes) -> str:
    with pytest.raises(ExpertKitError) as caught:
        check(*data)
    assert caught.value.message.isprintable()
    return caught.value.code


def test_a_first_root_says_who_may_do_what() -> None:
    trusted = check_first(root(OLD, OLD_2, root_keys=(OLD, OLD_2), keys=(PACKAGES, PACKAGES_2), root_threshold=2, threshold=2))
    assert (trusted.publisher, trusted.version, trusted.expires) == ("acme", 1, END)
    assert set(trusted.root.keys) == {key_id(key.public_key()) for key in (OLD, OLD_2)}
    assert set(trusted.targets.keys) == {key_id(key.public_key()) for key in (PACKAGES, PACKAGES_2)}
    assert (trusted.root.threshold, trusted.targets.threshold) == (2, 2)
    assert trusted == TrustedRoot.read(root(OLD, OLD_2, root_keys=(OLD, OLD_2), keys=(PACKAGES, PACKAGES_2), root_threshold=2, threshold=2))


@pytest.mark.parametrize("signers", [(), (PACKAGES,), (THIEF,)])
def test_a_first_root_is_signed_by_its_own_root_keys(signers: tuple[PrivateKey, ...]) -> None:
    assert refused(check_first, root(*signers)) == "root_threshold"
    assert refused(check_first, root(OLD, root_keys=(OLD, OLD_2), root_threshold=2)) == "root_threshold"


def test_the_next_root_is_signed_by_the_old_keys_and_by_its_own() -> None:
    both = root(OLD, NEW, root_keys=(NEW,), keys=(PACKAGES_2,), previous=FIRST)
    assert check_next(FIRST, both).targets.keys == (key_id(PACKAGES_2.public_key()),)
    third = root(NEW, root_keys=(NEW,), previous=both)
    assert check_next(both, third).version == 3


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (FIRST, root(OLD, root_keys=(NEW,), previous=FIRST), "root_threshold"),
        (FIRST, root(NEW, root_keys=(NEW,), previous=FIRST), "root_threshold"),
        (FIRST, root(THIEF, NEW, root_keys=(NEW,), previous=FIRST), "root_threshold"),
        (TWO, root(OLD, NEW, root_keys=(NEW,), previous=TWO), "root_threshold"),
        (FIRST, root(OLD, NEW, root_keys=(NEW, OLD_2), root_threshold=2, previous=FIRST), "root_threshold"),
        (FIRST, root(OLD, previous=root(OLD, previous=FIRST)), "root_version"),
        (FIRST, root(OLD, keys=(THIEF,)), "root_version"),
        (root(OLD, previous=FIRST), FIRST, "root_version"),
        (FIRST, root(OLD, publisher="other", previous=FIRST), "root_publisher"),
    ],
    ids=["old only", "new only", "a stranger", "below the old threshold", "below the new threshold", "two versions later", "same version",
         "back", "another publisher"],
)  # fmt: skip
def test_a_root_that_may_not_follow_is_refused(old: bytes, new: bytes, code: str) -> None:
    assert refused(check_next, old, new) == code


def edited(edit: Callable[[dict[str, Any]], object], *signers: PrivateKey) -> bytes:
    """A first root after an edit, signed again by the TUF library itself."""
    from securesystemslib.signer import CryptoSigner
    from tuf.api.metadata import Metadata
    from tuf.api.serialization.json import JSONSerializer

    value = json.loads(FIRST)
    edit(value)
    value["signatures"] = []
    metadata = Metadata.from_dict(value)
    for signer in signers or (OLD,):
        metadata.sign(CryptoSigner(signer), append=True)
    return metadata.to_bytes(JSONSerializer(compact=True))


def renamed(value: dict[str, Any]) -> None:
    """The package key under a second name."""
    (name,) = value["signed"]["roles"]["targets"]["keyids"]
    value["signed"]["keys"]["f" * 64] = deepcopy(value["signed"]["keys"][name])
    value["signed"]["roles"]["targets"]["keyids"].append("f" * 64)


def only_key(value: dict[str, Any]) -> dict[str, Any]:
    (name,) = value["signed"]["roles"]["targets"]["keyids"]
    key: dict[str, Any] = value["signed"]["keys"][name]
    return key


@pytest.mark.parametrize(
    "edit",
    [
        renamed,
        lambda value: value["signed"].update({"x-expert-kit-publisher": "../acme"}),
        lambda value: value["signed"].update({"x-expert-kit-publisher": 3}),
        lambda value: value["signed"].pop("x-expert-kit-publisher"),
        lambda value: value["signed"].update(surprise=1),
        lambda value: value.update(surprise=1),
        lambda value: value["signed"]["roles"]["targets"].update(threshold=2),
        lambda value: value["signed"]["roles"]["targets"].update(keyids=[]),
        lambda value: value["signed"]["roles"]["targets"].update(keyids=["0" * 64]),
        lambda value: only_key(value)["keyval"].update(public="zz"),
        lambda value: only_key(value).update(surprise=1),
        lambda value: only_key(value).update(scheme="rsassa-pss-sha256", keytype="rsa"),
    ],
    ids=["a key under two names", "publisher path", "publisher number", "no publisher", "unknown field", "unknown outer field",
         "unreachable threshold", "no keys", "unknown key", "no key bytes", "field of a key", "RSA"],
)  # fmt: skip
def test_a_root_that_breaks_our_rules_is_refused_even_signed(edit: Callable[[dict[str, Any]], object]) -> None:
    assert refused(check_first, edited(edit)) == "root_invalid"


def test_a_key_of_small_order_is_refused_in_a_root_too() -> None:
    assert refused(check_first, edited(lambda value: only_key(value)["keyval"].update(public="00" * 32))) == "signature_key_small_order"


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b'{"signatures":[],"signed":{}}', FIRST + b"\n", FIRST.replace(b":", b": ", 1), b"[" * 100_000, b"x" * 600_000],
    ids=["empty", "object", "list", "no root", "line end", "spaces", "deep", "large"],
)
def test_what_is_no_root_is_refused(data: bytes) -> None:
    for check in (check_first, publisher_of, root_keys_of):
        assert refused(check, data) == "root_invalid"


def test_other_metadata_is_no_root() -> None:
    from tuf.api.metadata import Metadata, Targets
    from tuf.api.serialization.json import JSONSerializer

    assert refused(check_first, Metadata(Targets(expires=END)).to_bytes(JSONSerializer(compact=True))) == "root_invalid"


def test_what_would_be_refused_is_not_made() -> None:
    assert refused(lambda: root(keys=(PACKAGES,), threshold=2)) == "root_invalid"
    assert refused(lambda: root(publisher="ACME")) == "root_invalid"


def test_signing_again_replaces_a_signature() -> None:
    assert len(json.loads(sign_root(FIRST, OLD))["signatures"]) == 1


def test_missing_signatures_are_counted_for_both_sides() -> None:
    unsigned = root(root_keys=(NEW, OLD_2), root_threshold=2, previous=FIRST)
    assert missing_signatures(unsigned, FIRST) == (1, 2)
    assert missing_signatures(sign_root(unsigned, OLD), FIRST) == (0, 2)
    assert missing_signatures(sign_root(sign_root(unsigned, NEW), OLD_2), FIRST) == (1, 0)
    assert missing_signatures(FIRST, None) == (0, 0)
    assert missing_signatures(root(root_keys=(OLD, OLD_2), root_threshold=2), None) == (0, 2)


def test_keys_come_back_as_they_went_in() -> None:
    root_keys, keys = root_keys_of(TWO)
    assert {key_id(key) for key in root_keys} == {key_id(key.public_key()) for key in (OLD, OLD_2)}
    assert [key_id(key) for key in keys] == [key_id(PACKAGES.public_key())]
    assert publisher_of(TWO) == "acme"


def test_the_digest_is_that_of_the_file() -> None:
    import hashlib

    assert root_digest(FIRST) == "sha256:" + hashlib.sha256(FIRST).hexdigest()
    assert END - timedelta(days=1) < TrustedRoot.read(FIRST).expires


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"publisher": "a b"}, "'a b' is no namespace"),
        ({"root_threshold": 5}, "the threshold of the root keys is 5, and their number is 1"),
        ({"threshold": 2}, "the threshold of the keys that sign packages is 2, and their number is 1"),
        ({"keys": ()}, "the threshold of the keys that sign packages is 1, and their number is 0"),
    ],
)
def test_whoever_makes_an_impossible_root_is_told_what_to_change(wanted: dict[str, Any], message: str) -> None:
    with pytest.raises(ExpertKitError) as caught:
        root(**wanted)
    assert (caught.value.code, caught.value.message) == ("root_invalid", f"root: {message}")
    assert "ask the publisher" not in caught.value.hint
