import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from expert_kit.archive import ArchiveReader
from expert_kit.errors import ManifestError
from expert_kit.manifest import MAX_MANIFEST_SIZE, Manifest, parse_object, statement_bytes
from expert_kit.names import sha256_digest
from tests.support.builders import build_expert, tiny_base

DIGEST = sha256_digest(b"x")


@pytest.fixture
def value(tmp_path: Path) -> dict[str, Any]:
    with ArchiveReader.open(build_expert(tmp_path)) as reader:
        content: dict[str, Any] = json.loads(reader.manifest_bytes)
    return content


def refusal(data: bytes) -> ManifestError:
    with pytest.raises(ManifestError) as caught:
        Manifest.parse(data)
    return caught.value


def test_manifest_reads_back_what_it_writes(value):
    data = rfc8785.dumps(value)
    manifest = Manifest.parse(data)
    assert manifest.to_bytes() == data
    assert Manifest.parse(manifest.to_bytes()) == manifest
    assert manifest.identity == sha256_digest(data)
    assert str(manifest.ref) == "expert-kit/tiny@1.0.0"
    assert manifest.bases[0].fingerprint == tiny_base().fingerprint


def test_fields_for_later_are_part_of_the_format(value):
    value["requires"] = {"expert-kit": ">=1.0 <2", "experts": {"acme/other": "^1.0.0"}}
    value["conflicts"] = {"acme/rival": "*"}
    value["capabilities"] = ["sql"]
    value["grammar"] = {"path": "grammar/sql.lark", "kind": "lark", "parameters": {"max_depth": 20}}
    value["routing"]["parameters"] = {"min_score_milli": 350}
    entry = {"size": 1, "sha256": DIGEST}
    value["files"] += [
        {"path": "grammar/sql.lark", "role": "grammar", "media_type": "text/plain", **entry},
        {"path": "probe/0.json", "role": "probe", "media_type": "application/json", **entry},
        {"path": "variants/big/adapter_model.safetensors", "role": "weights", "media_type": "application/vnd.safetensors", **entry},
    ]
    value["files"].sort(key=lambda item: item["path"])
    big = {**value["bases"][0], "id": "big", "dtype_policy": "bf16"}
    big["variant"] = {"weights": "variants/big/adapter_model.safetensors", "rank": 4, "alpha": 9, "targets_sha256": DIGEST}
    value["bases"][0]["probe"] = "probe/0.json"
    value["bases"].append(big)
    manifest = Manifest.parse(rfc8785.dumps(value))
    assert manifest.to_bytes() == rfc8785.dumps(value)
    assert manifest.weights_of(manifest.bases[1]).path == "variants/big/adapter_model.safetensors"
    assert (manifest.adapter_spec(manifest.bases[1]).r, manifest.adapter_spec(manifest.bases[1]).lora_alpha) == (4, 9)
    assert (manifest.adapter_spec(manifest.bases[0]).r, manifest.adapter_spec(manifest.bases[0]).lora_alpha) == (2, 4)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b'"version":"1.0.0"', b'"version":"1.0.0" ', "manifest_not_canonical"),
        (b'"license"', b'\n"license"', "manifest_not_canonical"),
        (b'"r":2', b'"r":2,"r":2', "manifest_duplicate_key"),
        (b'"r":2', b'"r":2.0', "manifest_scalar"),
        (b'"r":2', b'"r":NaN', "manifest_scalar"),
        (b'"r":2', b'"r":-Infinity', "manifest_scalar"),
        (b'"r":2', b'"r":1e999', "manifest_scalar"),
        (b'"r":2', b'"r":-0', "manifest_not_canonical"),
        (b'"r":2', b'"r":true', "manifest_scalar"),
        (b'"r":2', b'"r":null', "manifest_scalar"),
        (b'"r":2', b'"r":9007199254740993', "manifest_not_json"),
        (b'"r":2', b'"r":' + b"9" * 5000, "manifest_not_json"),
        (b"A tiny expert.", b"A tiny \\u0065xpert.", "manifest_not_canonical"),
        (b"A tiny expert.", b"A tiny \\ud800", "manifest_not_json"),
        (b"A tiny expert.", b"A tiny \xc0\xafx", "manifest_not_json"),
        (b"A tiny expert.", b"A tiny \\n", "manifest_scalar"),
        (b"A tiny expert.", "A tiny \u202e".encode(), "manifest_scalar"),
        (b"A tiny expert.", "e\u0301".encode(), "manifest_scalar"),
        (b'"schema":"expert/1"', b'"schema":"expert/2"', "manifest_schema_unknown"),
    ],
)
def test_anything_but_the_canonical_form_is_refused(value, old, new, code):
    data = rfc8785.dumps(value)
    assert old in data
    assert refusal(data.replace(old, new, 1)).code == code


def test_other_encodings_are_refused(value):
    text = rfc8785.dumps(value)
    assert refusal(b"\xef\xbb\xbf" + text).code == "manifest_not_json"
    assert refusal(text.decode().encode("utf-16")).code == "manifest_not_json"
    assert refusal(text + b"\n").code == "manifest_not_canonical"
    assert refusal(b"").code == "manifest_not_json"
    assert refusal(b"[]").code == "manifest_invalid"


def test_depth_and_size_are_limited_before_parsing():
    start = time.perf_counter()
    assert refusal(b"[" * 100_000).code == "manifest_too_deep"
    assert refusal(b'{"a":' * 9).code == "manifest_too_deep"
    assert refusal(b'"' + b"a" * MAX_MANIFEST_SIZE + b'"').code == "manifest_too_large"
    assert refusal(b'"' + b'\\"' * (MAX_MANIFEST_SIZE // 2 - 1)).code == "manifest_not_json"  # quadratic in a naive scan
    assert refusal(b'"[[[[[[[[[[["').code == "manifest_invalid"  # brackets inside a string are no depth
    assert time.perf_counter() - start < 1


def set_path(value: Any, path: str, new: Any) -> None:
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in parents:
        value = value[part]
    value[last] = new


@pytest.mark.parametrize(
    ("path", "new"),
    [
        ("surprise", 1),
        ("adapter.surprise", 1),
        ("schema_", "expert/1"),
        ("name", "Expert-Kit/tiny"),
        ("name", "expert-kit/tiny@1.0.0"),
        ("version", "1.0"),
        ("version", "v1.0.0"),
        ("version", "01.0.0"),
        ("publisher", "../x"),
        ("publisher", "somebody-else"),
        ("license", "Apache 2.0"),
        ("summary", ""),
        ("summary", "x" * 501),
        ("tags", ["b", "a"]),
        ("tags", ["a", "a"]),
        ("tags", "tiny"),
        ("bases", []),
        ("bases.0.layers", 0),
        ("bases.0.layers", "2"),
        ("bases.0.config_sha256", "sha256:" + "A" * 64),
        ("bases.0.probe", "probe/0.json"),
        ("bases.0.variant", {"weights": "missing.safetensors", "rank": 1, "alpha": 1, "targets_sha256": DIGEST}),
        ("adapter.r", 0),
        ("adapter.r", 513),
        ("adapter.r", "2"),
        ("adapter.lora_alpha", 0),
        ("adapter.peft_type", "IA3"),
        ("adapter.use_dora", 2),
        ("adapter.dtype", "F64"),
        ("adapter.target_modules", []),
        ("adapter.target_modules", ["v_proj", "q_proj"]),
        ("adapter.target_modules", ["q_proj", "q_proj"]),
        ("adapter.target_modules", [".*"]),
        ("adapter.target_modules", ["q_proj|v_proj"]),
        ("adapter.rank_pattern", {"(a+)+$": 2}),
        ("adapter.rank_pattern", {"q_proj": 0}),
        ("files", []),
        ("files.0.path", "../LICENSE"),
        ("files.0.path", "/LICENSE"),
        ("files.0.path", "run.sh"),
        ("files.0.path", "notice"),
        ("files.0.role", "weights"),
        ("files.0.role", "program"),
        ("files.0.media_type", "text/html"),
        ("files.0.size", -1),
        ("files.0.size", 1 << 32),
        ("card", "LICENSE"),
        ("routing", {"examples": "routing/other.jsonl"}),
        ("routing", {"vectors": "x"}),
        ("requires", {"expert-kit": "; rm"}),
        ("conflicts", {"no-slash": "*"}),
        ("eval", [{"suite": "s", "metric": "accuracy", "n": 0, "value_ppm": 1}]),
    ],
)
def test_the_schema_is_closed_and_strict(value, path, new):
    set_path(value, path, new)
    assert refusal(rfc8785.dumps(value)).code in {"manifest_invalid", "manifest_schema_unknown"}


def test_all_problems_are_listed_at_once(value):
    value["version"], value["license"], value["adapter"]["r"] = "1", "none at all", 0
    message = refusal(rfc8785.dumps(value)).message
    assert all(field in message for field in ("version", "license", "adapter.r"))


def test_a_payload_file_that_nothing_refers_to_is_refused(value):
    del value["routing"]
    assert "nothing refers to 'routing/examples.jsonl'" in refusal(rfc8785.dumps(value)).message


def test_files_are_sorted_and_distinct_without_case(value):
    first, second, *rest = value["files"]
    value["files"] = [second, first, *rest]
    assert "not sorted" in refusal(rfc8785.dumps(value)).message
    value["files"] = [first, first, second, *rest]
    assert "two members" in refusal(rfc8785.dumps(value)).message
    for upper, lower in (("A.safetensors", "a.safetensors"), ("META/x.safetensors", "b.safetensors")):
        extra = [{**rest[1], "path": path} for path in (upper, lower)]
        value["files"] = sorted([first, second, *rest, *extra], key=lambda item: item["path"])
        assert refusal(rfc8785.dumps(value)).code == "manifest_invalid"


def test_statement_is_a_function_of_the_manifest(value):
    manifest = Manifest.parse(rfc8785.dumps(value))
    data = statement_bytes(manifest)
    statement = json.loads(data)
    names = [resource["name"] for resource in statement["predicate"]["resources"]]
    digests = {entry.path: entry.sha256 for entry in manifest.files} | {"expert.json": manifest.identity}
    assert data == rfc8785.dumps(statement)
    assert names == sorted(digests)
    root = hashlib.sha256(b"".join(bytes.fromhex(digests[name][7:]) for name in names)).hexdigest()
    assert statement["subject"] == [{"name": "expert-kit.tiny-1.0.0", "digest": {"sha256": root}}]
    value["summary"] = "Another."
    assert statement_bytes(Manifest.parse(rfc8785.dumps(value))) != data


def test_two_bases_have_two_ids(value):
    value["bases"] *= 2
    assert "two bases" in refusal(rfc8785.dumps(value)).message


def test_files_are_found_by_path(value):
    manifest = Manifest.parse(rfc8785.dumps(value))
    assert manifest.file("LICENSE").role == "license"
    with pytest.raises(KeyError):
        manifest.file("NOTICE")


def test_other_json_objects_have_the_same_limits():
    assert parse_object(b' {"a": 1.5, "b": null}') == {"a": 1.5, "b": None}
    for bad, code in ((b'{"a":1,"a":2}', "manifest_duplicate_key"), (b"[]", "manifest_not_json"), (b"{", "manifest_not_json")):
        with pytest.raises(ManifestError) as caught:
            parse_object(bad)
        assert caught.value.code == code
