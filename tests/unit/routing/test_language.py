from __future__ import annotations

import json
from pathlib import Path

import pytest

from expert_kit.routing import language
from expert_kit.routing.language import Language, detect_language, natural_text

GENERAL = Path(__file__).parents[2] / "support" / "general_prompts.jsonl"


@pytest.fixture
def no_detector(monkeypatch):
    monkeypatch.setattr(language, "_detector", lambda: None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("私は学生です。", Language("ja", "script")),
        ("帮我写一封请假的邮件。", Language("zh", "script")),
        ("김치찌개 맛있게 끓이는 법 알려줘", Language("ko", "script")),
        ("Ποιος έγραψε την Οδύσσεια;", Language("el", "script")),
        ("", Language("unknown", "none")),
        ("42 ??? 🙂", Language("unknown", "none")),
        ("\ud800\udfff", Language("unknown", "none")),
        ("d/dx (x^3 - 2x + 1)", Language("unknown", "none")),
    ],
)
def test_scripts_of_one_language_and_texts_without_words_need_no_detector(no_detector, text, expected):
    assert detect_language(text) == expected


def test_without_the_detector_latin_text_is_unknown_rather_than_guessed(no_detector):
    assert detect_language("Wie wird das Wetter morgen in Hamburg?") == Language("unknown", "none")


def test_with_the_detector_every_general_prompt_but_a_mixed_one_gets_its_language():
    pytest.importorskip("eldc")
    rows = [json.loads(line) for line in GENERAL.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if row["language"] != "und"]
    assert len(rows) > 190
    assert sum(row["language"] != "en" for row in rows) >= 30
    wrong = [row["text"] for row in rows if detect_language(row["text"]).code != row["language"]]
    assert wrong == ["pls translate in english: Ich habe den Schlüssel im Auto vergessen"]


# Short English and code that other detectors took for another language (pemistahl/lingua-py#195, Mimino666/langdetect#105).
@pytest.mark.parametrize(
    "text",
    ["hi", "ok", "no", "d/dx sin(x)", "Compute dy/dx: y = x**(3/2)", "print(a)", "SELECT id FROM t", "def f(x): return x", "die Hard"],
)
def test_short_english_and_code_are_not_taken_for_another_language(text):
    pytest.importorskip("eldc")
    assert detect_language(text).code in ("en", "unknown")


def test_code_blocks_do_not_count():
    assert (
        natural_text("Erklaere das bitte:\n```python\nfor number in numbers: print(number)\n```\nDanke dir.")
        == "Erklaere das bitte Danke dir"
    )


def test_a_huge_text_is_looked_at_in_part_only():
    assert len(natural_text("wort " * 1_000_000)) <= 2_000
