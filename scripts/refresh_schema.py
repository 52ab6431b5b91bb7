"""Write docs/schema/expert-1.schema.json, the JSON Schema of the manifest, from the model that checks manifests.

With --check nothing is written; the exit code is 1 if the file is out of date.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from expert_kit.manifest import MAX_NAME_LENGTH, ROLES, Manifest
from expert_kit.names import MAX_PATH_LENGTH, MAX_PATH_LEVELS, MAX_VERSION_LENGTH, NAME_PATTERN

SCHEMA = Path(__file__).resolve().parent.parent / "docs" / "schema" / "expert-1.schema.json"
HEAD = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "urn:expert-kit:schema:expert-1",
    "title": "expert.json",
    "description": "Manifest of an .expert archive, schema expert/1. Beyond this schema: the bytes are RFC 8785 canonical JSON, strings are"
    " printable and NFC, lists are sorted, and what a field refers to is in files; see docs/format.md, section 2.",
}
_NUMBER = "(0|[1-9][0-9]*)"
_IDENTIFIER = "(0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
_COMPONENT = "[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_-])?"
_WORD = r"\(*[A-Za-z0-9][A-Za-z0-9.+:-]*\)*"
_MODULE = "[A-Za-z0-9_]+"
_DEVICES = "(con|prn|aux|nul|com[1-9]|lpt[1-9])"
_ANY_CASE = "".join(f"[{char.upper()}{char}]" if char.isalpha() else char for char in _DEVICES)

KINDS: dict[str, dict[str, Any]] = {
    "path": {
        "pattern": f"^{_COMPONENT}(/{_COMPONENT}){{0,{MAX_PATH_LEVELS - 1}}}$",
        "maxLength": MAX_PATH_LENGTH,
        "not": {"pattern": rf"(^|/){_ANY_CASE}(\.|/|$)"},
    },
    "version": {
        "pattern": rf"^{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_IDENTIFIER}(\.{_IDENTIFIER})*)?(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?$",
        "maxLength": MAX_VERSION_LENGTH,
    },
    "licence": {"pattern": f"^{_WORD}( (AND|OR|WITH) {_WORD})*$", "maxLength": 200},
    "module": {"pattern": rf"^{_MODULE}(\.{_MODULE})*$", "maxLength": MAX_NAME_LENGTH},
    "full-name": {"pattern": f"^{NAME_PATTERN}/{NAME_PATTERN}$", "not": {"pattern": f"(^|/){_DEVICES}(/|$)"}},
}
"""Strings of a kind that the model checks by code."""

UNIQUE = (("Manifest", "tags"), ("Manifest", "capabilities"), ("AdapterBlock", "target_modules"), ("AdapterBlock", "modules_to_save"),
          ("Ia3Block", "target_modules"), ("Ia3Block", "feedforward_modules"))  # fmt: skip


def schema() -> dict[str, Any]:
    """The JSON Schema, 2020-12."""
    made = Manifest.model_json_schema(by_alias=True)
    definitions = {name: _tidied(value) for name, value in made.pop("$defs").items()}
    manifest = _tidied(made)
    for owner, field in UNIQUE:
        (manifest if owner == "Manifest" else definitions[owner])["properties"][field]["uniqueItems"] = True
    definitions["FileEntry"]["oneOf"] = [_role(name, names.pattern, media_type) for name, (names, media_type) in ROLES.items()]
    kinds = {name: {"type": "string", **rules} for name, rules in KINDS.items()}
    return {**manifest, **HEAD, "$defs": {**definitions, **kinds}}


def _role(name: str, pattern: str, media_type: str) -> dict[str, Any]:
    return {"properties": {"role": {"const": name}, "media_type": {"const": media_type}, "path": {"pattern": f"^({pattern})$"}}}


def _tidied(value: Any) -> Any:
    """Without generated titles and without null, which a manifest never holds."""
    if isinstance(value, list):
        return [_tidied(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("format") in KINDS:
        return {"$ref": f"#/$defs/{value['format']}"}
    kept = {key: _tidied(item) for key, item in value.items() if key not in ("title", "default") or isinstance(item, dict)}
    kept.pop("discriminator", None)  # of OpenAPI; a schema finds the one that fits
    if "patternProperties" in kept:
        kept["additionalProperties"] = False
    choices = [item for item in kept.pop("anyOf", []) if item != {"type": "null"}]
    return {**kept, **choices[0]} if len(choices) == 1 else {**kept, "anyOf": choices} if choices else kept


def main() -> int:
    """Write or check the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether the file is up to date")
    check = parser.parse_args().check
    text = json.dumps(schema(), indent=1, sort_keys=True) + "\n"
    if SCHEMA.is_file() and SCHEMA.read_text(encoding="utf-8") == text:
        return 0
    if check:
        print("docs/schema/expert-1.schema.json is out of date; run: python scripts/refresh_schema.py", file=sys.stderr)
        return 1
    SCHEMA.parent.mkdir(exist_ok=True)
    SCHEMA.write_text(text, encoding="utf-8")
    print("wrote docs/schema/expert-1.schema.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
