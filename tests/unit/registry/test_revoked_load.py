"""The revocation list on the load path."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from expert_kit.errors import RevokedError, SignatureError
from expert_kit.registry import InstalledExpert, Registry
from expert_kit.signing import KEY_TYPES, TrustStore
from expert_kit.signing.dates import utc_now
from expert_kit.signing.revocations import RevocationList, RevokedKey, RevokedPackage, sign_list
from tests.unit.registry.conftest import BASE, Publisher

NOW = utc_now()
DAY = timedelta(days=1)


@pytest.fixture
def expert(trusting: Registry, publisher: Publisher) -> InstalledExpert:
    return trusting.install(publisher.build(), bases=[BASE])


def accept(registry: Registry, publisher: Publisher, *, packages: tuple[str, ...] = (), key: str = "", after: timedelta = -DAY) -> Path:
    entries = tuple(RevokedPackage(digest, "acme/sql@1.0.0", "leaks") for digest in packages)
    lost = (RevokedKey(key, NOW + after, "stolen"),) if key else ()
    store = TrustStore(registry.trust_home).revocations
    store.write("acme", sign_list(RevocationList("acme", 1, NOW, NOW + DAY, entries, lost), [publisher.key]))
    return store.path("acme")


def test_without_a_list_everything_loads(trusting: Registry, expert: InstalledExpert) -> None:
    trusting.check_revoked(expert)


def test_a_named_package_does_not_load(trusting: Registry, publisher: Publisher, expert: InstalledExpert) -> None:
    accept(trusting, publisher, packages=(expert.identity,))
    with pytest.raises(RevokedError) as caught:
        trusting.check_revoked(expert)
    assert caught.value.code == "package_revoked"


def test_a_list_about_others_stops_nothing(trusting: Registry, publisher: Publisher, expert: InstalledExpert) -> None:
    accept(trusting, publisher, packages=("sha256:" + "0" * 64,), key="sha256:" + "1" * 64)
    trusting.check_revoked(expert)


@pytest.mark.parametrize(("after", "loads"), [(-DAY, False), (DAY, True)])
def test_a_lost_key_stops_what_was_installed_after_the_theft(
    trusting: Registry, publisher: Publisher, expert: InstalledExpert, after: timedelta, loads: bool
) -> None:
    accept(trusting, publisher, key=publisher.key_id, after=after)
    if loads:
        trusting.check_revoked(expert)
    else:
        with pytest.raises(RevokedError) as caught:
            trusting.check_revoked(expert)
        assert caught.value.code == "signature_key_revoked"


@pytest.mark.parametrize("data", [b"", b"{}\n", b"\n", b"[" * 100_000, b'{"dsseEnvelope":{"payload":"?"}}\n'])
def test_a_damaged_list_stops_the_load(trusting: Registry, publisher: Publisher, expert: InstalledExpert, data: bytes) -> None:
    accept(trusting, publisher).write_bytes(data)
    with pytest.raises(SignatureError) as caught:
        trusting.check_revoked(expert)
    assert caught.value.code == "trust_invalid"


def test_a_list_that_cannot_be_read_stops_the_load(trusting: Registry, publisher: Publisher, expert: InstalledExpert) -> None:
    path = accept(trusting, publisher)
    path.unlink()
    path.mkdir()
    with pytest.raises(SignatureError) as caught:
        trusting.check_revoked(expert)
    assert caught.value.code == "trust_invalid"


def test_a_revoked_package_is_not_installed_again(trusting: Registry, publisher: Publisher, expert: InstalledExpert) -> None:
    archive = publisher.folder / "acme.sql-1.0.0.expert"
    accept(trusting, publisher, packages=(expert.identity,))
    trusting.uninstall(expert.ref)
    with pytest.raises(RevokedError):
        trusting.install(archive, bases=[BASE])
    assert trusting.list() == []


def test_signing_again_with_another_key_brings_a_package_back(trusting: Registry, publisher: Publisher, expert: InstalledExpert) -> None:
    from tests.unit.registry.conftest import sign_archive

    accept(trusting, publisher, key=publisher.key_id)
    other = KEY_TYPES["p256"]()
    trust = TrustStore(trusting.trust_home)
    from expert_kit.signing import key_id

    trust.trust("acme/*", key_id(other.public_key()))
    again = trusting.install(sign_archive(publisher.folder / "acme.sql-1.0.0.expert", other), bases=[BASE])
    assert (again.identity, again.signers) == (expert.identity, (key_id(other.public_key()),))
    trusting.check_revoked(again)
