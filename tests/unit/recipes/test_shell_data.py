"""The generator of the shell recipe, on a few pages written for these tests: deterministic, splits apart, golds right."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from expert_kit.evaluation.shell_command import check
from tests.support.recipes import recipe_module

RECIPE = Path(__file__).resolve().parents[3] / "recipes" / "shell"
SPLITS = ("train", "validation", "test", "new_commands")
PAGES = {
    "ls": """# ls

> List the content of a directory.

- List [a]ll files, including hidden files:

`ls {{[-a|--all]}}`

- List files in long format, sorted by size:

`ls {{[-lS|-l --sort=size]}}`

- List the files in a specific directory:

`ls {{path/to/directory}}`
""",
    "tar": """# tar

- Create a compressed archive from files:

`tar czf {{path/to/target.tar.gz}} {{path/to/file1 path/to/file2 ...}}`

- E[x]tract an archive into the target directory:

`tar xf {{path/to/source.tar[.gz|.bz2|.xz]}} {{[-C|--directory]}} {{path/to/directory}}`

- Create an archive in a format of choice:

`tar {{czf|cjf}} {{path/to/file}}`
""",
    "git-switch": """# git switch

- Switch to an existing branch:

`git switch {{branch_name}}`

- Display help:

`git switch --help`
""",
    "systemctl": """# systemctl

- Start/Stop a service:

`systemctl {{start|stop}} {{unit}}`

- Restart a service:

`systemctl restart {{unit}}`
""",
    "cat": """# cat

- Print the contents of a file in reverse:

`cat {{path/to/file}} | tac`

- Print the contents of a file:

`cat {{path/to/file}}`
""",
    "tac": """# tac

- Print the lines of a file in reverse:

`tac {{path/to/file}}`

- Print the lines of files in reverse, using a separator:

`tac {{[-s|--separator]}} {{separator}} {{path/to/file}}`
""",
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tldr")
    (folder / "pages" / "common").mkdir(parents=True)
    for name, text in PAGES.items():
        (folder / "pages" / "common" / f"{name}.md").write_text(text)
    return folder


def run(out, *arguments, **environment):
    command = [sys.executable, str(RECIPE / "data.py"), "--out", str(out), "--train-rows", "60", *map(str, arguments)]
    clean = {name: value for name, value in os.environ.items() if name != "EXPERT_KIT_TLDR"}
    return subprocess.run(command, check=False, env={**clean, **environment}, capture_output=True, text=True)


def rows_in(out):
    return {split: [json.loads(line) for line in (out / f"{split}.jsonl").read_text().split("\n") if line] for split in SPLITS}


@pytest.fixture(scope="module")
def written(pages, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    done = run(out, "--data", pages, PYTHONHASHSEED="7")
    assert done.returncode == 0, done.stderr
    return rows_in(out)


@pytest.fixture(scope="module")
def lines(pages):
    module = recipe_module("shell", "shell_lines")
    return module.Lines(recipe_module("shell", "tldr_pages").read_examples(pages))


def test_the_folder_may_be_named_by_the_environment_and_the_rows_are_the_same(written, pages, tmp_path):
    done = run(tmp_path, PYTHONHASHSEED="2", EXPERT_KIT_TLDR=str(pages))
    assert done.returncode == 0, done.stderr
    assert rows_in(tmp_path) == written


def test_further_rows_ask_for_training_lines_in_training_words(written, pages, tmp_path):
    done = run(tmp_path, "--data", pages, "--train-rows", "2000")
    assert done.returncode == 0, done.stderr
    further = [json.loads(line) for line in (tmp_path / "further.jsonl").read_text().splitlines()]
    assert {row["kind"] for row in further} >= {row["kind"] for row in written["train"]}
    held = {row["prompt"] for split in ("validation", "test", "new_commands") for row in written[split]}
    assert not held & {row["prompt"] for row in further}
    assert all("options" not in row for row in further)


def test_pages_that_are_not_all_there_are_named_and_not_waited_for(tmp_path):
    folder = tmp_path / "tldr" / "pages" / "common"
    folder.mkdir(parents=True)
    (folder / "ls.md").write_text(PAGES["ls"])
    done = run(tmp_path / "out", "--data", tmp_path / "tldr")
    assert done.returncode != 0
    assert "no command line for new_commands" in done.stderr


def test_without_pages_the_script_says_how_to_name_them(tmp_path):
    for arguments in ([], ["--data", tmp_path]):
        done = run(tmp_path / "out", *arguments)
        assert done.returncode == 1
        assert "--data FOLDER" in done.stderr
        assert "EXPERT_KIT_TLDR=FOLDER" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_listed_file_is_read_like_the_pages(pages, tmp_path):
    tldr = recipe_module("shell", "tldr_pages")
    examples = tldr.read_examples(pages)
    listed = [{"command": one.page, "platform": "linux", "query": one.query, "code": one.code, "about": ""} for one in examples]
    listed.append({"command": "dir", "platform": "windows", "query": "List", "code": "dir", "about": ""})
    (tmp_path / tldr.LISTED).write_text("".join(json.dumps(one) + "\n" for one in listed))
    assert tldr.read_examples(tmp_path) == examples
    assert len(examples) == 14


def test_lines_that_leave_a_choice_open_or_are_about_help_are_left_out(lines):
    own = recipe_module("shell", "shell_lines").own_lines()
    assert lines.known[: len(own)] == own
    assert {line.shown for line in lines.known[len(own) :]} == {
        "ls -a",
        "ls -lS",
        "ls {{directory}}",
        "tar czf {{file.tar.gz}} {{files}}",
        "tar xf {{file.tar.gz}} -C {{directory}}",
        "git switch {{branch}}",
        "systemctl restart {{service}}",
        "cat {{file}}",
    }
    assert {line.task for line in lines.known} >= {"List all files, including hidden files", "Extract an archive into the target directory"}
    assert lines.options["ls"] == {"--all": "-a"}


def test_held_out_commands_are_in_no_training_line(lines, written):
    assert {line.shown for line in lines.new} == {"tac {{file}}", "tac -s {{separator}} {{file}}"}
    assert {row["group"] for row in written["new_commands"]} == {"tac"}
    assert not any(re.search(r"\btac\b", row["prompt"] + row["completion"]) for row in written["train"])
    named, held = (recipe_module("shell", "shell_lines").pages_of(f"{name}_programs.txt") for name in ("shell", "held_out"))
    assert len(named) > 180
    assert len(held) > 30
    assert not named & held


def test_each_held_out_prompt_says_something_that_training_never_says(written):
    phrasings = recipe_module("shell", "shell_phrasings")
    for table in (phrasings.VERBS, phrasings.WORDS):
        assert all(held and not set(train) & set(held) for train, held in table.values())
    for train, held in (phrasings.FRAMES, phrasings.TOOLS, phrasings.GIVEN):
        assert not {text.lower() for text in train} & {text.lower() for text in held}
    prompts = {split: {row["prompt"].lower() for row in rows} for split, rows in written.items()}
    assert not prompts["train"] & (prompts["validation"] | prompts["test"] | prompts["new_commands"])
    values = recipe_module("shell", "shell_slots").VALUES
    assert all(not set(train) & set(held) for train, held in values.values())


def test_a_prompt_names_every_value_of_its_line(written):
    pools = recipe_module("shell", "shell_slots").VALUES.values()
    values = {value for pool in pools for side in pool for value in side if not value.isdigit()}
    for row in (row for rows in written.values() for row in rows):
        assert not re.search(r"[\x00{}]", row["prompt"]), row
        # The first word is the program, which may be called like a value.
        missing = [word for word in row["completion"].split()[2:] if word in values and word not in row["prompt"]]
        assert missing == [], row


def test_no_row_has_a_hand_written_prompt_or_its_line_with_values(written):
    by_hand = [json.loads(line) for name in ("", "_dev") for line in (RECIPE / f"handwritten{name}.jsonl").open()]
    prompts = {row["prompt"].lower() for row in by_hand}
    filled = {line for row in by_hand for line in (row["completion"], *row.get("accept", ())) if re.search(r"\d|\.\w", line)}
    rows = [row for rows in written.values() for row in rows]
    assert not prompts & {row["prompt"].lower() for row in rows}
    same = filled & {row["completion"] for row in rows}
    assert same <= {line.shown for line in recipe_module("shell", "shell_lines").own_lines()}


def test_golds_pass_their_check_and_other_lines_do_not(written):
    rows = written["test"] + written["new_commands"]
    assert all(check(row["completion"], row).ok for row in rows)
    for row in rows[:30]:
        other = next(one for one in rows if one["group"] != row["group"])
        assert not check(other["completion"], row).ok


def test_hand_written_prompts_name_their_group_and_accept_only_lines_that_pass(written):
    for name in ("", "_dev"):
        for row in (json.loads(line) for line in (RECIPE / f"handwritten{name}.jsonl").open()):
            assert row["group"]
            assert all(check(line, row).ok for line in (row["completion"], *row.get("accept", ())))
            assert not check("true", row).ok


def test_the_real_pages_give_enough_lines(tmp_path):
    folder = os.environ.get("EXPERT_KIT_TLDR")
    if not folder:
        pytest.skip("EXPERT_KIT_TLDR names no copy of the tldr-pages")
    lines = recipe_module("shell", "shell_lines").Lines(recipe_module("shell", "tldr_pages").read_examples(Path(folder)))
    assert len(lines.known) > 800
    assert len(lines.new) > 100
    by_hand = {json.loads(line)["prompt"].lower() for line in (RECIPE / "handwritten.jsonl").open()}
    assert not by_hand & {line.task.lower() for line in lines.known}
