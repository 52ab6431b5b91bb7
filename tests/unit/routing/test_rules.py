from __future__ import annotations

from pathlib import Path

import pytest

from expert_kit.errors import DataError
from expert_kit.names import sha256_digest
from expert_kit.routing import Candidate, EmbeddingRouter, RoutingPolicy, detect, load_rules
from expert_kit.routing.rules import PREFER_GAP, apply_rules, break_ties
from tests.support.encoders import FakeEncoder

NAMES = ["ns/calculus", "ns/cron", "ns/sql", "other/sql"]
EXPERTS = [Candidate(sha256_digest(name.encode()), name, (f"{name.partition('/')[2]} question",)) for name in NAMES]


def _load(tmp_path: Path, text: str):
    path = tmp_path / "rules.toml"
    path.write_text(text, encoding="utf-8")
    return load_rules(path)


def _rule(name: str, when: str, then: str, priority: int = 0) -> str:
    return f'[[rule]]\nname = "{name}"\npriority = {priority}\nwhen = {{ {when} }}\nthen = {{ {then} }}\n'


def _outcome(tmp_path: Path, rules: str, prompt: str):
    return apply_rules(_load(tmp_path, rules), prompt, detect(prompt), NAMES)


def test_no_file_is_no_rules(tmp_path: Path) -> None:
    assert load_rules(tmp_path / "absent.toml") == ()


@pytest.mark.parametrize(
    ("when", "meets", "fails"),
    [
        ('contains = "due date"', "the Due Date is near", "overdue dates"),
        ('contains_all = ["sum", "orders"]', "orders: sum them", "sum them"),
        ('starts_with = "/sql"', "  /SQL all rows", "use /sql"),
        ('language = "de"', "Wie viele Kunden wohnen in der schönen Stadt Hamburg?", "How many customers live in the lovely city?"),
        ('format = "sql"', "CREATE TABLE t (a INTEGER);", "create something"),
        ('asks_for = "json"', "list the towns as JSON", "list the towns"),
        ('regex = "\\\\d{4}-\\\\d{2}"', "since 2026-01", "since January"),
    ],
)
def test_a_condition_is_met_or_not(tmp_path: Path, when: str, meets: str, fails: str) -> None:
    if "language" in when:
        pytest.importorskip("eldc")
    rules = _rule("one", when, 'expert = "ns/sql"')
    found = _outcome(tmp_path, rules, meets)
    assert found.forced == ("ns/sql",)
    assert found.fired[0].because[0]
    assert _outcome(tmp_path, rules, fails).forced is None


def test_all_conditions_of_a_rule_must_hold(tmp_path: Path) -> None:
    rules = _rule("both", 'contains = "sum", asks_for = "json"', 'expert = "ns/sql"')
    assert _outcome(tmp_path, rules, "sum of all as JSON").forced == ("ns/sql",)
    assert _outcome(tmp_path, rules, "sum of all").forced is None


def test_the_higher_priority_decides_and_the_other_is_said_to_be_outranked(tmp_path: Path) -> None:
    rules = _rule("low", 'contains = "sum"', 'expert = "ns/cron"') + _rule("high", 'contains = "sum"', "base = true", 5)
    found = _outcome(tmp_path, rules, "a sum")
    assert found.forced == ()
    assert [(one.name, one.effect) for one in found.fired] == [("high", "decides"), ("low", "outranked")]


def test_patterns_forbid_and_prefer_add_up(tmp_path: Path) -> None:
    rules = _rule("a", 'contains = "x"', 'forbid = "*/sql"') + _rule("b", 'contains = "x"', 'prefer = "ns/cron"')
    found = _outcome(tmp_path, rules, "x")
    assert found.forbidden == {"ns/sql", "other/sql"}
    assert found.preferred == {"ns/cron"}


def test_a_rule_for_an_expert_that_is_not_installed_decides_nothing(tmp_path: Path) -> None:
    found = _outcome(tmp_path, _rule("gone", 'contains = "x"', 'expert = "ns/absent"'), "x")
    assert found.forced is None
    assert found.fired[0].effect == "no_such_expert"
    assert found.notes == ("rule 'gone' (line 1) does nothing: no installed expert for this base is called ns/absent",)


def test_a_slow_regular_expression_is_stopped_and_said(tmp_path: Path) -> None:
    found = _outcome(tmp_path, _rule("slow", 'regex = "(a|aa)+$"', 'expert = "ns/sql"'), "a" * 5_000 + "b")
    assert found.forced is None
    assert "took too long" in found.notes[0]


def test_prefer_only_breaks_ties() -> None:
    close = [("a", 0.5), ("b", 0.5 - PREFER_GAP / 2)]
    assert [name for name, _ in break_ties(close, {"b"})] == ["b", "a"]
    assert [name for name, _ in break_ties([("a", 0.5), ("b", 0.5 - PREFER_GAP)], {"b"})] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[[rule]\n", "is no TOML"),
        ("[[rule]]\nwhen = {contains = 'x'}\nthen = {base = true}\n", ":1: name: every rule needs a name"),
        ("[[rule]]\nname = 'a'\nthen = {base = true}\n", "when: every rule needs a table"),
        ("[[rule]]\nname = 'a'\nwhen = {contains = 'x'}\nthen = {base = false}\n", ":4: then.base: write base = true"),
        ("[[rule]]\nname = 'a'\nwhen = {regex = '('}\nthen = {base = true}\n", ":3: when.regex: '(' is no regular expression"),
        ("[[rule]]\nname = 'a'\nwhen = {format = 'sqll'}\nthen = {base = true}\n", ":3: when.format: 'sqll' is no format"),
        (
            "[[rule]]\nname = 'a'\nwhen = {contains = 'x'}\nthen = {expert = 'Bad Name'}\n",
            ":4: then.expert: 'Bad Name' is no namespace/name",
        ),
        ("[[rule]]\nname = 'a'\npriority = 1.5\nwhen = {contains = 'x'}\nthen = {base = true}\n", ":3: priority: a whole number"),
        ("[[rules]]\nname = 'a'\n", "did you mean rule?"),
    ],
)
def test_a_bad_rule_is_named_by_file_line_and_key(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(DataError) as caught:
        _load(tmp_path, text)
    assert caught.value.code == "rules_invalid"
    assert problem in caught.value.message


def test_all_problems_are_said_at_once(tmp_path: Path) -> None:
    bad = "[[rule]]\nname = 'a'\nwhen = {contain = 'x'}\nthen = {base = true}\n"
    with pytest.raises(DataError, match=r"2 problem\(s\)"):
        _load(tmp_path, bad + bad.replace("'a'", "'b'"))


def test_a_policy_follows_the_rules_before_anything_else(tmp_path: Path) -> None:
    rules = _load(tmp_path, _rule("a", 'contains = "gardens"', 'expert = "ns/cron"') + _rule("b", 'contains = "calculus"', "base = true"))
    policy = RoutingPolicy(EmbeddingRouter(EXPERTS, FakeEncoder()), rules=rules)
    forced = policy.decide("gardens in the rain")
    assert ([one.name for one in forced.experts], forced.reason, forced.abstained) == (["ns/cron"], "rule", False)
    base = policy.decide("calculus question")
    assert (base.experts, base.reason, base.abstained) == ((), "rule", True)


def test_a_forbidden_expert_does_not_answer(tmp_path: Path) -> None:
    rules = _load(tmp_path, _rule("a", 'contains = "question"', 'forbid = "ns/calculus"'))
    decision = RoutingPolicy(EmbeddingRouter(EXPERTS, FakeEncoder()), rules=rules).decide("calculus question")
    assert "ns/calculus" not in {one.name for one in decision.experts}


def test_what_the_user_said_about_a_prompt_decides_when_it_comes_again() -> None:
    told = {"tell me more": ("ns/cron",), "calculus question": ()}
    policy = RoutingPolicy(EmbeddingRouter(EXPERTS, FakeEncoder()), told=told)
    assert [one.name for one in policy.decide(" tell  me more\n").experts] == ["ns/cron"]
    assert policy.decide("calculus question").abstained
    assert RoutingPolicy(EmbeddingRouter(EXPERTS[:1], FakeEncoder()), told=told).decide("tell me more").reason == "not_covered"
