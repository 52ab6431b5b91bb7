from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.recipes import TRAIN_ROWS, Rows, generate


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rows]:
    """The rows of each recipe whose script takes a while, made once."""
    return {name: generate(name, tmp_path_factory.mktemp(name), count) for name, count in TRAIN_ROWS.items()}


@pytest.fixture(scope="module")
def rows(request: pytest.FixtureRequest, made: dict[str, Rows]) -> Rows:
    """The rows of the recipe that the test file is about."""
    return made[request.module.RECIPE.name]


@pytest.fixture
def another_seed(recipe_name: str, tmp_path: Path) -> Rows:
    """Rows of the same recipe from seed 1."""
    return generate(recipe_name, tmp_path, TRAIN_ROWS[recipe_name], seed=1)


@pytest.fixture
def again(recipe_name: str, tmp_path: Path) -> Rows:
    """The same rows made once more, with another order of sets."""
    return generate(recipe_name, tmp_path, TRAIN_ROWS[recipe_name], hash_seed="2")
