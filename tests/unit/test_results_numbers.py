from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from expert_kit.evaluation import wilson

PATH = Path(__file__).resolve().parents[2] / "scripts" / "results_numbers.py"


@pytest.fixture(scope="module")
def numbers():
    spec = importlib.util.spec_from_file_location("results_numbers", PATH)
    module = sys.modules["results_numbers"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def domain(numbers):
    generated = {"base": "0000", "a": "1110", "b": "10", "routed": "1010"}
    by_hand = {"base": "10", "a": "10", "b": "01", "routed": "11"}
    runs = {"generated": generated, "handwritten": by_hand}
    adapters = {"a": "0a0a", "b": "0b0b"}
    return numbers.Domain("a", "x/a", runs, {"base": 20.0, "expert": 25.0}, adapters, "python scripts/make_results.py")


def test_every_number_has_its_interval_and_its_rows(numbers, domain):
    found = numbers.results_of(domain)
    assert (found["n"], found["command"]) == (4, "python scripts/make_results.py")
    assert found["expert"] == {"n": 4, "accuracy": 0.75, "interval": [round(bound, 4) for bound in wilson(3, 4)]}
    assert (found["best_sibling"]["expert"], found["best_sibling"]["n"]) == ("b", 2)
    assert (found["handwritten"]["n"], found["handwritten"]["accuracy"]) == (2, 0.5)
    assert found["general_text"]["ratio"] == 1.25


def test_the_oracle_and_what_the_router_reaches_of_it_are_counted_on_the_rows_that_all_have(numbers, domain):
    found = numbers.results_of(domain)
    assert (found["oracle"]["n"], found["oracle"]["accuracy"], found["routed_of_oracle"]) == (2, 1.0, 0.5)
    assert (found["routed"]["n"], found["routed"]["accuracy"]) == (4, 0.5)


def test_as_many_right_answers_as_a_sibling_are_no_win(numbers, domain):
    found = numbers.results_of(domain)
    assert found["wins_at_home"]
    assert not found["handwritten"]["wins_at_home"]


def test_the_tables_have_a_row_a_suite_and_the_matrix_marks_home(numbers, domain):
    page = numbers.tables({"a": numbers.results_of(domain), "b": {**numbers.results_of(domain), "siblings": {}}}, domain.adapters)
    assert "| `a` | generated | 4 | 0.0 % | 75.0 % | 50.0 % | 50.0 % | 100.0 % | 50 % |" in page
    assert "| `a` | handwritten | 2 | 50.0 % | 50.0 % | 100.0 % | 50.0 % | 100.0 % | 100 % |" in page
    assert "| a | **75.0** | 50.0 |" in page
    assert "| b |  | **75.0** |" in page
    assert "`a` 1.25" in page
    assert "other versions" not in page


def test_an_expert_that_changed_since_others_were_measured_is_named(numbers, domain):
    page = numbers.tables({"a": numbers.results_of(domain)}, {"a": "0a0a", "b": "1111", "c": "0c0c"})
    assert "other versions" in page
    assert page.endswith("- the tests of `a`: of `b`, `c`.")


def test_the_rows_for_an_experts_source_are_those_of_the_whole_suites(numbers, domain):
    rows = numbers.eval_rows(domain, {"generated": "0" * 64, "handwritten": "1" * 64}, 1000)["results"]
    assert [(row["suite"], row["n"], row["base"], row["expert"]) for row in rows] == [
        ("generated", 4, 0.0, 0.75),
        ("handwritten", 2, 0.5, 0.5),
        ("general-text", 1000, 20.0, 25.0),
    ]
