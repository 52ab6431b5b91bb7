"""Members that few packages have: attestations, which anybody may sign, grammars, probes and tokenizer files."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import rfc8785

from expert_kit.names import sha256_digest
from expert_kit.signing import KEY_TYPES, attest, sign
from expert_kit.signing.envelope import open_line
from tests.hostile.conftest import Gate, in_form
from tests.hostile.forge import Parts, frame
from tests.support.probes import some_probe

STRANGER = KEY_TYPES["ed25519"]()
MALFORMED, INVALID = "signature_malformed", "attestation_invalid"
Lines = Callable[[Parts], bytes]


def honest(parts: Parts, kind: str = "import", **predicate: Any) -> bytes:
    return attest(sha256_digest(parts.manifest), "acme.sql-1.0.0", kind, predicate or {"source": "x"}, STRANGER) + b"\n"


def said(edit: Callable[[dict[str, Any]], object]) -> Lines:
    """A statement after an edit, signed."""

    def lines(parts: Parts) -> bytes:
        statement = json.loads(open_line(honest(parts).strip())[0])
        edit(statement)
        return sign(rfc8785.dumps(statement), STRANGER) + b"\n"

    return lines


def payload(data: bytes) -> Lines:
    return lambda _: sign(data, STRANGER) + b"\n"


def of_another(parts: Parts) -> bytes:
    other = parts.copy()
    other.value["summary"] = "Another one."
    return honest(other)


ATTESTATIONS: list[tuple[str, Lines, str]] = [
    ("about another package", of_another, "attestation_subject"),
    ("about two", said(lambda s: s["subject"].append(s["subject"][0])), INVALID),
    ("about nothing", said(lambda s: s.update(subject=[])), INVALID),
    ("a weak digest", said(lambda s: s["subject"][0].update(digest={"md5": "0" * 32})), INVALID),
    ("another statement", said(lambda s: s.update(_type="https://in-toto.io/Statement/v0.1")), INVALID),
    ("a field more", said(lambda s: s.update(more=1)), INVALID),
    ("no predicate", said(lambda s: s.pop("predicate")), INVALID),
    ("its kind as a number", said(lambda s: s.update(predicateType=1)), INVALID),
    ("results that are none", lambda parts: _evaluation(parts, metrics=[{"suite": 1}]), INVALID),
    ("results in fractions", lambda parts: _evaluation(parts, metrics=[{"suite": "s", "value_ppm": 0.5}]), INVALID),
    ("results as a text", lambda parts: _evaluation(parts, metrics="all"), INVALID),
    ("spaces", payload(b'{"_type": ""}'), INVALID),
    ("a duplicate key", payload(b'{"a":1,"a":1}'), INVALID),
    ("NaN", payload(b'{"a":NaN}'), INVALID),
    ("5,000 digits", payload(b'{"a":' + b"9" * 5000 + b"}"), INVALID),
    ("deep", payload(b"[" * 100_000), INVALID),
    ("not UTF-8", payload(b'"\xff"'), INVALID),
    ("3 MB of lists", payload(b'{"a":[' + b"[]," * 700_000 + b"[]]}"), INVALID),
    ("nothing", payload(b""), INVALID),
    ("changed after signing", lambda parts: honest(parts).replace(b'"payload":"eyJf', b'"payload":"eyJg'), "signature_invalid"),
    ("no line", lambda _: b"\n", MALFORMED),
    ("no bundle", lambda _: b"{}\n", MALFORMED),
    ("no line end", lambda parts: honest(parts)[:-1], MALFORMED),
    ("a package signature", lambda parts: parts.lines, "attestation_subject"),
    ("65 of them", lambda parts: b"".join(honest(parts, source=str(number)) for number in range(65)), MALFORMED),
]  # fmt: skip


def _evaluation(parts: Parts, **fields: Any) -> bytes:
    edit = said(lambda s: s.update(predicateType="https://in-toto.io/attestation/test-result/v0.1", predicate=predicate))
    predicate = {"result": "PASSED", "configuration": [], "metrics": [], **fields}
    return edit(parts)


@pytest.mark.parametrize(("lines", "code"), [case[1:] for case in ATTESTATIONS], ids=[case[0] for case in ATTESTATIONS])
def test_a_hostile_attestation_is_refused(gate: Gate, lines: Lines, code: str) -> None:
    parts = gate.parts()
    parts.meta["META/attestations/import.jsonl"] = lines(parts)
    assert gate.code(frame(parts.members())) == code


def test_an_attestation_by_a_stranger_is_let_in_and_means_nothing(gate: Gate) -> None:
    parts = gate.parts()
    parts.meta["META/attestations/import.jsonl"] = honest(parts)
    gate.accepts(frame(parts.members()))
    parts.lines = b""
    assert gate.code(frame(parts.members())) == "signature_missing"


GRAMMARS: list[tuple[str, str, bytes, str]] = [
    ("a regular expression", "lark", b"start: /(a+)+$/\n", "grammar_invalid"),
    ("a file to import", "lark", b'%import common.WORD\nstart: WORD\n', "grammar_invalid"),
    ("a file to load", "gbnf", b'root ::= "a"\n\x1b]0;x\x07', "grammar_invalid"),
    ("deep", "gbnf", b"root ::= " + b"(" * 10_000, "grammar_invalid"),
    ("endless repetition", "gbnf", b'root ::= "a"{1,999999999}\n', "grammar_invalid"),
    ("a billion laughs", "gbnf", b"".join(b"r%d ::= r%d r%d\n" % (n, n + 1, n + 1) for n in range(600)), "grammar_invalid"),
    ("one endless literal", "gbnf", b'root ::= "' + b"a" * 60_000, "grammar_invalid"),
    ("64 KB and more", "gbnf", b'root ::= "a"\n' + b"#" * 70_000, "grammar_invalid"),
    ("no rules", "ebnf", b"# nothing\n", "grammar_invalid"),
    ("not UTF-8", "lark", b'start: "\xff"\n', "grammar_invalid"),
    ("a program", "gbnf", b"#!/bin/sh\n", "member_content_refused"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "code"), [case[1:] for case in GRAMMARS], ids=[case[0] for case in GRAMMARS])
def test_a_hostile_grammar_is_refused(gate: Gate, form: str, kind: str, text: bytes, code: str) -> None:
    assert gate.code(with_grammar(gate, kind, text, form)) == in_form(form, code)


def with_grammar(gate: Gate, kind: str, text: bytes, form: str = "resigned") -> bytes:
    parts = gate.parts()
    parts.add(f"grammar/answer.{kind}", text, "grammar")
    parts.value["grammar"] = {"path": f"grammar/answer.{kind}", "kind": kind}
    return gate.sealed(parts, form)


def test_a_grammar_is_accepted(gate: Gate) -> None:
    gate.accepts(with_grammar(gate, "gbnf", b'root ::= "a" [0-9]{1,3}\n'))


def probe(edit: Callable[[dict[str, Any]], object]) -> bytes:
    value = json.loads(some_probe().to_bytes())
    edit(value)
    return rfc8785.dumps(value)


def still(value: dict[str, Any]) -> None:
    for prompt in value["prompts"]:
        prompt["logits"] = [[token, base, base] for token, base, _ in prompt["logits"]]


PROBES: list[tuple[str, bytes, str]] = [
    ("empty", b"", "probe_invalid"),
    ("deep", b"[" * 10_000, "probe_invalid"),
    ("another schema", probe(lambda v: v.update(schema="probe/2")), "probe_invalid"),
    ("a million prompts", probe(lambda v: v.update(prompts=v["prompts"] * 1_000)), "probe_invalid"),
    ("a prompt less", probe(lambda v: v["prompts"].pop()), "probe_invalid"),
    ("a long prompt", probe(lambda v: v["prompts"][0].update(ids=[1] * 17)), "probe_invalid"),
    ("no prompt", probe(lambda v: v["prompts"][0].update(ids=[])), "probe_invalid"),
    ("a token outside", probe(lambda v: v["prompts"][0].update(ids=[64])), "probe_invalid"),
    ("a token below zero", probe(lambda v: v["prompts"][0].update(ids=[-1])), "probe_invalid"),
    ("an endless logit", probe(lambda v: v["prompts"][0]["logits"][0].__setitem__(1, 10**15)), "probe_invalid"),
    ("unsorted", probe(lambda v: v["prompts"][0]["logits"].reverse()), "probe_invalid"),
    ("no effect", probe(still), "probe_no_effect"),
    ("spaces", probe(lambda v: None) + b" ", "probe_invalid"),
    ("a fraction", some_probe().to_bytes().replace(b'"ids":[', b'"ids":[1.5,', 1), "probe_invalid"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "code"), [case[1:] for case in PROBES], ids=[case[0] for case in PROBES])
def test_a_hostile_probe_is_refused(gate: Gate, form: str, body: bytes, code: str) -> None:
    assert gate.code(with_probe(gate, body, form)) == in_form(form, code)


def with_probe(gate: Gate, body: bytes, form: str = "resigned") -> bytes:
    parts = gate.parts()
    parts.add("probe/0.json", body, "probe")
    parts.value["bases"][0]["probe"] = "probe/0.json"
    return gate.sealed(parts, form)


def test_a_probe_is_accepted(gate: Gate) -> None:
    gate.accepts(with_probe(gate, some_probe().to_bytes()))
