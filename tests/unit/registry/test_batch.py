"""Several archives, judged one by one and installed at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from expert_kit.errors import ArchiveError, ExpertKitError, RegistryError, UntrustedKeyError
from expert_kit.registry import Registry
from expert_kit.registry.archives import sign_detached
from expert_kit.registry.batch import Batch, Terms
from expert_kit.signing import KEY_TYPES, FirstUse, TrustStore
from tests.unit.registry.conftest import BASE, Publisher, sign_archive

TERMS = Terms([BASE])


def install(registry: Registry, terms: Terms, *archives: Path) -> list[str]:
    with Batch(registry, terms) as batch:
        for archive in archives:
            batch.judge(archive)
        return [str(expert.ref) for expert in batch.commit()]


def test_all_are_installed_and_the_last_version_of_a_name_is_current(trusting: Registry, publisher: Publisher) -> None:
    archives = [publisher.build(version=version) for version in ("1.0.0", "1.1.0")]
    assert install(trusting, TERMS, publisher.build(name="acme/other"), *archives) == [
        "acme/other@1.0.0",
        "acme/sql@1.0.0",
        "acme/sql@1.1.0",
    ]
    assert trusting.get("acme/sql").ref.version == "1.1.0"


@pytest.mark.parametrize("order", [1, -1])
def test_one_that_is_refused_keeps_all_out(trusting: Registry, publisher: Publisher, order: int) -> None:
    good, bad = publisher.build(), publisher.build(name="acme/other", signed=False)
    with pytest.raises(ExpertKitError) as caught:
        install(trusting, TERMS, *[good, bad][::order])
    assert caught.value.code == "signature_missing"
    assert trusting.list() == []
    assert not trusting.root.exists()


def test_versions_in_falling_order_are_refused_together(trusting: Registry, publisher: Publisher) -> None:
    archives = [publisher.build(version=version) for version in ("1.1.0", "1.0.0")]
    with pytest.raises(RegistryError) as caught:
        install(trusting, TERMS, *archives)
    assert caught.value.code == "version_downgrade"
    assert trusting.list() == []
    install(trusting, Terms([BASE], allow_downgrade=True), *archives)
    assert trusting.get("acme/sql").ref.version == "1.0.0"


def test_what_is_new_is_installed_beside_what_is_there_already(trusting: Registry, publisher: Publisher) -> None:
    known = publisher.build()
    trusting.install(known, bases=[BASE])
    assert install(trusting, TERMS, known, publisher.build(name="acme/other")) == ["acme/sql@1.0.0", "acme/other@1.0.0"]
    with pytest.raises(ExpertKitError) as caught:
        install(trusting, TERMS, known)
    assert caught.value.code == "expert_already_installed"


def test_a_key_is_asked_about_once_however_many_archives_it_signed(registry: Registry, publisher: Publisher) -> None:
    asked: list[FirstUse] = []
    terms = Terms([BASE], ask=lambda use: asked.append(use) or True)
    install(registry, terms, publisher.build(), publisher.build(name="acme/other"))
    assert [use.key_id for use in asked] == [publisher.key_id]
    assert TrustStore(registry.trust_home).policy_for("acme/sql").keys == (publisher.key_id,)


def test_another_key_for_the_same_publisher_is_never_a_question(registry: Registry, publisher: Publisher) -> None:
    asked: list[FirstUse] = []
    stranger = sign_archive(publisher.build(name="acme/other", signed=False), KEY_TYPES["ed25519"]())
    with pytest.raises(UntrustedKeyError):
        install(registry, Terms([BASE], ask=lambda use: asked.append(use) or True), publisher.build(), stranger)
    assert [use.key_id for use in asked] == [publisher.key_id]
    assert registry.list() == []
    assert TrustStore(registry.trust_home).policy_for("acme/sql").keys == ()


def test_a_signature_beside_the_archive_counts_like_one_inside(trusting: Registry, publisher: Publisher) -> None:
    archive = publisher.build(signed=False)
    lines, _ = sign_detached(archive, publisher.key)
    archive.with_name(archive.name + ".sig").write_bytes(lines)
    install(trusting, TERMS, archive)
    assert trusting.get("acme/sql").signers == (publisher.key_id,)


def test_a_signature_file_that_is_no_plain_file_is_refused(
    trusting: Registry, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = publisher.build()
    path = archive.with_name(archive.name + ".sig")
    path.mkdir()
    with pytest.raises(RegistryError) as caught:
        install(trusting, TERMS, archive)
    assert caught.value.code == "signature_file_unreadable"
    path.rmdir()
    path.symlink_to(archive)
    with pytest.raises(RegistryError) as caught:
        install(trusting, TERMS, archive)
    assert caught.value.code == "signature_file_unreadable"
    path.unlink()
    path.write_bytes(b"x" * 100)
    monkeypatch.setattr("expert_kit.registry.batch.MAX_DETACHED", 10)
    with pytest.raises(RegistryError) as caught:
        install(trusting, TERMS, archive)
    assert caught.value.code == "signature_file_unreadable"


def test_an_archive_that_changed_since_it_was_chosen_is_refused(trusting: Registry, publisher: Publisher) -> None:
    archive, other = publisher.build(), publisher.build(name="acme/other")
    identity = trusting.install(other, bases=[BASE]).identity
    with Batch(trusting, TERMS) as batch, pytest.raises(ArchiveError) as caught:
        batch.judge(archive, identity)
    assert caught.value.code == "archive_changed"
