import hashlib
import json
from dataclasses import replace

import pytest

from expert_kit.errors import DataError, UnknownNameError
from expert_kit.evaluation import (
    TASKS,
    Case,
    Score,
    Suite,
    Verdict,
    build_report,
    markdown_table,
    oracle_scores,
    read_test_set,
    run_suite,
    task,
    wilson,
)
from expert_kit.inference import ExpertEngine
from tests.support.encoders import FakeEncoder
from tests.support.tiny_model import write_adapter


@pytest.fixture
def engine(tiny):
    return ExpertEngine(tiny, encoder=FakeEncoder())


@pytest.fixture
def suite(tmp_path, monkeypatch):
    # A check of a test's own, in the real table: right if the answer is at least as long as its prompt's number.
    monkeypatch.setitem(TASKS, "length", lambda answer, row: Verdict(len(answer) >= row["least"], answer, "", "too short"))
    rows = [{"id": f"r{n}", "prompt": f"say {n * 'x'}", "completion": "x", "least": 0 if n % 2 else 10**6} for n in range(5)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Suite("lengths", path, "length", max_new_tokens=3)


def test_every_row_is_answered_once_and_reported_in_file_order(engine, suite):
    seen = []
    score = run_suite(engine, suite, None, batch_size=2, report=lambda done, total: seen.append((done, total)))
    assert [case.id for case in score.cases] == ["r0", "r1", "r2", "r3", "r4"]
    assert [case.ok for case in score.cases] == [False, True, False, True, False]
    assert (score.passed, score.total, score.accuracy, score.experts) == (2, 5, 0.4, "base")
    assert seen == [(2, 5), (4, 5), (5, 5)]
    assert all(len(case.answer) <= 3 for case in score.cases)


def test_the_answers_are_those_of_the_experts_asked_for(engine, suite, tmp_path, tiny_folder):
    adapter = write_adapter(tmp_path / "adapter", tiny_folder)
    with_adapter, bare = run_suite(engine, suite, adapter), run_suite(engine, suite, None)
    assert [case.answer for case in with_adapter.cases] != [case.answer for case in bare.cases]
    expected = engine.generate(with_adapter.cases[1].prompt, adapter, max_new_tokens=3).text
    assert with_adapter.cases[1].answer == expected


def test_a_row_that_the_grammar_cannot_be_applied_to_is_answered_without_and_counted(engine, suite, tmp_path, tiny_folder):
    prompts = ["teh cat", "2 \u00d7 3", "4 \u00d7 5"]
    suite.path.write_text("".join(json.dumps({"prompt": prompt, "completion": "x", "least": 0}) + "\n" for prompt in prompts))
    grammar = tmp_path / "near.lark"
    grammar.write_text("start: prompt_near\n")
    adapter = write_adapter(tmp_path / "adapter", tiny_folder)
    score = run_suite(engine, replace(suite, grammar=grammar), adapter)
    ((warning, rows),) = score.warnings
    assert (score.total, rows, len(score.grammars)) == (3, 2, 1)
    assert "cannot follow" in warning
    assert score.to_json()["warnings"] == {warning: 2}
    assert run_suite(engine, suite, adapter).to_json().keys() & {"warnings", "grammars"} == set()


def test_a_limit_takes_the_first_rows(engine, suite):
    assert [case.id for case in run_suite(engine, suite, None, limit=2).cases] == ["r0", "r1"]


def test_rows_that_name_a_group_are_counted_by_it(engine, suite):
    kinds = ((0, {"group": "b"}), (10**6, {"group": "b"}), (0, {"group": "a"}), (0, {}))
    rows = [{"prompt": "say", "completion": "x", "least": least, **group} for least, group in kinds]
    suite.path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    score = run_suite(engine, suite, None)
    assert score.groups() == {"a": (1, 1), "b": (1, 2)}
    assert score.to_json()["groups"] == {"a": (1, 1), "b": (1, 2)}


def test_a_row_with_a_line_separator_in_its_text_is_one_row(engine, suite):
    row = {"prompt": "say\u2028x\u0085y", "completion": "x", "least": 0}
    suite.path.write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    assert [case.prompt for case in run_suite(engine, suite, None).cases] == [row["prompt"]]


def test_a_test_set_is_read_as_training_rows_are(engine, suite):
    row = {"prompt": "say", "completion": "x", "least": 0}
    suite.path.write_text(f"\ufeff{json.dumps(row)}\r\n\r\n", encoding="utf-8", newline="")
    rows, digest = read_test_set(suite.path)
    assert (rows, digest) == ([row], hashlib.sha256(suite.path.read_bytes()).hexdigest())
    assert run_suite(engine, suite, None).total == 1


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"prompt": 5, "completion": "x"}, "no text under 'prompt'"),
        ({"prompt": "x", "completion": None}, "no text under 'completion'"),
        ({"prompt": " ", "completion": ""}, "no text under 'prompt' and 'completion'"),
        ({"prompt": "\ud800", "completion": "x"}, "half of a surrogate pair"),
    ],
)
def test_a_row_that_cannot_be_asked_or_scored_is_named_by_its_line(suite, bad, words):
    suite.path.write_text(json.dumps({"prompt": "say", "completion": "x"}) + "\n\n" + json.dumps(bad) + "\n")
    with pytest.raises(DataError, match=f"{suite.path}:3: .*{words}") as caught:
        read_test_set(suite.path)
    assert caught.value.code == "table_malformed"


def test_the_report_compares_with_the_base_and_names_the_file(engine, suite, tmp_path, tiny_folder):
    adapter = write_adapter(tmp_path / "adapter", tiny_folder)
    scores = [run_suite(engine, suite, None), run_suite(engine, suite, adapter)]
    report = build_report(scores, "adapter")
    assert report["results"] == [{"suite": "lengths", "metric": "accuracy", "n": 5, "expert": 0.4, "base": 0.4}]
    assert len(report["scores"][0]["file_sha256"]) == 64
    assert "| lengths | 5 | 40.0% (12%-77%) | 40.0% (12%-77%) |" in markdown_table(scores)


def test_wilson_interval_of_the_original_paper_has_its_known_values():
    # 81 of 263: the example of Newcombe 1998, method 3.
    low, high = wilson(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    assert wilson(5, 5)[1] == 1.0
    assert wilson(0, 5)[0] == 0.0


def test_unknown_tasks_and_bad_files_are_typed_errors(engine, suite, tmp_path):
    with pytest.raises(UnknownNameError) as caught:
        task("derivate")
    assert "derivative" in caught.value.hint
    for text in ("", "{", '{"prompt": "x"}', "[1]"):
        suite.path.write_text(text)
        with pytest.raises(DataError):
            run_suite(engine, suite, None)
    with pytest.raises(DataError, match="cannot read"):
        run_suite(engine, Suite("none", tmp_path / "none", "length"), None)


def test_the_oracle_takes_what_base_or_one_expert_alone_gets_right():
    def score(experts, right):
        cases = tuple(Case(str(at), "p", "a", "e", mark == "+", "") for at, mark in enumerate(right))
        return Score("s", experts, right.count("+"), len(right), "0" * 64, cases)

    scores = [score("base", "+---"), score("a/b", "-+--"), score("mix:a/b@1+a/c@1", "--+-"), score("auto", "---+")]
    (found,) = oracle_scores(scores)
    assert (found.experts, found.passed, [case.ok for case in found.cases]) == ("oracle", 2, [True, True, False, False])
    assert oracle_scores(scores[2:]) == []
