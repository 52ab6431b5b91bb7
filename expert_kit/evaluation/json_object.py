"""Checks answers to "put this text into JSON": the object must be valid against the row's schema and hold the gold values.

Expert and chatty base model are read by the same rules: an answer that is one JSON object counts as it stands, otherwise the last object in
it. Values are compared after normalisation: the order of keys, spaces, an English "the" at the start of a text, a full stop at its end, the
case of its first letter and the spelling of a number (``12.50``, ``12.5``) make no difference. A key that is left out equals null where
the schema allows both. The order of a list counts unless its schema has ``uniqueItems``.

Requirements: jsonschema.
"""

from __future__ import annotations

import functools
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from jsonschema.exceptions import SchemaError, best_match  # type: ignore[import-untyped]
from referencing import Registry
from referencing.exceptions import Unresolvable

from expert_kit.errors import DataError
from expert_kit.evaluation.verdict import Verdict

MAX_ANSWER = 8_000
"""Characters of an answer that are read; an answer is far shorter."""
_OPENINGS = 200
"""Braces at which an object is looked for."""
_SHOWN = 300


def check(answer: str, row: Mapping[str, Any]) -> Verdict:
    """Judge an answer by ``row["schema"]``, a JSON Schema (draft 2020-12), and the values of ``row["completion"]``.

    Raises:
        DataError: the row itself is unusable.
    """
    validator, gold = _validator(row), _gold(row)
    expected = json.dumps(gold, ensure_ascii=False)[:_SHOWN]
    found = list(_objects(answer[:MAX_ANSWER]))
    if not found:
        return Verdict(False, answer.strip()[:_SHOWN], expected, "no JSON object in the answer")
    try:
        shown, reason = _judged(found[-1], gold, validator, row)
    except RecursionError:  # what was parsed may still be too deep for what looks at it in Python
        shown, reason = answer.strip()[:_SHOWN], "nested too deeply"
    return Verdict(not reason, shown, expected, reason)


def _judged(got: dict[str, Any], gold: dict[str, Any], validator: Any, row: Mapping[str, Any]) -> tuple[str, str]:
    """The object as text, and what is wrong with it; empty if nothing is."""
    shown = json.dumps(got, ensure_ascii=False)[:_SHOWN]
    error = _first_error(validator, got, row)
    if error:
        return shown, f"not valid against the schema: {error}"[:_SHOWN]
    wrong = _different(_normal(got, validator.schema), _normal(gold, validator.schema))
    return shown, f"another value than in the text: {wrong}" if wrong else ""


def _validator(row: Mapping[str, Any]) -> Any:
    schema = row.get("schema")
    try:
        return _compiled(schema if isinstance(schema, str) else json.dumps(schema))
    except (TypeError, ValueError, SchemaError) as error:
        raise DataError(f"row {row.get('id', '?')}: unusable schema: {str(error)[:_SHOWN]}", hint="write the data again") from error


@functools.lru_cache(maxsize=1024)
def _compiled(source: str) -> Any:
    """A validator for the schema in this JSON text."""
    schema = json.loads(source)
    if not isinstance(schema, dict):
        msg = "it must be a JSON object"
        raise TypeError(msg)
    Draft202012Validator.check_schema(schema)
    # An empty registry: nothing is fetched for a $ref that points elsewhere.
    return Draft202012Validator(schema, registry=Registry(), format_checker=Draft202012Validator.FORMAT_CHECKER)


def _gold(row: Mapping[str, Any]) -> dict[str, Any]:
    found = list(_objects(str(row.get("completion", ""))))
    if len(found) != 1:
        raise DataError(f"row {row.get('id', '?')}: 'completion' must be one JSON object", hint="write the data again")
    return found[0]


def _first_error(validator: Any, value: object, row: Mapping[str, Any]) -> str:
    try:
        error = best_match(validator.iter_errors(value))
    except Unresolvable as problem:
        raise DataError(f"row {row.get('id', '?')}: the schema refers to what it does not hold: {problem}") from problem
    if error is None:
        return ""
    place = ".".join(str(part) for part in error.absolute_path)
    return f"{place}: {error.message}" if place else str(error.message)


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The outermost JSON objects of a text, in order."""
    decoder = json.JSONDecoder(object_pairs_hook=_without_twins, parse_constant=_refuse)
    at, tried = text.find("{"), 0
    while at >= 0 and tried < _OPENINGS:
        tried += 1
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            yield value
        at = text.find("{", end)


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        msg = "a key occurs twice"
        raise ValueError(msg)
    return found


def _refuse(constant: str) -> None:
    msg = f"{constant} is not JSON"
    raise ValueError(msg)


def _normal(value: Any, schema: Any) -> Any:
    """A form in which equal values are equal in Python; a truth value is no number."""
    schema = schema if isinstance(schema, dict) else {}
    if isinstance(value, dict):
        inner = schema.get("properties", {})
        return {key: _normal(item, inner.get(key)) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        items = [_normal(item, schema.get("items")) for item in value]
        return sorted(items, key=repr) if schema.get("uniqueItems") else items
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, str):
        # A value that an enum lists is a name, in which every letter counts; and a text must not equal a truth value.
        return ("text", value if "enum" in schema else _plain(value))
    return value


def _plain(text: str) -> str:
    text = re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text)).strip()
    text = re.sub(r"^[Tt]he (?=.)", "", re.sub(r"(?<=.)\.$", "", text))
    return text[:1].casefold() + text[1:]


def _different(got: dict[str, Any], gold: dict[str, Any]) -> str:
    """The first key whose values differ; empty if there is none."""
    return next((key for key in [*gold, *got] if got.get(key) != gold.get(key)), "")
