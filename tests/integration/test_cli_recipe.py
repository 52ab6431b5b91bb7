from __future__ import annotations

from pathlib import Path

import pytest

from expert_kit.archive import ArchiveReader
from expert_kit.cli.train_package import check_source
from expert_kit.signing import KeyInfo
from expert_kit.training import load_recipe


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "tickets.csv"
    path.write_text("asked,said,team\n" + "".join(f"how do i do {n}?,do {n} twice,desk {n % 3}\n" for n in range(40)))
    return path


def new(run, table: Path, folder: Path, *more: object):
    words = ("recipe", "new", "acme/support", "--data", table, "--license", "MIT", "--out", folder, "--base", "tiny-llama")
    return run(*words, "--completion", "said", *more)


def test_from_a_table_to_an_installed_expert(run, table: Path, tmp_path: Path, model_here: str, key: KeyInfo):
    folder = tmp_path / "support"
    made = new(run, table, folder, "--prompt", "{team} asks: {asked}")
    assert (made.code, made.out) == (0, f"{folder}\n"), made.err
    assert "prompt: {team} asks: {asked}; answer: said" in made.err
    assert "33 train, 3 validation, 4 test, 0 repeated, 0 contradicting rows" in made.err
    words = ("train", folder, "--output", tmp_path / "run", "--package", tmp_path / "dist", "--sign", "release", "--device", "cpu")
    more = ("--set", "max_steps=6", "--set", "learning_rate=0.1", "--set", "eval_strategy=no")
    trained = run(*words, *more, "--json")
    assert (trained.code, trained.error["code"]) == (6, "expert_not_better")
    assert not list((tmp_path / "dist").glob("*"))
    trained = run(*words, "--resume", "--allow-worse", *more, "--json")
    assert trained.code == 0, trained.err
    assert trained.json["signers"] == [key.key_id]
    result, general = trained.json["results"]
    assert (result["suite"], result["n"], "base" in result) == ("held_out", 4, True)
    assert (general["suite"], general["metric"], "base" in general) == ("general-text", "perplexity", True)
    assert run("keys", "trust", "release", "--scope", "acme/*").code == 0
    installed = run("install", trained.json["archive"], "--json")
    assert installed.code == 0, installed.err
    assert "tickets.csv" in run("info", "acme/support", "--json").json["summary"]
    with ArchiveReader.open(Path(trained.json["archive"])) as reader:
        rows = [(found.suite, found.n) for found in reader.manifest.eval or ()]
    assert rows == [("held_out", 4), ("general-text", general["n"]), ("gate:overridden", 2)]


def test_what_is_written_is_said_as_json_too(run, table: Path, tmp_path: Path, home: Path):
    made = new(run, table, tmp_path / "support", "--prompt", "asked", "--json")
    assert made.code == 0, made.err
    assert made.json == {
        "folder": str(tmp_path / "support"),
        "prompt": "asked",
        "completion": "said",
        "train": 33,
        "validation": 3,
        "test": 4,
        "repeated": 0,
        "contradicting": 0,
        "too_long": 0,
    }


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (("--prompt", "title"), "columns_unknown"),
        (("--prompt", "asked", "--task", "exacct"), "task_unknown"),
        (("--prompt", "asked", "--license", "free for all!"), "license_invalid"),
        (("--prompt", "asked", "--license", "banana"), "license_invalid"),
        (("--prompt", "asked", "--summary", "x" * 501), "summary_invalid"),
        (("--prompt", "asked", "--base", "no such/base!"), "base_unknown"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(run, table: Path, tmp_path: Path, home: Path, more, code: str):
    done = new(run, table, tmp_path / "out" / "support", *more, "--json")
    assert done.code != 0
    assert done.error["code"] == code
    assert not (tmp_path / "out").exists()


def test_a_name_with_a_version_or_without_a_namespace_is_refused(run, table: Path, tmp_path: Path, home: Path):
    for name, code in (("acme/support@1.0.0", "version_unexpected"), ("support", "name_invalid")):
        done = run("recipe", "new", name, "--data", table, "--license", "MIT", "--json")
        assert done.error["code"] == code


def test_a_folder_that_is_there_is_left_alone(run, table: Path, tmp_path: Path, home: Path):
    (tmp_path / "support").mkdir()
    (tmp_path / "support" / "mine.txt").write_text("mine")
    done = new(run, table, tmp_path / "support", "--prompt", "asked", "--json")
    assert (done.code, done.error["code"]) == (2, "folder_exists")
    assert [path.name for path in (tmp_path / "support").iterdir()] == ["mine.txt"]


def test_half_a_recipe_is_never_left(run, table: Path, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("expert_kit.training.new_recipe._examples", full)
    done = new(run, table, tmp_path / "out" / "support", "--prompt", "asked", "--json")
    assert done.error["code"] == "output_unwritable"
    assert list((tmp_path / "out").iterdir()) == []


def test_what_is_written_is_what_packing_takes(run, tmp_path: Path, base_here: None):
    table = tmp_path / "tickets.csv"
    table.write_text("asked,said\n" + "".join(f"how do i 👩\u200d💻 {n}?,do {n} twice\n" for n in range(40)))
    done = new(run, table, tmp_path / "support", "--prompt", "asked", "--base", "Tiny", "--summary", "x" * 500)
    assert done.code == 0, done.err
    assert check_source(tmp_path / "support") == tmp_path / "support" / "expert"


def test_a_base_is_named_by_its_id(run, table: Path, tmp_path: Path, home: Path):
    known, other = "HuggingFaceTB/SmolLM2-135M-Instruct", "Some/Other_Model"
    for name, base_id in ((known, "smollm2-135m"), (other, "some--other_model")):
        folder = tmp_path / base_id
        done = new(run, table, folder, "--prompt", "asked", "--base", name)
        assert done.code == 0, done.err
        assert load_recipe(folder / "recipe.yaml").model_name_or_path == base_id
        assert f"base: {base_id}\n" in (folder / "expert" / "expert.yaml").read_text()


def test_rows_that_are_longer_than_the_recipe_allows_are_said(run, tmp_path: Path, home: Path):
    table = tmp_path / "tickets.csv"
    table.write_text("asked,said\n" + "".join(f"how {n}?,{'long ' * (300 if n < 7 else 1)}\n" for n in range(40)))
    done = new(run, table, tmp_path / "support", "--prompt", "asked")
    assert done.code == 0, done.err
    assert "warning: 7 rows may be longer than max_new_tokens or max_length in recipe.yaml" in done.err
    assert new(run, table, tmp_path / "again", "--prompt", "asked", "--json").json["too_long"] == 7


def test_a_column_can_say_what_is_held_out(run, tmp_path: Path, home: Path):
    table = tmp_path / "tickets.csv"
    parts = ["train"] * 30 + ["dev"] * 5 + ["test"] * 5
    table.write_text("asked,said,part\n" + "".join(f"how {at}?,so {at},{part}\n" for at, part in enumerate(parts)) + "how 0?,no,test\n")
    made = new(run, table, tmp_path / "support", "--prompt", "asked", "--split", "part", "--json")
    assert made.code == 0, made.err
    assert [made.json[part] for part in ("train", "validation", "test")] == [30, 5, 6]
    assert "; 1 held-out prompts are in train.jsonl too" in (tmp_path / "support" / "recipe.yaml").read_text().splitlines()[1]
    for column, code in (("said", "split_unknown"), ("gone", "columns_unknown")):
        assert new(run, table, tmp_path / "other", "--prompt", "asked", "--split", column, "--json").error["code"] == code
    table.write_text("asked,said,part\n" + "".join(f"how {at}?,so {at},train\n" for at in range(40)))
    assert new(run, table, tmp_path / "other", "--prompt", "asked", "--split", "part", "--json").error["code"] == "too_few_rows"
