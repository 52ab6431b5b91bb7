from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

COMMON = ("--dtype", "float32", "--device", "cpu", "--batch-size", "4")


def test_target_and_base_stand_side_by_side(run, recipe: Path, adapter: Path):
    done = run("eval", adapter, "--recipe", recipe.parent, *COMMON)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == f"| suite | n | base | {adapter} |"
    assert lines[4] == f"| general text | tokens | base | {adapter} |"


def test_other_choices_can_be_compared_and_single_answers_kept(run, recipe: Path, two_experts, tmp_path: Path):
    chosen = ["--experts", "base", "--experts", "auto", "--experts", "expert-kit/sql"]
    done = run(
        "eval", "expert-kit/calculus", "--recipe", recipe, *chosen, "--limit", "3", "--cases", tmp_path / "cases.jsonl", "--json", *COMMON
    )
    assert done.code == 0, done.err
    assert [score["experts"] for score in done.json["scores"]] == ["base", "auto", "expert-kit/sql", "expert-kit/calculus"]
    assert [one["suite"] for one in done.json["results"]] == ["powers", "general-text"]
    assert [one["experts"] for one in done.json["general"]] == [score["experts"] for score in done.json["scores"]]
    cases = [json.loads(line) for line in (tmp_path / "cases.jsonl").read_text().splitlines()]
    assert len(cases) == 4 * 3
    assert {"suite", "experts", "id", "prompt", "answer", "expected", "ok", "reason"} <= cases[0].keys()


def test_a_recipe_without_tests_or_data_says_what_to_do(run, recipe: Path, adapter: Path):
    (recipe.parent / "test.jsonl").unlink()
    done = run("eval", adapter, "--recipe", recipe, *COMMON)
    assert (done.code, done.out) == (6, "")
    assert "--prepare-only" in done.err
    text = recipe.read_text()
    recipe.write_text(text[: text.index("tests:")] + text[text.index("lora_r:") :])
    bare = run("eval", adapter, "--recipe", recipe, "--json", *COMMON)
    assert (bare.code, bare.error["code"]) == (6, "recipe_without_tests")


def test_a_test_set_with_a_bad_row_is_refused_before_a_base_is_loaded(run, recipe: Path, home: Path, adapter: Path):
    (home / "bases").rename(home / "away")
    with (recipe.parent / "test.jsonl").open("a") as file:
        file.write('\n{"prompt": 5, "completion": "x"}\n')
    done = run("eval", adapter, "--recipe", recipe, "--json", *COMMON)
    assert (done.code, done.error["code"]) == (6, "table_malformed")
    assert "test.jsonl:10: no text under 'prompt'" in done.error["message"]
    (recipe.parent / "test.jsonl").unlink()
    done = run("eval", adapter, "--recipe", recipe, "--json", *COMMON)
    assert (done.code, done.error["code"]) == (6, "table_unreadable")


def test_missing_generated_tests_are_made_by_the_recipes_script(run, recipe: Path, adapter: Path):
    rows = (recipe.parent / "test.jsonl").rename(recipe.parent / "kept.jsonl")
    script = (
        "import pathlib, shutil, sys\n"
        "shutil.copy(pathlib.Path(__file__).with_name('kept.jsonl'), pathlib.Path(sys.argv[2]) / 'test.jsonl')\n"
    )
    (recipe.parent / "data.py").write_text(script)
    recipe.write_text(recipe.read_text().replace("dataset: {", "dataset: {prepare: data.py, "))
    done = run("eval", adapter, "--recipe", recipe, "--limit", "1", *COMMON)
    assert done.code == 0, done.err
    assert (recipe.parent / "test.jsonl").read_bytes() == rows.read_bytes()


def test_an_expert_that_is_not_installed_is_exit_3(run, recipe: Path):
    assert run("eval", "acme/gone", "--recipe", recipe, "--experts", "acme/gone", *COMMON).code == 3


def test_the_matrix_runs_each_expert_on_all_tests_and_keeps_table_and_picture(run, recipe: Path, two_experts, tmp_path: Path):
    pairs = [word for name in two_experts for word in ("--matrix", f"{name}={recipe.parent}")]
    done = run("eval", *pairs, "--limit", "2", "--out", tmp_path / "matrix", "--json", *COMMON)
    assert done.code == 0, done.err
    assert [(row["expert"], row["suite"], row["n"]) for row in done.json] == [(name, "powers", 2) for name in two_experts]
    assert all(set(row["experts"]) == set(two_experts) for row in done.json)
    assert all(row["oracle"]["accuracy"] >= row["own"]["accuracy"] for row in done.json)
    assert sorted(path.name for path in (tmp_path / "matrix").iterdir()) == ["matrix.json", "matrix.md", "matrix.png"]
    assert json.loads((tmp_path / "matrix" / "matrix.json").read_text()) == done.json


def test_interference_puts_every_other_expert_beside_each(run, recipe: Path, two_experts, tmp_path: Path):
    pairs = [word for name in two_experts for word in ("--matrix", f"{name}={recipe.parent}")]
    done = run("eval", *pairs, "--interference", "--limit", "2", "--out", tmp_path / "matrix", *COMMON)
    assert done.code == 0, done.err
    assert f"| domain | suite | n | alone | {' | '.join(f'+ {name}' for name in two_experts)} |" in done.out.splitlines()
    assert {path.name for path in (tmp_path / "matrix").iterdir()} >= {"interference.md", "interference.png"}
    found = json.loads((tmp_path / "matrix" / "matrix.json").read_text())
    assert [list(one["beside"]) for one in found] == [[two_experts[1]], [two_experts[0]]]


def test_a_matrix_of_words_that_do_not_fit_is_refused(run, recipe: Path, tmp_path: Path):
    other = shutil.copytree(recipe.parent, tmp_path / "other") / "recipe.yaml"
    other.write_text(recipe.read_text().replace("tiny-llama", "another"))
    for words, code in (
        (("--matrix", "expert-kit/sql"), "matrix_malformed"),
        (("--matrix", f"a/b={recipe}", "--matrix", f"a/b={recipe}"), "matrix_twice"),
        (("--matrix", f"a/b={recipe}", "--matrix", f"c/d={other}"), "matrix_bases"),
        (("expert-kit/sql", "--matrix", f"a/b={recipe}"), "eval_incomplete"),
        (("expert-kit/sql",), "eval_incomplete"),
        (("expert-kit/sql", "--recipe", recipe, "--out", "matrix"), "eval_incomplete"),
        (("expert-kit/sql", "--recipe", recipe, "--interference"), "eval_incomplete"),
        (("--matrix", f"a/b={recipe}", "--routed"), "eval_incomplete"),
        (("--matrix", f"a/b={recipe}", "--report", "here"), "eval_incomplete"),
    ):
        done = run("eval", *words, "--json")
        assert (done.code, done.error["code"]) == (2, code)


def test_an_expert_that_stands_twice_in_a_matrix_is_named(run, recipe: Path):
    error = run("eval", "--matrix", f"a/b={recipe}", "--matrix", f"a/b={recipe}", "--json").error
    assert error["message"] == "--matrix names a/b twice"
    assert "base model" not in error["next"]


def test_a_folder_that_is_none_of_an_adapter_is_refused_before_a_base_is_loaded(run, recipe: Path, adapter: Path, tmp_path, monkeypatch):
    monkeypatch.setattr("expert_kit.cli.eval.open_engine", lambda *_, **__: pytest.fail("the base was loaded"))
    report = tmp_path / "report"
    for words in (("./nope",), ("./nope", "--report", report), (adapter, "--experts", tmp_path)):
        done = run("eval", *words, "--recipe", recipe, "--json", *COMMON)
        assert (done.code, done.error["code"]) == (2, "adapter_folder")
        assert done.error["next"]
    (adapter / "adapter_model.safetensors").unlink()
    assert "adapter_model.safetensors is missing" in run("eval", adapter, "--recipe", recipe, "--json", *COMMON).error["message"]
    assert not report.exists()


def test_a_place_for_results_that_is_a_file_is_refused_with_what_can_be_done(run, recipe: Path, adapter: Path, tmp_path: Path):
    taken = tmp_path / "taken"
    taken.write_text("mine")
    for words, option in (
        ((adapter, "--recipe", recipe, "--report", taken), "--report"),
        (("--matrix", f"a/b={recipe}", "--out", taken), "--out"),
    ):
        error = run("eval", *words, "--json", *COMMON).error
        assert error["code"] == "out_invalid"
        assert error["message"].startswith(f"{option} {taken} is no folder")
        assert ".expert" not in error["message"] + error["next"]


def test_the_routers_choice_can_stand_beside(run, recipe: Path, two_experts):
    done = run("eval", "expert-kit/sql", "--recipe", recipe, "--routed", "--limit", "1", "--json", *COMMON)
    assert done.code == 0, done.err
    assert [score["experts"] for score in done.json["scores"]] == ["base", "auto", "expert-kit/sql"]


def test_general_text_can_be_ones_own_or_left_out(run, recipe: Path, adapter: Path, tmp_path: Path):
    mine = tmp_path / "mine.txt"
    mine.write_text("A passage that is long enough.\n\nAnd a second one, as long.\n")
    words = ("eval", adapter, "--recipe", recipe, "--limit", "1", "--json", *COMMON)
    done = run(*words, "--general-text", mine)
    assert done.json["results"][1]["n"] == len("A passage that is long enough.") - 1
    assert run(*words, "--no-general-text").json.keys() == {"results", "scores"}
    mine.write_bytes(b"\xff")
    bad = run(*words, "--general-text", mine)
    assert (bad.code, bad.error["code"]) == (6, "general_text_unreadable")


def test_a_report_is_json_a_card_and_a_picture_and_can_be_packed_and_attested(run, recipe: Path, two_experts, key, tmp_path: Path):
    folder = tmp_path / "report"
    done = run("eval", "expert-kit/sql", "--recipe", recipe, "--limit", "2", "--report", folder, "--json", *COMMON)
    assert done.code == 0, done.err
    assert json.loads((folder / "report.json").read_text()) == done.json
    assert (folder / "chart.png").read_bytes().startswith(b"\x89PNG")
    card = (folder / "card.md").read_text()
    assert card.startswith("# expert-kit/sql@1.0.0\n\nA tiny expert.\n")
    for part in (
        "`tiny-llama`, weights `sha256:",
        "LORA of rank 2 on q_proj, v_proj",
        "8 rows, `train.jsonl`",
        "Apache-2.0",
        "sql question",
    ):
        assert part in card
    archive = next((tmp_path / "two").glob("*sql*.expert"))
    attested = run("attest", archive, "--type", "eval", "--report", folder, "--key", key.name, "--json")
    assert attested.code == 0, attested.err
    (metrics,) = [one["metrics"] for one in attested.json["attestations"]]
    assert [row["suite"] for row in metrics] == ["powers", "general-text"]
    assert all(row["data_sha256"].startswith("sha256:") for row in metrics)


def test_an_expert_whose_evaluation_is_not_there_yet_gets_its_report(run, recipe: Path, adapter: Path, tmp_path: Path):
    """The first report is made for a source that already names it."""
    source = tmp_path / "source"
    shutil.copytree(adapter, source / "adapter")
    (source / "expert.yaml").write_text(
        "name: acme/x\nversion: 1.0.0\nlicense: MIT\nsummary: x\nadapter: adapter/\nbase: tiny\neval: eval.yaml\n"
    )
    done = run("eval", source / "adapter", "--recipe", recipe, "--limit", "1", "--report", tmp_path / "report", "--json", *COMMON)
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "report" / "report.json").read_text()) == done.json
    assert "eval.yaml" in done.err


def test_a_file_that_cannot_be_written_does_not_cost_the_numbers(run, recipe: Path, adapter: Path, tmp_path: Path):
    (tmp_path / "file").write_text("")
    done = run("eval", adapter, "--recipe", recipe, "--limit", "1", "--cases", tmp_path / "file" / "cases.jsonl", "--json", *COMMON)
    assert done.code == 7
    assert done.json["results"]
    assert done.error["code"] == "output_unwritable"


def test_what_a_report_needs_is_read_before_anything_is_run(run, recipe: Path, adapter: Path, tmp_path: Path):
    (adapter / "adapter_config.json").write_text("{}")
    done = run("eval", adapter, "--recipe", recipe, "--experts", "base", "--report", tmp_path / "report", *COMMON)
    assert done.code != 0
    assert "powers, base" not in done.err


def test_a_mix_stands_beside_its_experts_and_the_oracle(run, recipe: Path, two_experts):
    mix = "mix:expert-kit/sql@1+expert-kit/calculus@1"
    words = ("eval", mix, "--recipe", recipe, "--experts", "expert-kit/sql", "--experts", "expert-kit/calculus", "--oracle")
    done = run(*words, "--limit", "1", "--json", *COMMON)
    assert done.code == 0, done.err
    assert [score["experts"] for score in done.json["scores"]] == ["expert-kit/sql", "expert-kit/calculus", mix, "oracle"]


def test_the_harness_is_an_extra_that_the_error_names(run, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "lm_eval" else find(name, *rest))
    done = run("eval", "expert-kit/sql", "--lm-eval", "arc_easy", "--json")
    assert (done.code, done.error["code"]) == (10, "lm_eval_missing")
    assert done.error["next"] == 'pip install "expert-kit[lm-eval]"'


def test_words_that_do_not_go_with_the_harness_are_refused(run, recipe: Path):
    for words in (
        ("expert-kit/sql", "--lm-eval", " , "),
        ("--lm-eval", "arc_easy"),
        ("expert-kit/sql", "--lm-eval", "arc_easy", "--recipe", recipe),
        ("expert-kit/sql", "--recipe", recipe, "--num-fewshot", "1"),
        ("expert-kit/sql", "--recipe", recipe, "--base", "tiny-llama"),
    ):
        done = run("eval", *words, "--json")
        assert (done.code, done.error["code"]) == (2, "eval_incomplete")
