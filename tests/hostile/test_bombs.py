"""Small files that would become large in memory, or slow. Each case runs in a process that may take 256 MB and no more."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from expert_kit.archive import parse_header, validate, write_header
from expert_kit.signing import PrivateKey
from tests.hostile.conftest import BASE, Gate, in_child, in_form
from tests.hostile.forge import Member, Parts, frame, write_frame
from tests.support.builders import lora_weights, tiny_spec

GIB = 1 << 30
WEIGHTS = "adapter_model.safetensors"
SOUND = lora_weights(tiny_spec())


def enlarged(path: str, start: bytes, size: int, parts: Parts, key: PrivateKey | None) -> list[Member]:
    """A member of ``size`` bytes that begins with ``start``; the manifest, which ``key`` signs, says the same size."""
    parts.bodies[path] = start
    parts.seal()
    next(entry for entry in parts.value["files"] if entry["path"] == path)["size"] = size
    if key is not None:
        parts.resign(key)
    return [replace(member, hole=size - len(start)) if member.name == path.encode() else member for member in parts.members()]


def wide_header(text: bytes) -> bytes:
    text = b'{"__metadata__":{"format":"pt"},' + text + b"}"
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def huge_tensors(rows: int) -> bytes:
    """A sound header of the right names, over tensors of ``rows`` rows."""
    return write_header({name: (info.dtype, (rows, info.shape[1])) for name, info in parse_header(SOUND).items()})


def declared(head: bytes) -> int:
    text = head[8:]
    return len(head) + max(int(piece.split(b"]")[0].split(b",")[1]) for piece in text.split(b'"data_offsets":[')[1:])


HUGE = huge_tensors(GIB // 512)
MANY_FIELDS = b",".join(b'"f%d":1' % number for number in range(30_000))
EXAMPLE_OF_LISTS = b'{"text":[' + b"[]," * 5_400 + b"[]]}\n"
BOMBS: list[tuple[int, str, str, bytes, int, str]] = [
    (16, "3 GB of zeros for weights", WEIGHTS, b"", 3 * GIB, "tensor_header"),
    (16, "3 GB of weights with a sound start", WEIGHTS, SOUND, 3 * GIB, "tensor_header"),
    (16, "tensors a million times too large", WEIGHTS, HUGE, declared(HUGE), "tensor_set_mismatch"),
    (16, "3 GB card", "README.md", b"# card\n", 3 * GIB, "archive_member_too_large"),
    (16, "3 GB configuration", "adapter_config.json", b"{", 3 * GIB, "archive_member_too_large"),
    (16, "3 GB of examples", "routing/examples.jsonl", b"", 3 * GIB, "archive_member_too_large"),
    (20, "header of 8 MB of lists", WEIGHTS, wide_header(b'"a":[' + b"[]," * 2_700_000 + b"[]]"), 0, "tensor_header"),
    (20, "header of 8 MB of objects", WEIGHTS, wide_header(b'"a":[' + b"{}," * 2_700_000 + b"{}]"), 0, "tensor_header"),
    (20, "header of 8 MB of tensors", WEIGHTS, wide_header(b",".join(b'"%d":{}' % n for n in range(640_000))), 0, "tensor_header"),
    (20, "header of one 8 MB name", WEIGHTS, wide_header('"\U0001f600'.encode() + b"a" * 8_000_000 + b'":{}'), 0, "tensor_header"),
    (20, "header of 16 MB", WEIGHTS, wide_header(b'"' + b"a" * (1 << 24) + b'":{}'), 0, "tensor_header"),
    (29, "configuration of 1 MB of lists", "adapter_config.json", b'{"a":[' + b"[]," * 340_000 + b"[]]}", 0, "adapter_config_refused"),
    (29, "30,000 unknown fields", "adapter_config.json", b"{" + MANY_FIELDS + b"}", 0, "adapter_config_refused"),
    (0, "2,000 examples of 16 KB of lists", "routing/examples.jsonl", EXAMPLE_OF_LISTS * 2000, 0, "routing_examples_invalid"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "start", "size", "code"), [case[2:] for case in BOMBS], ids=[f"{row}-{name}" for row, name, *_ in BOMBS])
def test_a_bomb_in_a_member_is_refused(gate: Gate, form: str, path: str, start: bytes, size: int, code: str) -> None:
    archive = gate.folder / "bomb.expert"
    with archive.open("wb") as file:
        write_frame(file, enlarged(path, start, size or len(start), gate.parts(), gate.key if form == "resigned" else None))
    assert gate.code_in_child(archive) == in_form(form, code)
    # An author who only looks at it is as safe.
    assert form == "tampered" or code in in_child(lambda: " ".join(problem.code for problem in validate(archive, [BASE])))


def signatures(body: bytes, hole: int = 0) -> Callable[[Parts], list[Member]]:
    return lambda parts: [*parts.members()[:-1], Member(b"META/signatures.jsonl", body, hole=hole)]


def attestations(count: int, hole: int) -> Callable[[Parts], list[Member]]:
    def members(parts: Parts) -> list[Member]:
        sound = parts.members()
        more = [Member(b"META/attestations/%03d.jsonl" % n, b"", hole=hole) for n in range(count)]
        return [*sound[:-1], *more, sound[-1]]

    return members


UNSIGNED_BOMBS: list[tuple[int, str, Callable[[Parts], list[Member]], str]] = [
    (30, "3 GB of signatures", signatures(b"", 3 * GIB), "archive_member_too_large"),
    (30, "4 MB of line feeds", signatures(b"\n" * (1 << 22)), "signature_malformed"),
    (30, "4 MB of one line of lists", signatures(b"[" + b"[]," * 1_390_000 + b"[]]\n"), "signature_malformed"),
    (30, "32 lines of nested lists", signatures((b"[" * 100_000 + b"\n") * 32), "signature_malformed"),
    (30, "33 lines", signatures(b"{}\n" * 33), "signature_malformed"),
    (30, "3 GB attestation", attestations(1, 3 * GIB), "archive_member_too_large"),
    (30, "200 attestations of 4 MB", attestations(200, 1 << 22), "archive_member_too_large"),
    (16, "64,000 members", attestations(64_000, 0), "archive_too_many_members"),
    (16, "10 bytes said, 3 GB there", lambda parts: _understated(parts), "archive_framing"),
]  # fmt: skip


def _understated(parts: Parts) -> list[Member]:
    members = parts.members()
    ten = {"packed": 10, "size": 10}
    return [replace(member, hole=3 * GIB, local=ten, central=ten) if member.name == b"LICENSE" else member for member in members]


@pytest.mark.parametrize(("edit", "code"), [case[2:] for case in UNSIGNED_BOMBS], ids=[f"{row}-{name}" for row, name, *_ in UNSIGNED_BOMBS])
def test_a_bomb_beside_the_signed_content_is_refused(gate: Gate, edit: Callable[[Parts], list[Member]], code: str) -> None:
    archive = gate.folder / "bomb.expert"
    with archive.open("wb") as file:
        write_frame(file, edit(gate.parts()))
    assert gate.code_in_child(archive) == code


def test_a_file_of_zeros_is_refused(gate: Gate) -> None:
    archive = gate.folder / "zeros.expert"
    with archive.open("wb") as file:
        file.truncate(4 * GIB - 1)
    assert gate.code_in_child(archive) == "archive_no_end_record"
    with archive.open("r+b") as file:
        file.seek(-22, 2)
        file.write(struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 65535, 65535, 0xFFFFFFFF, 0, 0))
    assert gate.code_in_child(archive) == "archive_too_many_members"


def test_a_header_over_nothing_is_refused_before_the_base_is_here(gate: Gate, tmp_path: Path) -> None:
    archive = tmp_path / "bomb.expert"
    with archive.open("wb") as file:
        write_frame(file, enlarged(WEIGHTS, b"", 3 * GIB, gate.parts(), gate.key))
    assert gate.code_in_child(archive, bases=[], allow_missing_base=True) == "tensor_header"


def test_the_twin_is_accepted(gate: Gate) -> None:
    parts = gate.parts()
    gate.accepts(frame(enlarged(WEIGHTS, SOUND, len(SOUND), parts, gate.key)))
