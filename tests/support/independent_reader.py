# ruff: noqa: PT018 - one line a rule
"""A second reader of .expert files, made from docs/format.md alone: sections 1, 2.1, 4 and the header of 3.1. It refuses by REFUSALS."""

import json
import re
import struct
import unicodedata
import zlib
from base64 import b64decode, b64encode
from functools import partial
from hashlib import sha256
from itertools import accumulate
from math import prod

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

REFUSALS = (AssertionError, ValueError, LookupError, TypeError, AttributeError, RecursionError, InvalidSignature, struct.error)
PART = r"(?!(con|prn|aux|nul|com[1-9]|lpt[1-9])(\.|/|$))[a-z0-9_][a-z0-9._-]*(?<!\.)"
P, Y8 = 2**255 - 19, 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
SPKI, KIND = bytes.fromhex("302a300506032b6570032100"), "application/vnd.in-toto+json"
canonical = partial(json.dumps, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def read(data):
    """Manifest, body of each member, identity, key ids of the signers (Ed25519 alone)."""
    count, position, old, central, members = *struct.unpack("<H4xI", data[-14:-12] + data[-10:-2]), 0, b"", {}
    for _ in range(count):
        crc, size, length = struct.unpack("<II4xH", data[position + 16 : position + 30])
        name = data[position + 46 : position + 46 + length]
        gap = -(old + 30 + length) % (step := 4096 if name.endswith(b".safetensors") else 64)
        gap += step if 0 < gap < 4 else 0
        fixed = struct.pack("<5H3I2H", 10, 0, 0, 0, 33, crc, size, size, length, gap)
        local = b"PK\3\4" + fixed + name + (struct.pack("<2H", 0x4B45, gap - 4).ljust(gap, b"\0") if gap else b"")
        central += struct.pack("<4sH24s8xII", b"PK\1\2", 778, fixed[:24], 0x81A40000, old) + name
        body = data[old + len(local) : old + len(local) + size]
        assert data[old : old + len(local)] == local and zlib.crc32(body) == crc, "local header or CRC-32"
        position, old, members[name.decode()] = position + 46 + length, old + len(local) + size, body
    end = struct.pack("<4s4xHHIIH", b"PK\5\6", count, count, len(central), old, 0)
    assert data[old:] == central + end and len(data) < 2**32 and len(members) == count <= 256, "central directory or end record"
    check_names(list(members))
    text, digests = members["expert.json"].decode(), {name: "sha256:" + sha256(body).hexdigest() for name, body in members.items()}
    manifest, bare = json.loads(text), re.sub(r'"(\\.|[^"\\])*"', "", text)
    depth = accumulate((char in "[{") - (char in "]}") for char in bare)
    assert not re.search("[.a-zA-Z]", bare) and all(int(one) < 2**53 for one in re.findall("[0-9]+", bare)) and max(depth) <= 8, "scalars"
    assert len(text.encode()) <= 2**20 and canonical(manifest) == text and not re.sub(r'[^\\]|\\[\\"]', "", text), "canonical"
    assert text.isprintable() and unicodedata.is_normalized("NFC", text) and manifest["schema"] == "expert/1", "text"
    payload = {name: digest for name, digest in digests.items() if not name.startswith("META/")}
    listed = [("expert.json", digests["expert.json"]), *((one["path"], one["sha256"]) for one in manifest["files"])]
    assert listed == list(payload.items()) and all(one["size"] == len(members[one["path"]]) for one in manifest["files"]), "files"
    keys = check_signatures(manifest, dict(sorted(listed)), members.get("META/signatures.jsonl", b""))
    return manifest, members, digests["expert.json"], keys


def check_names(names):
    low = [name.lower() for name in names]
    assert all(len(name) <= 200 and re.fullmatch(rf"{PART}(/{PART}){{0,3}}", name) for name in low), "names"
    assert len(set(low)) == len(low) and not any(a.startswith(b + "/") for a in low for b in low), "distinct names"
    meta = [name for name in names if name.lower().split("/")[0] == "meta"]
    assert all(re.fullmatch(r"META/(attestations/[^/]+|signatures)\.jsonl", name) for name in meta), "META/"
    assert names[0] == "expert.json" and names[1:] == sorted(names[1:], key=lambda name: (name in meta, name)), "order"


def check_signatures(manifest, listed, lines):
    resources = [{"name": name, "digest": digest[7:], "algorithm": "sha256"} for name, digest in listed.items()]
    rules = {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": []}
    root = sha256(b"".join(bytes.fromhex(one["digest"]) for one in resources)).hexdigest()
    subject = [{"name": f"{manifest['name']}-{manifest['version']}".replace("/", "."), "digest": {"sha256": root}}]
    statement = {"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://model_signing/signature/v1.0"}
    text = canonical(statement | {"subject": subject, "predicate": {"serialization": rules, "resources": resources}}).encode()
    found, kind = [], "application/vnd.dev.sigstore.bundle.v0.3+json"
    for line in lines.split(b"\n")[:-1]:
        given = json.loads(line)["dsseEnvelope"]["signatures"][0]
        der, signature = b64decode(given["keyid"]), b64decode(given["sig"])
        y = int.from_bytes(der[12:], "little") % 2**255
        assert der[:12] == SPKI and y < P and y not in (0, 1, P - 1, Y8, P - Y8), "key"
        Ed25519PublicKey.from_public_bytes(der[12:]).verify(signature, b"DSSEv1 28 %b %d %b" % (KIND.encode(), len(text), text))
        payload, key, sig = (b64encode(part).decode() for part in (text, der, signature))
        hint = sha256(f"-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----\n".encode()).hexdigest()
        envelope = {"payload": payload, "payloadType": KIND, "signatures": [{"keyid": key, "sig": sig}]}
        bundle = {"mediaType": kind, "verificationMaterial": {"publicKey": {"hint": hint}, "tlogEntries": []}, "dsseEnvelope": envelope}
        assert canonical(bundle).encode() == line, "bundle"
        found.append("sha256:" + sha256(der).hexdigest())
    assert len(set(found)) == len(found) <= 32 and lines[-1:] in (b"", b"\n"), "lines"
    return found


def tensors(data):
    """Dtype, shape and raw bytes of each tensor of a weights file."""
    begin = end = 8 + int.from_bytes(data[:8], "little")
    given, header, found = json.loads(data[8:begin]), {"__metadata__": {"format": "pt"}}, {}
    for name in sorted(given.keys() - header.keys(), key=lambda name: ("F32 BF16 F16".index(given[name]["dtype"]), name)):
        dtype, shape, start = given[name]["dtype"], given[name]["shape"], end
        assert 1 <= len(shape) <= 2 and all(type(size) is int and 0 < size < 2**32 for size in shape), "shape"
        end += prod(shape) * {"F32": 4, "BF16": 2, "F16": 2}[dtype]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start - begin, end - begin]}
        found[name] = dtype, shape, data[start:end]
    text = canonical(header, sort_keys=False).encode()
    assert 0 < len(found) <= 65536 and begin <= 2**23 + 8 and end == len(data) and text + b" " * (-len(text) % 8) == data[8:begin], "header"
    return found
