from __future__ import annotations

import base64
import hashlib
import json

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from expert_kit.errors import ExpertKitError, SignatureError, UnsignedError, UntrustedKeyError
from expert_kit.signing import (
    KEY_TYPES,
    PrivateKey,
    add_line,
    key_id,
    merge_lines,
    public_pem,
    sign,
    split_lines,
    verified_signers,
    verify_line,
)
from expert_kit.signing.envelope import pae

STATEMENT = b'{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"acme.sql-1.0.0"}]}'


@pytest.fixture(params=KEY_TYPES)
def key(request: pytest.FixtureRequest) -> PrivateKey:
    return KEY_TYPES[request.param]()


def edited(line: bytes, **changes: str) -> bytes:
    value = json.loads(line)
    envelope = value["dsseEnvelope"]
    for name, text in changes.items():
        if name in {"sig", "keyid"}:
            envelope["signatures"][0][name] = text
        elif name == "hint":
            value["verificationMaterial"]["publicKey"]["hint"] = text
        elif name == "mediaType":
            value[name] = text
        else:
            envelope[name] = text
    return rfc8785.dumps(value)


def test_pae_is_the_example_of_the_dsse_specification() -> None:
    assert pae("http://example.com/HelloWorld", b"hello world") == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


@pytest.mark.parametrize(
    ("kind", "payload"), [("t", b""), ("application/vnd.in-toto+json", STATEMENT), ("ä", "ö€".encode()), ("", b"\0\n 3 x")]
)
def test_pae_is_that_of_another_implementation(kind: str, payload: bytes) -> None:
    from securesystemslib.dsse import Envelope

    assert pae(kind, payload) == Envelope(payload, kind, {}).pae()


def test_another_implementation_verifies_what_we_sign(key: PrivateKey) -> None:
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import SSlibKey

    public = SSlibKey.from_crypto(key.public_key())
    envelope = json.loads(sign(STATEMENT, key))["dsseEnvelope"]
    signature = {"keyid": public.keyid, "sig": envelope["signatures"][0]["sig"]}
    theirs = Envelope.from_dict({**envelope, "signatures": [signature]})
    assert list(theirs.verify([public], 1)) == [public.keyid]


def test_pae_counts_bytes_not_characters() -> None:
    assert pae("t", "ä".encode()) == b"DSSEv1 1 t 2 " + "ä".encode()


def test_a_signature_verifies_under_its_own_key_only(key: PrivateKey) -> None:
    line = sign(STATEMENT, key)
    own = key_id(key.public_key())
    assert verify_line(line, STATEMENT, {own: key.public_key()}) == own
    with pytest.raises(UntrustedKeyError) as caught:
        verify_line(line, STATEMENT, {})
    assert f"expert-kit keys trust {own}" in caught.value.hint


def test_signing_twice_gives_the_same_bytes(key: PrivateKey) -> None:
    assert sign(STATEMENT, key) == sign(STATEMENT, key)


def test_the_line_has_the_layout_of_a_sigstore_bundle(key: PrivateKey) -> None:
    value = json.loads(sign(STATEMENT, key))
    assert value["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert value["verificationMaterial"]["publicKey"]["hint"] == hashlib.sha256(public_pem(key.public_key())).hexdigest()
    assert value["dsseEnvelope"]["payloadType"] == "application/vnd.in-toto+json"
    assert base64.b64decode(value["dsseEnvelope"]["payload"]) == STATEMENT


def test_a_signature_of_another_statement_is_refused(key: PrivateKey) -> None:
    with pytest.raises(SignatureError) as caught:
        verified_signers(sign(STATEMENT, key) + b"\n", STATEMENT + b" ")
    assert caught.value.code == "signature_statement_mismatch"


def test_a_payload_swapped_under_a_signature_is_refused(key: PrivateKey) -> None:
    other = b"{}"
    line = edited(sign(STATEMENT, key), payload=base64.b64encode(other).decode())
    with pytest.raises(SignatureError) as caught:
        verify_line(line, other, {key_id(key.public_key()): key.public_key()})
    assert caught.value.code == "signature_invalid"


def test_a_trusted_key_offered_for_another_keys_signature_is_refused(key: PrivateKey) -> None:
    trusted = KEY_TYPES["ed25519"]()
    public = trusted.public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    line = edited(
        sign(STATEMENT, key), keyid=base64.b64encode(der).decode(), hint=hashlib.sha256(public_pem(trusted.public_key())).hexdigest()
    )
    with pytest.raises(SignatureError) as caught:
        verify_line(line, STATEMENT, {key_id(public): public})
    assert not isinstance(caught.value, UntrustedKeyError)


def test_a_hint_of_another_key_is_refused(key: PrivateKey) -> None:
    with pytest.raises(SignatureError) as caught:
        verify_line(edited(sign(STATEMENT, key), hint="0" * 64), STATEMENT, {key_id(key.public_key())})
    assert caught.value.code == "signature_malformed"


@pytest.mark.parametrize("change", [{"payloadType": "text/plain"}, {"mediaType": "application/vnd.dev.sigstore.bundle.v0.2+json"}])
def test_another_kind_of_envelope_is_refused(key: PrivateKey, change: dict[str, str]) -> None:
    with pytest.raises(SignatureError) as caught:
        verify_line(edited(sign(STATEMENT, key), **change), STATEMENT, {key_id(key.public_key())})
    assert caught.value.code == "signature_kind"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda line: b" " + line,
        lambda line: line.replace(b":", b": ", 1),
        lambda line: line[:-1] + b',"extra":1}',
        lambda line: line[:-1] + b',"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}',
        lambda line: line.replace(b'"tlogEntries":[]', b'"tlogEntries":[{}]'),
        lambda line: b"\xef\xbb\xbf" + line,
        lambda line: b"[" * 200_000,
        lambda line: b"null",
        lambda line: b" " * (4 << 20) + line,
        lambda line: line.replace(b'"payloadType":"application/vnd.in-toto+json"', b'"payloadType":1'),
        lambda line: line.replace(b'"sig":"', b'"sig":"?'),
        lambda line: b'{"dsseEnvelope":[]}',
        lambda line: line[:-20],
    ],
)
def test_a_line_in_another_form_than_ours_is_refused(spoil: object) -> None:
    key = KEY_TYPES["ed25519"]()
    assert callable(spoil)
    with pytest.raises(SignatureError) as caught:
        verify_line(spoil(sign(STATEMENT, key)), STATEMENT, {key_id(key.public_key())})
    assert caught.value.code == "signature_malformed"


def test_the_other_half_of_an_ecdsa_signature_is_refused() -> None:
    key = KEY_TYPES["p256"]()
    line = sign(STATEMENT, key)
    r, s = decode_dss_signature(base64.b64decode(json.loads(line)["dsseEnvelope"]["signatures"][0]["sig"]))
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    other = base64.b64encode(encode_dss_signature(r, order - s)).decode()
    with pytest.raises(SignatureError) as caught:
        verify_line(edited(line, sig=other), STATEMENT, {key_id(key.public_key())})
    assert caught.value.code == "signature_malformed"


def test_an_ed25519_signature_with_s_plus_the_group_order_is_refused() -> None:
    key = KEY_TYPES["ed25519"]()
    line = sign(STATEMENT, key)
    raw = base64.b64decode(json.loads(line)["dsseEnvelope"]["signatures"][0]["sig"])
    s = int.from_bytes(raw[32:], "little") + 2**252 + 27742317777372353535851937790883648493
    other = base64.b64encode(raw[:32] + s.to_bytes(32, "little")).decode()
    with pytest.raises(SignatureError) as caught:
        verify_line(edited(line, sig=other), STATEMENT, {key_id(key.public_key())})
    assert caught.value.code == "signature_invalid"


def test_any_changed_byte_of_a_line_is_refused(key: PrivateKey) -> None:
    line = sign(STATEMENT, key)
    for offset in range(len(line)):
        spoiled = line[:offset] + bytes([line[offset] ^ 1]) + line[offset + 1 :]
        with pytest.raises(ExpertKitError):
            verify_line(spoiled, STATEMENT, {key_id(key.public_key())})


def test_several_signers_are_several_lines() -> None:
    keys = [make() for make in KEY_TYPES.values()]
    data = b""
    for key in keys:
        data = add_line(data, sign(STATEMENT, key))
    assert verified_signers(data, STATEMENT) == tuple(key_id(key.public_key()) for key in keys)


def test_signing_again_with_one_key_replaces_its_line(key: PrivateKey) -> None:
    line = sign(STATEMENT, key)
    assert add_line(add_line(b"", line), line) == line + b"\n"


def test_one_signature_repeated_does_not_count_twice(key: PrivateKey) -> None:
    line = sign(STATEMENT, key) + b"\n"
    with pytest.raises(SignatureError) as caught:
        verified_signers(line + line, STATEMENT)
    assert caught.value.code == "signature_duplicate_key"


def test_one_bad_line_refuses_all_of_them(key: PrivateKey) -> None:
    bad = sign(STATEMENT + b"x", KEY_TYPES["ed25519"]())
    with pytest.raises(SignatureError):
        verified_signers(sign(STATEMENT, key) + b"\n" + bad + b"\n", STATEMENT)


def test_no_line_means_unsigned() -> None:
    with pytest.raises(UnsignedError):
        verified_signers(b"", STATEMENT)


@pytest.mark.parametrize("data", [b"\n", b"a", b"a\n\n", b"a\nb", b"a\n" * 33])
def test_lines_are_finished_and_not_too_many(data: bytes) -> None:
    with pytest.raises(SignatureError) as caught:
        split_lines(data)
    assert caught.value.code == "signature_malformed"


def test_a_line_that_offers_a_small_order_key_is_refused() -> None:
    line = sign(STATEMENT, KEY_TYPES["ed25519"]())
    der = bytes.fromhex("302a300506032b6570032100") + (1).to_bytes(32, "little")
    with pytest.raises(SignatureError) as caught:
        verify_line(edited(line, keyid=base64.b64encode(der).decode()), STATEMENT, {})
    assert caught.value.code == "signature_key_small_order"


def test_an_ecdsa_signature_out_of_range_is_refused() -> None:
    key = KEY_TYPES["p256"]()
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    for r, s in ((0, 1), (1, 0), (order, 1), (1, order)):
        sig = base64.b64encode(encode_dss_signature(r, s)).decode()
        with pytest.raises(SignatureError) as caught:
            verify_line(edited(sign(STATEMENT, key), sig=sig), STATEMENT, {key_id(key.public_key())})
        assert caught.value.code == "signature_malformed"


def test_detached_lines_are_added_and_replace_those_by_the_same_key(key: PrivateKey) -> None:
    inside, other = sign(STATEMENT, key) + b"\n", sign(STATEMENT, KEY_TYPES["ed25519"]()) + b"\n"
    assert merge_lines(inside, b"") == inside
    assert merge_lines(b"", inside) == inside
    assert merge_lines(inside, other) == inside + other
    assert merge_lines(inside + other, inside) == other + inside


def test_millions_of_line_feeds_are_counted_and_not_split():
    import tracemalloc

    data = b"\n" * (4 << 20)
    tracemalloc.start()
    with pytest.raises(SignatureError, match="lines"):
        split_lines(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20
