"""Signature lines that look right. The archive around them is sound, and the policy trusts one key."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from expert_kit.signing import KEY_TYPES, PrivateKey, TrustStore, key_id, sign
from tests.hostile.conftest import Gate
from tests.hostile.forge import SIGNATURES, Member, Parts, frame, statement_of

Edit = Callable[[Parts, PrivateKey], object]
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
ED25519_DER = bytes.fromhex("302a300506032b6570032100")
OLD_BUNDLE = "application/vnd.dev.sigstore.bundle+json;version=0.1"
THIEF = KEY_TYPES["ed25519"]()
MALFORMED, MISMATCH, INVALID = "signature_malformed", "signature_statement_mismatch", "signature_invalid"
KIND, ENCODING = "signature_key_kind", "signature_key_encoding"


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def der(key: Any) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[no-any-return]


def line(edit: Callable[[dict[str, Any]], object]) -> Edit:
    """The bundle after an edit, in canonical form."""

    def apply(parts: Parts, _: PrivateKey) -> None:
        bundle = json.loads(parts.lines)
        edit(bundle)
        parts.lines = rfc8785.dumps(bundle) + b"\n"

    return apply


def raw(edit: Callable[[bytes], bytes]) -> Edit:
    return lambda parts, _: setattr(parts, "lines", edit(parts.lines))


def envelope(**fields: Any) -> Edit:
    return line(lambda bundle: bundle["dsseEnvelope"].update(fields))


def signature(**fields: Any) -> Edit:
    return line(lambda bundle: bundle["dsseEnvelope"]["signatures"][0].update(fields))


def signed(edit: Callable[[dict[str, Any]], object]) -> Edit:
    """The trusted key signs another statement than the one that this manifest has."""

    def apply(parts: Parts, key: PrivateKey) -> None:
        digests = {entry["path"]: entry["sha256"].removeprefix("sha256:") for entry in parts.value["files"]}
        digests["expert.json"] = hashlib.sha256(parts.manifest).hexdigest()
        parts.lines = sign(statement_of(digests, parts.value, lambda statement: edit(statement) and None), key) + b"\n"

    return apply


def resources(edit: Callable[[list[dict[str, str]]], object]) -> Edit:
    return signed(lambda statement: edit(statement["predicate"]["resources"]))


def graft(**fields: Any) -> Edit:
    """The signature of another package of the same publisher."""

    def apply(parts: Parts, key: PrivateKey) -> None:
        other = parts.copy()
        other.value |= fields
        other.resign(key)
        parts.lines = other.lines

    return apply


def shifted(parts: Parts, _: PrivateKey) -> None:
    """S + L, which has the same meaning to a careless verifier."""
    bundle = json.loads(parts.lines)
    entry = bundle["dsseEnvelope"]["signatures"][0]
    raw_signature = base64.b64decode(entry["sig"])
    s = int.from_bytes(raw_signature[32:], "little") + ED25519_ORDER
    entry["sig"] = text(raw_signature[:32] + s.to_bytes(32, "little"))
    parts.lines = rfc8785.dumps(bundle) + b"\n"


def by(key: Any, **fields: Any) -> Edit:
    """Signed by a key of its own; the fields of the signature entry are changed afterwards."""

    def apply(parts: Parts, trusted: PrivateKey) -> None:
        parts.resign(key)
        changed = {name: value(trusted) if callable(value) else value for name, value in fields.items()}
        if changed:
            signature(**changed)(parts, trusted)

    return apply


def offered(parts: Parts, trusted: PrivateKey) -> None:
    parts.resign(THIEF)
    signature(keyid=text(der(trusted)))(parts, trusted)
    hint(hashlib.sha256(trusted.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).hexdigest())(parts, trusted)


def twice(parts: Parts, key: PrivateKey) -> None:
    line(lambda bundle: bundle["dsseEnvelope"].update(signatures=bundle["dsseEnvelope"]["signatures"] * 2))(parts, key)


def both_lines(parts: Parts, _: PrivateKey) -> None:
    good = parts.lines
    other = parts.copy()
    other.value["version"] = "9.0.0"
    other.resign(THIEF)
    parts.lines = good + other.lines


def hint(value: str) -> Edit:
    return line(lambda bundle: bundle["verificationMaterial"]["publicKey"].update(hint=value))


CASES: list[tuple[int, str, Edit, str]] = [
    (30, "none", raw(lambda _: b""), "signature_missing"),
    (30, "of another package", graft(name="acme/other"), MISMATCH),
    (30, "of another version", graft(version="1.0.1"), MISMATCH),
    (30, "of another summary", graft(summary="Another one."), MISMATCH),
    (30, "a bad line beside a good one", both_lines, MISMATCH),
    (30, "not a bundle", raw(lambda _: b"{}\n"), MALFORMED),
    (30, "no signatures", envelope(signatures=[]), MALFORMED),
    (30, "two signatures in one envelope", twice, MALFORMED),
    (30, "no line end", raw(lambda old: old[:-1]), MALFORMED),
    (30, "CRLF", raw(lambda old: old[:-1] + b"\r\n"), MALFORMED),
    (30, "empty line", raw(lambda old: old + b"\n"), MALFORMED),
    (30, "byte order mark", raw(lambda old: b"\xef\xbb\xbf" + old), MALFORMED),
    (30, "UTF-16", raw(lambda old: old.decode().encode("utf-16-le")), MALFORMED),
    (30, "spaces", raw(lambda old: old.replace(b":", b": ", 1)), MALFORMED),
    (30, "duplicate key", raw(lambda old: old.replace(b'{"dsse', b'{"dsseEnvelope":{},"dsse', 1)), MALFORMED),
    (30, "unknown field", line(lambda b: b.update(surprise=1)), MALFORMED),
    (30, "log entries", line(lambda b: b["verificationMaterial"].update(tlogEntries=[{}])), MALFORMED),
    (30, "certificate", line(lambda b: b["verificationMaterial"].update(certificate={"rawBytes": ""})), MALFORMED),
    (30, "payload in other base64", raw(lambda old: old.replace(b"=", b"", 1)), MALFORMED),
    (30, "space in base64", signature(sig=" " + text(bytes(64))), MALFORMED),
    (30, "lone surrogate", raw(lambda old: old.replace(b'"mediaType":"', b'"mediaType":"\\ud800', 1)), MALFORMED),
    (30, "deep", raw(lambda _: b"[" * 100_000 + b"\n"), MALFORMED),
    (30, "number of 5,000 digits", raw(lambda _: b"9" * 5000 + b"\n"), MALFORMED),
    (31, "other payloadType", envelope(payloadType="application/json"), "signature_kind"),
    (31, "other bundle version", line(lambda b: b.update(mediaType=OLD_BUNDLE)), "signature_kind"),
    (31, "other _type", signed(lambda s: s.update(_type="https://in-toto.io/Statement/v0.1")), MISMATCH),
    (31, "other predicateType", signed(lambda s: s.update(predicateType="https://slsa.dev/provenance/v1")), MISMATCH),
    (31, "v0.1 digests", signed(lambda s: s.update(predicateType="https://model_signing/Digests/v0.1", predicate={})), MISMATCH),
    (32, "wrong root digest", signed(lambda s: s["subject"][0]["digest"].update(sha256="0" * 64)), MISMATCH),
    (32, "other subject", signed(lambda s: s["subject"][0].update(name="acme.other-1.0.0")), MISMATCH),
    (32, "two subjects", signed(lambda s: s["subject"].append(s["subject"][0])), MISMATCH),
    (32, "unsorted resources", resources(lambda r: r.reverse()), MISMATCH),
    (32, "path outside", resources(lambda r: r.append({"name": "../x", "digest": "0" * 64, "algorithm": "sha256"})), MISMATCH),
    (32, "a resource less", resources(lambda r: r.pop()), MISMATCH),
    (32, "weak hash", resources(lambda r: r[0].update(algorithm="md5")), MISMATCH),
    (32, "links allowed", signed(lambda s: s["predicate"]["serialization"].update(allow_symlinks=True)), MISMATCH),
    (32, "paths ignored", signed(lambda s: s["predicate"]["serialization"].update(ignore_paths=["adapter_model.safetensors"])), MISMATCH),
    (33, "one signature twice", raw(lambda old: old * 2), "signature_duplicate_key"),
    (34, "untrusted key", by(THIEF), "signature_key_changed"),
    (34, "trusted key offered for another's signature", by(THIEF, keyid=lambda key: text(der(key))), MALFORMED),
    (34, "trusted key and its hint for another's signature", offered, INVALID),
    (34, "hint of another key", hint("0" * 64), MALFORMED),
    (34, "another key offered", signature(keyid=text(der(THIEF))), MALFORMED),
    (35, "S + L", shifted, INVALID),
    (35, "all zeros", signature(sig=text(bytes(64))), INVALID),
    (35, "too short", signature(sig=text(bytes(63))), INVALID),
    (35, "empty", signature(sig=""), INVALID),
    (35, "small order", signature(keyid=text(ED25519_DER + bytes(32))), "signature_key_small_order"),
    (35, "not canonical", signature(keyid=text(ED25519_DER + (2**255 - 16).to_bytes(32, "little"))), ENCODING),
    (35, "P-192", signature(keyid=text(der(ec.generate_private_key(ec.SECP192R1())))), KIND),
    (35, "secp256k1", signature(keyid=text(der(ec.generate_private_key(ec.SECP256K1())))), KIND),
    (35, "RSA", signature(keyid=text(der(rsa.generate_private_key(65537, 1024)))), KIND),
    (35, "two keys", signature(keyid=text(der(THIEF) * 2)), KIND),
    (35, "private key", signature(keyid=text(THIEF.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))), KIND),
    (35, "PEM", signature(keyid=text(THIEF.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))), KIND),
    (35, "no key", signature(keyid=""), KIND),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "code"), [case[2:] for case in CASES], ids=[f"{row}-{name}" for row, name, *_ in CASES])
def test_a_hostile_signature_is_refused(gate: Gate, edit: Edit, code: str) -> None:
    parts = gate.parts()
    edit(parts, gate.key)
    assert gate.code(frame(parts.members())) == code


def test_an_empty_signature_member_is_no_signature(gate: Gate) -> None:
    assert gate.code(frame([*gate.sound.members()[:-1], Member(SIGNATURES.encode(), b"")])) == "signature_missing"


def test_a_key_in_the_package_is_refused(gate: Gate) -> None:
    parts = gate.parts()
    parts.add("keys/acme.pem", THIEF.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), "license")
    parts.seal()
    parts.resign(THIEF)
    assert gate.code(frame(parts.members())) == "manifest_invalid"


def test_a_threshold_counts_keys(gate: Gate) -> None:
    """One key signs twice, the second time in the other half of the numbers; then both keys sign."""
    second = KEY_TYPES["p256"]()
    policy = TrustStore(gate.registry.trust_home).path
    before = policy.read_text()
    keys = ", ".join(f'"{key_id(key.public_key())}"' for key in (gate.key, second))
    policy.write_text(f'[[policy]]\nscope = "acme/*"\nkeys = [{keys}]\nthreshold = 2\n')
    try:
        parts = gate.parts()
        assert gate.code(frame(parts.members())) == "signature_threshold"
        parts.resign(second)
        once = parts.lines
        high = base64.b64decode(json.loads(once)["dsseEnvelope"]["signatures"][0]["sig"])
        signature(sig=text(_other_half(high)))(parts, second)
        assert gate.code(frame(parts.members())) == MALFORMED
        parts.lines = once + parts.lines
        assert gate.code(frame(parts.members())) == MALFORMED
        parts.resign(gate.key, second)
        gate.accepts(frame(parts.members()))
    finally:
        policy.write_text(before)


def _other_half(signature_der: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

    r, s = decode_dss_signature(signature_der)
    return encode_dss_signature(r, 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551 - s)


def test_the_forge_signs_what_the_project_signs(gate: Gate) -> None:
    from expert_kit.manifest import Manifest, statement_bytes

    assert gate.sound.statement() == statement_bytes(Manifest.parse(gate.sound.manifest))
    assert isinstance(THIEF, ed25519.Ed25519PrivateKey)
