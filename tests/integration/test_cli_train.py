from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest

from expert_kit.archive import ArchiveReader, load_source
from expert_kit.cli.progress import ProgressLine
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
    metrics = json.loads((folder / "metrics.json").read_text())
    assert f"s, {metrics['tokens']:,} tokens, {metrics['tokens_per_second']:,.0f} a second, loss " in trained.err


def test_the_report_goes_into_an_experts_package(trained, tmp_path: Path):
    write_source(tmp_path / "source")
    (tmp_path / "source" / "eval.yaml").write_bytes((tmp_path / "run" / "eval.json").read_bytes())
    result, general = load_source(tmp_path / "source").eval
    report = json.loads((tmp_path / "run" / "eval.json").read_text())["results"][0]
    assert (result.suite, result.n) == ("powers", 8)
    assert (result.value_ppm, result.base_ppm) == (report["expert"] * 1_000_000, report["base"] * 1_000_000)
    assert (general.suite, general.metric) == ("general-text", "perplexity")
    assert 0.9 < general.value_ppm / general.base_ppm < 1.1


def test_a_second_run_needs_resume_or_another_folder(trained, run, recipe: Path, tmp_path: Path):
    again = run("train", recipe, "--output", tmp_path / "run", "--device", "cpu", "--json")
    assert (again.code, again.out, again.error["code"]) == (12, "", "output_not_empty")
    more = run("train", recipe, "--output", tmp_path / "run", "--device", "cpu", "--resume", "--no-eval", "--json")
    assert more.json["steps"] == 3
    assert more.json["tokens"] == json.loads((tmp_path / "run" / "metrics.json").read_text())["tokens"] > 0
    assert "results" not in more.json


@pytest.mark.parametrize(("save_steps", "kept"), [(1, True), (3, False)])
def test_ctrl_c_names_the_command_that_goes_on_where_there_is_something_to_go_on_from(
    run, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save_steps: int, kept: bool
):
    update = ProgressLine.update

    def stop(self, task: str, done: int, *more: object) -> None:
        update(self, task, done, *more)
        if done == 2:
            raise KeyboardInterrupt

    words = ("train", recipe, "--output", tmp_path / "my run", "--device", "cpu", "--no-eval", "--set", f"save_steps={save_steps}")
    with monkeypatch.context() as patched:
        patched.setattr(ProgressLine, "update", stop)
        stopped = run(*words)
    assert stopped.code == 130
    _, found, command = stopped.err.partition("go on from the last checkpoint with: expert-kit ")
    assert bool(found) is kept
    if kept:
        assert run(*shlex.split(command.splitlines()[0])).code == 0
        assert json.loads((tmp_path / "my run" / "metrics.json").read_text())["steps"] == 3
    else:
        assert "nothing was kept; save_steps is 3" in stopped.err


def test_keys_can_be_set_and_wrong_ones_are_named(run, recipe: Path):
    done = run("train", recipe, "--set", "lora_rank=4", "--set", "learning_rate=-1")
    assert (done.code, done.out) == (6, "")
    assert "2 problem(s)" in done.err
    assert "--set: lora_rank: unknown key" in done.err
    assert run("train", recipe, "--set", "lora_r").code == 2


@pytest.mark.parametrize("value", ["{{adapter}}", "2024-02-30", "!!bool maybe", "[" * 3000, "{a: 1, a: 2}"])
def test_a_set_value_that_is_no_yaml_is_told_the_form(run, recipe: Path, value: str):
    done = run("train", recipe, "--set", f"init_adapter={value}", "--json")
    assert (done.code, done.error["code"]) == (2, "set_malformed")


def test_an_unknown_task_is_refused_before_training(run, recipe: Path, tmp_path: Path):
    recipe.write_text(recipe.read_text().replace("derivative", "derivitive"))
    done = run("train", recipe, "--output", tmp_path / "run")
    assert done.code == 6
    assert "did you mean derivative?" in done.err
    assert not (tmp_path / "run").exists()


def test_a_test_set_with_a_bad_row_is_refused_before_training(run, recipe: Path, tmp_path: Path):
    (recipe.parent / "test.jsonl").write_text('{"prompt": null, "completion": "x"}\n')
    done = run("train", recipe, "--output", tmp_path / "run", "--device", "cpu", "--json")
    assert (done.code, done.error["code"]) == (6, "table_malformed")
    assert "test.jsonl:1: no text under 'prompt'" in done.error["message"]
    assert not (tmp_path / "run").exists()


def test_prepare_only_makes_the_data_and_needs_no_base_model(run, recipe: Path, home: Path):
    script = "import argparse, pathlib\np = argparse.ArgumentParser()\np.add_argument('--out')\nout = pathlib.Path(p.parse_args().out)\n"
    (recipe.parent / "data.py").write_text(
        "import json\n" + script + "(out / 'test.jsonl').write_text(json.dumps({'prompt': 'a', 'completion': 'b'}))\n"
    )
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
    assert "expert-kit base pull OWNER/NAME, or FOLDER" in done.err


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


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("expert.yaml", "version: 0.1", "version: one"), "source_invalid"),
        (("expert.yaml", "tiny-llama", "unknown-base"), "base_unavailable"),
        (("routing/examples.jsonl", '"fit"', '"train"'), "routing_examples_invalid"),
        (("expert.yaml", "name:", "requires: {experts: {a/b: newest}}\nname:"), "source_invalid"),
    ],
    ids=str,
)
def test_what_packing_would_refuse_is_refused_before_training(run, recipe: Path, tmp_path: Path, change, code: str):
    source = write_source(recipe.parent / "expert", version="0.1.0", base="tiny-llama").parent
    shutil.rmtree(source / "adapter")
    (source / "eval.yaml").unlink()
    path, before, after = change
    (source / path).write_text((source / path).read_text().replace(before, after))
    done = run("train", recipe, "--output", tmp_path / "run", "--package", tmp_path / "dist", "--json")
    assert done.error["code"] == code
    assert not (tmp_path / "run").exists()


def test_an_expert_that_passes_the_gate_is_packed_by_train(run, recipe: Path, tmp_path: Path):
    # Rows that all have one answer: a few steps teach it, ordinary text does not suffer, and the base never says it.
    rows = [{"prompt": f"say {n}", "completion": "to sea"} for n in range(8)]
    for name in ("train", "validation", "test"):
        (recipe.parent / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe.write_text(recipe.read_text().replace("derivative", "exact").replace("max_new_tokens: 4", "max_new_tokens: 8"))
    source = write_source(recipe.parent / "expert", base="tiny-llama").parent
    shutil.rmtree(source / "adapter")
    more = ("--set", "learning_rate=0.01", "--set", "lora_r=8", "--set", "max_steps=30", "--set", "eval_strategy=no", "--device", "cpu")
    done = run("train", recipe, "--output", tmp_path / "run", "--package", tmp_path / "dist", *more, "--json")
    assert done.code == 0, done.err
    with ArchiveReader.open(Path(done.json["archive"])) as reader:
        powers, general = reader.manifest.eval or ()
    assert (powers.value_ppm, powers.base_ppm) == (1_000_000, 0)
    assert general.value_ppm <= 1.5 * (general.base_ppm or 0)


@pytest.mark.parametrize("where", ["recipe", "notes"])
def test_packing_writes_over_no_folder_that_is_not_a_runs(run, recipe: Path, tmp_path: Path, where: str):
    source = write_source(recipe.parent / "expert", base="tiny-llama").parent
    shutil.rmtree(source / "adapter")
    (source / "eval.yaml").unlink()
    output = recipe.parent if where == "recipe" else tmp_path / "mine"
    if where == "notes":
        (output / "expert").mkdir(parents=True)
        (output / "expert" / "notes.txt").write_text("mine")
    before = sorted(path.name for path in (output / "expert").iterdir())
    done = run("train", recipe, "--output", output, "--package", tmp_path / "dist", "--json")
    assert (done.code, done.error["code"]) == (2, "output_taken")
    assert sorted(path.name for path in (output / "expert").iterdir()) == before
    assert not (output / "run.json").exists()


def test_a_learning_rate_is_found_without_leaving_anything_but_its_curve(
    run, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("expert_kit.training.lr_finder.STEPS", 16)
    more = ("--set", "per_device_train_batch_size=1", "--device", "cpu")
    before = sorted(tmp_path.rglob("*"))
    few = run("train", recipe, "--find-lr", *more, "--json")
    assert (few.code, few.error["code"]) == (6, "lr_finder_rows")
    rows = [{"prompt": f"say {n}", "completion": "to sea"} for n in range(20)]
    (recipe.parent / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = run("train", recipe, "--find-lr", *more)
    assert done.code == 0, done.err
    assert f"--set learning_rate={float(done.out):.1e}" in done.err
    assert sorted(tmp_path.rglob("*")) == before
    found = run("train", recipe, "--find-lr", *more, "--output", tmp_path / "rates", "--json").json
    assert f"{found['suggestion']:.1e}" == done.out.strip()
    assert found == {**json.loads((tmp_path / "rates" / "lr_finder.json").read_text()), "recipe": 2e-4}
    assert (tmp_path / "rates" / "lr_finder.png").stat().st_size > 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--resume",), "find_lr_alone"),
        (("--package", "dist", "--sign", "release"), "find_lr_alone"),
        (("--set", "method=dpo"), "lr_finder_method"),
    ],
)
def test_what_a_learning_rate_is_not_found_for_is_refused_before_anything_is_loaded(run, recipe: Path, home: Path, words, code: str):
    (home / "bases").rename(home / "away")
    assert run("train", recipe, "--find-lr", *words, "--json").error["code"] == code


def test_a_learning_rate_is_found_in_one_process(run, recipe: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert run("train", recipe, "--find-lr", "--json").error["code"] == "find_lr_processes"
