"""The generator of the sql recipe: deterministic, no leak between splits, every gold query right and telling."""

from __future__ import annotations

from types import ModuleType

import pytest

from expert_kit.evaluation.sql_execution import check
from tests.support.recipes import ROOT, SPLITS, Rows, recipe_module

RECIPE = ROOT / "sql"


@pytest.fixture(scope="module")
def schemas() -> ModuleType:
    return recipe_module("sql", "sql_schemas")


@pytest.fixture(scope="module")
def phrasings() -> ModuleType:
    return recipe_module("sql", "sql_phrasings")


def test_held_out_rows_bring_their_database(rows: Rows) -> None:
    assert all({"schema", "setup"} <= set(row) for split in ("validation", "test") for row in rows[split])


def test_completions_are_one_line_in_one_style(rows: Rows) -> None:
    for row in (row for found in rows.values() for row in found):
        assert row["completion"].startswith("SELECT ")
        assert "\n" not in row["completion"]
        assert not row["completion"].endswith(";")
        assert not any(mark in row["prompt"] for mark in ("\x01", "\x02", "{", "}", "  of"))


def test_prompts_are_short(rows: Rows) -> None:
    for found in rows.values():
        assert sum(len(row["prompt"]) for row in found) / len(found) < 260
        assert max(len(row["prompt"]) for row in found) <= 620


def test_no_prompt_or_question_is_in_two_splits(rows: Rows) -> None:
    trained = {row["prompt"] for split in ("train", "further") for row in rows[split]}
    validated, tested = ({row["question"].lower() for row in rows[split]} for split in ("validation", "test"))
    assert not trained & {row["prompt"] for split in ("validation", "test") for row in rows[split]}
    assert not validated & tested


def test_further_rows_are_over_schemas_of_training(schemas: ModuleType, rows: Rows) -> None:
    held = {
        table.name
        for split in ("validation", "test")
        for entry in schemas.load_pool(RECIPE / "pools" / f"{split}.txt")
        for table in entry.tables
    }
    assert not [row["id"] for row in rows["further"] for name in held if f" {name}(" in row["prompt"] or f" {name} (" in row["prompt"]]
    assert all("setup" not in row for row in rows["further"])


def test_pools_share_no_table_and_no_name_of_a_row(schemas: ModuleType) -> None:
    # Columns such as "price" or "city" are in every real schema; whole schemas and what their rows are called are held out.
    pools = {split: schemas.load_pool(RECIPE / "pools" / f"{split}.txt") for split in SPLITS}
    assert [len(pools[split]) >= least for split, least in zip(SPLITS, (70, 8, 14), strict=True)] == [True] * 3

    def used(split: str) -> tuple[set[str], set[str]]:
        tables = [table for entry in pools[split] for table in entry.tables]
        naming = [column for table in tables for column in table.columns if column.flavor in {"label", "person"}]
        return {table.name for table in tables}, {value.lower() for column in naming for value in column.values}

    for first, second in (("train", "validation"), ("train", "test"), ("validation", "test")):
        for mine, theirs in zip(used(first), used(second), strict=True):
            assert sorted(mine & theirs) == []


def test_held_out_phrasings_are_never_trained_on(phrasings: ModuleType) -> None:
    frames = {name[0] for name in phrasings._SECTIONS if len(name) == 1}
    assert len(frames) >= 35
    for name in frames:
        train, held = phrasings.frames(name)
        assert len(train) >= 30, name
        assert len(held) >= 8, name
        assert not set(train) & set(held), name
    modifiers = [phrasings.GENERIC, phrasings.COMPARISONS, phrasings.DIRECTIONS, *phrasings.FLAVOR_MODS.values()]
    for train, held in (pair for mods in modifiers for pair in mods.values()):
        assert train
        assert held
        assert not set(train) & set(held)


def test_words_that_name_training_columns_at_random_name_nothing_in_the_held_out_schemas(schemas: ModuleType) -> None:
    words = {*schemas.NOUNS, *schemas.ADJECTIVES}
    assert len(words) > 500
    for split in ("validation", "test"):
        for table in (table for entry in schemas.load_pool(RECIPE / "pools" / f"{split}.txt") for table in entry.tables):
            names = [table.name, table.singular, *table.plurals, *(column.name for column in table.columns)]
            used = {part.removesuffix("s") for name in names for part in name.lower().replace("_", " ").split()}
            assert not used & {word.removesuffix("s") for word in words}, table.name


def test_every_gold_query_passes_its_own_check(rows: Rows) -> None:
    for row in rows["validation"][::4] + rows["test"][::4]:
        verdict = check(row["completion"], row)
        assert verdict.ok, (row["id"], verdict)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (" > ", " >= "),
        (" < ", " <= "),
        (" DESC", " ASC"),
        ("AVG(", "SUM("),
        ("DISTINCT ", ""),
        (" AND ", " OR "),
        ("COUNT(*)", "COUNT(*) + 1"),
        ("MAX(", "MIN("),
    ],
)
def test_corrupted_gold_queries_mostly_fail(rows: Rows, old: str, new: str) -> None:
    # The bound of BETWEEN holds an AND, no value need equal the average, and one more of each keeps an order: a change does nothing there.
    same = ("BETWEEN", "(SELECT", "ORDER BY COUNT")
    plain = [row for row in rows["test"] if not any(word in row["completion"] for word in same)]
    cases = [row for row in plain if old in row["completion"]][:25]
    passed = [row["completion"] for row in cases if check(row["completion"].replace(old, new), row).ok]
    assert len(cases) >= 3
    assert len(passed) <= len(cases) * 0.2, passed


def test_kinds_are_varied(rows: Rows) -> None:
    kinds = {row["kind"] for row in rows["test"]}
    assert kinds >= {
        "filter",
        "count",
        "aggregate",
        "group_count",
        "having",
        "superlative",
        "top_n",
        "no_match",
        "join_filter",
        "join_group_count",
        "above_average",
    }
