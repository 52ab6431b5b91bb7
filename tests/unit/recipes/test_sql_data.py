"""The generator of the sql recipe: deterministic, no leak between splits, every gold query right and telling."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from expert_kit.evaluation.sql_execution import check

RECIPE = Path(__file__).resolve().parents[3] / "recipes" / "sql"
SPLITS = ("train", "validation", "test")
Rows = dict[str, list[dict[str, str]]]


def generate(out: Path, hash_seed: str, seed: int = 0) -> Rows:
    command = [sys.executable, str(RECIPE / "data.py"), "--out", str(out), "--train-rows", "300", "--seed", str(seed)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": hash_seed})
    assert sorted(p.name for p in out.iterdir()) == ["test.jsonl", "train.jsonl", "validation.jsonl"]
    return {split: [json.loads(line) for line in (out / f"{split}.jsonl").read_text().splitlines()] for split in SPLITS}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    return generate(tmp_path_factory.mktemp("data"), "1")


@pytest.fixture(scope="module")
def schemas() -> ModuleType:
    return _module("sql_schemas")


@pytest.fixture(scope="module")
def phrasings() -> ModuleType:
    return _module("sql_phrasings")


def _module(name: str) -> ModuleType:
    sys.path.insert(0, str(RECIPE))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(RECIPE))


def test_the_same_seed_gives_the_same_rows(rows: Rows, tmp_path: Path) -> None:
    assert generate(tmp_path, "2") == rows


def test_another_seed_gives_other_rows(rows: Rows, tmp_path: Path) -> None:
    assert generate(tmp_path, "1", seed=1)["train"] != rows["train"]


def test_sizes_and_fields(rows: Rows) -> None:
    assert {split: len(found) for split, found in rows.items()} == {"train": 300, "validation": 200, "test": 400}
    for split, found in rows.items():
        needed = {"id", "prompt", "completion", "kind"} | (set() if split == "train" else {"schema", "setup"})
        assert all(needed <= set(row) for row in found)
        assert len({row["id"] for row in found}) == len({row["prompt"] for row in found}) == len(found)


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
    trained = {row["prompt"] for row in rows["train"]}
    validated, tested = ({row["question"].lower() for row in rows[split]} for split in ("validation", "test"))
    assert not trained & {row["prompt"] for split in ("validation", "test") for row in rows[split]}
    assert not validated & tested


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
    frames = {name: value for name, value in vars(phrasings).items() if name.isupper() and isinstance(value, tuple)}
    assert len(frames) >= 25
    for name, (train, held) in frames.items():
        assert len(set(train)) >= 8, name
        assert len(set(held)) >= 2, name
        assert not set(train) & set(held), name
    modifiers = [phrasings.GENERIC, *phrasings.FLAVOR_MODS.values()]
    for train, held in (pair for mods in modifiers for pair in mods.values()):
        assert train
        assert held
        assert not set(train) & set(held)


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
    # The bound of BETWEEN holds an AND, and no value need equal the average: there a changed sign changes nothing.
    plain = [row for row in rows["test"] if "BETWEEN" not in row["completion"] and "(SELECT" not in row["completion"]]
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
