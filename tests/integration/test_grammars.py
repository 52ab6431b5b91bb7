"""A grammar from an author's file to answers: packed, checked, installed, applied, measured."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from expert_kit.archive import ArchiveReader, package, validate
from expert_kit.errors import ArchiveError, ManifestError
from tests.support.builders import build_expert, lora_weights, tiny_base, tiny_spec, write_source

SHORT = ("--base", "tiny-llama", "--max-new-tokens", "12", "--dtype", "float32", "--json")
DIGITS = 'start: "n" D{3} | "none"\nD: "0".."9"\n'
FORM = "n[0-9]{3}|none"


def packed(folder: Path, record: Any, name: str, grammar: str | None, seed: int = 0) -> Path:
    source = folder / name
    spec = tiny_spec()
    weights = lora_weights(spec, record.linears, seed)
    written = write_source(
        source,
        name=f"acme/{name}",
        base=record.fingerprint.id,
        spec=spec,
        weights=weights,
        extra="grammar: rules/sql.lark\n" if grammar else "",
    )
    (source / "rules").mkdir()
    (source / "rules" / "sql.lark").write_text(grammar or "")
    return package(written, folder, [record])


@pytest.fixture
def digits(run, model_here, tiny_record, tmp_path: Path) -> str:
    """An installed expert for the tiny model that carries a grammar."""
    archive = packed(tmp_path, tiny_record, "digits", DIGITS)
    assert run("install", archive, "--unsafe-allow-unsigned").code == 0
    return "acme/digits"


def test_a_grammar_is_packed_and_sound(tmp_path: Path):
    archive = packed(tmp_path, tiny_base(), "digits", DIGITS)
    with ArchiveReader.open(archive) as reader:
        assert reader.manifest.grammar is not None
        assert (reader.manifest.grammar.path, reader.manifest.grammar.kind) == ("grammar/answer.lark", "lark")
        assert reader.read("grammar/answer.lark").decode() == DIGITS
    assert "grammar_invalid" not in [problem.code for problem in validate(archive)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("start: /a+/", "regular expression"),
        ("start: nothing", "unknown name"),
        ('start: (("a" b){1000} b){1000}\nb: "c"', "Too many items"),
    ],
)
def test_an_author_hears_of_a_bad_grammar(tmp_path: Path, text: str, said: str):
    with pytest.raises(ArchiveError, match=said) as caught:
        packed(tmp_path, tiny_base(), "bad", text)
    assert caught.value.code == "grammar_invalid"


@pytest.mark.parametrize(("named", "said"), [("../x.lark", "not a path inside"), ("gone.lark", "no file"), ("README.md", "no .lark file")])
def test_a_source_names_a_lark_file_of_its_own(tmp_path: Path, named: str, said: str):
    written = write_source(tmp_path / "source", extra=f"grammar: {named}\n")
    with pytest.raises(ManifestError, match=said):
        package(written, tmp_path, [tiny_base()])


def test_the_experts_grammar_is_in_force_unless_refused_or_replaced(run, digits, tmp_path: Path):
    held = run("generate", "hi", "-e", digits, *SHORT).json
    assert re.fullmatch(FORM, held["text"])
    assert held["grammar"]["origin"] == digits
    free = run("generate", "hi", "-e", digits, "--no-grammar", *SHORT).json
    assert free["grammar"] is None
    assert not re.fullmatch(FORM, free["text"])
    other = tmp_path / "other.lark"
    other.write_text('start: "other"')
    replaced = run("generate", "hi", "-e", digits, "--grammar", other, *SHORT).json
    assert (replaced["text"], replaced["grammar"]["origin"]) == ("other", str(other))
    assert run("generate", "hi", "-e", "base", *SHORT).json["grammar"] is None
    assert "held to a grammar" in run("generate", "hi", "-e", digits, *SHORT[:-1]).err


def test_of_two_equal_experts_the_first_one_named_has_the_form(run, digits, tiny_record, tmp_path: Path):
    for name, grammar in (("letters", 'start: "abc"\n'), ("free", None)):
        assert run("install", packed(tmp_path, tiny_record, name, grammar, seed=1), "--unsafe-allow-unsigned").code == 0
    for first, others, origin in (
        (digits, ["acme/letters"], digits),
        ("acme/letters", [digits], "acme/letters"),
        ("acme/free", [digits], None),
    ):
        mixed = run("generate", "hi", "-e", first, *(part for other in others for part in ("-e", other)), *SHORT).json
        assert (mixed["grammar"] or {}).get("origin") == origin
        assert mixed["warnings"] == []


@pytest.mark.parametrize(("weights", "form"), [((0.7, 0.3), FORM), ((0.3, 0.7), "abc")])
def test_the_expert_with_the_largest_weight_gives_a_mix_its_form(run, digits, tiny_record, tmp_path: Path, weights, form: str):
    archive = packed(tmp_path, tiny_record, "letters", 'start: "abc"\n', seed=1)
    assert run("install", archive, "--unsafe-allow-unsigned").code == 0
    mixed = run("generate", "hi", "-e", f"mix:{digits}@{weights[0]}+acme/letters@{weights[1]}", *SHORT).json
    assert re.fullmatch(form, mixed["text"])
    assert mixed["warnings"] == []


def test_one_that_only_helps_gives_no_form(run, digits, tiny_record, tmp_path: Path):
    archive = build_expert(tmp_path, record=tiny_record, seed=1, name="acme/plain")
    assert run("install", archive, "--unsafe-allow-unsigned").code == 0
    mixed = run("generate", "hi", "-e", f"mix:acme/plain@0.7+{digits}@0.3", *SHORT).json
    assert mixed["grammar"] is None


def test_bad_words_are_refused_before_the_base_is_loaded(run, model_here, tmp_path: Path):
    gone = run("generate", "hi", "--grammar", tmp_path / "gone.lark", *SHORT)
    assert (gone.code, gone.error["code"]) == (2, "grammar_file")
    both = run("generate", "hi", "--grammar", tmp_path / "gone.lark", "--no-grammar", *SHORT)
    assert (both.code, both.error["code"]) == (2, "usage_error")


def test_a_recipes_grammar_holds_the_adapter_and_not_the_base(run, recipe: Path, adapter: Path, tmp_path: Path):
    (recipe.parent / "rules.lark").write_text(DIGITS)
    recipe.write_text(recipe.read_text().replace("max_new_tokens: 4}", "max_new_tokens: 4, grammar: rules.lark}"))
    cases = tmp_path / "cases.jsonl"
    done = run("eval", adapter, "--recipe", recipe, "--cases", cases, "--json", "--dtype", "float32", "--limit", "4")
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in cases.read_text().splitlines()]
    held = [(row["experts"] == "base", bool(re.fullmatch(FORM, row["answer"]))) for row in rows]
    assert sorted(held) == [(False, True)] * 4 + [(True, False)] * 4
    scores = {score["experts"]: score for score in done.json["scores"]}
    assert "grammars" not in scores["base"]
    assert len(scores[str(adapter)]["grammars"]) == 1


@pytest.mark.parametrize(("named", "code"), [("../rules.lark", "recipe_invalid"), ("gone.lark", "recipe_grammar")])
def test_a_recipes_grammar_lies_beside_it(run, recipe: Path, adapter: Path, named: str, code: str):
    recipe.write_text(recipe.read_text().replace("max_new_tokens: 4}", f"max_new_tokens: 4, grammar: {named}}}"))
    done = run("eval", adapter, "--recipe", recipe, "--json")
    assert (done.code, done.error["code"]) == (6, code)


def test_an_installed_expert_is_measured_with_its_own_grammar(run, recipe: Path, digits):
    done = run("eval", digits, "--recipe", recipe, "--json", "--dtype", "float32", "--limit", "2")
    assert done.code == 0, done.err
    scores = {score["experts"]: score for score in done.json["scores"]}
    assert "grammars" not in scores["base"]
    assert len(scores[digits]["grammars"]) == 1


def test_a_package_whose_grammar_costs_too_much_answers_without_it(run, model_here, tiny_record, tmp_path: Path, monkeypatch):
    # Its author packed it with another tool: what it costs to follow is seen where it is applied.
    monkeypatch.setattr(sys.modules[package.__module__], "lark_problems", lambda data, where: [])
    archive = packed(tmp_path, tiny_record, "dear", 'start: (("a" b){1000} b){1000}\nb: "c"\n')
    assert run("install", archive, "--unsafe-allow-unsigned").code == 0
    answer = run("generate", "hi", "-e", "acme/dear", *SHORT).json
    assert answer["grammar"] is None
    assert [warning for warning in answer["warnings"] if "no grammar is in force" in warning and "Too many items" in warning]
