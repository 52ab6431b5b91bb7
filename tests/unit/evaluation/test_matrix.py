from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from expert_kit.evaluation import Case, DomainResult, Score, interference_table, matrix_table
from expert_kit.evaluation.chart import draw_interference, draw_matrix


def score(choice: str, right: str) -> Score:
    """``right`` has a + for every row that is right."""
    cases = tuple(Case(str(at), "p", "a", "e", mark == "+", "") for at, mark in enumerate(right))
    return Score("held_out", choice, right.count("+"), len(right), "0" * 64, cases)


def domain(expert: str = "a/sql", **rows: str) -> DomainResult:
    names = {"base": "base", "auto": "auto", "sql": "a/sql", "dates": "a/dates", "cron": "a/cron"}
    return DomainResult(expert, "held_out", {names[key]: score(names[key], right) for key, right in rows.items()})


def test_the_oracle_takes_the_best_choice_of_every_row_and_does_not_count_the_router():
    found = domain(base="+---", sql="-+--", dates="--+-", auto="---+")
    assert found.oracle == 3
    assert domain(base="----", sql="----", auto="++++").oracle == 0


def test_the_best_sibling_is_another_expert_never_the_base_or_the_router():
    name, best = domain(base="++++", sql="+++-", dates="+---", cron="++--", auto="++++").best_sibling or ("", None)
    assert (name, best.passed if best else 0) == ("a/cron", 2)
    assert domain(base="+", sql="+", auto="+").best_sibling is None


@pytest.mark.parametrize(
    ("rows", "wins"),
    [
        ({"base": "+--", "sql": "++-", "dates": "--+"}, True),
        ({"base": "++-", "sql": "++-", "dates": "---"}, False),
        ({"base": "---", "sql": "+--", "dates": "--+"}, False),
        ({"base": "---", "sql": "+--"}, True),
    ],
)
def test_an_expert_wins_at_home_only_if_nobody_is_as_good(rows: dict[str, str], wins: bool):
    assert domain(auto="---", **rows).wins_at_home is wins


def test_the_table_marks_the_diagonal_and_json_has_intervals():
    results = [
        domain("a/sql", base="----", sql="+++-", dates="+---", auto="++--"),
        domain("a/dates", base="+---", sql="----", dates="++++", auto="++++"),
    ]
    lines = matrix_table(results).splitlines()
    assert lines[0] == "| domain | suite | n | base | a/sql | a/dates | routed | oracle |"
    assert lines[2] == "| a/sql | held_out | 4 | 0.0 | **75.0** | 25.0 | 50.0 | 75.0 |"
    assert lines[3] == "| a/dates | held_out | 4 | 25.0 | 0.0 | **100.0** | 100.0 | 100.0 |"
    found = results[0].to_json()
    assert found["best_sibling"]["expert"] == "a/dates"
    assert found["own"]["interval"][0] < 0.75 < found["own"]["interval"][1]
    assert set(found["experts"]) == {"a/sql", "a/dates"}


def test_the_heat_map_is_a_picture_whatever_a_suite_is_called(tmp_path: Path):
    draw_matrix(
        [domain(base="--", sql="++", auto="+-"), replace(domain(base="--", sql="++", auto="+-"), suite="$x_{$")], tmp_path / "two.png"
    )
    draw_matrix([domain(base="--", sql="++", auto="+-")], tmp_path / "matrix.png")
    assert (tmp_path / "matrix.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def with_beside(found: DomainResult, **rows: str) -> DomainResult:
    return replace(found, beside={f"a/{name}": score(f"a/{name}", right) for name, right in rows.items()})


def test_what_an_expert_loses_beside_another_is_a_table_of_its_own(tmp_path: Path):
    results = [
        with_beside(domain("a/sql", base="----", sql="+++-", dates="----", cron="----", auto="----"), dates="++-+"),
        with_beside(domain("a/dates", base="----", sql="----", dates="++++", cron="----", auto="----"), sql="+---", cron="++++"),
    ]
    lines = interference_table(results).splitlines()
    assert lines[0] == "| domain | suite | n | alone | + a/sql | + a/dates |"
    assert lines[2] == "| a/sql | held_out | 4 | 75.0 |  | 75.0 |"
    assert lines[3] == "| a/dates | held_out | 4 | 100.0 | 25.0 |  |"
    assert {key: results[0].to_json()["beside"]["a/dates"][key] for key in ("accuracy", "lost", "gained")} == {
        "accuracy": 0.75, "lost": 1, "gained": 1,
    }  # fmt: skip
    draw_interference(results, tmp_path / "interference.png")
    assert (tmp_path / "interference.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_pair_that_cannot_be_mixed_has_a_dash_and_a_matrix_without_pairs_says_nothing_of_them():
    rows = {"base": "-", "sql": "+", "dates": "-", "auto": "-"}
    results = [with_beside(domain("a/sql", **rows), cron="+"), domain("a/dates", **rows)]
    assert interference_table(results).splitlines()[2] == "| a/sql | held_out | 1 | 100.0 |  | - |"
    assert "beside" not in results[1].to_json()
