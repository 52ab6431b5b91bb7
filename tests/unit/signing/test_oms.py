from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256

from expert_kit.errors import SignatureError
from expert_kit.signing import KEY_TYPES, PrivateKey
from expert_kit.signing.envelope import pae, sign
from expert_kit.signing.oms import sign_folder, verify_folder

P256 = KEY_TYPES["p256"]()
FILES = {"a.bin": b"a", "sub/b.bin": b"b", "sub-c": b"c", "ä.txt": b"d"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Some files, and a repository around them."""
    for name, body in {**FILES, ".git/HEAD": b"x", ".gitignore": b"y"}.items():
        (tmp_path / "model" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "model" / name).write_bytes(body)
    return tmp_path / "model"


def refused(folder: Path, bundle: bytes, key: PrivateKey = P256) -> str:
    with pytest.raises(SignatureError) as caught:
        verify_folder(folder, bundle, key.public_key())
    assert caught.value.hint
    return caught.value.code


@pytest.mark.parametrize("kind", KEY_TYPES)
def test_what_was_signed_verifies_with_that_key_only(folder: Path, kind: str) -> None:
    key = KEY_TYPES[kind]()
    bundle = sign_folder(folder, key)
    signed = verify_folder(folder, bundle, key.public_key())
    assert (signed.name, set(signed.files)) == ("model", set(FILES))
    assert signed.files["a.bin"] == hashlib.sha256(b"a").hexdigest()
    assert refused(folder, bundle, KEY_TYPES[kind]()) == "signature_invalid"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "a.bin").write_bytes(b"A"),
        lambda folder: (folder / "new").write_bytes(b""),
        lambda folder: (folder / "sub" / "b.bin").unlink(),
        lambda folder: (folder / "sub-c").rename(folder / "sub-d"),
    ],
    ids=["changed", "added", "removed", "renamed"],
)
def test_a_folder_that_differs_is_refused(folder: Path, spoil: Callable[[Path], object]) -> None:
    bundle = sign_folder(folder, P256)
    spoil(folder)
    assert refused(folder, bundle) == "oms_mismatch"


def test_many_differences_are_counted(folder: Path) -> None:
    bundle = sign_folder(folder, P256)
    for n in range(8):
        (folder / f"new-{n}").touch()
    with pytest.raises(SignatureError, match=r"new-0.* and 3 more"):
        verify_folder(folder, bundle, P256.public_key())


def test_what_the_signer_ignored_may_change(folder: Path) -> None:
    bundle = sign_folder(folder, P256, ["sub/", "sub-c"])
    (folder / "sub" / "b.bin").write_bytes(b"B")
    (folder / "sub-c").unlink()
    assert set(verify_folder(folder, bundle, P256.public_key()).files) == {"a.bin", "ä.txt"}
    with pytest.raises(ValueError, match="outside"):
        sign_folder(folder, P256, ["../x"])


def test_links_and_special_files_are_refused(folder: Path) -> None:
    bundle = sign_folder(folder, P256)
    (folder / "link").symlink_to(folder / "a.bin")
    assert refused(folder, bundle) == "oms_folder"
    (folder / "link").unlink()
    os.mkfifo(folder / "pipe")
    assert refused(folder, bundle) == "oms_folder"


def test_a_folder_without_files_or_none_at_all_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "gone"):
        with pytest.raises(SignatureError) as caught:
            sign_folder(path, P256)
        assert caught.value.code == "oms_folder"


def test_a_name_that_is_no_text_cannot_be_signed(folder: Path) -> None:
    Path(os.fsdecode(bytes(folder) + b"/\xff")).touch()
    with pytest.raises(SignatureError, match="no Unicode text"):
        sign_folder(folder, P256)


def bundle_with(edit: Callable[[dict[str, Any]], object], folder: Path) -> bytes:
    value = json.loads(sign_folder(folder, P256))
    edit(value)
    return json.dumps(value, indent=1).encode()


@pytest.mark.parametrize(
    "edit",
    [
        lambda value: None,
        lambda value: value["dsseEnvelope"]["signatures"][0].pop("keyid"),
        lambda value: value["dsseEnvelope"]["signatures"][0].update(keyid=""),
        lambda value: value["verificationMaterial"].pop("tlogEntries"),
        lambda value: value["verificationMaterial"]["publicKey"].pop("hint"),
    ],
    ids=["spaces", "no keyid", "empty keyid", "no log entries", "no hint"],
)
def test_what_the_text_of_oms_tolerates_is_read(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    assert verify_folder(folder, bundle_with(edit, folder), P256.public_key()).name == "model"


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (lambda value: value.update(mediaType="application/vnd.dev.sigstore.bundle+json;version=0.1"), "signature_kind"),
        (lambda value: value["dsseEnvelope"].update(payloadType="text/plain"), "signature_kind"),
        (lambda value: value["verificationMaterial"].pop("publicKey"), "signature_kind"),
        (lambda value: value["verificationMaterial"]["publicKey"].update(hint="0" * 64), "signature_invalid"),
        (lambda value: value["dsseEnvelope"]["signatures"].append({}), "signature_malformed"),
        (lambda value: value["dsseEnvelope"].update(signatures=[]), "signature_malformed"),
        (lambda value: value["dsseEnvelope"].update(payload="?"), "signature_malformed"),
        (lambda value: value["dsseEnvelope"].update(payload="e30="), "signature_invalid"),
        (lambda value: value.pop("dsseEnvelope"), "signature_malformed"),
        (lambda value: value.update(verificationMaterial=[]), "signature_malformed"),
    ],
)
def test_another_bundle_is_refused(folder: Path, edit: Callable[[dict[str, Any]], object], code: str) -> None:
    assert refused(folder, bundle_with(edit, folder)) == code
    assert refused(folder, b"{") == "signature_malformed"


def signed_as(folder: Path, edit: Callable[[dict[str, Any]], object]) -> bytes:
    """The trusted key signs another statement."""
    statement = json.loads(base64.b64decode(json.loads(sign_folder(folder, P256))["dsseEnvelope"]["payload"]))
    edit(statement)
    return sign(json.dumps(statement).encode(), P256)


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (lambda s: s.update(_type="https://in-toto.io/Statement/v0.1"), "oms_unsupported"),
        (lambda s: s.update(predicateType="https://model_signing/Digests/v0.1"), "oms_unsupported"),
        (lambda s: s["predicate"]["serialization"].update(method="shards"), "oms_unsupported"),
        (lambda s: s["predicate"]["serialization"].update(hash_type="blake3"), "oms_unsupported"),
        (lambda s: s["subject"][0]["digest"].update(sha256="0" * 64), "signature_malformed"),
        (lambda s: s["subject"].append(s["subject"][0]), "signature_malformed"),
        (lambda s: s["predicate"]["resources"].append(s["predicate"]["resources"][0]), "signature_malformed"),
        (lambda s: s["predicate"].update(resources=[]), "signature_malformed"),
        (lambda s: s["predicate"]["resources"][0].update(name="../x"), "signature_malformed"),
        (lambda s: s["predicate"]["resources"][0].update(name="/etc/passwd"), "signature_malformed"),
        (lambda s: s["predicate"]["resources"][0].update(algorithm="md5"), "signature_malformed"),
        (lambda s: s["predicate"]["resources"][0].update(digest="00"), "signature_malformed"),
        (lambda s: s["predicate"]["serialization"].update(ignore_paths=[".."]), "signature_malformed"),
        (lambda s: s["predicate"]["serialization"].update(ignore_paths=[3]), "signature_malformed"),
        (lambda s: s["predicate"]["resources"][0].update(name="other"), "oms_mismatch"),
    ],
)
def test_another_statement_is_refused_although_the_key_signed_it(folder: Path, edit: Callable[[dict[str, Any]], object], code: str) -> None:
    assert refused(folder, signed_as(folder, edit)) == code


def test_a_signature_in_the_other_half_is_tolerated_here_and_another_order_too(folder: Path) -> None:
    def turn(statement: dict[str, Any]) -> None:
        resources = statement["predicate"]["resources"]
        resources.reverse()
        root = hashlib.sha256(b"".join(bytes.fromhex(one["digest"]) for one in resources)).hexdigest()
        statement["subject"][0]["digest"]["sha256"] = root

    value = json.loads(signed_as(folder, turn))
    payload = base64.b64decode(value["dsseEnvelope"]["payload"])
    plain = P256.sign(pae(value["dsseEnvelope"]["payloadType"], payload), ECDSA(SHA256()))  # type: ignore[call-arg,arg-type,unused-ignore]
    value["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(plain).decode()
    assert len(verify_folder(folder, json.dumps(value).encode(), P256.public_key()).files) == len(FILES)
