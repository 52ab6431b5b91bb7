"""The twins: odd, and allowed. A suite that refused everything would pass the other files."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from expert_kit.archive import layout, targets_digest
from expert_kit.manifest import MAX_VALUES
from expert_kit.names import sha256_digest
from expert_kit.signing import KEY_TYPES, TrustStore, attest, key_id
from tests.hostile.conftest import Gate
from tests.hostile.forge import Parts, frame
from tests.support.builders import lora_weights, tensor_file, tiny_linears, tiny_spec
from tests.support.probes import some_probe

Edit = Callable[[Parts], object]
WEIGHTS, EXAMPLES = "adapter_model.safetensors", "routing/examples.jsonl"
# NFC, printable, several scripts, a flag, combining marks that have no composed form.
SUMMARY = "Größe 数据库 قاعدة بيانات ฐานข้อมูล 🇳🇴 q\u0323\u0307"


def value(**fields: object) -> Edit:
    return lambda parts: parts.value.update(fields)


def body(path: str, data: bytes) -> Edit:
    return lambda parts: parts.bodies.update({path: data})


def most_files(parts: Parts) -> None:
    """64 bases with weights and a configuration each, under names of 200 characters on four levels."""
    first, sound, config = parts.value["bases"][0], parts.bodies[WEIGHTS], parts.bodies["adapter_config.json"]
    for number in range(63):
        folder = f"{number:02}" + "a" * 58 + "/" + "b" * 60 + "/" + "c" * 59
        path = f"{folder}/{WEIGHTS[: -len('.safetensors')]}.safetensors"
        path = folder[: len(folder) - len(path) + 200] + path[len(folder) :] if len(path) > 200 else path
        parts.add(path, sound, "weights")
        parts.add(path.rpartition("/")[0] + "/adapter_config.json", config, "config")
        variant = {"weights": path, "rank": 2, "alpha": 4, "targets_sha256": targets_digest(tiny_spec(), tiny_linears())}
        parts.value["bases"].append({**first, "id": f"variant-{number}", "variant": variant})
    assert max(map(len, parts.bodies)) == 200


def longest(parts: Parts) -> None:
    """Every text of the manifest as long as it may be."""
    name = "n" * 63
    parts.value |= {
        "name": f"acme/{name}",
        "version": "1.0.0-" + "a" * 58,
        "summary": "\U0001f600" * 500,
        "tags": sorted(f"{number:02}" + "t" * 61 for number in range(32)),
        "license": "(" + " OR ".join(["LicenseRef-" + "x" * 30] * 4) + ")",
        "capabilities": sorted(f"{number:02}" + "c" * 61 for number in range(64)),
        "requires": {"expert-kit": ">=0.0.0", "experts": {f"{number:02}{'a' * 61}/{'b' * 63}": "*" for number in range(64)}},
        "conflicts": {f"{number:02}{'c' * 61}/{'d' * 63}": "^1.0.0" for number in range(64)},
        "eval": [
            {"suite": f"{number:03}" + "s" * 125, "metric": "m" * 63, "n": 2**53 - 1, "value_ppm": -(2**53) + 1, "base_ppm": 0,
             "base": "tiny", "split": "test", "data_sha256": "sha256:" + "0" * 64}
            for number in range(256)
        ],
    }  # fmt: skip
    parts.value["routing"]["parameters"] = {f"{number:02}" + "p" * 61: 2**53 - 1 for number in range(32)}
    assert json.dumps(parts.value).count(",") < MAX_VALUES


def examples(count: int, text: str) -> bytes:
    rows = ({"text": f"{number:04}{text}"[:2000], "split": "validate" if number % 5 == 0 else "fit"} for number in range(count))
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def bfloat(parts: Parts) -> None:
    parts.value["adapter"]["dtype"] = "BF16"
    parts.bodies[WEIGHTS] = lora_weights(tiny_spec(dtype="BF16"))


def without(path: str, *fields: str) -> Edit:
    def edit(parts: Parts) -> None:
        parts.remove(path)
        for field in fields:
            del parts.value[field]

    return edit


ACCEPTED: list[tuple[str, Edit]] = [
    ("as it is", value()),
    ("Unicode summary", value(summary=SUMMARY)),
    ("one character", value(summary="x")),
    ("every text as long as it may be", longest),
    ("names that begin with digits and end in hyphens", value(name="acme/0--", tags=["0", "a_b-"])),
    ("the lowest version", value(version="0.0.0")),
    ("a version with everything", value(version="10.20.30-rc.1.x-y+build.007")),
    ("the widest integers", value(eval=[{"suite": "s", "metric": "m", "n": 1, "value_ppm": -(2**53) + 1}])),
    ("no evaluation", lambda parts: parts.value.pop("eval")),
    ("empty card and licence", lambda parts: parts.bodies.update({"README.md": b"", "LICENSE": b""})),
    ("card of 4 MB", body("README.md", b"x" * layout.MAX_TEXT)),
    ("card with line ends of every kind", body("README.md", "a\r\nb\rc\u2028d\n".encode())),
    ("no examples in the file", body(EXAMPLES, b"")),
    ("one example without a line end", body(EXAMPLES, b'{"split":"fit","text":"a"}')),
    ("2,000 examples", body(EXAMPLES, examples(2000, ""))),
    ("the longest examples", body(EXAMPLES, examples(100, "\U0001f600" * 2000))),
    ("no card", without("README.md", "card")),
    ("no licence text", without("LICENSE")),
    ("no routing", without(EXAMPLES, "routing")),
    ("no configuration beside the manifest", without("adapter_config.json")),
    ("notice", lambda parts: parts.add("NOTICE", b"", "license")),
    ("bfloat16", bfloat),
]


@pytest.mark.parametrize("edit", [edit for _, edit in ACCEPTED], ids=[name for name, _ in ACCEPTED])
def test_odd_and_allowed(gate: Gate, edit: Edit) -> None:
    parts = gate.parts()
    edit(parts)
    parts.seal()
    parts.resign(gate.key)
    gate.accepts(frame(parts.members()))


def test_attestations_that_say_anything_under_the_longest_name(gate: Gate) -> None:
    parts = gate.parts()
    predicate = {"buildDefinition": {"text": SUMMARY + "\x1b[2J\n"}, "runDetails": {}, "more": [[[{"any": 1.5}]]]}
    line = attest(sha256_digest(parts.manifest), "acme.sql-1.0.0", "provenance", predicate, KEY_TYPES["p256"]())
    parts.meta[f"META/attestations/{'a' * 176}.jsonl"] = (line + b"\n") * 2
    parts.resign(gate.key)
    gate.accepts(frame(parts.members()))


def test_an_archive_of_256_members(gate: Gate) -> None:
    """Weights, configuration and probe for each of 64 bases, and attestations for the rest."""
    parts = gate.parts()
    most_files(parts)
    for number, base in enumerate(parts.value["bases"]):
        base["probe"] = f"probe/{number}.json"
        parts.add(base["probe"], some_probe().to_bytes(), "probe")
    parts.seal()
    identity = sha256_digest(parts.manifest)
    for number in range(256 - len(parts.members())):
        line = attest(identity, "acme.sql-1.0.0", "import", {"source": str(number)}, gate.key)
        parts.meta[f"META/attestations/{number}.jsonl"] = line + b"\n"
    parts.resign(gate.key)
    assert len(parts.members()) == 256
    gate.accepts(frame(parts.members()))


def test_the_most_members_of_the_longest_names(gate: Gate) -> None:
    """More than the roles have names for, so the reader alone takes it."""
    from expert_kit.archive.layout import Entry

    names = sorted(f"{number:03}/{'b' * 60}/{'c' * 60}/{'d' * 71}" for number in range(255))
    assert {len(name) for name in names} == {197}
    plan = layout.layout([Entry("expert.json", 0, 0), *(Entry(name, 0, 1) for name in names)])
    assert layout.parse_directory(plan.tail[:-22], 256) == list(plan.entries)


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_signatures_by_32_keys(gate: Gate, key_type: str) -> None:
    parts = gate.parts()
    parts.resign(gate.key, *(KEY_TYPES[key_type]() for _ in range(31)))
    assert key_id(gate.key.public_key()) in TrustStore(gate.registry.trust_home).policy_for("acme/sql").keys
    gate.accepts(frame(parts.members()))


def test_tensors_with_any_name_are_data(gate: Gate) -> None:
    """Before the base is here nobody can say which names are right."""
    parts = gate.parts()
    parts.bodies[WEIGHTS] = tensor_file({"größe.lora_B.weight": (2, 2)})
    parts.seal()
    parts.resign(gate.key)
    archive = gate.folder / "pending.expert"
    archive.write_bytes(frame(parts.members()))
    expert = gate.registry.install(archive, bases=[], allow_missing_base=True, allow_downgrade=True)
    assert expert.base_match == "pending"
    gate.registry.uninstall(expert.ref)
