from __future__ import annotations

import subprocess
import sys

import pytest

SHORT = ("--base", "tiny-llama", "--max-new-tokens", "5", "--dtype", "float32")


def test_the_answer_is_data_and_who_gave_it_is_not(run, model_here):
    done = run("generate", "hi", "--expert", "base", *SHORT)
    answer = run("generate", "hi", "--expert", "base", *SHORT, "--json").json
    assert done.code == 0
    assert done.out == answer["text"] + "\n"
    assert done.err.startswith("[tiny-llama; ")


def test_the_prompt_may_be_piped(run, model_here):
    piped = run("generate", "--expert", "base", *SHORT, "--json", stdin="hi").json
    assert piped["text"] == run("generate", "hi", "-e", "base", *SHORT, "--json").json["text"]


@pytest.mark.parametrize("words", [("generate", ""), ("generate", " \n"), ("generate",), ("route",)])
def test_an_empty_prompt_is_no_question(run, words):
    done = run(*words, "--json", stdin="\n")
    assert (done.code, done.out, done.error["code"]) == (2, "", "prompt_missing")


def test_the_router_decides_by_default(run, two_experts):
    answer = run("generate", "sql question number 1", *SHORT, "--json").json
    assert [(one["name"], one["weight"]) for one in answer["experts"]] == [("expert-kit/sql", 1.0)]
    done = run("generate", "sql question number 1", *SHORT)
    assert done.err.startswith("[expert-kit/sql@1.0.0; ")


def test_an_abstention_is_said_or_with_strict_an_error(run, two_experts):
    prompt = "a completely unrelated sentence about gardens"
    done = run("generate", prompt, *SHORT)
    assert "no expert fits: coverage" in done.err
    strict = run("generate", prompt, *SHORT, "--strict", "--json")
    assert (strict.code, strict.out, strict.error["code"]) == (11, "", "route_abstained")


def test_a_mix_is_written_or_given_as_several_experts(run, two_experts):
    written = run("generate", "hi", "-e", "mix:expert-kit/sql@0.5+expert-kit/calculus@0.5", *SHORT, "--json").json
    listed = run("generate", "hi", "-e", "expert-kit/sql", "-e", "expert-kit/calculus", *SHORT, "--json").json
    assert [one["weight"] for one in written["experts"]] == [0.5, 0.5]
    assert listed == {**written, "seed": listed["seed"]}


def test_an_adapter_folder_needs_no_installation(run, adapter):
    answer = run("generate", "hi", "--expert", adapter, *SHORT, "--json").json
    assert answer["experts"][0]["name"] == str(adapter)


def test_a_seed_repeats_a_sampled_answer(run, model_here):
    sampled = [run("generate", "hi", "-e", "base", *SHORT, "--temperature", "2", "--seed", "7", "--json").json for _ in range(2)]
    assert sampled[0] == sampled[1]
    assert sampled[0]["seed"] == 7


def test_log_probabilities_come_with_json(run, model_here):
    answer = run("generate", "hi", "-e", "base", *SHORT, "--json", "--logprobs", "--top-logprobs", "2").json
    assert len(answer["logprobs"]) == 5
    assert all(one["logprob"] <= 0 and len(one["top"]) == 2 for one in answer["logprobs"])
    refused = run("generate", "hi", "-e", "base", *SHORT, "--logprobs")
    assert (refused.code, refused.out) == (2, "")
    assert "--json" in refused.err


def test_stop_ends_the_answer(run, model_here):
    text = run("generate", "hi", "-e", "base", *SHORT, "--json").json["text"]
    assert run("generate", "hi", "-e", "base", *SHORT, "--stop", text[1], "--json").json["text"] == text.split(text[1])[0]


@pytest.mark.parametrize(
    ("args", "code", "named"),
    [
        (["-e", "acme/gone"], 3, "expert_not_found"),
        (["-e", "no name"], 6, "name_invalid"),
        (["-e", "./gone"], 2, "adapter_folder"),
        (["-e", "mix:a/b"], 2, "mix_malformed"),
        (["-e", "auto", "-e", "a/b"], 2, "expert_options"),
        (["--temperature", "-1"], 2, "sampling_range"),
        (["--top-p", "much"], 2, "usage_error"),
        (["--device", "abacus"], 2, "device_unknown"),
        (["--dtype", "float1"], 2, "dtype_unknown"),
        (["--quantization", "int1"], 2, "quantization_unknown"),
        (["--base", "smollm2-360m"], 5, "base_not_pulled"),
    ],
)
def test_bad_requests_are_typed_and_leave_stdout_empty(run, model_here, args, code, named):
    done = run("generate", "hi", *SHORT, *args, "--json")
    assert (done.code, done.out, done.error["code"]) == (code, "", named)


def test_the_libraries_keep_silent(model_here):
    command = [sys.executable, "-m", "expert_kit", "generate", "hi", "-e", "base", *SHORT]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stderr == b"[tiny-llama; 5 tokens; cut off, see --max-new-tokens]\n"


def test_what_is_not_given_may_be_left_to_the_task(run, model_here):
    asked = (
        "generate",
        "Differentiate x**3",
        "-e",
        "base",
        "--base",
        "tiny-llama",
        "--dtype",
        "float32",
        "--max-new-tokens",
        "3",
        "--json",
    )
    assert run(*asked).json["defaults"] is None
    defaults = run(*asked, "--by-task").json["defaults"]
    assert (defaults["kind"], defaults["options"]) == ("maths", {"temperature": 0.0, "top_p": 1.0})
    assert run(*asked, "--by-task", "--temperature", "1").json["defaults"]["options"] == {"top_p": 1.0}


def test_with_a_policy_the_base_is_asked_about_close_experts(run, two_experts):
    answer = run("generate", "question number 1", *SHORT, "--policy", "base", "--json").json
    assert answer["route"]["opinion"]["passes"] == 2
