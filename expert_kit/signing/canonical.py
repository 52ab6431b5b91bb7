"""JSON that has one spelling: RFC 8785, or refused."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import rfc8785


def parse_canonical(data: bytes) -> dict[str, Any]:
    """The object in these bytes; ValueError if they are no object or not the canonical spelling of one."""
    try:
        value = json.loads(data, parse_constant=_refuse)
        canonical = rfc8785.dumps(value)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(value, dict) or canonical != data:
        raise ValueError("not a JSON object in canonical form (RFC 8785)")
    return value


def parse_free(data: bytes) -> dict[str, Any]:
    """The object in a file that a person or another tool wrote: no key twice, no NaN; ValueError otherwise."""
    try:
        value = json.loads(data, parse_constant=_refuse, object_pairs_hook=_no_duplicates)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def check_fields(value: Any, wanted: dict[str, type], optional: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The object itself if it has exactly these fields of exactly these types; ValueError otherwise."""
    if not isinstance(value, dict):
        raise ValueError("expected an object")
    if odd := sorted((set(value) ^ set(wanted)) - (set(wanted) & optional)):
        raise ValueError(f"unknown or missing field {odd[0]!r}")
    for name, item in value.items():
        if type(item) is not wanted[name]:
            raise ValueError(f"{name} is not of type {wanted[name].__name__}")
    return value


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return value
