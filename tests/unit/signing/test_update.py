from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from expert_kit.errors import CheckUnavailableError, ExpertKitError, RevokedError
from expert_kit.signing import KEY_TYPES, PrivateKey, TrustStore, key_id
from expert_kit.signing.revocations import RevocationList, RevokedKey, RevokedPackage, sign_list
from expert_kit.signing.roots import root_digest
from expert_kit.signing.rotation import new_root, sign_root
from expert_kit.signing.update import apply_update, start_root

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
END = datetime(2031, 1, 1, tzinfo=UTC)
OFFLINE, RELEASE, RELEASE_2, THIEF = (KEY_TYPES["ed25519"]() for _ in range(4))
IDENTITY = "sha256:" + "1" * 64


def ident(key: PrivateKey) -> str:
    return key_id(key.public_key())


def root(previous: bytes | None = None, *, key: PrivateKey = RELEASE, publisher: str = "acme", signer: PrivateKey = OFFLINE) -> bytes:
    made = new_root(
        publisher,
        root_keys=[signer.public_key()],
        keys=[key.public_key()],
        root_threshold=1,
        threshold=1,
        expires=END,
        previous=previous,
    )
    return sign_root(made, signer)


FIRST = root()


def revoked(version: int = 1, *, signer: PrivateKey = OFFLINE, age: int = 0, keys: tuple[str, ...] = (), packages: bool = True) -> bytes:
    issued = NOW - age * DAY
    entries = (RevokedPackage(IDENTITY, "acme/sql@1.0.0", "leaks"),) if packages else ()
    lost = tuple(RevokedKey(key, NOW - 10 * DAY, "stolen") for key in sorted(keys))
    return sign_list(RevocationList("acme", version, issued, issued + 30 * DAY, entries, lost), [signer])


@pytest.fixture
def trust(tmp_path: Path) -> TrustStore:
    """Nobody is trusted, and it is noon for ever."""
    return TrustStore(tmp_path, now=lambda: NOW)


@pytest.fixture
def rooted(trust: TrustStore) -> TrustStore:
    start_root(trust, FIRST)
    return trust


def refused(trust: TrustStore, data: bytes) -> str:
    before = {path: path.read_bytes() for path in trust.path.parent.rglob("*") if path.is_file() and not path.name.endswith(".lock")}
    with pytest.raises(ExpertKitError) as caught:
        apply_update(trust, data)
    assert caught.value.hint
    after = {path: path.read_bytes() for path in trust.path.parent.rglob("*") if path.is_file() and not path.name.endswith(".lock")}
    assert after == before
    return caught.value.code


def test_a_root_takes_the_place_of_keys(trust: TrustStore) -> None:
    trust.trust("acme/*", ident(THIEF))
    policy, first = start_root(trust, FIRST)
    assert (policy.scope, policy.keys, policy.root, first.version) == ("acme/*", (), root_digest(FIRST), 1)
    assert trust.signers_of("acme/sql").keys == (ident(RELEASE),)
    assert trust.admit("acme/sql", (ident(RELEASE),)).signers == (ident(RELEASE),)
    with pytest.raises(ExpertKitError, match="either keys or root"):
        trust.trust("acme/*", ident(THIEF))


def test_a_root_speaks_for_its_own_namespace(trust: TrustStore) -> None:
    assert start_root(trust, FIRST, "acme/sql")[0].scope == "acme/sql"
    with pytest.raises(ExpertKitError) as caught:
        start_root(trust, FIRST, "other/*")
    assert caught.value.code == "root_publisher"


def test_another_root_needs_to_be_meant(rooted: TrustStore) -> None:
    start_root(rooted, FIRST, "acme/sql")
    other = root(signer=THIEF)
    with pytest.raises(ExpertKitError) as caught:
        start_root(rooted, other)
    assert caught.value.code == "trust_root_changed"
    start_root(rooted, other, replace=True)
    assert {policy.scope: policy.root for policy in rooted.list()} == dict.fromkeys(("acme/*", "acme/sql"), root_digest(other))
    assert list(rooted.roots.publishers()) == ["acme"]


def test_the_next_root_is_followed(rooted: TrustStore) -> None:
    second = root(FIRST, key=RELEASE_2)
    done = apply_update(rooted, second)
    assert (done.publisher, done.kind, done.version, done.changed) == ("acme", "root", 2, True)
    assert done.lines == (f"may sign: {ident(RELEASE_2)}", f"no longer may sign: {ident(RELEASE)}")
    assert apply_update(rooted, second).changed is False
    assert rooted.signers_of("acme/sql").keys == (ident(RELEASE_2),)
    with pytest.raises(ExpertKitError) as caught:
        rooted.admit("acme/sql", (ident(RELEASE),))
    assert caught.value.code == "signature_key_changed"
    assert [row["event"] for row in rooted.events.rows()] == ["root_trusted", "root_updated"]


def test_a_root_that_may_not_follow_changes_nothing(rooted: TrustStore) -> None:
    second = root(FIRST)
    assert refused(rooted, root(second)) == "root_version"
    assert refused(rooted, root(FIRST, signer=THIEF)) == "root_threshold"
    assert refused(rooted, root(publisher="other")) == "root_untrusted"
    assert refused(rooted, FIRST[:-1]) == "root_invalid"
    apply_update(rooted, second)
    assert refused(rooted, root(FIRST, key=THIEF)) == "root_same_version"
    assert refused(rooted, FIRST) == "root_version"


def test_a_root_that_went_missing_is_not_taken_for_no_root(rooted: TrustStore) -> None:
    (path,) = rooted.roots.folder.glob("acme/*")
    path.unlink()
    for ask in (
        lambda: rooted.signers_of("acme/sql"),
        lambda: rooted.admit("acme/sql", (ident(RELEASE),)),
        lambda: rooted.authority("acme"),
    ):
        with pytest.raises(CheckUnavailableError) as caught:
            ask()
        assert caught.value.code == "trust_root_missing"
    assert start_root(rooted, FIRST)[1].version == 1


def test_a_damaged_root_is_an_error_and_audit_lets_in(rooted: TrustStore) -> None:
    apply_update(rooted, root(FIRST))
    (rooted.roots.folder / "acme" / "2.root.json").write_bytes(b"{}")
    with pytest.raises(ExpertKitError) as caught:
        rooted.admit("acme/sql", (ident(RELEASE),))
    assert caught.value.code == "trust_invalid"
    rooted.demand("acme/*", level="audit")
    assert rooted.admit("acme/sql", (ident(RELEASE),)).origin == "audit"


def test_a_list_by_the_root_key_is_accepted_and_blocks_install_and_load(rooted: TrustStore) -> None:
    done = apply_update(rooted, revoked())
    assert (done.kind, done.version, done.lines) == ("revocations", 1, ("revoked: acme/sql@1.0.0 (leaks)",))
    with pytest.raises(RevokedError):
        rooted.admit("acme/sql", (ident(RELEASE),), identity=IDENTITY)
    with pytest.raises(RevokedError):
        rooted.check_installed("acme/sql", IDENTITY, (ident(RELEASE),), NOW - 20 * DAY)
    rooted.check_installed("acme/sql", "sha256:" + "2" * 64, (ident(RELEASE),), NOW)
    rooted.demand("acme/*", level="audit")
    rooted.check_installed("acme/sql", IDENTITY, (ident(RELEASE),), NOW)
    rooted.demand("acme/*", level="skip")
    rooted.check_installed("acme/sql", IDENTITY, (), NOW)


def test_what_was_installed_before_the_theft_still_loads(rooted: TrustStore) -> None:
    apply_update(rooted, revoked(keys=(ident(RELEASE),), packages=False))
    rooted.check_installed("acme/sql", IDENTITY, (ident(RELEASE),), NOW - 11 * DAY)
    for installed in (NOW - 9 * DAY, None):
        with pytest.raises(RevokedError) as caught:
            rooted.check_installed("acme/sql", IDENTITY, (ident(RELEASE),), installed)
        assert caught.value.code == "signature_key_revoked"


def test_a_list_that_may_not_speak_changes_nothing(rooted: TrustStore) -> None:
    assert refused(rooted, revoked(signer=RELEASE)) == "revocation_threshold"
    assert refused(rooted, revoked(signer=THIEF)) == "revocation_threshold"
    assert refused(rooted, revoked(age=-2)) == "revocation_future"
    assert refused(rooted, b"") == "signature_missing"
    assert refused(TrustStore(rooted.path.parent / "other"), revoked()) == "revocation_untrusted"


def test_a_list_never_goes_back(rooted: TrustStore) -> None:
    apply_update(rooted, revoked(5))
    assert apply_update(rooted, revoked(5)).changed is False
    assert refused(rooted, revoked(4)) == "revocation_rollback"
    assert refused(rooted, revoked(5, packages=False)) == "revocation_same_version"
    done = apply_update(rooted, revoked(6, packages=False, keys=(ident(RELEASE),)))
    assert done.lines == ("no longer revoked: acme/sql@1.0.0", f"revoked: key {ident(RELEASE)}")
    assert apply_update(rooted, revoked(7)).lines[-1] == f"no longer revoked: key {ident(RELEASE)}"


def test_the_version_of_a_thief_does_not_outlive_its_key(trust: TrustStore) -> None:
    trust.trust("acme/*", ident(THIEF))
    apply_update(trust, revoked(9_000, signer=THIEF))
    trust.trust("acme/*", ident(RELEASE))
    trust.remove("acme/*", ident(THIEF))
    assert apply_update(trust, revoked(1, signer=RELEASE)).changed


def test_a_thief_cannot_silence_the_key_that_replaces_its_own(trust: TrustStore) -> None:
    trust.trust("acme/*", ident(THIEF))
    apply_update(trust, revoked(1, signer=THIEF, keys=(ident(RELEASE),)))
    trust.trust("acme/*", ident(RELEASE))
    trust.remove("acme/*", ident(THIEF))
    done = apply_update(trust, revoked(1, signer=RELEASE, keys=(ident(THIEF),), packages=False))
    assert f"no longer revoked: key {ident(RELEASE)}" in done.lines
    assert trust.admit("acme/sql", (ident(RELEASE),)).signers == (ident(RELEASE),)


def test_a_root_revokes_although_it_is_trusted_for_one_name_only(trust: TrustStore) -> None:
    start_root(trust, FIRST, "acme/sql")
    assert apply_update(trust, revoked()).changed
    with pytest.raises(RevokedError):
        trust.admit("acme/sql", (ident(RELEASE),), identity=IDENTITY)


def test_a_key_for_one_name_revokes_that_name_and_no_other(trust: TrustStore) -> None:
    trust.trust("acme/sql", ident(RELEASE))
    trust.trust("acme/other", ident(RELEASE_2))
    assert refused(trust, revoked(signer=THIEF)) == "revocation_threshold"
    assert apply_update(trust, revoked(signer=RELEASE)).changed
    with pytest.raises(RevokedError):
        trust.admit("acme/sql", (ident(RELEASE),), identity=IDENTITY)
    with pytest.raises(RevokedError):
        trust.check_installed("acme/sql", IDENTITY, (ident(RELEASE),), NOW)
    assert trust.admit("acme/other", (ident(RELEASE_2),), identity=IDENTITY).signers == (ident(RELEASE_2),)
    trust.check_installed("acme/other", IDENTITY, (ident(RELEASE_2),), NOW)


def test_a_key_for_another_name_does_not_replace_a_list(trust: TrustStore) -> None:
    trust.trust("acme/sql", ident(RELEASE))
    trust.trust("acme/other", ident(RELEASE_2))
    apply_update(trust, revoked(signer=RELEASE))
    assert refused(trust, revoked(2, signer=RELEASE_2, packages=False)) == "revocation_threshold"
    trust.trust("acme/*", ident(OFFLINE))  # speaks for all names: the list of one key is no floor for its own
    assert apply_update(trust, revoked(1)).changed


def test_a_list_whose_key_is_no_longer_trusted_still_binds(trust: TrustStore) -> None:
    trust.trust("acme/sql", ident(RELEASE))
    apply_update(trust, revoked(signer=RELEASE))
    trust.trust("acme/sql", ident(RELEASE_2))
    trust.remove("acme/sql", ident(RELEASE))
    with pytest.raises(RevokedError):
        trust.admit("acme/sql", (ident(RELEASE_2),), identity=IDENTITY)


def test_a_stranger_s_list_does_not_get_its_key_recommended(trust: TrustStore) -> None:
    with pytest.raises(ExpertKitError) as caught:
        apply_update(trust, revoked(signer=THIEF))
    assert caught.value.code == "revocation_untrusted"
    assert "anybody can make a key" in caught.value.hint
    assert f"only if it is the same: expert-kit keys trust {ident(THIEF)} --scope 'acme/*'" in caught.value.hint


def test_a_key_that_is_revoked_cannot_revoke(trust: TrustStore) -> None:
    for key in (RELEASE, THIEF):
        trust.trust("acme/*", ident(key))
    apply_update(trust, revoked(1, signer=RELEASE, keys=(ident(THIEF),)))
    assert refused(trust, revoked(2, signer=THIEF, keys=(ident(RELEASE),))) == "revocation_threshold"


def test_a_list_that_was_damaged_is_not_taken_for_none(rooted: TrustStore) -> None:
    apply_update(rooted, revoked())
    path = rooted.revocations.path("acme")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ExpertKitError) as caught:
        rooted.admit("acme/sql", (ident(RELEASE),))
    assert caught.value.code == "trust_invalid"
