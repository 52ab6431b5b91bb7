import json
from pathlib import Path

import pytest

from expert_kit.archive import load_source
from expert_kit.errors import ManifestError
from expert_kit.manifest import EvalResult
from tests.support.builders import write_source


def problems_of(source: Path) -> str:
    with pytest.raises(ManifestError) as caught:
        load_source(source)
    assert caught.value.code == "source_invalid"
    return caught.value.message


def edit(source: Path, old: str, new: str) -> Path:
    text = source.read_text()
    assert old in text
    source.write_text(text.replace(old, new))
    return source


def test_a_source_is_read_from_its_file_or_folder(tmp_path):
    path = write_source(tmp_path)
    source = load_source(path)
    assert source == load_source(tmp_path)
    assert (source.name, source.version, source.publisher, source.tags) == ("expert-kit/tiny", "1.0.0", "expert-kit", ("sql", "tiny"))
    assert source.bases == ("tiny",)
    assert source.adapter == tmp_path / "adapter"
    assert source.examples == tmp_path / "routing/examples.jsonl"
    assert source.card == tmp_path / "README.md"
    assert source.eval == (EvalResult(suite="tiny-suite", metric="accuracy", n=200, value_ppm=500_000, base_ppm=125_000),)


def test_optional_fields_may_be_left_out(tmp_path):
    path = write_source(tmp_path)
    path.write_text("name: a/b\nversion: 0.1.0\nlicense: MIT\nsummary: x\nadapter: adapter\nbase: [tiny, other]\n")
    source = load_source(path)
    assert (source.publisher, source.bases, source.examples, source.eval) == ("a", ("tiny", "other"), None, ())


def test_fields_for_later_are_taken(tmp_path):
    extra = 'publisher: expert-kit\ncapabilities: [sql]\nrequires: {expert-kit: ">=1", experts: {a/b: "^1.0.0"}}\nconflicts: {a/c: "*"}\n'
    source = load_source(write_source(tmp_path, extra=extra))
    assert source.publisher == "expert-kit"
    assert source.requires == {"expert-kit": ">=1", "experts": {"a/b": "^1.0.0"}}
    assert source.conflicts == {"a/c": "*"}
    assert source.capabilities == ("sql",)


def test_a_licence_is_one_that_spdx_lists_or_ones_own(tmp_path):
    path = write_source(tmp_path)
    assert load_source(edit(path, "license: Apache-2.0", "license: mit OR licenseref-mine")).license == "MIT OR LicenseRef-mine"
    assert "LicenseRef-NAME" in problems_of(edit(path, "license: mit OR licenseref-mine", "license: banana"))


def test_all_problems_are_listed_at_once(tmp_path):
    path = edit(write_source(tmp_path), "version: 1.0.0", "version: 1.0")
    edit(path, "license: Apache-2.0", "licence: Apache-2.0")
    message = problems_of(path)
    assert all(word in message for word in ("version", "license", "licence"))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("tags: [tiny, sql]", "tags: [tiny, sql]\ntags: [x]", "twice"),
        ("routing: {examples: routing/examples.jsonl}", "routing: {examples: a, examples: b}", "twice"),
        ("tags: [tiny, sql]", "tags: &a [tiny]\ncapabilities: *a", "aliases"),
        ("summary: A tiny expert.", "summary: !!python/object/apply:os.getcwd []", "not YAML"),
        ("summary: A tiny expert.", "summary: [", "not YAML"),
        ("summary: A tiny expert.", "? [a]\n: b", "plain text"),
        ("summary: A tiny expert.", "summary: 2024-02-30", "not YAML"),
        ("summary: A tiny expert.", "summary: !!bool maybe", "not YAML"),
        ("summary: A tiny expert.", "summary: !!timestamp soon", "not YAML"),
        ("summary: A tiny expert.", "summary: !!map [[a]]", "not YAML"),
        ("adapter: adapter/", "adapter: ../adapter", "adapter: "),
        ("adapter: adapter/", "adapter: /adapter", "adapter: "),
        ("adapter: adapter/", "adapter: missing", "no folder"),
        ("adapter: adapter/", "adapter: README.md", "no folder"),
        ("card: README.md", "card: missing.md", "no file"),
        ("card: README.md", "card: routing", "no file"),
        ("card: README.md", "card: a/../README.md", "card: "),
        ("card: README.md", 'card: "a\\\\..\\\\README.md"', "card: "),
        ("card: README.md", 'card: "a\\u001b[1m"', "card: "),
        ("base: tiny", "base: []", "base"),
        ("base: tiny", "base: 7", "base"),
    ],
)
def test_bad_sources_are_refused(tmp_path, old, new, expected):
    message = problems_of(edit(write_source(tmp_path), old, new))
    assert expected in message
    assert message.isprintable()


def test_links_that_lead_out_are_refused(tmp_path):
    path = write_source(tmp_path / "source")
    (tmp_path / "secret.md").write_text("secret")
    (path.parent / "README.md").unlink()
    (path.parent / "README.md").symlink_to(tmp_path / "secret.md")
    assert "card: " in problems_of(path)


@pytest.mark.parametrize(
    "text", ["- {suite: s, n: 0, expert: 1.0}", "- {suite: s, n: 5}", "- {suite: s, n: 5, expert: .nan}", "rows: []", "5"]
)
def test_bad_evaluation_reports_are_refused(tmp_path, text):
    path = write_source(tmp_path)
    (tmp_path / "eval.yaml").write_text(text)
    assert "eval: " in problems_of(path)


def test_fractions_become_millionths_without_rounding_errors(tmp_path):
    path = write_source(tmp_path)
    rows = "results:\n- {suite: s, metric: exact_match, n: 300, base: 0, expert: 0.57, seed: 1}\n- {suite: t, n: 3, expert: 0.3333333333}\n"
    (tmp_path / "eval.yaml").write_text(rows + "date: 2025-01-01\n")
    first, second = load_source(path).eval
    assert (first.value_ppm, first.base_ppm, first.metric) == (570_000, 0, "exact_match")
    assert (second.value_ppm, second.base_ppm) == (333_333, None)


def test_a_report_may_be_json_whose_numbers_yaml_takes_for_text(tmp_path):
    path = write_source(tmp_path)
    rows = [{"suite": "s", "n": 20_000, "expert": 5e-05, "base": 0.0}, {"suite": "t", "n": 20_000, "expert": 1.5e-05, "base": -2e-05}]
    (tmp_path / "eval.yaml").write_text(json.dumps({"results": rows}))
    assert [(row.value_ppm, row.base_ppm) for row in load_source(path).eval] == [(50, 0), (15, -20)]


@pytest.mark.parametrize("text", ["5e400", "0x5", "half", "5e-05 "])
def test_text_that_is_no_number_of_json_is_no_result(tmp_path, text):
    path = write_source(tmp_path)
    (tmp_path / "eval.yaml").write_text(f'results: [{{suite: s, n: 5, expert: "{text}"}}]')
    assert "eval: " in problems_of(path)


def test_a_missing_source_is_a_typed_error(tmp_path):
    with pytest.raises(ManifestError) as caught:
        load_source(tmp_path / "missing.yaml")
    assert caught.value.code == "source_unreadable"


def test_an_oversized_source_is_refused(tmp_path):
    path = write_source(tmp_path, extra="# " + "x" * (1 << 20))
    assert "larger" in problems_of(path)


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("[{id: tiny, adapter: missing}]", "base.tiny.adapter: there is no folder"),
        ("[{id: tiny, adapter: ../x}]", "base.tiny.adapter: "),
        ("[tiny, tiny]", "tiny stands twice"),
        ("[{id: tiny, adapter: adapter}]", "every base has an adapter of its own"),
        ("[{id: tiny, weights: adapter}]", "base"),
    ],
)
def test_bad_lists_of_bases_are_refused(tmp_path, base, expected):
    assert expected in problems_of(write_source(tmp_path, base=base))


def test_a_base_without_any_adapter_is_refused(tmp_path):
    path = edit(write_source(tmp_path, base="[{id: tiny, adapter: adapter}, other]"), "adapter: adapter/\n", "")
    assert "there is none for other" in problems_of(path)
