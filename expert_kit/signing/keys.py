"""Keys: made, loaded and named by their fingerprint, ``sha256:`` and the SHA-256 of the DER SubjectPublicKeyInfo.

Refused at load: anything but Ed25519 and P-256, Ed25519 points of small order or in a non-canonical encoding, explicit
curve parameters, files with more than one PEM object, private keys that others may read.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
)

from expert_kit.errors import KeyFileError

PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey
PublicKey = Ed25519PublicKey | EllipticCurvePublicKey

KEY_TYPES: dict[str, Callable[[], PrivateKey]] = {
    "ed25519": Ed25519PrivateKey.generate,
    "p256": lambda: generate_private_key(SECP256R1()),
}

_MAX_KEY_FILE = 16 * 1024
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END \1-----")

_NAMED_P256 = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")
"""AlgorithmIdentifier of an EC key on the named curve P-256 (RFC 5480), in DER."""

_P = 2**255 - 19
_ORDER_8_Y = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER_Y = frozenset({0, 1, _P - 1, _ORDER_8_Y, _P - _ORDER_8_Y})
"""The y coordinates of the eight points whose order divides 8 (RFC 8032, section 5.1; the same set as libsodium's list)."""


def load_private_key(path: Path, passphrase: str | None = None) -> PrivateKey:
    """Load a private key file of mode 0600 or stricter.

    Raises:
        KeyFileError: missing, readable by others (``signature_key_mode``), passphrase missing or wrong
            (``signature_key_passphrase``), or a refused kind of key.
    """
    data = read_key_file(path, private=True)
    label, der = _one_pem(data, str(path))
    if label not in {b"PRIVATE KEY", b"ENCRYPTED PRIVATE KEY"}:
        raise KeyFileError(
            f"{path}: a {label.decode()} is not a PKCS#8 private key",
            hint=f"convert it: openssl pkcs8 -topk8 -in {path} -out new.pem",
            code="signature_key_kind",
        )
    encrypted = label == b"ENCRYPTED PRIVATE KEY"
    if encrypted and passphrase is None:
        raise KeyFileError(f"{path} is protected by a passphrase", hint="give the passphrase", code="signature_key_passphrase")
    try:
        key = load_pem_private_key(data, passphrase.encode() if encrypted and passphrase is not None else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        if encrypted:
            message, code = f"{path}: wrong passphrase, or not a supported key", "signature_key_passphrase"
        else:
            message, code = f"{path}: not a private key that can be used here", "signature_key_kind"
        raise KeyFileError(message, hint="make a new key with `expert-kit keys new NAME`", code=code) from error
    if not isinstance(key, Ed25519PrivateKey | EllipticCurvePrivateKey):
        raise _refused_kind(str(path))
    _check_public(key.public_key(), str(path))
    # The library takes explicit parameters that spell P-256. Under a passphrase they cannot be seen, and do no harm either.
    if isinstance(key, EllipticCurvePrivateKey) and not encrypted and _NAMED_P256 not in der:
        raise KeyFileError(f"{path}: explicit curve parameters", hint="write the key with a named curve", code="signature_key_encoding")
    return key


def load_public_key(pem: bytes) -> PublicKey:
    """Load one PEM public key; the DER inside must be exactly what we would write for that key."""
    label, der = _one_pem(pem, "public key")
    if label != b"PUBLIC KEY":
        raise KeyFileError(
            f"expected a PUBLIC KEY, got a {label.decode()}",
            hint="give the .pub.pem file, never the private key",
            code="signature_key_kind",
        )
    return load_public_der(der)


def load_public_der(der: bytes) -> PublicKey:
    """Load a DER SubjectPublicKeyInfo under the same rules as :func:`load_public_key`."""
    try:
        key = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _refused_kind("public key") from error
    if not isinstance(key, Ed25519PublicKey | EllipticCurvePublicKey):
        raise _refused_kind("public key")
    _check_public(key, "public key")
    # Explicit curve parameters, compressed points and other encodings of the same key end here.
    if public_der(key) != der:
        raise KeyFileError("public key: not in its one canonical encoding", code="signature_key_encoding")
    return key


def key_id(public: PublicKey) -> str:
    """The fingerprint, ``sha256:<64 lower-case hex>`` over the DER SubjectPublicKeyInfo."""
    return "sha256:" + hashlib.sha256(public_der(public)).hexdigest()


def key_type_of(public: PublicKey) -> str:
    """The name of this key's type in ``KEY_TYPES``."""
    return "ed25519" if isinstance(public, Ed25519PublicKey) else "p256"


def public_der(public: PublicKey) -> bytes:
    """DER SubjectPublicKeyInfo."""
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def public_pem(public: PublicKey) -> bytes:
    """PEM SubjectPublicKeyInfo, as written to ``<name>.pub.pem``."""
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def read_key_file(path: Path, *, private: bool = False) -> bytes:
    """The bytes of a key file.

    Raises:
        KeyFileError: unreadable, too large for one key, or (``signature_key_mode``) a private one that others may read.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read(_MAX_KEY_FILE + 1)
    except OSError as error:
        raise KeyFileError(f"cannot read key {path}: {error.strerror}", hint="make one with `expert-kit keys new NAME`") from error
    if private and os.name == "posix" and mode & 0o177:
        raise KeyFileError(
            f"{path} has mode {mode:04o}: others may read this private key", hint=f"chmod 600 {path}", code="signature_key_mode"
        )
    if len(data) > _MAX_KEY_FILE:
        raise KeyFileError(f"{path} is larger than {_MAX_KEY_FILE} bytes, so it is not one key", code="signature_key_kind")
    return data


def _one_pem(data: bytes, where: str) -> tuple[bytes, bytes]:
    """Label and DER of the only PEM object; text around it is refused, since tools disagree on what it means."""
    match = _PEM.fullmatch(data.strip())
    if data.count(b"-----BEGIN") > 1:
        raise KeyFileError(f"{where}: more than one PEM object", hint="keep one key per file", code="signature_key_multiple")
    if match is None:
        raise KeyFileError(f"{where}: not a PEM file with exactly one key", code="signature_key_kind")
    try:
        return match[1], base64.b64decode(b"".join(match[2].split()), validate=True)
    except binascii.Error as error:
        raise KeyFileError(f"{where}: broken base64 in the PEM file", code="signature_key_kind") from error


def _check_public(public: PublicKey, where: str) -> None:
    if isinstance(public, EllipticCurvePublicKey):
        if not isinstance(public.curve, SECP256R1):
            raise _refused_kind(where)
        return
    y = int.from_bytes(public.public_bytes_raw(), "little") & (2**255 - 1)
    if y % _P in _SMALL_ORDER_Y:
        raise KeyFileError(
            f"{where}: an Ed25519 point of small order, for which anyone can forge signatures", code="signature_key_small_order"
        )
    if y >= _P:
        raise KeyFileError(f"{where}: an Ed25519 point in a non-canonical encoding", code="signature_key_encoding")


def _refused_kind(where: str) -> KeyFileError:
    return KeyFileError(
        f"{where}: only Ed25519 and ECDSA P-256 keys are accepted",
        hint="make one with `expert-kit keys new NAME`",
        code="signature_key_kind",
    )
