"""Where ``train`` leaves a run whose folder is not named: two recipes of one domain or of two must not share one."""

from __future__ import annotations

from pathlib import Path

import pytest

from expert_kit.cli.train import run_name


@pytest.fixture
def domain(tmp_path: Path) -> Path:
    folder = tmp_path / "cron"
    folder.mkdir()
    (folder / "recipe.yaml").touch()
    return folder


def test_a_domains_recipe_has_its_name(domain: Path) -> None:
    assert run_name(domain / "recipe.yaml") == "cron"


def test_a_second_recipe_beside_it_has_both_names(domain: Path) -> None:
    assert run_name(domain / "further.yaml") == "cron-further"


def test_a_recipe_on_its_own_has_its_own_name(tmp_path: Path) -> None:
    assert run_name(tmp_path / "mine.yaml") == "mine"


def test_the_folder_may_be_the_one_we_are_in(domain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(domain)
    assert [run_name(Path(name)) for name in ("recipe.yaml", "further.yaml")] == ["cron", "cron-further"]
