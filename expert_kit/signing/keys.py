"""Key pairs: made, stored, loaded and named.

A key is named by its fingerprint, ``sha256:`` and the SHA-256 of the DER SubjectPublicKeyInfo. A user's own keys lie
in one folder as ``<name>.pem`` (PKCS#8, mode 0600) and ``<name>.pub.pem``.

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
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
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
_KEY_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_FINGERPRINT = re.compile(r"sha256:[0-9a-f]{64}")
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END \1-----")

_NAMED_P256 = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")
"""AlgorithmIdentifier of an EC key on the named curve P-256 (RFC 5480), in DER."""

_P = 2**255 - 19
_ORDER_8_Y = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER_Y = frozenset({0, 1, _P - 1, _ORDER_8_Y, _P - _ORDER_8_Y})
"""The y coordinates of the eight points whose order divides 8 (RFC 8032, section 5.1; the same set as libsodium's list)."""


@dataclass(frozen=True)
class KeyInfo:
    """One of the user's own key pairs."""

    name: str
    key_id: str
    key_type: str
    """A key of ``KEY_TYPES``."""
    private_path: Path
    public_path: Path
    encrypted: bool
    """The private key asks for a passphrase."""


def new_key(folder: Path, name: str, key_type: str = "ed25519", passphrase: str | None = None) -> KeyInfo:
    """Make a key pair and write it to ``folder`` without ever overwriting a file.

    Raises:
        KeyFileError: the name or type is not allowed, the passphrase is empty, or a file of that name exists.
    """
    if not _KEY_NAME.fullmatch(name):
        raise KeyFileError(f"key name {name!r}: use lower-case letters, digits and '-'", code="signature_key_name")
    if key_type not in KEY_TYPES:
        raise KeyFileError(f"key type {key_type!r}: use one of {', '.join(KEY_TYPES)}", code="signature_key_type")
    key = KEY_TYPES[key_type]()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, _encryption(passphrase))
    private_path, public_path = _paths(folder, name)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_pair(private_path, pem, public_path, public_pem(key.public_key()))
    except FileExistsError as error:
        raise _key_exists(folder, name) from error
    except OSError as error:
        raise KeyFileError(f"cannot write a key to {folder}: {error.strerror}", hint="check the folder's owner and free space") from error
    return KeyInfo(name, key_id(key.public_key()), key_type, private_path, public_path, passphrase is not None)


def list_keys(folder: Path) -> list[KeyInfo]:
    """The key pairs in ``folder``, by name; a public key without its private file is left out."""
    names = [path.name.removesuffix(".pub.pem") for path in sorted(folder.glob("*.pub.pem"))] if folder.is_dir() else []
    return [_key_info(folder, name) for name in names if _paths(folder, name)[0].is_file()]


def find_key(folder: Path, name: str) -> KeyInfo:
    """The key pair of that name.

    Raises:
        KeyFileError: ``signature_key_unknown``, there is none; or its public key is refused.
    """
    if not _KEY_NAME.fullmatch(name) or not all(path.is_file() for path in _paths(folder, name)):
        raise KeyFileError(
            f"no key named {name!r} in {folder}",
            hint="list your keys with `expert-kit keys list`, or make one with `expert-kit keys new NAME`",
            code="signature_key_unknown",
        )
    return _key_info(folder, name)


def _key_info(folder: Path, name: str) -> KeyInfo:
    private_path, public_path = _paths(folder, name)
    public = load_public_key(_read(public_path))
    encrypted = b"ENCRYPTED PRIVATE KEY" in _read(private_path)
    return KeyInfo(name, key_id(public), key_type_of(public), private_path, public_path, encrypted)


def load_private_key(path: Path, passphrase: str | None = None) -> PrivateKey:
    """Load a private key file of mode 0600 or stricter.

    Raises:
        KeyFileError: missing, readable by others (``signature_key_mode``), passphrase missing or wrong
            (``signature_key_passphrase``), or a refused kind of key.
    """
    data = _read(path, private=True)
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


def identify(text: str, folder: Path) -> str:
    """The fingerprint that a user means by ``text``.

    Args:
        text: a fingerprint, the name of an own key in ``folder``, or the path of a public key PEM file.
        folder: the user's key folder.

    Raises:
        KeyFileError: it is none of the three; the message says what was looked for.
    """
    if _FINGERPRINT.fullmatch(text):
        return text
    if _KEY_NAME.fullmatch(text) and (own := _paths(folder, text)[1]).is_file():
        return key_id(load_public_key(_read(own)))
    if Path(text).is_file():
        return key_id(load_public_key(_read(Path(text))))
    raise KeyFileError(
        f"{text!r} is no fingerprint (sha256:<64 hex>), no key in {folder}, and no public key file",
        hint="list your own keys with `expert-kit keys list`",
        code="signature_key_unknown",
    )


def _paths(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}.pem", folder / f"{name}.pub.pem"


def _write_pair(private_path: Path, private: bytes, public_path: Path, public: bytes) -> None:
    # The private key first: a public key of a key that nobody has could be announced, and never sign.
    _write_new(private_path, private, 0o600)
    try:
        _write_new(public_path, public, 0o644)
    except BaseException:
        private_path.unlink()
        raise


def _key_exists(folder: Path, name: str) -> KeyFileError:
    private_path, public_path = _paths(folder, name)
    message, hint = f"a key named {name!r} exists in {folder}", "choose another name; keys are never overwritten"
    if not private_path.exists():
        message = f"{folder} has only the public half of a key named {name!r}: {public_path.name}"
        hint = f"move {public_path.name} away, or choose another name"
    elif not public_path.exists():
        message = f"{folder} has only the private half of a key named {name!r}: {private_path.name}"
        hint = f"choose another name, or make the public half again: openssl pkey -in {private_path} -pubout -out {public_path}"
    return KeyFileError(message, hint=hint, code="signature_key_exists")


def _encryption(passphrase: str | None) -> KeySerializationEncryption:
    if passphrase is None:
        return NoEncryption()
    if not passphrase:
        raise KeyFileError("the passphrase is empty", hint="leave it out for a key without one", code="signature_key_passphrase")
    return BestAvailableEncryption(passphrase.encode())


def _write_new(path: Path, data: bytes, mode: int) -> None:
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)  # unlike a rename, a link never replaces an existing key
    finally:
        temporary.unlink()


def _read(path: Path, *, private: bool = False) -> bytes:
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
