from __future__ import annotations

from pathlib import Path

from expert_kit.evaluation.card import CardFacts, model_card, score_table
from expert_kit.evaluation.chart import draw_report


def score(suite: str, experts: str, passed: int) -> dict[str, object]:
    share = passed / 10
    return {"suite": suite, "experts": experts, "passed": passed, "total": 10, "accuracy": share, "interval": [share / 2, (1 + share) / 2]}


SCORES = [score("easy", "base", 1), score("hard", "base", 5), score("easy", "a/$b_c$", 10), score("hard", "a/$b_c$", 5)]
FACTS = CardFacts("a/$b_c$", "a/b@1.0.0", "Does x.", "MIT", "tiny", "sha256:00", "LoRA of rank 8", "10 rows")


def test_the_card_says_what_is_known_and_what_speaks_against_it():
    card = model_card({"scores": SCORES, "general": [{"experts": "a/$b_c$", "perplexity": 30.0, "tokens": 9, "ratio": 1.5}]}, FACTS)
    assert card.startswith("# a/b@1.0.0\n\nDoes x.\n\n- **Base**: `tiny`, weights `sha256:00`\n- **Adapter**: LoRA of rank 8\n")
    assert "On hard it is no better than the base alone." in card
    assert "On hard 50.0 % of its answers are wrong" in card
    assert "On easy" not in card
    assert "1.50 times as perplexing" in card
    assert "More Information Needed" not in card


def test_what_nobody_said_leaves_no_empty_line_and_what_was_not_measured_is_said():
    card = model_card({"scores": SCORES}, CardFacts("a/$b_c$", "a/b", "", "", "tiny", "", "", ""))
    assert card.startswith("# a/b\n\n- **Base**: `tiny`\n\n## Evaluation\n")
    assert "ordinary text was not measured" in card


def test_the_table_has_a_row_a_suite_and_package_text_cannot_break_it():
    assert score_table(SCORES[:1]) == "| suite | n | base |\n|---|--:|--:|\n| easy | 10 | 10.0 % (5 to 55) |"
    assert score_table([score("a|b\x1b", "base", 1)]).splitlines()[2].startswith("| a\\|b\\u{1b} | 10 |")


def test_the_chart_is_a_picture_whatever_the_names_are(tmp_path: Path):
    draw_report({"scores": SCORES}, tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")
