"""The generator of the cron recipe: deterministic, no leak between splits, every gold expression right and telling."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from expert_kit.evaluation.cron_schedule import check

RECIPE = Path(__file__).resolve().parents[3] / "recipes" / "cron"
SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def recipe():
    spec = importlib.util.spec_from_file_location("cron_data", RECIPE / "data.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["cron_data"] = module  # dataclasses look their module up
    before = list(sys.path)
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = before
    del sys.modules["cron_data"]


@pytest.fixture(scope="module")
def words(recipe):
    return importlib.import_module("cron_words")


@pytest.fixture(scope="module")
def asked(recipe):
    return {split: recipe.questions(split, recipe.SIZES[split], seed=0) for split in SPLITS}


def test_script_writes_the_same_rows_as_the_functions(recipe, tmp_path):
    command = [sys.executable, str(RECIPE / "data.py"), "--out", str(tmp_path), "--train-rows", "300"]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "7"})
    for split in SPLITS:
        lines = (tmp_path / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
        assert [json.loads(line) for line in lines] == recipe.rows(split, 300 if split == "train" else recipe.SIZES[split], seed=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{split}.jsonl" for split in sorted(recipe.SIZES)]


def test_another_seed_gives_other_rows(recipe):
    assert recipe.rows("test", 50, seed=0) != recipe.rows("test", 50, seed=1)


def test_no_expression_is_in_two_splits_but_the_plainest(recipe, asked):
    seen = {split: {row.expression for row in asked[split]} for split in SPLITS}
    trained = seen["train"] | {row.expression for split in ("further", "wordings") for row in recipe.questions(split, 2000, seed=0)}
    shared = trained & (seen["validation"] | seen["test"]) | seen["validation"] & seen["test"]
    assert all(recipe.closed(expression) for expression in shared)
    plain = sum(recipe.closed(row.expression) for row in asked["test"])
    assert plain < 0.2 * len(asked["test"])


def test_further_rows_have_the_words_of_training_and_more_of_what_it_leaves_wrong(recipe, asked):
    further = recipe.questions("further", 2000, seed=0)
    held = {phrase for pair in (*recipe.ph.TIMES.values(), *recipe.ph.DAYS.values()) for phrase in set(pair[1]) - set(pair[0])}
    assert not [row for row in further if held & set(row.phrasing)]
    shares = [sum(bool(recipe.OFTEN_WRONG & set(row.kind.split("+"))) for row in rows) / len(rows) for rows in (asked["train"], further)]
    assert shares[1] > 1.3 * shares[0]


def test_rows_in_other_wordings_have_no_words_of_the_held_out_splits(recipe):
    tables = (*recipe.ph.TIMES.values(), *recipe.ph.DAYS.values())
    held = {phrase for known, kept in tables for phrase in set(kept) - set(known)}
    new = {phrase for phrases in recipe.wordings.PHRASES.values() for phrase in phrases}
    assert not new & held
    found = recipe.questions("wordings", 2000, seed=0)
    assert not [row for row in found if held & set(row.phrasing)]
    assert sum(bool(new & set(row.phrasing)) for row in found) > 0.7 * len(found)


@pytest.mark.parametrize(
    ("expression", "plain"),
    [("*/5 * * * *", True), ("0 0 * * *", True), ("17 * * * *", True), ("5 0 * * *", False), ("0 9 * * 1", False), ("0 9-17 * * *", False)],
)
def test_only_plain_intervals_and_full_hours_are_shared(recipe, expression, plain):
    assert recipe.closed(expression) is plain


def test_training_never_uses_a_held_out_phrase(recipe, asked):
    tables = [*recipe.ph.TIMES.values(), *recipe.ph.DAYS.values(), recipe.ph.DAYPARTS, recipe.ph.WEEKDAY_PARTS, recipe.ph.ORDERS]
    tables += [recipe.ph.FRAMES, recipe.ph.TASKS, recipe.ph.THINGS]
    for train, held in tables:
        assert len(held) >= 2
        assert not {text.lower() for text in train} & {text.lower() for text in held}
    unseen = {text for _, held in tables for text in held}
    assert not unseen & {phrase for row in asked["train"] for phrase in row.phrasing}


def test_every_held_out_prompt_says_its_schedule_in_words_training_never_uses(recipe, asked):
    of_schedule = [*recipe.ph.TIMES.values(), *recipe.ph.DAYS.values(), recipe.ph.DAYPARTS, recipe.ph.WEEKDAY_PARTS]
    unseen = {text for _, held in of_schedule for text in held}
    assert all(unseen & set(row.phrasing) for split in ("validation", "test") for row in asked[split])


def test_no_prompt_occurs_twice_or_is_long(asked):
    prompts = [row.prompt.lower() for split in SPLITS for row in asked[split]]
    assert len(prompts) == len(set(prompts))
    assert max(map(len, prompts)) < 220
    assert sum(map(len, prompts)) / len(prompts) < 90


def test_hand_written_prompts_are_in_no_split(asked):
    prompts = {row.prompt.lower() for split in SPLITS for row in asked[split]}
    by_hand = [json.loads(line)["prompt"].lower() for name in ("", "_dev") for line in (RECIPE / f"handwritten{name}.jsonl").open()]
    assert len(prompts & set(by_hand)) <= 0.05 * len(by_hand)  # "every 5 minutes" has no second spelling


def test_every_placeholder_is_filled(asked):
    for row in (row for split in SPLITS for row in asked[split]):
        assert not re.search(r"[{}]|  |\bNone\b", row.prompt), row
        assert re.fullmatch(r"\S+( \S+){4}", row.expression), row


def test_every_held_out_gold_and_a_sample_of_training_pass_the_check(asked):
    sample = [*asked["validation"][::8], *asked["test"][::8], *asked["train"][::400]]
    wrong = [row for row in sample if not check(row.expression, {"completion": row.expression}).ok]
    assert wrong == []


def test_answers_to_other_questions_are_wrong(asked):
    rows = asked["test"][:40]
    passed = [
        (a, b) for a, b in itertools.pairwise(rows) if a.expression != b.expression and check(a.expression, {"completion": b.expression}).ok
    ]
    assert passed == []


def test_kinds_are_varied(asked):
    kinds = Counter(row.kind.split("+")[0] for row in asked["test"])
    assert kinds["clock"] > 100
    assert set(kinds) >= {"every_n_minutes", "hourly_at", "every_n_hours", "two_clocks", "hour_range", "minutes_in_hours", "daypart"}
    days = Counter(row.kind.partition("+")[2] for row in asked["test"])
    assert set(days) >= {"daily", "weekday", "weekdays", "workdays", "weekend", "all_but", "month_day", "year_day", "month", "month_range"}


FACE = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def minutes_said(text):
    """The time of day a text of ``cron_words`` names, in minutes; a reading of its own."""
    text = text.lower().replace(".", "").replace("a quarter", "quarter").replace(" o'clock", "")
    if text in {"noon", "midnight"}:
        return 720 if text == "noon" else 0
    numbers = dict(zip(FACE, range(1, 13), strict=True)) | {"quarter": 15, "twenty": 20, "half": 30, "noon": 12, "midnight": 0}
    relative = re.fullmatch(r"(\w+) (past|to) (\w+)(.*)", text)
    if relative:
        offset, hour = numbers[relative[1]], numbers.get(relative[3]) if not relative[3].isdigit() else int(relative[3])
        minutes = hour * 60 + (offset if relative[2] == "past" else -offset)
        rest = relative[4]
        return (minutes + (720 if rest and rest != " in the morning" and not at_night_before_four(hour, rest) else 0)) % 1440
    match = re.fullmatch(r"(\w+?)(?::(\d\d))?( ?[ap]m| in the \w+| at night)?", text)
    hour, rest = int(match[1]) if match[1].isdigit() else numbers[match[1]], (match[3] or "").strip()
    if rest in {"am", "pm"}:
        hour = hour % 12 + (12 if rest == "pm" else 0)
    elif rest and rest != "in the morning" and not at_night_before_four(hour, rest):
        hour += 12
    return hour * 60 + int(match[2] or 0)


def at_night_before_four(hour, rest):
    return rest.strip() == "at night" and hour <= 4


def test_clock_times_read_back_as_they_were_meant(words):
    rng = random.Random(1)
    for _ in range(6000):
        hour, minute = rng.randrange(24), rng.choice([0, 0, 5, 10, 15, 20, 30, 40, 45, 50, 55, rng.randrange(60)])
        text = words.clock(rng, words.choose_style(rng), hour, minute)
        assert minutes_said(text) == hour * 60 + minute, text


@pytest.mark.parametrize(
    ("n", "said"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (11, "11th"), (12, "12th"), (13, "13th"), (22, "22nd"), (31, "31st")]
)
def test_days_of_the_month_have_their_endings(words, n, said):
    plain = words.Style("24", pad=False, suffixes=("am", "pm"), zeros=False, noon=False, spelled=False, short=False)
    assert words.ordinal(plain, n) == said


def test_days_of_the_week_become_the_right_numbers(recipe):
    rng = random.Random(2)
    names = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    for _ in range(120):
        part = recipe.schedules.weekday_range(rng, recipe.choose_style(rng))
        first, last = names.index(part.words["w"][:3]), names.index(part.words["w2"][:3])
        spoken = {(first + n) % 7 for n in range((last - first) % 7 + 1)}
        spelled = ",".join(str((day + 1) % 7) for day in sorted(spoken))
        assert check(f"0 0 * * {spelled}", {"completion": f"0 0 * * {part.fields[2]}"}).ok
