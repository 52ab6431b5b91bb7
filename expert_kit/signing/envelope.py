"""DSSE signatures over a statement, as Sigstore bundles, one canonical JSON line each.

The layout is OpenSSF Model Signing (OMS) v1.0: Sigstore bundle > DSSE envelope > in-toto statement. A line is
canonical or refused: the fields are taken out of the JSON, the line is built again from them by our own writer, and
both must be the same bytes. That settles key order, spacing, duplicate keys and unknown fields at once.

The statement is never taken from a line. The caller passes the bytes it expects, the payload must be equal to them,
and nothing is interpreted from the signed payload.

``keyid`` holds the signer's DER SubjectPublicKeyInfo in base64. DSSE calls that field an unauthenticated hint, and so
it is here: it offers a *candidate* key. Whoever changes it gets another fingerprint, and trust is decided by the
fingerprint alone (``trust.py``). ``publicKey.hint`` is the SHA-256 of the PEM form, which upstream OMS tools expect.

Source: DSSE 1.0 protocol (PAE), OMS v1.0, RFC 6979 for the deterministic ECDSA nonce.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Container
from dataclasses import dataclass

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from expert_kit.errors import KeyFileError, SignatureError, UnsignedError, UntrustedKeyError
from expert_kit.signing.hints import compare_first, trust_command
from expert_kit.signing.keys import PrivateKey, PublicKey, key_id, load_public_der, public_der, public_pem

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_LINES = 32
MAX_LINE_BYTES = 4 * 1024 * 1024
_MAX_MARKS = 64
"""Commas and opening brackets of a line; a bundle has 13."""

_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True)
class _Bundle:
    media_type: str
    payload_type: str
    payload: bytes
    candidate: PublicKey
    signature: bytes


def sign(statement: bytes, private_key: PrivateKey, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """Sign ``statement`` and return one bundle line, without a line end.

    The same statement and key give the same line, for both key types.
    """
    public = private_key.public_key()
    message = pae(payload_type, statement)
    if isinstance(private_key, Ed25519PrivateKey):
        signature = private_key.sign(message)
    else:
        signature = _low_s(private_key.sign(message, ECDSA(SHA256(), deterministic_signing=True)))
    return _render(_Bundle(MEDIA_TYPE, payload_type, statement, public, signature))


def verify_line(line: bytes, statement: bytes, keys: Container[str]) -> str:
    """Check one bundle line and return the signer's key id.

    Args:
        line: as received, without its line end.
        statement: the bytes that must have been signed, rebuilt by the caller.
        keys: the trusted key ids; a mapping from key id to key will do.

    Raises:
        SignatureError: the line is malformed, signs something else, or does not verify.
        UntrustedKeyError: the signature is good, but its key is not in ``keys``.
    """
    signer = _check(line, statement)
    if signer not in keys:
        hint = compare_first("its publisher", [trust_command(signer, "NS/*")])
        raise UntrustedKeyError(f"signed with key {signer}, which is not trusted here", hint=hint)
    return signer


def verified_signers(data: bytes, statement: bytes) -> tuple[str, ...]:
    """Who signed: the key id of every line, each checked. It says nothing about trust.

    One bad line refuses all of them, and so does a second line by the same key.

    Raises:
        UnsignedError: there is no line.
        SignatureError: a line is malformed or does not verify.
    """
    signers = tuple(_check(line, statement) for line in split_lines(data))
    if not signers:
        raise UnsignedError("there is no signature")
    if len(set(signers)) != len(signers):
        raise SignatureError("two signature lines by the same key", hint="ask the publisher for a new one", code="signature_duplicate_key")
    return signers


def open_line(line: bytes, payload_type: str = PAYLOAD_TYPE) -> tuple[bytes, str]:
    """Payload and signer's key id of a line whose statement cannot be rebuilt; the payload is read after its signature verified.

    Raises:
        SignatureError: the line is malformed, of another kind, or does not verify. Trust is another question.
    """
    bundle = _parse(line)
    return bundle.payload, _verify(bundle, payload_type)


def split_lines(data: bytes) -> list[bytes]:
    """The lines of a signatures file; each one, and the last too, ends in exactly one line feed.

    Raises:
        SignatureError: an empty or unfinished line, or too many or too long lines.
    """
    if not data:
        return []
    # Counted first: millions of line feeds would be millions of objects.
    if data.count(b"\n") > MAX_LINES:
        raise _malformed(f"more than {MAX_LINES} lines")
    *lines, rest = data.split(b"\n")
    if rest or not all(lines):
        raise _malformed("an empty or unfinished line")
    if max(map(len, lines)) > MAX_LINE_BYTES:
        raise _malformed(f"a line over {MAX_LINE_BYTES} bytes")
    return lines


def add_line(data: bytes, line: bytes) -> bytes:
    """The signatures file with ``line`` added at the end, in place of an earlier line by the same key."""
    signer = key_id(_parse(line).candidate)
    kept = [old for old in split_lines(data) if key_id(_parse(old).candidate) != signer]
    return b"".join(item + b"\n" for item in [*kept, line])


def merge_lines(data: bytes, more: bytes) -> bytes:
    """The signatures of an archive and of a detached file together; a later line replaces one by the same key."""
    for line in split_lines(more):
        data = add_line(data, line)
    return data


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE pre-authentication encoding; lengths count bytes."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _check(line: bytes, statement: bytes) -> str:
    bundle = _parse(line)
    _check_kind(bundle, PAYLOAD_TYPE)
    if bundle.payload != statement:
        raise SignatureError(
            "the signature belongs to another package: the signed statement differs from this manifest",
            hint="ask the publisher for a new archive",
            code="signature_statement_mismatch",
        )
    return _verify(bundle, PAYLOAD_TYPE)


def _check_kind(bundle: _Bundle, payload_type: str) -> None:
    if bundle.media_type != MEDIA_TYPE or bundle.payload_type != payload_type:
        raise SignatureError(
            "signature of an unknown kind", hint="update expert-kit, or ask the publisher which version signed it", code="signature_kind"
        )


def _verify(bundle: _Bundle, payload_type: str) -> str:
    _check_kind(bundle, payload_type)
    message = pae(bundle.payload_type, bundle.payload)
    try:
        if isinstance(bundle.candidate, Ed25519PublicKey):
            bundle.candidate.verify(bundle.signature, message)
        elif _low_s(bundle.signature) != bundle.signature:
            raise _malformed("an ECDSA signature in another than its one canonical form")
        else:
            bundle.candidate.verify(bundle.signature, message, ECDSA(SHA256()))
    except InvalidSignature as error:
        raise SignatureError(
            f"the signature by key {key_id(bundle.candidate)} does not verify",
            hint="the archive was damaged or changed: fetch it again, or ask the publisher",
        ) from error
    return key_id(bundle.candidate)


def _render(bundle: _Bundle) -> bytes:
    public = bundle.candidate
    return rfc8785.dumps(
        {
            "mediaType": bundle.media_type,
            "verificationMaterial": {"publicKey": {"hint": hashlib.sha256(public_pem(public)).hexdigest()}, "tlogEntries": []},
            "dsseEnvelope": {
                "payload": _text(bundle.payload),
                "payloadType": bundle.payload_type,
                "signatures": [{"keyid": _text(public_der(public)), "sig": _text(bundle.signature)}],
            },
        }
    )


def _parse(line: bytes) -> _Bundle:
    if len(line) > MAX_LINE_BYTES:
        raise _malformed(f"a line over {MAX_LINE_BYTES} bytes")
    # A few bytes of JSON become a hundred bytes of objects, so their number is limited before they are made.
    if sum(map(line.count, (b",", b"[", b"{"))) > _MAX_MARKS:
        raise _malformed("not a bundle")
    try:
        value = json.loads(line)
        envelope = value["dsseEnvelope"]
        signature = envelope["signatures"][0]
        bundle = _Bundle(
            media_type=_string(value["mediaType"]),
            payload_type=_string(envelope["payloadType"]),
            payload=_bytes(envelope["payload"]),
            candidate=load_public_der(_bytes(signature["keyid"])),
            signature=_bytes(signature["sig"]),
        )
        rendered = _render(bundle)
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise _malformed("not a bundle") from error
    except KeyFileError as error:
        raise SignatureError(f"the signature offers a key that is refused: {error.message}", code=error.code) from error
    if rendered != line:
        raise _malformed("not in canonical form")
    return bundle


def _low_s(signature: bytes) -> bytes:
    """The one canonical DER form with s in the lower half: (r, s) and (r, n - s) verify alike."""
    try:
        r, s = decode_dss_signature(signature)
    except ValueError as error:
        raise _malformed("not an ECDSA signature") from error
    if not (0 < r < _P256_ORDER and 0 < s < _P256_ORDER):
        raise _malformed("an ECDSA signature out of range")
    return encode_dss_signature(r, min(s, _P256_ORDER - s))


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a string, got {type(value).__name__}")
    return value


def _bytes(value: object) -> bytes:
    try:
        return base64.b64decode(_string(value), validate=True)
    except binascii.Error as error:
        raise _malformed("broken base64") from error


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _malformed(what: str) -> SignatureError:
    return SignatureError(f"malformed signature line: {what}", hint="ask the publisher for a new archive", code="signature_malformed")
