from __future__ import annotations


def test_the_choice_is_data_and_a_covered_prompt_gets_its_expert(run, two_experts):
    done = run("route", "calculus question number 2", "--base", "tiny-llama")
    assert (done.code, done.out, done.err) == (0, "expert-kit/calculus@1.0.0  1.00\n", "")


def test_a_prompt_that_nobody_covers_goes_to_the_base(run, two_experts):
    done = run("route", "--base", "tiny-llama", stdin="a completely unrelated sentence about gardens")
    assert (done.code, done.out) == (0, "base\n")
    assert "threshold" in done.err


def test_explain_shows_scores_and_examples(run, two_experts):
    out = run("route", "sql question number 1", "--base", "tiny-llama", "--explain").out
    assert out.startswith("expert-kit/sql: coverage")
    assert "nearest examples of expert-kit/sql" in out


def test_json_is_the_whole_decision(run, two_experts):
    found = run("route", "sql question number 1", "--base", "tiny-llama", "--json").json
    assert [one["name"] for one in found["experts"]] == ["expert-kit/sql"]
    assert {one["name"] for one in found["scores"]} == set(two_experts)


def test_without_the_base_model_all_experts_take_part_and_that_is_said(run, two_experts):
    done = run("route", "sql question number 1")
    assert done.out == "expert-kit/sql@1.0.0  1.00\n"
    assert "experts for every base take part" in done.err


def test_experts_for_another_base_are_left_out(run, two_experts, base_here):
    assert run("route", "sql question number 1", "--base", "tiny").out == "base\n"


CLOSE = "question number 1"


def test_with_a_policy_the_base_model_ranks_the_cards_of_close_experts(run, two_experts):
    fitted = run("route", CLOSE, "--base", "tiny-llama", "--json").json
    assert fitted["opinion"] is None
    asked = run("route", CLOSE, "--base", "tiny-llama", "--policy", "base", "--json").json
    assert asked["opinion"]["counted"]
    assert set(asked["opinion"]["shares"]) == set(two_experts)
    assert asked["scores"] == fitted["scores"]
    assert "the base model ranked the cards (2 passes" in run("route", CLOSE, "--base", "tiny-llama", "--policy", "base", "--explain").out


def test_an_unknown_policy_is_refused_before_the_base_is_loaded(run, two_experts):
    done = run("route", CLOSE, "--base", "tiny-llama", "--policy", "oracle", "--json")
    assert (done.code, done.error["code"]) == (2, "routing_config_invalid")
