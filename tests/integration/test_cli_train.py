from __future__ import annotations

import json
from pathlib import Path

import pytest

from expert_kit.archive import load_source
from tests.support.builders import write_source


@pytest.fixture
def trained(run, recipe: Path, tmp_path: Path):
    done = run("train", recipe.parent, "--output", tmp_path / "run", "--device", "cpu", "--with-base")
    assert done.code == 0, done.err
    return done


def test_a_run_leaves_adapter_curve_and_report_and_prints_the_table(trained, tmp_path: Path):
    folder = tmp_path / "run"
    for name in ("adapter/adapter_config.json", "adapter/adapter_model.safetensors", "loss.png", "metrics.json", "eval.json"):
        assert (folder / name).stat().st_size > 0
    lines = trained.out.splitlines()
    assert lines[0] == "| suite | n | base | adapter |"
    assert lines[2].startswith("| powers | 8 | ")
    assert f"adapter: {folder / 'adapter'}" in trained.err
    assert "trained 3 steps" in trained.err


def test_the_report_goes_into_an_experts_package(trained, tmp_path: Path):
    write_source(tmp_path / "source")
    (tmp_path / "source" / "eval.yaml").write_bytes((tmp_path / "run" / "eval.json").read_bytes())
    (result,) = load_source(tmp_path / "source").eval
    report = json.loads((tmp_path / "run" / "eval.json").read_text())["results"][0]
    assert (result.suite, result.n) == ("powers", 8)
    assert (result.value_ppm, result.base_ppm) == (report["expert"] * 1_000_000, report["base"] * 1_000_000)


def test_a_second_run_needs_resume_or_another_folder(trained, run, recipe: Path, tmp_path: Path):
    again = run("train", recipe, "--output", tmp_path / "run", "--device", "cpu", "--json")
    assert (again.code, again.out, again.error["code"]) == (12, "", "output_not_empty")
    more = run("train", recipe, "--output", tmp_path / "run", "--device", "cpu", "--resume", "--no-eval", "--json")
    assert more.json["steps"] == 3
    assert "results" not in more.json


def test_keys_can_be_set_and_wrong_ones_are_named(run, recipe: Path):
    done = run("train", recipe, "--set", "lora_rank=4", "--set", "learning_rate=-1")
    assert (done.code, done.out) == (6, "")
    assert "2 problem(s)" in done.err
    assert run("train", recipe, "--set", "lora_r").code == 2


def test_an_unknown_task_is_refused_before_training(run, recipe: Path, tmp_path: Path):
    recipe.write_text(recipe.read_text().replace("derivative", "derivitive"))
    done = run("train", recipe, "--output", tmp_path / "run")
    assert done.code == 6
    assert "did you mean derivative?" in done.err
    assert not (tmp_path / "run").exists()


def test_prepare_only_makes_the_data_and_needs_no_base_model(run, recipe: Path, home: Path):
    script = "import argparse, pathlib\np = argparse.ArgumentParser()\np.add_argument('--out')\nout = pathlib.Path(p.parse_args().out)\n"
    (recipe.parent / "data.py").write_text(script + "(out / 'test.jsonl').write_text('')\n")
    recipe.write_text(recipe.read_text().replace("dataset: {", "dataset: {prepare: data.py, "))
    (recipe.parent / "test.jsonl").unlink()
    (home / "bases").rename(home / "away")
    done = run("train", recipe, "--prepare-only")
    assert done.code == 0, done.err
    assert done.out.splitlines()[-1] == str(recipe.parent / "test.jsonl")


def test_without_the_base_model_nothing_starts(run, recipe: Path, home: Path, tmp_path: Path):
    (home / "bases").rename(home / "away")
    done = run("train", recipe, "--output", tmp_path / "run")
    assert done.code == 5
    assert "expert-kit base pull tiny-llama" in done.err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--sign", "release"), "sign_without_package"),
        (("--package", "dist", "--no-eval"), "package_untested"),
        (("--package", "dist"), "recipe_without_expert"),
        (("--package", "x.expert"), "out_invalid"),
    ],
)
def test_what_packing_needs_is_looked_for_before_training(run, recipe: Path, tmp_path: Path, words, code: str):
    done = run("train", recipe, "--output", tmp_path / "run", *words, "--json")
    assert (done.code, done.error["code"]) == (2, code)
    assert not (tmp_path / "run").exists()
