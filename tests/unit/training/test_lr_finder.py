import itertools
import json

import pytest

from expert_kit.errors import DataError, RecipeError, TrainingError
from expert_kit.training import find_learning_rate, load_recipe, write_rate_test
from expert_kit.training import lr_finder as finder
from tests.unit.training.test_kinds import KINDS
from tests.unit.training.test_sft import write_recipe

WORDS = ("red", "green", "blue", "white", "black", "violet")


def recipe_of(folder, rows=30, **changes):
    changes = {"peft_type": "lora", "lora_r": 4, "lora_alpha": 8} | changes
    path = write_recipe(folder, **changes)
    lines = [json.dumps({"prompt": f"say {WORDS[n % 6]}", "completion": WORDS[n % 6]}) for n in range(rows)]
    (folder / "train.jsonl").write_text("\n".join(lines) + "\n")
    if changes["peft_type"] != "lora":
        path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if not line.startswith("lora_")))
    return path


def find(path, base, **options):
    return find_learning_rate(load_recipe(path), path.parent, base, **options)


def test_rates_grow_until_the_loss_goes_up_and_the_base_comes_out_as_it_went_in(tmp_path, tiny, monkeypatch):
    monkeypatch.setattr(finder, "STEPS", 40)
    path = recipe_of(tmp_path / "recipe")
    before = {name: value.clone() for name, value in tiny.model.state_dict().items()}
    seen = []
    found = find(path, tiny, report=seen.append)
    rates = [point.learning_rate for point in found.points]
    assert rates[0] == pytest.approx(finder.LOWEST)
    ratios = [after / before for before, after in itertools.pairwise(rates)]
    assert ratios == pytest.approx([ratios[0]] * len(ratios))
    assert found.diverged
    assert len(rates) < finder.STEPS
    assert rates[-1] > 10 * found.suggestion == 10 * found.tenth_of_lowest
    assert found.points[-1].smoothed > 1.5 * min(point.smoothed for point in found.points)
    assert [event.step for event in seen] == list(range(len(rates) + 1))
    assert before.keys() == tiny.model.state_dict().keys()
    assert all(value.equal(before[name]) for name, value in tiny.model.state_dict().items())
    assert not any(parameter.requires_grad for parameter in tiny.model.parameters())
    assert {file.name for file in path.parent.iterdir()} == {"recipe.yaml", "train.jsonl", "validation.jsonl"}


def test_the_same_seed_gives_the_same_losses_and_a_lower_stated_rate_changes_nothing(tmp_path, tiny, monkeypatch):
    monkeypatch.setattr(finder, "STEPS", 16)
    monkeypatch.setattr(finder, "LOWEST", 1e-3)
    first = find(recipe_of(tmp_path / "one"), tiny)
    again = find(recipe_of(tmp_path / "two", learning_rate="0.0001", lr_scheduler_type="linear", max_steps=2), tiny)
    other = find(recipe_of(tmp_path / "three", seed=7), tiny)
    assert first.points == again.points
    assert first.points != other.points


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_adapter_gets_a_rate_at_which_it_learns(tmp_path, tiny, monkeypatch, kind):
    monkeypatch.setattr(finder, "STEPS", 24)
    found = find(recipe_of(tmp_path / "recipe", **KINDS[kind]), tiny)
    assert finder.LOWEST < found.suggestion < finder.HIGHEST
    assert found.points[0].smoothed > 1.05 * min(point.smoothed for point in found.points)


def test_a_method_that_it_does_not_know_is_refused(tmp_path, tiny):
    with pytest.raises(RecipeError) as caught:
        find(recipe_of(tmp_path / "recipe", method="dpo"), tiny)
    assert caught.value.code == "lr_finder_method"


def test_too_few_rows_are_refused_with_their_number(tmp_path, tiny):
    with pytest.raises(DataError, match="29 rows are 9 batches of 3") as caught:
        find(recipe_of(tmp_path / "recipe", rows=29), tiny)
    assert caught.value.code == "lr_finder_rows"


def test_losses_that_never_fall_are_no_ground_for_a_suggestion():
    for losses in ([], [2.0], [2.0] * 30, [2.0 + step / 10 for step in range(30)]):
        with pytest.raises(TrainingError) as caught:
            finder._judge(losses, diverged=True, seconds=0.0)
        assert caught.value.code == "lr_finder_no_descent"


def test_a_base_that_is_broken_from_the_start_is_no_ground_either(tmp_path, tiny_folder, tiny_record):
    from expert_kit.adapters import load_base

    broken = load_base(tiny_folder, tiny_record, device="cpu", dtype="float32")
    broken.model.get_input_embeddings().weight.data.fill_(float("nan"))
    with pytest.raises(TrainingError) as caught:
        find(recipe_of(tmp_path / "recipe"), broken)
    assert caught.value.code == "lr_finder_no_descent"


def test_a_known_curve_is_read_as_its_formula_says():
    # Flat to step 20, down a straight line to step 60, up from there.
    losses = [4.0] * 20 + [4.0 - (step - 20) / 20 for step in range(20, 60)] + [2.0 + (step - 60) / 4 for step in range(60, 90)]
    found = finder._judge(losses, diverged=True, seconds=1.0)
    assert found.suggestion == found.tenth_of_lowest == pytest.approx(finder._rate(59) / 10, rel=0.4)
    assert finder._rate(22) < found.steepest < finder._rate(58)
    assert finder._has_diverged(losses)
    assert not finder._has_diverged(losses[:65])
    assert finder.smooth([3.0] * 7) == pytest.approx([3.0] * 7)


def test_a_loss_that_never_goes_up_says_nothing_by_its_lowest_point():
    losses = [4.0] * 20 + [4.0 - (step - 20) / 10 for step in range(20, 40)] + [2.0 - (step - 40) / 1000 for step in range(40, 101)]
    found = finder._judge(losses, diverged=False, seconds=1.0)
    assert found.tenth_of_lowest == pytest.approx(finder.HIGHEST / 10)
    assert finder._rate(20) < found.suggestion == found.steepest < finder._rate(40)


def test_the_curve_is_written_as_a_picture_and_as_numbers(tmp_path):
    losses = [4.0 - min(step, 40) / 20 + max(step - 40, 0) / 4 for step in range(60)]
    found = finder._judge(losses, diverged=True, seconds=1.0)
    write_rate_test(found, tmp_path / "new" / "folder")
    folder = tmp_path / "new" / "folder"
    assert sorted(file.name for file in folder.iterdir()) == ["lr_finder.json", "lr_finder.png"]
    assert (folder / "lr_finder.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((folder / "lr_finder.json").read_text())["points"][3]["learning_rate"] == pytest.approx(finder._rate(3))
