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
