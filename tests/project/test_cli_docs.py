from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_generated_pages_are_up_to_date():
    done = subprocess.run([sys.executable, "scripts/refresh_cli_docs.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_command_has_a_test_file_of_its_own():
    from expert_kit.cli.main import COMMANDS

    missing = [name for name in COMMANDS if not (ROOT / "tests" / "integration" / f"test_cli_{name}.py").is_file()]
    assert missing == []


def test_every_help_shows_an_example():
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    sections = [section for section in page.split("\n## ")[1:] if "[OPTIONS] COMMAND" not in section]
    assert len(sections) > 15
    assert [section.splitlines()[0] for section in sections if "Example:" not in section] == []
