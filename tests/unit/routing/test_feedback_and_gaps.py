from __future__ import annotations

import stat
from pathlib import Path

import numpy as np

from expert_kit.routing import FeedbackStore, GapLog, approved, find_gaps, refused, told
from expert_kit.routing.journal import Journal
from tests.support.encoders import FakeEncoder


def test_the_last_word_about_a_prompt_and_an_expert_counts(tmp_path: Path) -> None:
    store = FeedbackStore(tmp_path)
    store.add("sum the orders", "wrong", "ns/sql")
    store.add("sum  the\norders", "right", "ns/sql")
    store.add("tell a joke", "base")
    rows = FeedbackStore(tmp_path).all()
    assert [(row.text, row.verdict) for row in rows] == [("sum the orders", "right"), ("tell a joke", "base")]
    assert approved(rows, "ns/sql") == ("sum the orders",)
    assert refused(rows) == ("tell a joke",)
    assert told(rows) == {"sum the orders": ("ns/sql",), "tell a joke": ()}


def test_a_later_remark_takes_back_what_it_contradicts(tmp_path: Path) -> None:
    store = FeedbackStore(tmp_path)
    store.add("hello there", "right", "ns/sql")
    store.add(" hello\n there ", "base")
    assert [(row.text, row.verdict) for row in store.all()] == [("hello there", "base")]
    assert (approved(store.all(), "ns/sql"), refused(store.all()), told(store.all())) == ((), ("hello there",), {"hello there": ()})
    store.add("hello there", "right", "ns/sql")
    store.add("hello there", "right", "ns/cron")
    assert (approved(store.all(), "ns/sql"), approved(store.all(), "ns/cron")) == ((), ("hello there",))
    assert (refused(store.all()), told(store.all())) == ((), {"hello there": ("ns/cron",)})


def test_wrong_takes_back_right_for_the_same_expert_only(tmp_path: Path) -> None:
    store = FeedbackStore(tmp_path)
    store.add("sum", "right", "ns/a")
    store.add("sum", "wrong", "ns/b")
    assert (approved(store.all(), "ns/a"), refused(store.all()), told(store.all())) == (("sum",), (), {"sum": ("ns/a",)})
    store.add("sum", "wrong", "ns/a")
    assert (approved(store.all(), "ns/a"), refused(store.all()), told(store.all())) == ((), ("sum",), {})
    store.add("tell a joke", "base")
    store.add("tell a joke", "wrong", "ns/a")
    assert told(store.all()) == {"tell a joke": ()}


def test_a_prompt_that_is_wrong_for_one_and_right_for_another_is_not_refused(tmp_path: Path) -> None:
    store = FeedbackStore(tmp_path)
    store.add("sum", "wrong", "ns/a")
    store.add("sum", "right", "ns/b")
    assert refused(store.all()) == ()


def test_a_journal_is_bounded_private_and_survives_garbage(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "deep" / "rows.jsonl", 50)
    for number in range(200):
        journal.add({"number": number, "filler": "x" * 40})
    assert [row["number"] for row in journal.rows()] == list(range(150, 200))
    assert len(journal.path.read_text().splitlines()) <= 63
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
    with journal.path.open("ab") as file:
        file.write(b"\xff not json\n[1]\n")
    assert len(journal.rows()) == 50


def test_a_gap_log_keeps_nothing_until_it_is_on(tmp_path: Path) -> None:
    log = GapLog(tmp_path)
    log.note("how do I bake bread")
    assert log.rows() == []
    log.switch(on=True)
    log.note("how do I bake\x00 bread " + "x" * 1_000)
    log.note("  ")
    assert len(log.rows()) == 1
    assert log.rows()[0][0].startswith("how do I bake bread")
    assert len(log.rows()[0][0]) <= 500
    assert log.clear() == 1


def test_groups_are_found_among_single_prompts() -> None:
    bread = [f"bake {kind} bread dough" for kind in ("rye", "white", "dark", "sweet", "flat")]
    soup = [f"cook {kind} soup broth" for kind in ("fish", "leek", "bean", "pea", "beet")]
    single = ["alpha beta", "gamma delta epsilon", "zeta eta"]
    texts = [*bread, *soup, *single]
    vectors = FakeEncoder().encode(texts)
    found = find_gaps([(text, f"2026-11-{at % 2 + 1:02d}") for at, text in enumerate(texts)], vectors, fewest=4)
    assert {frozenset(gap.prompts) for gap in found} == {frozenset(bread), frozenset(soup)}
    assert all(gap.days == 2 for gap in found)
    names = {gap.name for gap in found}
    assert any(set(name.split("-")) & {"bread", "dough", "bake"} for name in names)


def test_no_prompts_have_no_gaps() -> None:
    assert find_gaps([], np.zeros((0, 4), np.float32)) == []
    assert find_gaps([("one", "2026-11-01")], FakeEncoder().encode(["one"])) == []
