"""Answers that are command lines, compared with the row's own ones."""

from __future__ import annotations

import random
import re
import time

import pytest

from expert_kit.errors import DataError
from expert_kit.evaluation import shell_command, shell_words
from expert_kit.evaluation.shell_command import check


def row(gold: str, **more: object) -> dict[str, object]:
    return {"id": "t-1", "completion": gold, **more}


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("ls -la", "ls -l -a"),
        ("ls   -a  -l", "ls -la"),
        ("sudo apt update", "apt update"),
        ("apt update", "sudo apt update"),
        ("/usr/bin/ls -a", "ls -a"),
        ("head -n5 a.txt", "head -n 5 a.txt"),
        ("head -5 a.txt", "head a.txt -n 5"),
        ("tar -xzf a.tgz", "tar xzf a.tgz"),
        ("tar -x -z -f a.tgz", "tar xzf a.tgz"),
        ("tar -C out -xf a.tar", "tar xf a.tar -C out"),
        ("grep -n -i 'word' a.txt", 'grep -in "word" a.txt'),
        ("git commit -am 'x y'", 'git commit -a -m "x y"'),
        ("find . -name '*.py'", 'find . -name "*.py"'),
        ("find . -name \\*.py", "find . -name '*.py'"),
        ("ps aux|grep x", "ps aux | grep 'x'"),
        ("sort <a.txt >b.txt 2>&1", "sort < a.txt > b.txt 2>&1"),
        ('echo "$HOME"', 'echo "$HOME"'),
        ("kill -9 12", "kill -9 {{pid}}"),
        ("kill {{process_id}}", "kill {{pid}}"),
        ("ssh ann@host1", "ssh {{user}}@{{host}}"),
        ("grep 'a b' notes.txt", "grep '{{pattern}}' {{file}}"),
        ("git checkout main", "git checkout {{branch}}"),
    ],
)
def test_a_line_that_does_the_same_is_right(answer: str, gold: str) -> None:
    verdict = check(answer, row(gold))
    assert (verdict.ok, verdict.reason) == (True, "")


@pytest.mark.parametrize(
    ("answer", "gold", "reason"),
    [
        ("ls -l", "ls -la", "other options of ls"),
        ("cp b a", "cp a b", "other words"),
        ("rm -r a", "rm a", "other options of rm"),
        ("head -n 5 -c 3 f", "head -c 5 -n 3 f", "other words"),
        ("find . -name *.py", "find . -name '*.py'", "other words"),
        ("echo $HOME", "echo '$HOME'", "other words"),
        ("ls | wc -l", "ls", "another program"),
        ("a && b", "a || b", "other operators"),
        ("sort a > b", "sort a >> b", "other operators"),
        ("kill -9 12", "kill {{pid}}", "other words"),
        ("git checkout -- a", "git checkout a", "other words"),
        ("rm -rf", "rm -rf {{file}}", "other words"),
        ("cat *", "cat {{file}}", "other words"),
        ("ffmpeg -y -i a", "ffmpeg -i a -y", "other words"),
        ("cat ''", "cat {{file}}", "other words"),
        ("", "ls", "no command line"),
        ("echo 'a", "echo a", "not a command line"),
        ("I do not know.", "ls", "another program"),
    ],
)
def test_a_line_that_does_something_else_is_wrong_and_says_why(answer: str, gold: str, reason: str) -> None:
    verdict = check(answer, row(gold))
    assert not verdict.ok
    assert reason in verdict.reason


@pytest.mark.parametrize(
    "answer",
    [
        "```bash\n$ tar xf a.tar\n```",
        "You can use this:\n\n```\n# unpack it\ntar xf a.tar\n```\nIt unpacks the archive.",
        "Use the `tar` command: `tar xf a.tar`.",
        "`tar xf a.tar`",
        "$ tar xf a.tar",
        "tar xf \\\n  a.tar",
        "tar xf a.tar  # unpacks it",
        "\n\ntar xf a.tar\n",
    ],
)
def test_the_line_is_found_in_whatever_wrapping(answer: str) -> None:
    assert check(answer, row("tar xf a.tar")).ok


def test_a_line_with_back_quotes_inside_is_read_whole() -> None:
    assert check("echo `date`", row("echo `date`")).ok
    assert not check("echo `date`", row("date")).ok


def test_other_lines_may_be_right_too_and_long_options_stand_for_short_ones() -> None:
    some = row("ls -a", accept=["ls -A", "find . -maxdepth 1"], options={"--all": "-a", "--lines": "-n"})
    assert check("ls -A", some).ok
    assert check("find . -maxdepth 1", some).ok
    assert check("ls --all", some).ok
    assert not check("ls --almost-all", some).ok
    assert check("head --lines=3 f", row("head -n 3 f", options={"--lines": "-n"})).ok
    assert check("head --lines 3 f", row("head -n 3 f", options={"--lines": "-n"})).ok


def test_a_very_long_answer_is_judged_quickly() -> None:
    start = time.monotonic()
    for text in ("a " * 5000, "{{" * 3000, "'" * 4001, "-" * 8000, "$(" * 4000, "`" * 8001, "a=" * 4000, "ann" + "@" * 300):
        assert not check(text, row("ssh {{user}}@{{host}}@{{a}}@{{b}} {{c}}")).ok
    assert time.monotonic() - start < 5


class Watched(str):
    """A word that keeps how far it was searched each time."""

    searched: list[int]

    def find(self, part: str, start: int = 0, end: int | None = None) -> int:  # type: ignore[override]
        found = super().find(part, start, end)
        self.searched.append((end or len(self)) - start if found < 0 else found - start + len(part))
        return found


@pytest.mark.parametrize("holes", [2, 4, 40])
def test_a_word_is_looked_through_once_however_many_placeholders_it_is_held_to(holes: int) -> None:
    expected = "a".join([shell_words.HOLE] * holes)
    for word, fits in (("a" * 300, True), ("a" * 299 + "b", True), ("b" * 300, False), ("ab" * 150, True), ("a" * holes, False)):
        watched = Watched(word)
        watched.searched = []
        assert shell_command._fits(watched, expected + "c") is False
        assert shell_command._fits(watched, expected) is fits
        assert 0 < len(watched.searched) < holes
        assert sum(watched.searched) <= len(word)


def test_placeholders_stand_for_what_a_pattern_would_find() -> None:
    rng = random.Random(3)
    for _ in range(20_000):
        word = "".join(rng.choices("ab" + shell_words.ACTIVE, [6, 3, 1], k=rng.randrange(9)))
        expected = "".join(rng.choices("ab" + shell_words.ACTIVE + shell_words.HOLE, [5, 3, 1, 5], k=rng.randrange(1, 7)))
        if shell_words.HOLE in expected:
            pattern = f"[^{shell_words.ACTIVE}]+?".join(map(re.escape, expected.split(shell_words.HOLE)))
            assert shell_command._fits(word, expected) is (re.fullmatch(pattern, word) is not None), (word, expected)


@pytest.mark.parametrize("change", [{"completion": ""}, {"completion": "echo 'a"}, {"accept": ["echo 'a"]}, {"accept": [""]}])
def test_an_unusable_row_is_an_error_and_not_a_wrong_answer(change: dict[str, object]) -> None:
    with pytest.raises(DataError, match="t-1"):
        check("ls", {**row("ls"), **change})
