"""Tensors, manifest and configuration that stock parsers take: refused by their own check when a trusted key signed them."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from typing import Any

import pytest
import rfc8785

from expert_kit.archive import parse_header, write_header
from tests.hostile.conftest import Gate, in_form
from tests.hostile.forge import Parts, frame
from tests.support.builders import lora_weights, tensor_file, tiny_linears, tiny_spec

Edit = Callable[[Parts], object]
WEIGHTS, CONFIG, EXAMPLES = "adapter_model.safetensors", "adapter_config.json", "routing/examples.jsonl"
SOUND = lora_weights(tiny_spec())
HEADER = json.loads(SOUND[8 : 8 + int.from_bytes(SOUND[:8], "little")])
BODY = SOUND[8 + int.from_bytes(SOUND[:8], "little") :]
FIRST = next(name for name in HEADER if name != "__metadata__")


def body(path: str, data: bytes) -> Edit:
    return lambda parts: parts.bodies.update({path: data})


def weights(data: bytes) -> Edit:
    return body(WEIGHTS, data)


def spelled(text: bytes, data: bytes = BODY) -> Edit:
    return weights(len(text).to_bytes(8, "little") + text + data)


def header(edit: Callable[[dict[str, Any]], object], data: bytes = BODY) -> Edit:
    """The header after an edit, in the usual spelling."""
    value = json.loads(json.dumps(HEADER))
    edit(value)
    text = json.dumps(value, separators=(",", ":")).encode()
    return spelled(text + b" " * (-len(text) % 8), data)


def values(index: int, value: float) -> Edit:
    return weights(SOUND[: -len(BODY)] + BODY[: 4 * index] + struct.pack("<f", value) + BODY[4 * index + 4 :])


def shapes(edit: Callable[[dict[str, tuple[str, tuple[int, ...]]]], object]) -> Edit:
    """Another set of tensors, soundly written."""
    tensors = {name: (info.dtype, info.shape) for name, info in parse_header(SOUND).items()}
    edit(tensors)
    size = sum(4 * math.prod(shape) for _, shape in tensors.values())
    return weights(write_header(tensors) + b"\1" * size)


def config(**fields: Any) -> Edit:
    def edit(parts: Parts) -> None:
        parts.bodies[CONFIG] = json.dumps(json.loads(parts.bodies[CONFIG]) | fields).encode()

    return edit


def rows(*lines: str | bytes) -> Edit:
    return body(EXAMPLES, b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in lines))


def row(text: str = "a", split: str = "fit") -> str:
    return json.dumps({"text": text, "split": split})


def extra(path: str, data: bytes, role: str) -> Edit:
    return lambda parts: parts.add(path, data, role)


def field(path: str, value: Any) -> Edit:
    """A value of the manifest, by dotted path; ``...`` takes it away."""

    def edit(parts: Parts) -> None:
        *parents, last = (int(part) if part.isdigit() else part for part in path.split("."))
        target: Any = parts.value
        for part in parents:
            target = target[part]
        if value is ...:
            del target[last]
        else:
            target[last] = value

    return edit


def spelling(old: str, new: str | bytes) -> Edit:
    """Other bytes in place of the canonical ones of the manifest."""

    def edit(parts: Parts) -> None:
        parts.seal()
        canonical = rfc8785.dumps(parts.value)
        assert old.encode() in canonical
        parts.raw_manifest = canonical.replace(old.encode(), new if isinstance(new, bytes) else new.encode(), 1)

    return edit


def recoded(encoding: str, prefix: bytes = b"") -> Edit:
    def edit(parts: Parts) -> None:
        parts.seal()
        parts.raw_manifest = prefix + rfc8785.dumps(parts.value).decode().encode(encoding)

    return edit


HEADERS: list[tuple[int, str, Edit]] = [
    (19, "leading whitespace", spelled(b" " * 8 + SOUND[8 : -len(BODY)])),
    (19, "no tensors", spelled(b'{"__metadata__":{"format":"pt"}}', b"")),
    (19, "BOOL", header(lambda h: h[FIRST].update(dtype="BOOL", shape=[64]))),
    (19, "F64", header(lambda h: h[FIRST].update(dtype="F64", shape=[1, 8]))),
    (20, "overlap", header(lambda h: list(h.values())[2].update(data_offsets=[0, 64]))),
    (20, "hole", header(lambda h: list(h.values())[-1]["data_offsets"].__setitem__(1, len(BODY) + 4), BODY + bytes(4))),
    (20, "trailing bytes", weights(SOUND + b"\0")),
    (20, "cut", weights(SOUND[:-1])),
    (20, "header longer than the file", weights(b"\xff" * 7 + b"\x7f" + SOUND[8:])),
    (20, "header of 2**63", weights(b"\0" * 7 + b"\x80" + SOUND[8:])),
    (20, "bad UTF-8", spelled(SOUND[8 : -len(BODY)].replace(b"q_proj", b"q_pr\xff\xff", 1))),
    (20, "lone surrogate", header(lambda h: h.update({"\ud800": h.pop(FIRST)}))),
    (20, "unknown dtype", header(lambda h: h[FIRST].update(dtype="F8"))),
    (20, "negative shape", header(lambda h: h[FIRST].update(shape=[-2, -8]))),
    (20, "shape of 2**64", header(lambda h: h[FIRST].update(shape=[1 << 32, 1 << 32]))),
    (20, "no dimensions", header(lambda h: h[FIRST].update(shape=[]))),
    (20, "deep nesting", spelled(b"[" * 100_000)),
    (20, "duplicate tensor", spelled(SOUND[8 : -len(BODY)].rstrip()[:-1] + b',"' + FIRST.encode() + b'":{}}')),
    (20, "own metadata", header(lambda h: h["__metadata__"].update(source="x"))),
    (20, "empty", weights(b"")),
    (21, "pickle, protocol 0", weights(b"cos\nsystem\n(S'true'\ntR.")),
    (21, "pickle, protocol 2", weights(b"\x80\x02cos\nsystem\n(X\x04\0\0\0trueR.")),
    (21, "pickle, protocol 4", weights(b"\x80\x04\x95\x10\0\0\0\0\0\0\0" + b"}." * 8)),
    (21, "ZIP of torch.save", weights(b"PK\x03\x04" + bytes(60))),
]

MANIFESTS: list[tuple[int, str, Edit, str]] = [
    (22, "pickle beside the weights", extra("adapter_model.bin", b"\x80\x02}.", "weights"), "manifest_invalid"),
    (22, "pickle with an unusual suffix", extra("data.pt2", b"\x80\x02}.", "license"), "manifest_invalid"),
    (22, "program", extra("run.py", b"import os", "card"), "manifest_invalid"),
    (22, "unknown role", extra("run.py", b"import os", "code"), "manifest_invalid"),
    (22, "second weights that nothing refers to", extra("other.safetensors", SOUND, "weights"), "manifest_invalid"),
    (22, "second configuration that nothing refers to", extra("other/adapter_config.json", b"{}", "config"), "manifest_invalid"),
    (23, "duplicate key", spelling('"r":2', '"r":2,"r":2'), "manifest_duplicate_key"),
    (23, "duplicate key by escape", spelling('"r":2', '"r":2,"\\u0072":2'), "manifest_duplicate_key"),
    (23, "duplicate name", spelling('"name":', '"name":"acme/other","name":'), "manifest_duplicate_key"),
    (24, "NaN", spelling('"r":2', '"r":NaN'), "manifest_scalar"),
    (24, "Infinity", spelling('"r":2', '"r":-Infinity'), "manifest_scalar"),
    (24, "1e999", spelling('"r":2', '"r":1e999'), "manifest_scalar"),
    (24, "1.0 for 1", spelling('"r":2', '"r":2.0'), "manifest_scalar"),
    (24, "over 2**53", spelling('"r":2', '"r":9007199254740993'), "manifest_not_json"),
    (24, "4,000 digits", spelling('"r":2', '"r":' + "9" * 4000), "manifest_not_json"),
    (24, "400,000 digits", spelling('"r":2', '"r":' + "9" * 400_000), "manifest_not_json"),
    (24, "minus zero", spelling('"r":2', '"r":-0'), "manifest_not_canonical"),
    (24, "leading zero", spelling('"r":2', '"r":02'), "manifest_not_json"),
    (24, "true", spelling('"use_dora":0', '"use_dora":false'), "manifest_scalar"),
    (24, "null", spelling('"use_dora":0', '"use_dora":null'), "manifest_scalar"),
    (25, "byte order mark", recoded("utf-8", b"\xef\xbb\xbf"), "manifest_not_json"),
    (25, "UTF-16", recoded("utf-16"), "manifest_not_json"),
    (25, "UTF-32", recoded("utf-32-le"), "manifest_not_json"),
    (25, "overlong UTF-8", spelling("A tiny expert.", b"\xc0\xaf"), "manifest_not_json"),
    (25, "UTF-8 surrogate", spelling("A tiny expert.", b"\xed\xa0\x80"), "manifest_not_json"),
    (25, "lone surrogate", spelling("A tiny expert.", "\\ud800"), "manifest_not_json"),
    (25, "escaped letter", spelling("A tiny expert.", "\\u0041"), "manifest_not_canonical"),
    (25, "not NFC", field("summary", "e\u0301"), "manifest_scalar"),
    (25, "right to left", field("summary", "safe \u202e\u2066"), "manifest_scalar"),
    (25, "no-break space", field("version", "1.0.0\u00a0"), "manifest_scalar"),
    (25, "terminal escape", field("summary", "\x1b]0;x\x07"), "manifest_scalar"),
    (25, "zero width", field("summary", "a\u200bb"), "manifest_scalar"),
    (26, "deep", spelling('"r":2', '"r":' + "[" * 100_000 + "]" * 100_000), "manifest_too_deep"),
    (26, "nine levels", spelling('"r":2', '"r":' + '{"a":' * 7 + "1" + "}" * 7), "manifest_too_deep"),
    (26, "over 1 MiB", field("summary", "x" * (1 << 20)), "archive_too_large"),
    (26, "long name", field("name", "acme/" + "x" * 900_000), "manifest_invalid"),
    (26, "many unknown fields", lambda parts: parts.value.update({f"f{n}": n for n in range(32_000)}), "manifest_invalid"),
    (26, "many wrong entries", field("tags", [0] * 300_000), "manifest_too_large"),
    (26, "many wrong entries within the limit", field("tags", [0] * 32_000), "manifest_invalid"),
    (26, "combining marks", field("summary", "e" + "\u0327\u0301" * 60_000), "manifest_scalar"),
    (26, "sorted combining marks", field("summary", "e" + "\u0327" * 100_000 + "\u0301" * 100_000), "manifest_scalar"),
    (27, "unknown field", field("surprise", 1), "manifest_invalid"),
    (27, "unknown inner field", field("bases.0.surprise", 1), "manifest_invalid"),
    (27, "unknown schema", field("schema", "expert/2"), "manifest_schema_unknown"),
    (27, "no schema", field("schema", ...), "manifest_invalid"),
    (27, "schema of another type", field("schema", 1), "manifest_invalid"),
    (27, "a list", spelling('{"adapter"', '[{"adapter"'), "manifest_not_json"),
    *((28, f"version {version[:9]!r}", field("version", version), "manifest_invalid") for version in
      ("1.0", "v1.0.0", "01.0.0", " 1.0.0", "1.0.0 ", "1" * 400 + ".0.0", "1.0.0-01", "1.0.0-", "1.0.0+", "\u0661.0.0", "1.0.0@2.0.0")),
    *((28, f"name {name!r}", field("name", name), "manifest_invalid") for name in
      ("acme", "acme/../sql", "../sql", "acme/sql/x", "Acme/sql", "acme/s\u0455l", "acme/sql@1.0.0", "acme/con", "acme/-x",
       "acme/" + "x" * 64)),
    (28, "somebody else's publisher", field("publisher", "expert-kit"), "manifest_invalid"),
]  # fmt: skip

SEMANTICS: list[tuple[int, str, Edit, str]] = [
    (20, "infinite value", values(3, math.inf), "tensor_not_finite"),
    (20, "NaN", values(3, math.nan), "tensor_not_finite"),
    (20, "no effect", weights(SOUND[: -len(BODY)] + bytes(len(BODY))), "adapter_no_effect"),
    (20, "other dtype", weights(lora_weights(tiny_spec(dtype="BF16"))), "tensor_dtype"),
    (20, "a tensor more", shapes(lambda t: t.update({"base_model.model.lm_head.weight": ("F32", (2, 2))})), "tensor_set_mismatch"),
    (20, "a tensor less", shapes(lambda t: t.pop(FIRST)), "tensor_set_mismatch"),
    (20, "other layers", weights(lora_weights(tiny_spec(), tiny_linears(layers=3))), "tensor_set_mismatch"),
    (20, "transposed", shapes(lambda t: t.update({FIRST: ("F32", t[FIRST][1][::-1])})), "tensor_shape"),
    (20, "other rank", weights(lora_weights(tiny_spec(r=4))), "tensor_shape"),
    (20, "names for a terminal", weights(tensor_file({"\x1b[2J": (2, 2)})), "adapter_no_effect"),
    (29, "library to import", config(auto_mapping={"parent_library": "os", "base_model_class": "system"}), "adapter_config_refused"),
    (29, "megatron", config(megatron_core="os"), "adapter_config_refused"),
    (29, "megatron settings", config(megatron_config={"a": 1}), "adapter_config_refused"),
    (29, "pattern in target_modules", config(target_modules="(a+)+$"), "adapter_config_refused"),
    (29, "pattern in a list", config(target_modules=["(a+)+$"]), "adapter_config_refused"),
    (29, "pattern as a rank", config(rank_pattern={".*": 4}), "adapter_config_refused"),
    (29, "more modules to save", config(modules_to_save=["model.norm"]), "adapter_config_refused"),
    (29, "a module to save outside", config(modules_to_save=["../x"]), "adapter_config_refused"),
    (29, "10,000 modules to save", config(modules_to_save=[f"m{at}" for at in range(10_000)]), "adapter_config_refused"),
    (29, "a whole layer more than the manifest", config(modules_to_save=["lm_head"]), "adapter_config_disagrees"),
    (29, "a whole layer that is not there", field("adapter.modules_to_save", ["lm_head"]), "tensor_set_mismatch"),
    (29, "a whole layer of another architecture", field("adapter.modules_to_save", ["wte"]), "adapter_target_unknown"),
    (28, "a whole layer that is none", field("adapter.modules_to_save", ["norm"]), "manifest_invalid"),
    (28, "a whole layer twice", field("adapter.modules_to_save", ["lm_head", "lm_head"]), "manifest_invalid"),
    (28, "no whole layers, and said", field("adapter.modules_to_save", []), "manifest_invalid"),
    (29, "file to open", config(init_lora_weights="corda", corda_config={"cache_file": "/etc/x"}), "adapter_config_refused"),
    (29, "unknown field", config(surprise=1), "adapter_config_refused"),
    (29, "other kind", config(peft_type="VERA"), "adapter_config_refused"),
    (29, "huge rank", config(r=1 << 40), "adapter_config_refused"),
    (29, "another rank than the manifest", config(r=4), "adapter_config_disagrees"),
    (29, "duplicate key", body(CONFIG, b'{"r":2,"r":4}'), "adapter_config_refused"),
    (29, "deep", body(CONFIG, b'{"a":' * 100_000), "adapter_config_refused"),
    (29, "not an object", body(CONFIG, b"[]"), "adapter_config_refused"),
    (29, "empty", body(CONFIG, b""), "adapter_config_refused"),
    (29, "pickle", body(CONFIG, b"\x80\x04}."), "member_content_refused"),
    (29, "unknown layer", field("adapter.target_modules", ["evil", "q_proj"]), "adapter_target_unknown"),
    (0, "same example twice", rows(row(), row(split="validate")), "routing_examples_duplicate"),
    (0, "vector for an example", rows('{"text":"a","split":"fit","vector":[1]}'), "routing_examples_invalid"),
    (0, "example of 1 MB", rows(row("x" * 1_000_000)), "routing_examples_invalid"),
    (0, "example that steers a terminal", rows(row("\x1b[2J")), "routing_examples_invalid"),
    (0, "2,001 examples", rows(*(row(str(n)) for n in range(2001))), "routing_examples_too_many"),
    (0, "a million empty lines", body(EXAMPLES, b"\n" * 1_000_000), "routing_examples_too_many"),
    (0, "not UTF-8", rows(b'{"text":"\xff","split":"fit"}'), "routing_examples_invalid"),
    (0, "program for a card", body("README.md", b"#!/bin/sh\n"), "member_content_refused"),
    (0, "ELF for a licence", body("LICENSE", b"\x7fELF" + bytes(60)), "member_content_refused"),
    (0, "UTF-16 card", body("README.md", "# card".encode("utf-16")), "member_content_refused"),
]  # fmt: skip

CONTENT = [(row_, name, edit, "tensor_header") for row_, name, edit in HEADERS] + MANIFESTS + SEMANTICS


@pytest.mark.parametrize(("edit", "code"), [case[2:] for case in CONTENT], ids=[f"{row_}-{name}" for row_, name, *_ in CONTENT])
def test_hostile_content_is_refused(gate: Gate, form: str, edit: Edit, code: str) -> None:
    parts = gate.parts()
    edit(parts)
    assert gate.code(gate.sealed(parts, form)) == in_form(form, code)


@pytest.mark.parametrize("path", [WEIGHTS, CONFIG, EXAMPLES, "README.md", "LICENSE"])
def test_a_body_that_the_signed_manifest_does_not_list_is_refused(gate: Gate, path: str) -> None:
    parts = gate.parts()
    parts.bodies[path] = parts.bodies[path][:-1] + bytes([parts.bodies[path][-1] ^ 1])
    assert gate.code(frame(parts.members())) == "archive_digest_mismatch"
