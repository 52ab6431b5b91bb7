"""What holds for the data script of every recipe that is run for its tests."""

from __future__ import annotations

import pytest

from tests.support.recipes import FURTHER_ROWS, TRAIN_ROWS, Rows

pytestmark = pytest.mark.parametrize("recipe_name", TRAIN_ROWS)


def test_the_same_seed_gives_the_same_rows(recipe_name: str, made: dict[str, Rows], again: Rows) -> None:
    assert again == made[recipe_name]


def test_another_seed_gives_other_rows(recipe_name: str, made: dict[str, Rows], another_seed: Rows) -> None:
    assert another_seed["train"] != made[recipe_name]["train"]


def test_sizes_and_unique_rows(recipe_name: str, made: dict[str, Rows]) -> None:
    found = made[recipe_name]
    sizes = {"train": TRAIN_ROWS[recipe_name], "validation": 200, "test": 400, **FURTHER_ROWS.get(recipe_name, {})}
    assert {split: len(rows) for split, rows in found.items()} == sizes
    for rows in found.values():
        assert all({"id", "prompt", "completion", "kind"} <= set(row) for row in rows)
        assert len({row["id"] for row in rows}) == len({row["prompt"] for row in rows}) == len(rows)
