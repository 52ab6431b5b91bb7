"""Random damage with a seed: the generators of the hostile suite, and the mutators of ``scripts/fuzz_archive.py``."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tests.hostile.forge import Member, Parts

ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**53 - 1, 2**53 + 1, -(2**63), 10**400, 0.5, 1e308, "", " ", "0", "a" * 70, "\0", "\x1b[2J",
    "\u202e", "e\u0301", "\ud800", "../x", "/etc/x", "con", "a/b", "1.0", "1.0.0", "sha256:" + "0" * 64, "(a+)+$", [], {}, [[]], [0] * 40,
    {"": 0}, {"__proto__": {}},
)  # fmt: skip
_FIELDS = ("version", "flags", "method", "time", "date", "crc", "packed", "size")
_NAMES = (b"", b"../x", b"/x", b"a\\b", b"README.MD", b"expert.json", b"META/x", b"a/b/c/d/e", b"\xff", b"a" * 300)


def mutate_json(value: Any, source: random.Random) -> Any:
    """The value with one node changed, taken away, repeated or moved."""
    changed = copy.deepcopy(value)
    parents = [(node, key) for node in _containers(changed) for key in _keys(node)]
    if not parents:
        return source.choice(ODD_VALUES)
    node, key = source.choice(parents)
    source.choice(_EDITS)(node, key, source)
    return changed


def _containers(value: Any) -> list[Any]:
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return [*([value] if isinstance(value, (dict, list)) else []), *(found for item in inner for found in _containers(item))]


def _keys(node: Any) -> Sequence[Any]:
    return list(node) if isinstance(node, dict) else range(len(node))


def _replace(node: Any, key: Any, source: random.Random) -> None:
    node[key] = copy.deepcopy(source.choice(ODD_VALUES))


def _remove(node: Any, key: Any, source: random.Random) -> None:
    del node[key]


def _repeat(node: Any, key: Any, source: random.Random) -> None:
    if isinstance(node, list):
        node.insert(source.randrange(len(node) + 1), copy.deepcopy(node[key]))
    else:
        node[str(key) + source.choice((" ", "s", "\u200b", "_"))] = copy.deepcopy(node[key])


def _wrap(node: Any, key: Any, source: random.Random) -> None:
    node[key] = source.choice(([node[key]], {"a": node[key]}))


def _nudge(node: Any, key: Any, source: random.Random) -> None:
    value = node[key]
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return _replace(node, key, source)
    if isinstance(value, int):
        node[key] = value + source.choice((-1, 1, 2**32, -(2**40)))
        return None
    at = source.randrange(len(value) + 1)
    node[key] = value[:at] + source.choice(("", "x", "\n", "\u2028", "\u00e9", "/", ".", "-", " ")) + value[at + source.randrange(2) :]
    return None


def _swap(node: Any, key: Any, source: random.Random) -> None:
    other = source.choice(_keys(node))
    node[key], node[other] = node[other], node[key]


_EDITS: tuple[Callable[[Any, Any, random.Random], None], ...] = (_replace, _remove, _repeat, _wrap, _nudge, _swap)


def flip_bits(data: bytes, source: random.Random, positions: Sequence[int] | range, count: int = 1) -> bytes:
    """The bytes with a bit changed at ``count`` of these positions."""
    changed = bytearray(data)
    for position in source.sample(positions, count):
        changed[position] ^= 1 << source.randrange(8)
    return bytes(changed)


def mutate_members(parts: Parts, source: random.Random) -> list[Member]:
    """The members of an archive with one field of one header, one name, one body or the order changed."""
    members = parts.members()
    at = source.randrange(len(members))
    edits: tuple[Callable[[Member], Member], ...] = (
        lambda member: replace(member, local=_header(source)),
        lambda member: replace(member, central=_header(source)),
        lambda member: replace(member, local=(both := _header(source)), central=both),
        lambda member: replace(member, name=source.choice(_NAMES)),
        lambda member: replace(member, body=member.body[: source.randrange(len(member.body) + 1)]),
        lambda member: replace(member, body=member.body + source.randbytes(source.randrange(1, 20))),
        lambda member: replace(member, in_directory=False),
        lambda member: replace(member, in_file=False),
        lambda member: replace(member, padding_id=source.randrange(1 << 16)),
        lambda member: replace(member, central={"mode": source.randrange(1 << 16)}),
        lambda member: replace(member, central={"offset": source.randrange(1 << 32)}),
        lambda member: replace(member, central={source.choice(("extra", "comment")): source.randbytes(source.randrange(1, 20))}),
    )
    choice = source.randrange(len(edits) + 2)
    if choice < len(edits):
        members[at] = edits[choice](members[at])
    elif choice == len(edits):
        members.insert(source.randrange(len(members) + 1), members[at])
    else:
        source.shuffle(members)
    return members


def _header(source: random.Random) -> dict[str, int]:
    name = source.choice(_FIELDS)
    return {name: source.randrange(1 << (32 if name in ("crc", "packed", "size") else 16))}
