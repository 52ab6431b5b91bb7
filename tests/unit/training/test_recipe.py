from pathlib import Path

import pytest

from expert_kit.errors import RecipeError
from expert_kit.training import load_recipe, prepare_data

GOOD = """\
model_name_or_path: smollm2-135m
dataset: {train: train.jsonl, validation: validation.jsonl}
learning_rate: 1.0e-3
lora_r: 4
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


def test_defaults_and_given_values(tmp_path):
    recipe = load_recipe(write(tmp_path, GOOD), {"max_steps": 3})
    assert (recipe.lora_r, recipe.learning_rate, recipe.max_steps, recipe.lora_alpha) == (4, 1e-3, 3, 32)


def test_an_unquoted_no_means_no(tmp_path):
    assert load_recipe(write(tmp_path, GOOD + "eval_strategy: no\n")).eval_strategy == "no"


def test_all_problems_are_listed_with_their_lines(tmp_path):
    path = write(tmp_path, GOOD + "lora_rank: 8\nwarmup_steps: -1\nlora_target_modules: ['a|b']\ntests:\n  hand: {path: x, tsk: sql}\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    message = caught.value.message
    assert f"{path}:5: lora_rank: unknown key, did you mean lora_r?" in message
    assert f"{path}:6: warmup_steps" in message
    assert f"{path}:7: lora_target_modules" in message
    assert f"{path}:9: tests.hand.tsk: unknown key, did you mean task?" in message
    assert "tests.hand.task: Field required" in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", r'not a YAML file(.|\n)*recipe.yaml", line 1'),
        ("- a\n", "a mapping"),
        (GOOD + "lora_r: 5\n", "given twice"),
        (GOOD + "early_stopping_patience: 2\neval_steps: 30\nsave_steps: 50\n", "multiple of eval_steps"),
        (GOOD + "x: !!python/object/apply:os.system [ls]\n", "not a YAML file"),
        (GOOD + "init_adapter: {{adapter}}\n", r'needs quotes(.|\n)*recipe.yaml", line 5'),
        (GOOD + "note: 2024-02-30\n", r'none of its kind(.|\n)*recipe.yaml", line 5'),
        (GOOD + "note: !!bool maybe\n", "none of its kind"),
        (GOOD + "note: !!timestamp soon\n", "none of its kind"),
        (GOOD + "note: !!map [[a]]\n", "none of its kind"),
        (GOOD + f"seed: {'9' * 5000}\n", "none of its kind"),
        ("[" * 3000, "nested too deeply"),
        (GOOD + "note: " + "[" * 3000, "nested too deeply"),
    ],
)
def test_broken_recipes(tmp_path, text, words):
    with pytest.raises(RecipeError, match=words):
        load_recipe(write(tmp_path, text))


@pytest.mark.parametrize(
    "line",
    ["seed: 4294967296", "num_train_epochs: .inf", "num_train_epochs: .nan", "warmup_steps: .inf", "max_steps: 0", "max_steps: -2"],
)
def test_numbers_that_no_training_can_use_are_named(tmp_path, line):
    with pytest.raises(RecipeError, match=f"recipe.yaml:5: {line.partition(':')[0]}: "):
        load_recipe(write(tmp_path, GOOD + line + "\n"))


def test_the_ends_of_what_numbers_may_be(tmp_path):
    recipe = load_recipe(write(tmp_path, GOOD + "seed: 4294967295\nmax_steps: 1\nmax_grad_norm: .inf\n"))
    assert (recipe.seed, recipe.max_steps, recipe.max_grad_norm) == (2**32 - 1, 1, float("inf"))
    assert load_recipe(write(tmp_path, GOOD + "max_steps: -1\n")).max_steps == -1


def test_a_missing_file_is_a_typed_error(tmp_path):
    with pytest.raises(RecipeError, match="cannot read"):
        load_recipe(tmp_path / "none.yaml")


def test_missing_data_without_a_script_names_the_files(tmp_path):
    recipe = load_recipe(write(tmp_path, GOOD))
    with pytest.raises(RecipeError, match=r"train\.jsonl, validation\.jsonl"):
        prepare_data(recipe, tmp_path)


def test_missing_data_is_made_by_the_recipes_script(tmp_path):
    (tmp_path / "data.py").write_text(
        "import pathlib, sys\nout = pathlib.Path(sys.argv[2])\nout.mkdir(exist_ok=True)\n"
        "for name in ('train', 'validation'): (out / f'{name}.jsonl').write_text('')\n"
    )
    text = GOOD.replace(
        "{train: train.jsonl, validation: validation.jsonl}", "{prepare: data.py, train: d/train.jsonl, validation: d/validation.jsonl}"
    )
    recipe = load_recipe(write(tmp_path, text))
    prepare_data(recipe, tmp_path)
    assert (tmp_path / "d/train.jsonl").is_file()
    (tmp_path / "d/train.jsonl").unlink()
    (tmp_path / "data.py").write_text("raise SystemExit('no luck')")
    with pytest.raises(RecipeError, match="no luck"):
        prepare_data(recipe, tmp_path)
