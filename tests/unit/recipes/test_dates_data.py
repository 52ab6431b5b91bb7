"""The generator of the dates recipe: deterministic, no leak between splits, every date written as CLDR says and clear."""

from __future__ import annotations

import datetime
import importlib
import json
import re
import sys
from types import ModuleType

import pytest

from expert_kit.evaluation.iso_date import check
from tests.support.recipes import ROOT, SPLITS, Rows, recipe_module

RECIPE = ROOT / "dates"
DAY = datetime.date(2021, 3, 1)


@pytest.fixture(scope="module")
def formats() -> ModuleType:
    return recipe_module("dates", "date_formats")


@pytest.fixture(scope="module")
def phrasings() -> dict[tuple[str, str], set[str]]:
    """(mark, split) -> lines of all languages."""
    marks = {"": "train", "~": "validation", "*": "test"}
    found: dict[tuple[str, str], set[str]] = {}
    for line in (RECIPE / "phrasings.txt").read_text(encoding="utf-8").split("\n"):
        match = re.match(r"([asntfpxmy])([~*]?): (.+)", line)
        if match:
            found.setdefault((match[1], marks[match[2]]), set()).add(match[3])
    return found


def test_rows_say_language_and_pattern_and_no_prompt_differs_in_capitals_alone(rows: Rows) -> None:
    for found in rows.values():
        assert all({"language", "pattern"} <= set(row) for row in found)
        assert len({row["prompt"].casefold() for row in found}) == len(found)


def test_prompts_are_short_and_complete(rows: Rows) -> None:
    for row in (row for found in rows.values() for row in found):
        assert len(row["prompt"]) <= 170, row
        assert not re.search(r"\{\w\}|(?<!\.)\.\.(?!\.)|\ba (?:Italian|Indonesian)", row["prompt"]), row


def test_no_date_and_no_prompt_is_in_two_splits(rows: Rows) -> None:
    for key in ("completion", "prompt"):
        train, validation, test = ({row[key] for row in rows[split]} for split in SPLITS)
        assert not train & (validation | test)
        assert not validation & test


def test_held_out_ways_of_asking_are_never_trained_on(phrasings: dict[tuple[str, str], set[str]]) -> None:
    marks = {mark for mark, _ in phrasings}
    assert marks == set("asntfpxmy")
    for mark in marks:
        train, validation, test = (phrasings[mark, split] for split in SPLITS)
        assert not train & (validation | test), mark
        assert not validation & test, mark
        assert len(train) > len(test) >= 2


def test_held_out_patterns_are_never_trained_on(rows: Rows, formats: ModuleType) -> None:
    def written(split: str) -> set[tuple[str, str]]:
        return {(row["language"], row["pattern"]) for row in rows[split] if row["kind"] == "absolute"}

    held = {pair for pair in written("test") if formats.pattern_split(*pair) == "test"}
    assert len(held) >= 25
    assert len({language for language, _ in held}) >= 12
    assert not held & (written("train") | written("validation"))
    assert {formats.pattern_split(*pair) for pair in written("train")} == {"train"}


def test_more_than_twelve_languages_are_in_every_split(rows: Rows) -> None:
    assert [len({row["language"] for row in rows[split]}) for split in SPLITS] == [23, 23, 23]


@pytest.mark.parametrize(
    ("language", "pattern", "said"),
    [
        ("en", "EEEE, MMMM d, y", "Monday, March 1, 2021"),
        ("en", "d-MMM-y", "1-Mar-2021"),
        ("en", "MMMM o, y", "March 1st, 2021"),
        ("en", "'the' w 'of' MMMM y", "the first of March 2021"),
        ("de", "EEEE, d. MMMM y", "Montag, 1. M\u00e4rz 2021"),
        ("fr", "d MMMM y", "1er mars 2021"),
        ("fr", "dd/MM/y", "01/03/2021"),
        ("es", "d 'de' MMMM 'de' y", "1 de marzo de 2021"),
        ("fi", "d. MMMM y", "1. maaliskuuta 2021"),
        ("pl", "d MMMM y", "1 marca 2021"),
        ("cs", "d. MMMM y", "1. b\u0159ezna 2021"),
        ("ru", "d MMMM y '\u0433'.", "1 \u043c\u0430\u0440\u0442\u0430 2021 \u0433."),
        ("hu", "y. MMMM d.", "2021. m\u00e1rcius 1."),
        ("tr", "d MMMM y EEEE", "1 Mart 2021 Pazartesi"),
        ("ja", "y\u5e74M\u6708d\u65e5EEEE", "2021\u5e743\u67081\u65e5\u6708\u66dc\u65e5"),
        ("ko", "y\ub144 MMMM d\uc77c", "2021\ub144 3\uc6d4 1\uc77c"),
    ],
)
def test_dates_are_written_as_cldr_says(formats: ModuleType, language: str, pattern: str, said: str) -> None:
    assert pattern in formats.patterns(language)
    assert formats.write(DAY, language, pattern) == said


def test_names_and_patterns_are_those_of_babel() -> None:
    babel = pytest.importorskip("babel")
    sys.path.insert(0, str(RECIPE))
    try:
        extract = importlib.import_module("extract_cldr")
    finally:
        sys.path.remove(str(RECIPE))
    shipped = json.loads((RECIPE / "cldr.json").read_text(encoding="utf-8"))
    assert tuple(shipped) == extract.LANGUAGES
    if babel.__version__.startswith("2.18."):  # another version may ship another CLDR
        assert {language: extract.table(language) for language in extract.LANGUAGES} == shipped
    assert [shipped[language]["months"] for language in shipped] == [extract.table(language)["months"] for language in shipped]


def test_day_and_month_cannot_be_mixed_up(rows: Rows) -> None:
    clue = re.compile(r"US|UK|British|American|European|first|MM/DD|DD/MM")
    for row in (row for found in rows.values() for row in found):
        if row["language"] == "en" and re.fullmatch(r"(M+|d+)[/.](M{1,2}|d+)[/.]y", row["pattern"]):
            assert int(row["completion"][-2:]) > 12 or clue.search(row["prompt"]), row


def test_every_gold_answer_passes_its_own_check_and_no_other(rows: Rows) -> None:
    for row in rows["validation"] + rows["test"]:
        assert check(row["completion"], row).ok
        later = datetime.date.fromisoformat(row["completion"]) + datetime.timedelta(1)
        assert not check(later.isoformat(), row).ok


def test_the_gold_year_and_day_are_in_the_prompt(rows: Rows, formats: ModuleType) -> None:
    for row in (row for row in rows["test"] if row["kind"] == "absolute"):
        year, month, day = row["completion"].split("-")
        assert year in row["prompt"]
        forms = [rf"(?<!\d)0?{int(day)}(?!\d)", year + month + day, formats.ORDINALS[int(day)]]
        assert re.search("|".join(forms), row["prompt"], re.IGNORECASE), row


def test_relative_questions_name_a_day_within_a_week_of_the_answer(rows: Rows) -> None:
    found = [row for row in rows["test"] if row["kind"] == "relative"]
    assert len(found) == 40
    assert len({row["language"] for row in found}) >= 6
    for row in found:
        given = re.search(r"\d{4}-\d\d-\d\d", row["prompt"])
        if given:
            assert abs(datetime.date.fromisoformat(given[0]) - datetime.date.fromisoformat(row["completion"])).days <= 7
