from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from expert_kit.errors import KeyFileError
from expert_kit.signing import (
    KEY_TYPES,
    find_key,
    find_public_key,
    identify,
    key_id,
    list_keys,
    load_private_key,
    load_public_key,
    new_key,
    public_pem,
)

ED25519_SPKI = bytes.fromhex("302a300506032b6570032100")
P = 2**255 - 19


def pem_of(der: bytes, label: str = "PUBLIC KEY") -> bytes:
    return f"-----BEGIN {label}-----\n{base64.b64encode(der).decode()}\n-----END {label}-----\n".encode()


def small_order_points() -> list[tuple[int, int]]:
    """The eight points killed by the cofactor, from the curve's own arithmetic (RFC 8032, section 5.1)."""
    d = -121665 * pow(121666, -1, P) % P
    group_order = 2**252 + 27742317777372353535851937790883648493

    def add(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
        t = d * a[0] * b[0] * a[1] * b[1] % P
        x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + t, -1, P) % P
        return x, (a[1] * b[1] + a[0] * b[0]) * pow(1 - t, -1, P) % P

    def times(point: tuple[int, int], n: int) -> tuple[int, int]:
        result = (0, 1)
        for bit in bin(n)[2:]:
            result = add(result, result)
            result = add(result, point) if bit == "1" else result
        return result

    def x_of(y: int) -> int | None:
        square = (y * y - 1) * pow(d * y * y + 1, -1, P) % P
        x = pow(square, (P + 3) // 8, P)
        x = x if x * x % P == square else x * pow(2, (P - 1) // 4, P) % P
        return x if x * x % P == square else None

    found: set[tuple[int, int]] = set()
    y = 2
    while len(found) < 8:
        y += 1
        x = x_of(y)
        if x is not None:
            found |= {times(times((x, y), group_order), n) for n in range(8)}
    return sorted(found)


def encodings() -> list[bytes]:
    found = set()
    for _, y in small_order_points():
        for spelled in (y, y + P):
            for sign in (0, 1):
                if spelled < 2**255:
                    found.add((spelled | sign << 255).to_bytes(32, "little"))
    return sorted(found)


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_a_new_key_is_loaded_again_under_the_same_fingerprint(tmp_path: Path, key_type: str) -> None:
    info = new_key(tmp_path / "keys", "alice", key_type)
    public = load_private_key(info.private_path).public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert info.key_id == "sha256:" + hashlib.sha256(der).hexdigest() == key_id(load_public_key(info.public_path.read_bytes()))
    assert info.private_path.stat().st_mode & 0o777 == 0o600
    assert list_keys(tmp_path / "keys") == [info]
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == ["alice.pem", "alice.pub.pem"]


def test_a_passphrase_is_asked_for_and_checked(tmp_path: Path) -> None:
    info = new_key(tmp_path, "alice", passphrase="correct horse")
    assert info.encrypted
    assert list_keys(tmp_path)[0].encrypted
    assert key_id(load_private_key(info.private_path, "correct horse").public_key()) == info.key_id
    for wrong in (None, "battery"):
        with pytest.raises(KeyFileError) as caught:
            load_private_key(info.private_path, wrong)
        assert caught.value.code == "signature_key_passphrase"


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    info = new_key(tmp_path, "alice")
    before = info.private_path.read_bytes()
    with pytest.raises(KeyFileError) as caught:
        new_key(tmp_path, "alice")
    assert caught.value.code == "signature_key_exists"
    assert info.private_path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o700])
def test_a_private_key_that_others_may_read_is_refused_with_the_command_that_helps(tmp_path: Path, mode: int) -> None:
    info = new_key(tmp_path, "alice")
    info.private_path.chmod(mode)
    with pytest.raises(KeyFileError) as caught:
        load_private_key(info.private_path)
    assert caught.value.code == "signature_key_mode"
    assert caught.value.hint == f"chmod 600 {info.private_path}"


def test_the_curve_has_fourteen_encodings_of_small_order_points() -> None:
    assert len(small_order_points()) == 8
    assert len(encodings()) == 14


@pytest.mark.parametrize("point", encodings(), ids=lambda point: point.hex()[:8] + point.hex()[-2:])
def test_small_order_points_are_refused_in_every_encoding(point: bytes) -> None:
    with pytest.raises(KeyFileError) as caught:
        load_public_key(pem_of(ED25519_SPKI + point))
    assert caught.value.code == "signature_key_small_order"


def test_a_point_in_a_non_canonical_encoding_is_refused() -> None:
    spelled = (P + 3).to_bytes(32, "little")
    with pytest.raises(KeyFileError) as caught:
        load_public_key(pem_of(ED25519_SPKI + spelled))
    assert caught.value.code == "signature_key_encoding"


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP192R1()),
        ec.generate_private_key(ec.SECP256K1()),
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["p192", "secp256k1", "p384", "rsa"],
)
def test_other_kinds_of_keys_are_refused(tmp_path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    with pytest.raises(KeyFileError) as caught:
        load_public_key(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert caught.value.code == "signature_key_kind"
    path = tmp_path / "key.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    with pytest.raises(KeyFileError) as caught:
        load_private_key(path)
    assert caught.value.code == "signature_key_kind"


def test_a_traditional_private_key_is_refused_with_the_command_that_converts_it(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    key = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    path.chmod(0o600)
    with pytest.raises(KeyFileError) as caught:
        load_private_key(path)
    assert "openssl pkcs8 -topk8" in caught.value.hint


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
def test_explicit_curve_parameters_are_refused(tmp_path: Path) -> None:
    explicit = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:explicit"]
    private = subprocess.run(["openssl", "genpkey", *explicit], capture_output=True, check=True).stdout
    public = subprocess.run(["openssl", "pkey", "-pubout"], input=private, capture_output=True, check=True).stdout
    with pytest.raises(KeyFileError):
        load_public_key(public)
    path = tmp_path / "key.pem"
    path.write_bytes(private)
    path.chmod(0o600)
    with pytest.raises(KeyFileError):
        load_private_key(path)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
@pytest.mark.parametrize("algorithm", [["ed25519"], ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]], ids=["ed25519", "p256"])
def test_keys_made_by_openssl_are_accepted(tmp_path: Path, algorithm: list[str]) -> None:
    path = tmp_path / "key.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", *algorithm, "-out", str(path)], check=True, capture_output=True)
    path.chmod(0o600)
    public = subprocess.run(["openssl", "pkey", "-in", str(path), "-pubout"], check=True, capture_output=True).stdout
    assert key_id(load_private_key(path).public_key()) == key_id(load_public_key(public))


def test_a_file_with_two_keys_is_refused() -> None:
    pem = public_pem(ed25519.Ed25519PrivateKey.generate().public_key())
    with pytest.raises(KeyFileError) as caught:
        load_public_key(pem + public_pem(ed25519.Ed25519PrivateKey.generate().public_key()))
    assert caught.value.code == "signature_key_multiple"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"\xff" * 50,
        pem_of(b"")[:-26] + b"A=A\n-----END PUBLIC KEY-----",
        pem_of(b"\x30\x00"),
        b"x" + pem_of(ED25519_SPKI + b"\x05" * 32),
    ],
)
def test_what_is_no_key_is_refused(data: bytes) -> None:
    with pytest.raises(KeyFileError):
        load_public_key(data)


def test_a_private_key_is_not_taken_for_a_public_one(tmp_path: Path) -> None:
    info = new_key(tmp_path, "alice")
    with pytest.raises(KeyFileError, match="PRIVATE KEY"):
        load_public_key(info.private_path.read_bytes())


def test_a_key_is_meant_by_fingerprint_name_or_file(tmp_path: Path) -> None:
    info = new_key(tmp_path, "alice")
    assert identify(info.key_id, tmp_path) == identify("alice", tmp_path) == identify(str(info.public_path), tmp_path) == info.key_id
    with pytest.raises(KeyFileError) as caught:
        identify("bob", tmp_path)
    assert caught.value.code == "signature_key_unknown"


@pytest.mark.parametrize("name", ["", "Alice", "../alice", "a/b", "a.b", "-a"])
def test_a_key_name_is_a_plain_word(tmp_path: Path, name: str) -> None:
    with pytest.raises(KeyFileError):
        new_key(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_key_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="cannot read") as caught:
        load_private_key(tmp_path / "none.pem")
    assert "expert-kit keys new" in caught.value.hint


def test_a_folder_that_cannot_hold_keys_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyFileError) as caught:
        new_key(tmp_path / "file" / "keys", "alice")
    assert caught.value.hint


def test_an_unknown_type_and_an_empty_passphrase_are_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError) as caught:
        new_key(tmp_path, "alice", "rsa")
    assert caught.value.code == "signature_key_type"
    with pytest.raises(KeyFileError) as caught:
        new_key(tmp_path, "alice", passphrase="")
    assert caught.value.code == "signature_key_passphrase"


def test_a_public_key_alone_is_no_pair(tmp_path: Path) -> None:
    new_key(tmp_path, "alice").private_path.unlink()
    assert list_keys(tmp_path) == []


def test_a_huge_file_is_no_key(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(b"x" * 20_000)
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="larger than"):
        load_private_key(path)


@pytest.mark.parametrize(("left", "hint"), [(".pub.pem", "move alice.pub.pem away"), (".pem", "openssl pkey")])
def test_half_a_key_pair_is_named_and_left_as_it_is(tmp_path: Path, left: str, hint: str) -> None:
    (tmp_path / f"alice{left}").write_text("half")
    with pytest.raises(KeyFileError, match="only") as caught:
        new_key(tmp_path, "alice")
    assert caught.value.code == "signature_key_exists"
    assert hint in caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == [f"alice{left}"]


@pytest.mark.parametrize("fails_at", [1, 2])
def test_a_key_that_could_not_be_written_leaves_no_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int) -> None:
    link, calls = os.link, []

    def full(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == fails_at:
            raise OSError(28, "No space left on device")
        link(source, target)

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(KeyFileError, match="No space left"):
        new_key(tmp_path, "alice")
    assert list(tmp_path.iterdir()) == []


def test_an_own_key_is_found_by_its_name(tmp_path: Path) -> None:
    info = new_key(tmp_path, "alice", passphrase="open sesame")
    assert find_key(tmp_path, "alice") == info
    assert key_id(find_public_key("alice", tmp_path)) == info.key_id
    assert key_id(find_public_key(str(info.public_path), tmp_path / "elsewhere")) == info.key_id
    for name in ("bob", "../alice", ""):
        with pytest.raises(KeyFileError) as caught:
            find_key(tmp_path, name)
        assert caught.value.code == "signature_key_unknown"
    with pytest.raises(KeyFileError):
        find_public_key(info.key_id, tmp_path)  # a fingerprint is no key


def test_a_private_key_that_is_garbage_inside_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(pem_of(b"\x30\x03\x02\x01\x00", "PRIVATE KEY"))
    path.chmod(0o600)
    with pytest.raises(KeyFileError) as caught:
        load_private_key(path)
    assert caught.value.code == "signature_key_kind"
