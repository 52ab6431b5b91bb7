from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from expert_kit.archive import SIGNATURES, ArchiveReader, replace_meta
from expert_kit.errors import (
    AlreadyInstalledError,
    ArchiveError,
    BaseMismatchError,
    CapacityError,
    DigestMismatchError,
    ExpertKitError,
    IncompatibleAdapterError,
    RegistryError,
    SignatureError,
    UnsignedError,
    UntrustedKeyError,
)
from expert_kit.names import ExpertRef, sha256_digest
from expert_kit.registry import Registry
from expert_kit.signing import KEY_TYPES, FirstUse, TrustStore, key_id
from tests.support.builders import lora_weights, tamper, tiny_base, tiny_linears, tiny_spec
from tests.unit.registry.conftest import BASE, Publisher, sign_archive

FAMILY = dataclasses.replace(BASE, fingerprint=dataclasses.replace(BASE.fingerprint, weights_root_sha256=sha256_digest(b"dequantised")))
OTHER_TOKENIZER = dataclasses.replace(
    BASE, fingerprint=dataclasses.replace(BASE.fingerprint, tokenizer_sha256=sha256_digest(b"other tokenizer"))
)
UNRELATED = tiny_base("other", linears=tiny_linears(16), hidden_size=16, hf_repo="example/other")


def refusal(registry: Registry, archive: Path, **options: object) -> ExpertKitError:
    """The error of an install that must change nothing."""
    before = registry.list()
    with pytest.raises(ExpertKitError) as caught:
        registry.install(archive, **{"bases": [BASE], **options})  # type: ignore[arg-type]
    assert registry.list() == before
    assert list(registry.root.glob("staging/*")) == []
    return caught.value


def test_an_installed_expert_is_what_the_manifest_says(trusting: Registry, publisher: Publisher) -> None:
    archive = publisher.build()
    expert = trusting.install(archive, bases=[BASE])
    with ArchiveReader.open(archive) as reader:
        manifest, weights = reader.manifest, reader.read("adapter_model.safetensors")
    assert expert.ref == ExpertRef("acme", "sql", "1.0.0")
    assert expert.identity == manifest.identity
    assert (expert.trust, expert.signers) == ("signed", (publisher.key_id,))
    assert (expert.base_match, expert.warnings) == ("exact", ("probe_missing",))
    assert expert.base == BASE.fingerprint
    assert expert.adapter == tiny_spec()
    assert expert.current
    assert trusting.read(expert.weights.sha256) == weights
    assert trusting.read(expert.identity) == manifest.to_bytes()
    assert [(entry.path, entry.size) for entry in expert.files] == [(entry.path, entry.size) for entry in manifest.files]
    assert trusting.list() == [expert] == [trusting.get("acme/sql")] == [trusting.get("acme/sql@1.0.0")]


def test_an_installed_blob_is_read_only_and_staging_is_empty(
    trusting: Registry, publisher: Publisher, files_of: Callable[[], set[str]]
) -> None:
    expert = trusting.install(publisher.build(), bases=[BASE])
    assert {trusting.blobs.path(digest).stat().st_mode & 0o777 for digest in expert.digests()} == {0o444}
    assert len(files_of()) == len(expert.digests())


def test_routing_examples_come_back_as_they_were_packed(trusting: Registry, publisher: Publisher) -> None:
    rows = [{"text": "Wie heißt du?", "split": "fit"}, {"text": "b", "split": "validate"}]
    packed = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    expert = trusting.install(publisher.build(examples=packed), bases=[BASE])
    assert [dataclasses.asdict(example) for example in trusting.examples(expert)] == rows


# Signatures and trust


def test_an_unsigned_archive_is_refused_and_the_hint_names_both_ways_on(trusting: Registry, publisher: Publisher) -> None:
    error = refusal(trusting, publisher.build(signed=False))
    assert isinstance(error, UnsignedError)
    assert "expert-kit sign" in error.hint
    assert "--unsafe-allow-unsigned" in error.hint


def test_an_empty_signature_member_counts_as_unsigned(trusting: Registry, publisher: Publisher) -> None:
    archive = publisher.build(signed=False)
    assert isinstance(refusal(trusting, replace_meta(archive, archive, {SIGNATURES: b""})), UnsignedError)


def test_the_unsafe_way_is_recorded(registry: Registry, publisher: Publisher) -> None:
    expert = registry.install(publisher.build(signed=False), bases=[BASE], unsafe_allow_unsigned=True)
    assert (expert.trust, expert.signers, expert.warnings) == ("unsigned", (), ("probe_missing", "signature_missing"))
    assert registry.get("acme/sql").trust == "unsigned"


def test_the_unsafe_way_is_none_for_a_signature_that_does_not_verify(registry: Registry, publisher: Publisher) -> None:
    archive = publisher.build()
    with ArchiveReader.open(archive) as reader:
        lines = reader.signatures_bytes
    replace_meta(archive, archive, {SIGNATURES: lines.replace(b'"sig":"', b'"sig":"AAAA')})
    assert isinstance(refusal(registry, archive, unsafe_allow_unsigned=True), SignatureError)


def test_an_unknown_key_is_refused_with_the_command_that_trusts_it(registry: Registry, publisher: Publisher) -> None:
    error = refusal(registry, publisher.build())
    assert isinstance(error, UntrustedKeyError)
    assert f"expert-kit keys trust {publisher.key_id} --scope 'acme/*'" in error.hint
    assert TrustStore(registry.trust_home).list() == []


def test_a_yes_on_first_use_installs_and_trusts_the_namespace(registry: Registry, publisher: Publisher) -> None:
    asked: list[FirstUse] = []

    def ask(use: FirstUse) -> bool:
        asked.append(use)
        return True

    expert = registry.install(publisher.build(), bases=[BASE], ask=ask)
    assert [(use.publisher, use.key_id) for use in asked] == [("acme", publisher.key_id)]
    assert expert.trust == "signed"
    assert expert.warnings == ("probe_missing", "signature_first_use")
    second = registry.install(publisher.build(name="acme/other"), bases=[BASE])
    assert second.signers == (publisher.key_id,)


def test_a_yes_for_an_archive_that_is_refused_later_trusts_nobody(registry: Registry, publisher: Publisher) -> None:
    refusal(registry, publisher.build(), bases=[UNRELATED], ask=lambda _: True)
    assert TrustStore(registry.trust_home).list() == []


def test_another_key_for_an_installed_name_is_refused_with_rotation_instructions(trusting: Registry, publisher: Publisher) -> None:
    trusting.install(publisher.build(), bases=[BASE])
    thief = Publisher(publisher.folder.parent / "thief", KEY_TYPES["p256"]())
    error = refusal(trusting, thief.build(version="1.1.0"), ask=lambda _: True)
    assert error.code == "signature_key_changed"
    assert f"expert-kit keys trust {thief.key_id} --scope 'acme/*'" in error.hint
    TrustStore(trusting.trust_home).trust("acme/*", thief.key_id)
    assert trusting.install(thief.build(version="1.2.0"), bases=[BASE]).signers == (thief.key_id,)


def test_the_signature_of_another_version_is_refused(trusting: Registry, publisher: Publisher) -> None:
    with ArchiveReader.open(publisher.build()) as reader:
        lines = reader.signatures_bytes
    archive = publisher.build(version="2.0.0", signed=False)
    error = refusal(trusting, replace_meta(archive, archive, {SIGNATURES: lines}))
    assert error.code == "signature_statement_mismatch"


def test_a_threshold_wants_different_signers(trusting: Registry, publisher: Publisher) -> None:
    second = KEY_TYPES["p256"]()
    path = TrustStore(trusting.trust_home).path
    path.write_text(f'[[policy]]\nscope = "acme/*"\nkeys = ["{publisher.key_id}", "{key_id(second.public_key())}"]\nthreshold = 2\n')
    archive = publisher.build()
    assert refusal(trusting, archive).code == "signature_threshold"
    assert len(trusting.install(sign_archive(archive, second), bases=[BASE]).signers) == 2


@pytest.mark.parametrize(
    ("level", "signed", "warning"), [("audit", False, "signature_missing"), ("audit", True, "signature_untrusted_key")]
)
def test_audit_installs_and_records_what_was_missing(
    registry: Registry, publisher: Publisher, level: str, signed: bool, warning: str
) -> None:
    (registry.trust_home / "trust.toml").write_text(f'[[policy]]\nscope = "acme/*"\nlevel = "{level}"\n')
    expert = registry.install(publisher.build(signed=signed), bases=[BASE])
    assert (expert.trust, expert.warnings) == ("audit", ("probe_missing", warning))


def test_skip_does_not_look_at_signatures_but_at_all_else(registry: Registry, publisher: Publisher) -> None:
    (registry.trust_home / "trust.toml").write_text('[[policy]]\nscope = "acme/*"\nlevel = "skip"\n')
    archive = publisher.build(signed=False)
    assert refusal(registry, archive, bases=[]).code == "base_missing"
    expert = registry.install(archive, bases=[BASE])
    assert (expert.trust, expert.warnings) == ("skip", ("probe_missing", "signature_skipped"))


# Content


def test_a_swapped_member_is_refused(trusting: Registry, publisher: Publisher) -> None:
    archive = publisher.build()
    tamper(archive, "adapter_model.safetensors")
    error = refusal(trusting, archive)
    assert isinstance(error, DigestMismatchError)
    assert "adapter_model.safetensors" in error.message


def test_an_adapter_with_tensors_for_other_layers_is_refused_though_signed(trusting: Registry, publisher: Publisher) -> None:
    few = tiny_linears(layers=1)
    archive = publisher.build(record=dataclasses.replace(BASE, linears=few), weights=lora_weights(tiny_spec(), few))
    error = refusal(trusting, archive)
    assert isinstance(error, IncompatibleAdapterError)
    assert error.code == "tensor_set_mismatch"
    assert "expert-kit validate" in error.hint


def test_a_file_that_is_no_archive_is_refused(trusting: Registry, tmp_path: Path) -> None:
    path = tmp_path / "x.expert"
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    assert isinstance(refusal(trusting, path), ArchiveError)
    assert not trusting.root.exists()


def test_a_link_to_an_archive_is_not_followed(trusting: Registry, publisher: Publisher, tmp_path: Path) -> None:
    link = tmp_path / "link.expert"
    link.symlink_to(publisher.build())
    assert isinstance(refusal(trusting, link), ArchiveError)


def test_any_changed_byte_of_an_archive_is_refused(trusting: Registry, publisher: Publisher, files_of: Callable[[], set[str]]) -> None:
    sound = trusting.install(publisher.build(name="acme/sound"), bases=[BASE])
    archive = publisher.build()
    data = archive.read_bytes()
    with ArchiveReader.open(archive) as reader:
        bodies = [(data.index(body), len(body)) for body in (reader.read(entry.name) for entry in reader.entries)]
    inside = {offset for start, size in bodies for offset in range(start, start + size)}
    framing = [offset for offset in range(len(data)) if offset not in inside]
    few = {offset for start, size in bodies for offset in (start, start + size // 3, start + size - 1)}
    padded = [offset for offset in framing if data[offset]]  # every framing byte that is not padding, and samples of the rest
    sample = sorted(few | set(padded) | set(framing[::97]) | set(range(0, len(data), 211)))
    before = files_of()
    for offset in sample:
        spoiled = bytearray(data)
        spoiled[offset] ^= 0x01
        archive.write_bytes(spoiled)
        with pytest.raises(ExpertKitError):
            trusting.install(archive, bases=[BASE])
        assert files_of() == before, offset
    assert trusting.list() == [sound]
    archive.write_bytes(data)
    assert trusting.install(archive, bases=[BASE]).ref.name == "sql"


# Base models


def test_a_base_of_the_same_family_is_accepted_with_a_warning(trusting: Registry, publisher: Publisher) -> None:
    expert = trusting.install(publisher.build(), bases=[UNRELATED, FAMILY])
    assert (expert.base_match, expert.warnings) == ("family", ("base_family", "probe_missing"))
    assert expert.base == BASE.fingerprint


def test_an_exact_base_is_preferred_over_the_family(trusting: Registry, publisher: Publisher) -> None:
    assert trusting.install(publisher.build(), bases=[FAMILY, BASE]).base_match == "exact"


def test_a_scope_may_want_the_exact_base(trusting: Registry, publisher: Publisher) -> None:
    path = TrustStore(trusting.trust_home).path
    path.write_text(f'[[policy]]\nscope = "acme/*"\nkeys = ["{publisher.key_id}"]\nbase_match = "exact"\n')
    error = refusal(trusting, publisher.build(), bases=[FAMILY])
    assert error.code == "base_not_exact"
    assert "expert-kit base pull tiny" in error.hint
    assert "weights_root_sha256" in error.message


def test_an_incompatible_base_is_refused_naming_both_sides(trusting: Registry, publisher: Publisher) -> None:
    error = refusal(trusting, publisher.build(), bases=[OTHER_TOKENIZER], allow_missing_base=True)
    assert isinstance(error, BaseMismatchError)
    assert error.code == "base_mismatch"
    assert error.message.count("tiny (example/tiny)") == 2
    assert "tokenizer_sha256" in error.message
    assert "expert-kit base pull tiny" in error.hint


@pytest.mark.parametrize("bases", [[], [UNRELATED]])
def test_a_missing_base_is_refused_with_the_command_that_gets_it(trusting: Registry, publisher: Publisher, bases: list[object]) -> None:
    error = refusal(trusting, publisher.build(), bases=bases)
    assert isinstance(error, BaseMismatchError)
    assert error.code == "base_missing"
    assert error.hint.startswith("expert-kit base pull tiny")
    assert all("other (example/other)" in error.message for _ in bases)


def test_an_expert_may_come_before_its_base_and_is_checked_when_that_is_there(trusting: Registry, publisher: Publisher) -> None:
    expert = trusting.install(publisher.build(), bases=[UNRELATED], allow_missing_base=True)
    assert (expert.base_match, expert.warnings) == ("pending", ("base_pending",))
    with pytest.raises(BaseMismatchError):
        trusting.settle("acme/sql", [UNRELATED])
    assert trusting.get("acme/sql") == expert
    settled = trusting.settle("acme/sql", [UNRELATED, BASE])
    assert (settled.base_match, settled.warnings) == ("exact", ("probe_missing",))
    assert trusting.settle("acme/sql", []) == settled


def test_settling_finds_the_tensors_that_do_not_fit(trusting: Registry, publisher: Publisher) -> None:
    few = tiny_linears(layers=1)
    lying = dataclasses.replace(BASE, linears=few)  # the fingerprint of one base, the layers of another
    trusting.install(publisher.build(), bases=[], allow_missing_base=True)
    with pytest.raises(IncompatibleAdapterError) as caught:
        trusting.settle("acme/sql", [lying])
    assert caught.value.code == "tensor_set_mismatch"
    assert trusting.get("acme/sql").base_match == "pending"


# Versions


def test_the_last_installed_version_is_the_current_one(trusting: Registry, publisher: Publisher) -> None:
    for version in ("1.0.0", "1.1.0"):
        trusting.install(publisher.build(version=version), bases=[BASE])
    assert [(str(expert.ref), expert.current) for expert in trusting.list()] == [("acme/sql@1.0.0", False), ("acme/sql@1.1.0", True)]
    assert trusting.get("acme/sql").ref.version == "1.1.0"
    assert trusting.get("acme/sql@1.0.0").ref.version == "1.0.0"


def test_a_lower_version_than_the_highest_trusted_one_is_refused_even_after_uninstall(trusting: Registry, publisher: Publisher) -> None:
    trusting.install(publisher.build(version="1.10.0"), bases=[BASE])
    trusting.uninstall("acme/sql")
    archive = publisher.build(version="1.9.0")
    error = refusal(trusting, archive)
    assert isinstance(error, RegistryError)
    assert error.code == "version_downgrade"
    assert "--allow-downgrade" in error.hint
    assert trusting.install(archive, bases=[BASE], allow_downgrade=True).current


def test_an_unsigned_install_does_not_raise_the_highest_trusted_version(trusting: Registry, publisher: Publisher) -> None:
    trusting.install(publisher.build(version="9.0.0", signed=False), bases=[BASE], unsafe_allow_unsigned=True)
    assert trusting.install(publisher.build(version="1.0.0"), bases=[BASE]).current


def test_the_same_archive_again_is_an_error_that_says_so(trusting: Registry, publisher: Publisher) -> None:
    archive = publisher.build()
    trusting.install(archive, bases=[BASE])
    error = refusal(trusting, archive)
    assert isinstance(error, AlreadyInstalledError)
    assert error.code == "expert_already_installed"


def test_other_content_under_an_installed_version_is_refused(trusting: Registry, publisher: Publisher) -> None:
    trusting.install(publisher.build(seed=1), bases=[BASE])
    error = refusal(trusting, publisher.build(seed=2))
    assert error.code == "expert_version_conflict"
    assert "expert-kit uninstall acme/sql@1.0.0" in error.hint


def test_a_signature_that_came_later_is_added(trusting: Registry, publisher: Publisher, files_of: Callable[[], set[str]]) -> None:
    archive = publisher.build(signed=False)
    trusting.install(archive, bases=[BASE], unsafe_allow_unsigned=True)
    expert = trusting.install(sign_archive(archive, publisher.key), bases=[BASE])
    assert (expert.trust, expert.signers, expert.warnings) == ("signed", (publisher.key_id,), ("probe_missing",))
    assert len(files_of()) == len(expert.digests())


def test_an_archive_without_its_signature_takes_nothing_away(trusting: Registry, publisher: Publisher) -> None:
    archive = publisher.build()
    expert = trusting.install(archive, bases=[BASE])
    stripped = replace_meta(archive, archive, {})
    assert isinstance(refusal(trusting, stripped, unsafe_allow_unsigned=True), AlreadyInstalledError)
    assert trusting.get("acme/sql") == expert


def test_installing_again_without_the_base_does_not_make_it_pending(trusting: Registry, publisher: Publisher) -> None:
    archive = publisher.build()
    expert = trusting.install(archive, bases=[BASE])
    assert isinstance(refusal(trusting, archive, bases=[], allow_missing_base=True), AlreadyInstalledError)
    assert trusting.get("acme/sql") == expert


def test_installing_again_with_the_base_settles_what_was_pending(trusting: Registry, publisher: Publisher) -> None:
    archive = publisher.build()
    trusting.install(archive, bases=[], allow_missing_base=True)
    assert trusting.install(archive, bases=[BASE]).base_match == "exact"


def test_an_expert_without_examples_has_none(trusting: Registry, publisher: Publisher) -> None:
    expert = trusting.install(publisher.build(), bases=[BASE])
    bare = dataclasses.replace(expert, files=tuple(entry for entry in expert.files if entry.role != "routing"))
    assert trusting.examples(bare) == []


def test_installing_again_heals_a_damaged_blob(trusting: Registry, publisher: Publisher) -> None:
    archive = publisher.build()
    expert = trusting.install(archive, bases=[BASE])
    path = trusting.blobs.path(expert.weights.sha256)
    path.chmod(0o644)
    path.write_bytes(b"damaged")
    assert trusting.install(archive, bases=[BASE]) == expert
    assert len(trusting.read(expert.weights.sha256)) == expert.weights.size
    assert path.stat().st_mode & 0o777 == 0o444


def test_a_key_of_first_use_is_not_remembered_when_the_rows_are_not_written(
    registry: Registry, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("expert_kit.registry.blobs.Stage.link_missing", full)
    with pytest.raises(CapacityError):
        registry.install(publisher.build(), bases=[BASE], ask=lambda _: True)
    assert registry.list() == []
    assert TrustStore(registry.trust_home).list() == []


def test_rows_are_not_kept_when_the_key_cannot_be_remembered(
    registry: Registry, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise SignatureError("cannot write trust.toml", code="trust_unwritable")

    monkeypatch.setattr(TrustStore, "_save", refuse)
    with pytest.raises(SignatureError):
        registry.install(publisher.build(), bases=[BASE], ask=lambda _: True)
    assert registry.list() == []


@pytest.mark.parametrize("row", ['{"text":"a",\r"split":"fit"}', '{"text": "a"}', "[]", "{"])
def test_a_row_that_cannot_be_read_is_a_typed_error(
    trusting: Registry, publisher: Publisher, monkeypatch: pytest.MonkeyPatch, row: str
) -> None:
    expert = trusting.install(publisher.build(), bases=[BASE])
    monkeypatch.setattr(trusting, "read", lambda _: (row + "\n").encode())
    if "\r" in row:
        assert [example.text for example in trusting.examples(expert)] == ["a"]
        return
    with pytest.raises(RegistryError) as caught:
        trusting.examples(expert)
    assert caught.value.code == "registry_examples"
