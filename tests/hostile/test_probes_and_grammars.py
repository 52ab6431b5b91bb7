"""Probes and grammars that a trusted key signed: what would cost time, or says nothing, is refused by a check of its own."""

from __future__ import annotations

import json

import pytest
import rfc8785

from expert_kit.archive.probe import MIN_MOVE
from tests.hostile.conftest import Gate, in_form
from tests.support.probes import some_probe

PROBE, GRAMMAR = "probe/0.json", "grammar/a.gbnf"
SOUND = json.loads(some_probe().to_bytes())


def prompts(**changes: object) -> bytes:
    """A probe whose first prompt is changed."""
    first, *others = SOUND["prompts"]
    return rfc8785.dumps({**SOUND, "prompts": [{**first, **changes}, *others]})


PROBES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "probe_invalid"),
    "pickle": (b"\x80\x04\x95", "member_content_refused"),
    "another spelling": (json.dumps(SOUND).encode(), "probe_invalid"),
    "key twice": (some_probe().to_bytes().replace(b'{"ids"', b'{"ids":[1],"ids"', 1), "probe_invalid"),
    "fraction": (some_probe().to_bytes().replace(b"9000", b"9000.5", 1), "probe_invalid"),
    "NaN": (some_probe().to_bytes().replace(b"9000", b"NaN", 1), "probe_invalid"),
    "infinite": (some_probe().to_bytes().replace(b"9000", b"1e999", 1), "probe_invalid"),
    "another schema": (rfc8785.dumps({**SOUND, "schema": "probe/2"}), "probe_invalid"),
    "a field more": (rfc8785.dumps({**SOUND, "run": "os.system"}), "probe_invalid"),
    "no prompts": (rfc8785.dumps({**SOUND, "prompts": []}), "probe_invalid"),
    "a million prompts": (rfc8785.dumps({**SOUND, "prompts": [0] * 500_000}), "probe_invalid"),
    "a prompt that is too long to run": (prompts(ids=[1] * 30_000), "probe_invalid"),
    "a token that the base does not have": (prompts(ids=[1 << 40]), "probe_invalid"),
    "a negative token": (prompts(ids=[-1]), "probe_invalid"),
    "a logit beyond all models": (prompts(logits=[[1, 0, 1 << 50]]), "probe_invalid"),
    "nested 100,000 deep": (b"[" * 100_000 + b"]" * 100_000, "probe_invalid"),
    "no effect": (
        rfc8785.dumps(
            {**SOUND, "prompts": [{**one, "logits": [[t, b, b + MIN_MOVE - 1] for t, b, _ in one["logits"]]} for one in SOUND["prompts"]]}
        ),
        "probe_no_effect",
    ),
}
GRAMMARS: dict[str, bytes] = {
    "a megabyte": b'a ::= "x"\n' * 100_000,
    "6,000 rules": b"".join(b"a%d::=b\n" % number for number in range(6000)),
    "deep brackets": b"a ::= " + b"(" * 30_000 + b")" * 30_000,
    "a repetition of millions": b'a ::= "x"{1,9999999}',
    "a literal without end": b'a ::= "' + b"x" * 60_000,
    "a rule that is nowhere": b"a ::= b",
    "escape sequences": b'a ::= "\x1b[2J"',
    "no text": b"\xff\xfe\x00",
    "a bidirectional override": 'a ::= "\u202e"'.encode(),
}


@pytest.mark.parametrize("label", PROBES)
def test_a_probe_that_is_none_is_refused(gate: Gate, form: str, label: str):
    body, code = PROBES[label]
    parts = gate.parts()
    parts.add(PROBE, body, "probe")
    parts.value["bases"][0]["probe"] = PROBE
    assert gate.code(gate.sealed(parts, form)) == in_form(form, code)


@pytest.mark.parametrize("label", GRAMMARS)
def test_a_grammar_out_of_bounds_is_refused(gate: Gate, form: str, label: str):
    parts = gate.parts()
    parts.add(GRAMMAR, GRAMMARS[label], "grammar")
    parts.value["grammar"] = {"path": GRAMMAR, "kind": "gbnf"}
    assert gate.code(gate.sealed(parts, form)) == in_form(form, "grammar_invalid")


def test_a_sound_probe_and_grammar_are_accepted(gate: Gate):
    parts = gate.parts()
    parts.add(PROBE, some_probe().to_bytes(), "probe")
    parts.add(GRAMMAR, b'root ::= "SELECT " [a-z]+\n', "grammar")
    parts.value["bases"][0]["probe"] = PROBE
    parts.value["grammar"] = {"path": GRAMMAR, "kind": "gbnf", "parameters": {"depth": 3}}
    gate.accepts(gate.sealed(parts, "resigned"))
