"""Random damage, the same every time: whatever comes out of these generators is refused by a code, or is sound."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

import pytest
import rfc8785

from expert_kit.archive import ArchiveReader, validate_reader
from expert_kit.errors import ExpertKitError
from expert_kit.manifest import statement_bytes
from expert_kit.signing import verified_signers
from tests.hostile.conftest import BASE, Gate
from tests.hostile.forge import Member, Parts, frame
from tests.hostile.mutations import flip_bits, mutate_json, mutate_members

WEIGHTS, CONFIG, EXAMPLES = "adapter_model.safetensors", "adapter_config.json", "routing/examples.jsonl"
SEEDS = range(8)


def smallest(gate: Gate) -> Parts:
    """A signed archive with no more members than there must be."""
    parts = gate.parts()
    for path in (CONFIG, EXAMPLES, "LICENSE", "README.md"):
        parts.remove(path)
    for field in ("routing", "card", "eval"):
        parts.value.pop(field, None)
    parts.resign(gate.key)
    return parts


def code(data: bytes) -> str:
    """How the bytes are refused, signatures and content included; empty if they are not."""
    try:
        with ArchiveReader.from_bytes(data) as reader:
            reader.check_bodies()
            verified_signers(reader.signatures_bytes, statement_bytes(reader.manifest))
            problems = [problem for problem in validate_reader(reader, [BASE]) if problem.severity == "refused"]
    except ExpertKitError as error:
        return error.code
    return problems[0].code if problems else ""


def framing(data: bytes) -> list[int]:
    """Every offset that lies in no body."""
    with ArchiveReader.from_bytes(data) as reader:
        plan = reader._layout
    bodies = {at for entry, start in zip(plan.entries, plan.bodies, strict=True) for at in range(start, start + entry.size)}
    return [at for at in range(len(data)) if at not in bodies]


def test_the_smallest_archive_is_accepted(gate: Gate) -> None:
    data = frame(smallest(gate).members())
    assert code(data) == ""
    gate.accepts(data)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_bit_of_the_framing_changed_is_refused(gate: Gate, seed: int) -> None:
    data, source = frame(gate.sound.members()), random.Random(seed)
    positions = framing(data)
    damaged = [flip_bits(data, source, positions, 1 + number % 3) for number in range(100)]
    assert all(code(one).startswith(("archive_", "manifest_")) for one in damaged)
    assert gate.code(damaged[0]).startswith("archive_")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_bit_of_a_body_changed_is_refused(gate: Gate, seed: int) -> None:
    """Without its CRC, and with a CRC that fits, so that the digests and the signature are what refuses."""
    source, members = random.Random(seed), gate.sound.members()
    for at, member in enumerate(members):
        changed = flip_bits(member.body, source, range(len(member.body)))
        kept = Member(member.name, changed, *({"crc": _crc(member.body)},) * 2)
        assert code(frame([*members[:at], kept, *members[at + 1 :]])) == "archive_digest_mismatch"
        assert code(frame([*members[:at], Member(member.name, changed), *members[at + 1 :]])) != ""


def _crc(body: bytes) -> int:
    import zlib

    return zlib.crc32(body)


def test_a_cut_at_each_offset_is_refused(gate: Gate) -> None:
    data = frame(smallest(gate).members())
    assert {code(data[:size]) for size in range(len(data))} <= {"archive_too_small", "archive_no_end_record"}
    assert gate.code(data[: len(data) // 2]) == "archive_no_end_record"


def test_a_cut_at_each_offset_with_an_end_record_behind_it_is_refused(gate: Gate) -> None:
    data = frame(smallest(gate).members())
    codes = {code(data[:size] + data[-22:]) for size in range(0, len(data) - 22, 7)}
    assert codes <= {"archive_framing", "archive_directory"}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_changed_header_name_or_order_is_refused(gate: Gate, seed: int) -> None:
    source, sound = random.Random(seed), frame(gate.sound.members())
    made = (frame(mutate_members(gate.sound, source)) for _ in range(60))
    damaged = [data for data in made if data != sound]
    assert len(damaged) > 40
    assert all(code(data) != "" for data in damaged)
    assert gate.code(damaged[0]) != ""


def resigned(gate: Gate, source: random.Random, kind: str) -> Iterator[bytes]:
    """Archives with a part of their JSON changed, signed again by the trusted key."""
    for _ in range(40):
        parts = gate.parts()
        if kind == "manifest":
            parts.raw_manifest = spelled(mutate_json(parts.value, source))
        elif kind == "configuration":
            parts.bodies[CONFIG] = spelled(mutate_json(json.loads(parts.bodies[CONFIG]), source))
        else:
            lines = parts.bodies[EXAMPLES].splitlines()
            lines[source.randrange(len(lines))] = spelled(mutate_json(json.loads(lines[0]), source))
            parts.bodies[EXAMPLES] = b"\n".join(lines)
        parts.seal()
        parts.resign(gate.key)
        yield frame(parts.members())


def spelled(value: object) -> bytes:
    try:
        return rfc8785.dumps(value)  # type: ignore[arg-type]
    except ValueError:
        return json.dumps(value).encode()


@pytest.mark.parametrize("kind", ["manifest", "configuration", "examples"])
@pytest.mark.parametrize("seed", SEEDS)
def test_changed_json_is_refused_or_sound_though_signed(gate: Gate, kind: str, seed: int) -> None:
    outcomes = {data: code(data) for data in resigned(gate, random.Random(f"{kind} {seed}"), kind)}
    refused = [data for data, found in outcomes.items() if found]
    assert len(refused) > len(outcomes) // 4
    assert all(found.isidentifier() for found in outcomes.values() if found)
    assert gate.code(refused[0]) == outcomes[refused[0]]


@pytest.mark.parametrize("seed", SEEDS)
def test_changed_signature_lines_are_refused(gate: Gate, seed: int) -> None:
    source, parts = random.Random(seed), gate.parts()
    bundle = json.loads(parts.lines)
    for _ in range(60):
        parts.lines = spelled(mutate_json(bundle, source)) + b"\n"
        if parts.lines != gate.sound.lines:
            assert code(frame(parts.members())).startswith("signature_")
