"""docs/format.md is enough to read an archive: a reader written from it agrees with ours on every file tried here."""

from __future__ import annotations

import json
import random
import struct
import unicodedata
import zlib
from pathlib import Path

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from expert_kit.archive import ArchiveReader, package, parse_header, replace_meta, write_archive
from expert_kit.archive.layout import Entry, layout
from expert_kit.errors import ArchiveError, ExpertKitError, ManifestError
from expert_kit.manifest import ROLES, Manifest, role_of, statement_bytes
from expert_kit.names import sha256_digest
from expert_kit.signing import KeyInfo, add_line, load_private_key, new_key, sign, verified_signers
from tests.support import independent_reader
from tests.support.builders import build_expert, lora_weights, tiny_linears, tiny_spec
from tests.support.independent_reader import REFUSALS, read, tensors
from tests.support.shipped import ROOT, SHIPPED, shipped_base

SIGNATURES = "META/signatures.jsonl"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> list[KeyInfo]:
    folder = tmp_path_factory.mktemp("keys")
    return [new_key(folder, name) for name in ("one", "two")]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, keys: list[KeyInfo]) -> bytes:
    """A signed archive."""
    return signed(build_expert(tmp_path_factory.mktemp("archive")), keys[:1]).read_bytes()


def signed(path: Path, keys: list[KeyInfo]) -> Path:
    with ArchiveReader.open(path) as reader:
        statement, meta = statement_bytes(reader.manifest), reader.meta
    lines = b""
    for key in keys:
        lines = add_line(lines, sign(statement, load_private_key(key.private_path)))
    return replace_meta(path, path, {**meta, SIGNATURES: lines})


def ours(data: bytes) -> tuple[dict[str, bytes], str, list[str]]:
    """What our reader says: bodies, identity, signers."""
    with ArchiveReader.from_bytes(data) as reader:
        bodies = {entry.name: reader.read(entry.name) for entry in reader.entries}
        lines = reader.signatures_bytes
        signers = verified_signers(lines, statement_bytes(reader.manifest)) if lines else ()
        return bodies, reader.manifest.identity, list(signers)


def agree(data: bytes) -> None:
    manifest, bodies, identity, signers = read(data)
    assert (bodies, identity, signers) == ours(data)
    for one in manifest["files"]:
        if one["role"] == "weights":
            body = bodies[one["path"]]
            wanted = {name: (info.dtype, list(info.shape), body[info.begin : info.end]) for name, info in parse_header(body).items()}
            assert tensors(body) == wanted


def test_it_is_short_and_stands_alone():
    text = Path(independent_reader.__file__).read_text()
    assert len(text.splitlines()) <= 100
    assert "expert_kit" not in text


@pytest.mark.parametrize("count", [0, 1, 2])
def test_it_reads_what_we_write(tmp_path: Path, keys, count: int):
    path = build_expert(tmp_path, extra="capabilities: [tools]\nrequires: {expert-kit: '>=0.1'}\nconflicts: {expert-kit/old: '<2'}\n")
    agree(signed(path, keys[:count]).read_bytes() if count else path.read_bytes())
    assert read(path.read_bytes())[3] == [key.key_id for key in keys[:count]]


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_it_reads_every_kind_of_adapter(tmp_path: Path, dtype: str):
    spec = tiny_spec(dtype=dtype, use_dora=True, rank_pattern={"layers.1.self_attn.v_proj": 4}, alpha_pattern={"q_proj": 9})
    agree(build_expert(tmp_path, spec=spec).read_bytes())


@pytest.mark.parametrize("name", SHIPPED)
def test_it_reads_the_shipped_experts(tmp_path: Path, keys, name: str):
    path = signed(package(ROOT / "experts" / name, tmp_path, [shipped_base()]), keys[:1])
    agree(path.read_bytes())


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_it_reads_members_of_any_name_and_content(tmp_path_factory: pytest.TempPathFactory, archive: bytes, data: st.DataObject):
    manifest, bodies, *_ = read(archive)
    name = st.from_regex(r"[a-z0-9_]([a-z0-9._-]{0,10}[a-z0-9])?", fullmatch=True).filter(
        lambda text: text not in ("aux", "con", "nul", "prn")
    )
    names = data.draw(st.lists(name, unique=True, min_size=1, max_size=6))
    bases = [{**manifest["bases"][0], "id": f"b{n}", "variant": variant(f"v/{name}.safetensors")} for n, name in enumerate(names)]
    weights = {base["variant"]["weights"]: data.draw(st.binary(max_size=5000)) for base in bases}
    members = {**weights, "LICENSE": data.draw(st.binary(max_size=200)), "README.md": bodies["README.md"]}
    printable = st.characters(codec="utf-8", exclude_categories=["C", "Z"])
    text = st.text(printable, min_size=1, max_size=60).map(lambda text: unicodedata.normalize("NFC", text)).filter(str.isprintable)
    kept = {key: manifest[key] for key in manifest.keys() - {"routing"}}
    made = Manifest.parse(rfc8785.dumps({**kept, "summary": data.draw(text), "bases": bases, "files": entries(members)}))
    meta = {f"META/attestations/{name}.jsonl": data.draw(st.binary(max_size=100)) for name in names}
    path = tmp_path_factory.mktemp("any") / "any.expert"
    found, got, identity, _ = read(write_archive(path, made, members, meta).read_bytes())
    assert (found, identity) == (json.loads(made.to_bytes()), made.identity)
    assert got == {"expert.json": made.to_bytes(), **members, **meta}


def variant(path: str) -> dict[str, object]:
    return {"weights": path, "rank": 2, "alpha": 4, "targets_sha256": sha256_digest(b"")}


def entries(members: dict[str, bytes]) -> list[dict[str, object]]:
    listed = []
    for path, body in sorted(members.items()):
        role = role_of(path) or ""
        listed.append({"path": path, "size": len(body), "sha256": sha256_digest(body), "role": role, "media_type": ROLES[role][1]})
    return listed


def test_a_flip_of_any_byte_is_refused_by_both(archive: bytes):
    source = random.Random(0)
    headers = [*range(200), *range(len(archive) - 700, len(archive))]
    for position in headers + source.sample(range(len(archive)), 400):
        changed = bytearray(archive)
        changed[position] ^= source.randrange(1, 256)
        with pytest.raises(REFUSALS):
            read(bytes(changed))
        with pytest.raises(ExpertKitError):
            ours(bytes(changed))


@pytest.mark.parametrize("member", ["expert.json", SIGNATURES])
def test_with_the_check_sums_mended_both_still_say_the_same(archive: bytes, member: str):
    """A flip in a body that no digest covers: the manifest of an archive, and its signature lines."""
    bodies, source, accepted = ours(archive)[0], random.Random(1), 0
    for _ in range(250):
        body = bytearray(bodies[member])
        body[source.randrange(len(body))] ^= 1 << source.randrange(8)
        data = frame({**bodies, member: bytes(body)})
        verdicts = verdict_of_ours(data), is_read(data)
        # The schema is not the second reader's business; everything else is.
        assert verdicts[0] == "manifest_invalid" or (verdicts[0] == "") == verdicts[1], verdicts
        accepted += verdicts[1]
    assert accepted == 0


def verdict_of_ours(data: bytes) -> str:
    try:
        ours(data)
    except ExpertKitError as error:
        return error.code
    return ""


def is_read(data: bytes) -> bool:
    try:
        read(data)
    except REFUSALS:
        return False
    return True


def frame(bodies: dict[str, bytes]) -> bytes:
    plan = layout([Entry(name, zlib.crc32(body), len(body)) for name, body in bodies.items()])
    return b"".join(header + body for header, body in zip(plan.headers, bodies.values(), strict=True)) + plan.tail


NOT_CANONICAL = {
    "space": lambda raw: raw.replace(b'","', b'", "', 1),
    "order": lambda raw: json.dumps(dict(reversed(json.loads(raw).items())), separators=(",", ":")).encode(),
    "float": lambda raw: raw.replace(b'"r":2', b'"r":2.0'),
    "exponent": lambda raw: raw.replace(b'"r":2', b'"r":2e0'),
    "true": lambda raw: raw.replace(b'"use_dora":0', b'"use_dora":false'),
    "null": lambda raw: raw.replace(b'"card":"README.md"', b'"card":null'),
    "zero": lambda raw: raw.replace(b'"use_dora":0', b'"use_dora":-0'),
    "huge": lambda raw: raw.replace(b'"r":2', b'"r":9007199254740992'),
    "twice": lambda raw: raw.replace(b'"r":2', b'"r":2,"r":2'),
    "escape": lambda raw: raw.replace(b"A tiny", b"\\u0041 tiny"),
    "bidi": lambda raw: raw.replace(b"A tiny", "A\u202e tiny".encode()),
    "not NFC": lambda raw: raw.replace(b"A tiny", "A\u030a tiny".encode()),
    "BOM": lambda raw: b"\xef\xbb\xbf" + raw,
    "UTF-16": lambda raw: raw.decode().encode("utf-16"),
    "surrogate": lambda raw: raw.replace(b"A tiny", b"\xed\xa0\x80 tiny"),
    "schema": lambda raw: raw.replace(b"expert/1", b"expert/2"),
    "deep": lambda raw: raw.replace(b'"A tiny expert."', b"[" * 9 + b"]" * 9),
    "constant": lambda raw: raw.replace(b'"r":2', b'"r":NaN'),
    "list": lambda raw: b"[]",
}


@pytest.mark.parametrize("change", NOT_CANONICAL)
def test_another_spelling_of_the_manifest_is_refused_by_both(archive: bytes, change: str):
    bodies = ours(archive)[0]
    bodies.pop(SIGNATURES)
    changed = NOT_CANONICAL[change](bodies["expert.json"])
    assert changed != bodies["expert.json"]
    data = frame({**bodies, "expert.json": changed})
    assert verdict_of_ours(data)
    assert not is_read(data)


BAD_NAMES = [
    "../x",
    "/etc/x",
    "C:\\x",
    "a\\b",
    "con",
    "Nul.txt",
    "com1.json",
    "a.",
    ".a",
    "a//b",
    "a/b/c/d/e",
    "a" * 201,
    "meta/x",
    "META/x",
    "é",
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_bad_name_is_refused_by_both(name: str):
    with pytest.raises((AssertionError, UnicodeDecodeError)):
        independent_reader.check_names(["expert.json", name])
    with pytest.raises((ArchiveError, UnicodeEncodeError)):
        layout([Entry("expert.json", 0, 0), Entry(name, 0, 0)])


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(["a", "A", "a/b", "b.safetensors", "aux", "META/attestations/x.jsonl", SIGNATURES, "a-b", "LICENSE"]), max_size=5
    )
)
def test_both_take_the_same_lists_of_names(names: list[str]):
    try:
        layout([Entry(name, 0, 0) for name in ["expert.json", *names]])
        fine = True
    except ArchiveError:
        fine = False
    try:
        independent_reader.check_names(["expert.json", *names])
        assert fine
    except AssertionError:
        assert not fine


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_both_take_the_same_tensor_headers(data: st.DataObject):
    weights = bytearray(lora_weights(tiny_spec(), tiny_linears()[:8]))
    header = 8 + struct.unpack("<Q", weights[:8])[0]
    weights[data.draw(st.integers(0, header - 1))] = data.draw(st.sampled_from([*b'0123456789{}[],:" "abAB\\-.e', 0, 255]))
    try:
        parse_header(bytes(weights))
        fine = True
    except ArchiveError:
        fine = False
    try:
        tensors(bytes(weights))
        assert fine
    except REFUSALS:
        assert not fine


def test_a_signature_over_another_package_or_by_a_weak_key_is_refused(archive: bytes, keys):
    bodies = ours(archive)[0]
    line = sign(b"another statement", load_private_key(keys[0].private_path)) + b"\n"
    assert not is_read(frame({**bodies, SIGNATURES: line}))
    bundle = json.loads(bodies[SIGNATURES])
    assert not is_read(frame({**bodies, SIGNATURES: bodies[SIGNATURES] * 2}))
    assert not is_read(frame({**bodies, SIGNATURES: json.dumps(bundle).encode() + b"\n"}))
    assert not is_read(frame({**bodies, SIGNATURES: rfc8785.dumps({**bundle, "more": 1}) + b"\n"}))
    assert not is_read(frame({**bodies, SIGNATURES: bodies[SIGNATURES][:-1]}))


def test_a_manifest_that_is_no_manifest_is_a_typed_error_of_ours(archive: bytes):
    bodies = {**ours(archive)[0], "expert.json": b"{}"}
    with pytest.raises(ManifestError):
        ours(frame(bodies))
    assert not is_read(frame(bodies))
