from __future__ import annotations

import re

from expert_kit.evaluation import Case, DomainResult, GeneralScore, Score, general_table, interference_table, markdown_table, matrix_table
from expert_kit.evaluation.card import score_table
from expert_kit.evaluation.table import table_row

NAME = "a|b\x1b"


def score(choice: str) -> Score:
    return Score(NAME, choice, 1, 1, "0" * 64, (Case("1", "p", "a", "e", True, ""),))


def test_a_row_is_its_cells_whatever_stands_in_them():
    assert table_row(["a", "", "b | c", "d\n"]) == "| a |  | b \\| c | d\\u{a} |"


def test_no_name_breaks_the_tables_of_evaluations():
    scores = {choice: score(choice) for choice in ("base", NAME, "auto", "other|one")}
    domain = DomainResult(NAME, NAME, scores, beside={"other|one": scores["other|one"]})
    domains = [domain, DomainResult("other|one", NAME, scores)]
    for table, columns in (
        (markdown_table(list(scores.values())), 6),
        (score_table([one.to_json() for one in scores.values()]), 6),
        (matrix_table(domains), 8),
        (interference_table(domains), 6),
        (general_table([GeneralScore(choice, 2.0, 3, "0" * 64) for choice in scores]), 6),
    ):
        assert "\\|" in table
        assert "\x1b" not in table
        assert {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()} == {columns + 1}
