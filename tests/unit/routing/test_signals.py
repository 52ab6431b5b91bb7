from __future__ import annotations

import time

import pytest

from expert_kit.routing.formats import CONTENT, EXTENSIONS, FENCE_TAGS, NAMES
from expert_kit.routing.signals import detect

SHOWS = {
    "sql": ["CREATE TABLE bikes (id INTEGER)", "select name, age from people where age > 3", "SELECT *\nFROM t", "UPDATE t SET a = 1"],
    "json": ['Fix: {"name": "api", "ports": [80]}', "[1, 2, 3]"],
    "yaml": ["services:\n  web:\n    image: nginx", "---\nname: x", "name: api\nport: 80\nhost: here"],
    "toml": ["[project]\nname = 'x'"],
    "html": ["<div class='a'>hello</div>", "<!DOCTYPE html>", "what is <br/>?"],
    "xml": ["<?xml version='1.0'?>", "<note><to>Bob</to></note>"],
    "css": [".a { color: red; }"],
    "python": ["def f(x): return x", "import numpy as np", ">>> 1 + 1", "for i in range(3): print(i)", "[a for a in b]"],
    "javascript": ["const a = 1;", "items.map(x => x.id)", "console.log(a)"],
    "typescript": ["function f(a: string, b?: number) {}", "interface A {\n}"],
    "java": ["public static void main(String[] args)"],
    "c": ["#include <stdio.h>", "int main() {}"],
    "rust": ["fn main() { let mut a = 1; }", "error[E0382]: use of moved value"],
    "go": ["package main\n\nfunc main() {}", "x := 3"],
    "php": ["<?php echo 1;"],
    "shell": ["$ ls", "ls -la", "find . -name x", "sudo reboot", "cat a | grep b", "git commit -m x", "pip install numpy"],
    "cron": ["what does 0 6 * * MON mean", "*/5 * * * * /bin/x", "@daily"],
    "dockerfile": ["FROM python:3.11\nRUN pip install x"],
    "stack_trace": ["Traceback (most recent call last):", "TypeError: 'NoneType'", "  at com.a.B.run(B.java:12)", "panic: oops"],
    "log": ["2026-01-02 10:11:12,123 [main] ERROR no route"],
    "diff": ["@@ -1,3 +1,4 @@", "--- a/x\n+++ b/x"],
    "regex": [r"what does \d+\.\d{2} match", "[a-z]+", "(?<=a)b"],
    "csv": ["id,name,town\n1,Ann,Oslo", "a;b;c\n1;2;3"],
    "table": ["| a | b |\n|---|---|\n| 1 | 2 |"],
    "latex": [r"\frac{1}{2}", r"\begin{align}"],
    "maths": ["Differentiate x**3", "d/dx of 3x", "sin(x)", "f(x) = 2", "2 + 2", "∫ x dx", "4/x"],
    "date": ["on 2026-11-22", "on 3.4.2025", "May 5th", "5 May"],
    "url": ["see https://example.org/a"],
    "email": ["write to ann@example.org"],
}
SHOWS_NOTHING = [
    "Select the best wine from the list.",
    "What's the difference between a crocodile and an alligator?",
    "Ingredients:\n- two eggs\n- flour",
    "Write an email: dear Ann, thanks, Bob",
    "where will i find my w-2",
    "How do I undo my last git commit?",
    "Let us create a table in the garden and drop the index cards.",
    "the class of 1968 is open 24/7, e.g. at noon",
    "I (really) like cats & dogs; do you?",
    "update my set of plates, delete it from my list",
    "",
    "\x00\x01\x02",
]


def test_every_format_of_the_table_has_an_example():
    assert SHOWS.keys() == CONTENT.keys()
    assert {*FENCE_TAGS.values(), *EXTENSIONS.values()} <= set(NAMES)


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in SHOWS.items() for text in texts])
def test_a_format_is_seen(name, text):
    assert name in detect(text).formats


@pytest.mark.parametrize("text", SHOWS_NOTHING)
def test_prose_shows_no_format(text):
    assert detect(text).findings == ()


def test_fences_file_names_shebangs_and_attachments_say_where_it_was_seen():
    assert ("rust", "fence") in [finding[:2] for finding in detect("see\n```rs\nx\n```").findings]
    assert ("python", "file name") in [finding[:2] for finding in detect("why does run.py fail").findings]
    assert ("shell", "shebang") in [finding[:2] for finding in detect("#!/bin/bash\ntrue").findings]
    assert [finding[:2] for finding in detect("look", ["Report.SQL", "photo.jpg", "noend"]).findings] == [("sql", "attachment")]


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("List the planets. Return them as JSON.", ("json",)),
        ("Convert this to YAML: a, b", ("yaml",)),
        ("Give me a markdown table of it", ("table",)),
        ("Write a SQL query for it", ("sql",)),
        ("Is it so? Answer in one word", ("one_word",)),
        ("As JSON. No, tell me a story instead.", ()),
        ("the number of transactions", ()),
        ("a json is broken, why?", ()),
    ],
)
def test_the_last_sentence_says_what_is_asked_for(text, asked):
    assert detect(text).asks_for == asked


def test_signals_are_plain_data_and_do_not_change():
    text = "CREATE TABLE a (b INT);\nSee x.py on 2026-01-01, as JSON"
    assert detect(text) == detect(text)
    assert detect(text).to_json()["asks_for"] == ["json"]


ADVERSARIAL = ["a", " ", "\n", "<a ", "SELECT ", "select a, ", '{"a', '"', "a.", "1 ", "*/5 ", "1,2,", "http://", "a:\n ", "a,b,c\n"]
ADVERSARIAL += [
    "def a(",
    "x ** ",
    "\\d",
    " at a",
    "|-",
    "fn a",
    "1/1/",
    "[a-",
    "impl a for ",
    "FROM a\n",
    "<a>",
    "a@",
    "```",
    ")=>",
    "[[a]]\n",
]


@pytest.mark.parametrize("piece", ADVERSARIAL)
def test_a_megabyte_made_to_hurt_costs_little(piece):
    # Quadratic behaviour of a single expression over the 20,000 characters would already take seconds.
    text = piece * (1_000_000 // len(piece))
    start = time.process_time()
    detect(text)
    assert time.process_time() - start < 1.5


@pytest.mark.parametrize("name", sorted(CONTENT))
def test_every_expression_is_linear(name):
    # 40,000 characters take at most 200 times what 2,000 do: 20 if linear, 400 if quadratic. Small ones drown in noise.
    for piece in ADVERSARIAL:
        short, long = (_seconds(name, piece * (size // len(piece))) for size in (2_000, 40_000))
        assert long < max(0.2, 200 * short), piece


def _seconds(name: str, text: str) -> float:
    start = time.process_time()
    CONTENT[name].search(text)
    return time.process_time() - start


def test_a_short_prompt_takes_less_than_a_millisecond():
    def once() -> float:
        start = time.process_time()
        for _ in range(20):
            detect("CREATE TABLE bikes (id INTEGER, station TEXT);\n\nHow many bikes are at each station? Answer with SQL.")
        return (time.process_time() - start) / 20

    detect("warm up")
    assert min(once() for _ in range(5)) < 1e-3
