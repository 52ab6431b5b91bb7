from __future__ import annotations

import json

import pytest

from tests.support.builders import build_expert
from tests.support.encoders import FakeEncoder

WORDS = {"sql": ("table", "query", "rows"), "calculus": ("integral", "slope", "limit")}
FRAMES = (
    "what is the {}",
    "show me a {}",
    "my {} please",
    "one more {} now",
    "is this {} right",
    "the {} again",
    "explain {}",
    "a {} for me",
)


def _examples(topic: str) -> bytes:
    texts = [frame.format(f"{word} {topic}") for frame in FRAMES for word in WORDS[topic]]
    rows = [{"text": text, "split": "validate" if at % 2 else "fit"} for at, text in enumerate(texts)]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@pytest.fixture
def fitted_experts(model_here, tiny_record, tmp_path, run, monkeypatch):
    """Two installed experts with enough examples to fit on."""
    monkeypatch.setattr("expert_kit.inference.routes.default_encoder", FakeEncoder)
    folder = tmp_path / "fit"
    folder.mkdir()
    for seed, topic in enumerate(WORDS):
        packed = build_expert(folder, record=tiny_record, seed=seed, name=f"expert-kit/{topic}", examples=_examples(topic))
        assert run("install", packed, "--unsafe-allow-unsigned").code == 0
    return [f"expert-kit/{topic}" for topic in WORDS]


def test_fit_says_what_each_router_is_worth_and_what_was_chosen(run, fitted_experts):
    done = run("router", "fit", "--base", "tiny-llama")
    assert done.code == 0, done.err
    assert done.out.startswith("2 experts, 24 examples, 24 held-out prompts (validation)")
    found = run("router", "fit", "--base", "tiny-llama", "--json").json
    assert found["accuracy"]["fusion"] == 1.0
    assert set(found["chosen"]) <= set(found["losses"])


def test_a_fitted_router_answers_with_a_probability(run, fitted_experts):
    found = run("route", "show me the integral calculus slope", "--base", "tiny-llama", "--json").json
    assert found["experts"][0]["name"] == "expert-kit/calculus"
    assert found["calibrated"] is True
    assert 0.5 < found["p_right"] <= 1
    explained = run("route", "show me the integral calculus slope", "--base", "tiny-llama", "--explain").out
    assert "P(expert-kit/calculus is right, if any expert is)" in explained
    assert "router " in explained


def test_too_little_to_fit_on_is_said(run, two_experts):
    done = run("router", "fit", "--base", "tiny-llama", "--json")
    assert done.code == 6
    assert done.error["code"] == "router_too_little"


def test_eval_counts_and_lists_what_went_wrong(run, fitted_experts, tmp_path):
    rows = [
        {"text": "explain the slope calculus to me", "expert": "expert-kit/calculus"},
        {"text": "explain the slope calculus please", "expert": "expert-kit/sql"},
        {"text": "gardens in autumn rain", "expert": None},
    ]
    file = tmp_path / "prompts.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = run("router", "eval", file, "--base", "tiny-llama", "--json").json
    assert found["measures"]["accuracy"] == pytest.approx(2 / 3, abs=1e-6)
    assert found["measures"]["abstained_on_others"] == 1.0
    assert found["wrong"] == [{"text": "explain the slope calculus please", "expected": "expert-kit/sql", "chosen": "expert-kit/calculus"}]
    assert "expert-kit/sql -> expert-kit/calculus" in run("router", "eval", file, "--base", "tiny-llama").out


@pytest.mark.parametrize("line", ["nothing", "[]", '{"text": 1}', '{"text": "a", "expert": 3}'])
def test_a_bad_row_is_named_by_its_line(run, fitted_experts, tmp_path, line):
    file = tmp_path / "prompts.jsonl"
    file.write_text(f'{{"text": "a"}}\n{line}\n')
    done = run("router", "eval", file, "--json")
    assert done.error["code"] == "routing_rows_invalid"
    assert f"{file}:2" in done.error["message"]


def test_names_that_no_expert_has_are_all_named_by_their_lines(run, fitted_experts, tmp_path):
    experts = ["expert-kit/sql", "calculus", None, "expert-kit/nope", "calculus", "expert-kit/sql@1.0.0", ""]
    file = tmp_path / "prompts.jsonl"
    file.write_text("".join(json.dumps({"text": "a", "expert": expert}) + "\n" for expert in experts) + "nothing\n")
    done = run("router", "eval", file, "--base", "tiny-llama", "--json")
    assert (done.code, done.error["code"]) == (6, "routing_rows_invalid")
    problems = done.error["message"].splitlines()[1:]
    assert [line.split(": ")[0].strip() for line in problems] == [f"{file}:{number}" for number in (2, 4, 5, 6, 7, 8)]
    assert "no namespace/name: 'calculus'" in problems[0]
    assert "no such expert here: 'expert-kit/nope'" in problems[1]
    assert "expert-kit/calculus, expert-kit/sql" in done.error["next"]


def test_of_many_unknown_names_the_first_lines_are_shown(run, fitted_experts, tmp_path):
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"text": "a", "expert": "expert-kit/nope"}\n' * 500)
    message = run("router", "eval", file, "--base", "tiny-llama", "--json").error["message"]
    assert len(message.splitlines()) < 60
    assert "bad rows: 500" in message


def test_eval_without_experts_says_what_to_install(run, base_here, tmp_path):
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"text": "a", "expert": "expert-kit/sql"}\n')
    done = run("router", "eval", file, "--base", "tiny", "--json")
    assert done.error["code"] == "routing_rows_invalid"
    assert "expert-kit install" in done.error["next"]


def test_report_shows_recall_and_draws_the_reliability(run, fitted_experts, tmp_path):
    plot = tmp_path / "reliability.png"
    done = run("router", "report", "--plot", plot, "--base", "tiny-llama")
    assert done.code == 0, done.err
    assert "expert-kit/sql" in done.out
    assert plot.read_bytes().startswith(b"\x89PNG")
    found = run("router", "report", "--base", "tiny-llama", "--json").json
    assert {one["name"]: one["recall"] for one in found["recalls"]} == {"expert-kit/sql": 1.0, "expert-kit/calculus": 1.0}


def test_feedback_changes_the_next_decision(run, fitted_experts):
    prompt = "gardens bloom in autumn rain"
    assert run("route", prompt, "--base", "tiny-llama").out == "base\n"
    assert run("router", "feedback", prompt, "--right", "expert-kit/sql").code == 0
    assert run("route", prompt, "--base", "tiny-llama").out.startswith("expert-kit/sql@1.0.0")
    assert "decided by your feedback" in run("route", prompt, "--base", "tiny-llama", "--explain").out
    assert run("router", "report", "--base", "tiny-llama", "--json").json["feedback_right"] == 1


def test_feedback_can_be_taken_back(run, fitted_experts):
    prompt = "gardens bloom in autumn rain"
    assert run("router", "feedback", prompt, "--right", "expert-kit/sql").code == 0
    assert run("router", "feedback", prompt, "--nobody").err == "kept: 1; 1 remark in all, used by the next fit\n"
    found = run("route", prompt, "--base", "tiny-llama", "--json").json
    assert found["abstained"]
    assert found["background_nearest"][0]["text"] == prompt
    assert prompt not in [near["text"] for one in found["evidence"] for near in one["nearest"]]


def test_a_prompt_that_nobody_should_answer_goes_to_the_base(run, fitted_experts):
    prompt = "show me the integral calculus slope"
    assert run("router", "feedback", prompt, "--nobody").code == 0
    assert run("route", prompt, "--base", "tiny-llama").out == "base\n"


def test_feedback_needs_a_verdict_and_an_installed_expert(run, fitted_experts):
    assert run("router", "feedback", "a prompt", "--json").error["code"] == "feedback_missing"
    assert run("router", "feedback", "a prompt", "--right", "no/body", "--json").code == 3
    assert run("router", "feedback", " ", "--nobody", "--json").error["code"] == "prompt_missing"


@pytest.mark.parametrize(
    "options",
    [("--right", "expert-kit/sql", "--nobody"), ("--right", "expert-kit/sql", "--wrong", "expert-kit/sql@1.0.0")],
)
def test_verdicts_that_exclude_each_other_are_refused(run, fitted_experts, options):
    done = run("router", "feedback", "a prompt", *options, "--json")
    assert (done.code, done.error["code"]) == (2, "feedback_contradicts")
    assert "exclude each other" in done.error["message"]
    assert "--right" in done.error["message"]


def test_a_rule_of_the_user_decides(run, fitted_experts, home):
    (home / "routing").mkdir()
    (home / "routing" / "rules.toml").write_text(
        '[[rule]]\nname = "gardens"\nwhen = {contains = "gardens"}\nthen = {expert = "expert-kit/sql"}\n'
    )
    assert run("route", "gardens in the rain", "--base", "tiny-llama").out.startswith("expert-kit/sql@1.0.0")
    explained = run("route", "gardens in the rain", "--base", "tiny-llama", "--explain").out
    assert "rule 'gardens' (line 1): expert expert-kit/sql; decides" in explained


def test_a_rule_for_an_expert_that_is_not_installed_is_said(run, fitted_experts, home):
    (home / "routing").mkdir()
    (home / "routing" / "rules.toml").write_text(
        '[[rule]]\nname = "zoo"\nwhen = {contains = "zebra"}\nthen = {expert = "expert-kit/nope"}\n'
    )
    done = run("route", "zebra gardens", "--base", "tiny-llama")
    assert (done.code, done.out) == (0, "base\n")
    said = "rule 'zoo' (line 1) does nothing: no installed expert for this base is called expert-kit/nope"
    assert said in done.err
    assert f"note: {said}" in run("route", "zebra gardens", "--base", "tiny-llama", "--explain").out
    assert said in run("route", "zebra gardens", "--base", "tiny-llama", "--json").json["notes"]
    assert "zoo" not in run("route", "lion gardens", "--base", "tiny-llama").err


def test_a_bad_rule_names_its_line(run, fitted_experts, home):
    (home / "routing").mkdir()
    (home / "routing" / "rules.toml").write_text('[[rule]]\nname = "x"\nwhen = {contain = "y"}\nthen = {base = true}\n')
    done = run("route", "anything", "--base", "tiny-llama", "--json")
    assert done.error["code"] == "rules_invalid"
    assert "did you mean contains?" in done.error["message"]
