from __future__ import annotations

import sys
from pathlib import Path

import pytest

from expert_kit.archive import validate, write_archive
from expert_kit.archive.confined import Limits, run_confined
from expert_kit.archive.grammar import MAX_SIZE, check_grammar
from expert_kit.archive.grammar_scan import MAX_LITERAL, MAX_NESTING, MAX_RULES, MAX_TOKENS, problem_of
from expert_kit.archive.reader import ArchiveReader
from expert_kit.errors import ArchiveError
from expert_kit.manifest import FileEntry, Grammar, Manifest
from expert_kit.names import sha256_digest
from tests.support.builders import build_expert

GBNF = r"""# SELECT with a list of columns
root    ::= "SELECT " columns " FROM " name (" LIMIT " [0-9]{1,3})?
columns ::= name (", " name)* | "\"*\""
name    ::= [a-zA-Z_] [a-zA-Z0-9_]*
"""
LARK = """start: value ("," value)*  // a list
?value: NUMBER | "x"i -> letter
NUMBER.2: "0".."9"
%ignore " "
"""


@pytest.mark.parametrize(("form", "text"), [("gbnf", GBNF), ("ebnf", GBNF.replace('"SELECT "', "'SELECT '")), ("lark", LARK)])
def test_a_grammar_is_taken(form: str, text: str):
    assert problem_of(text, form) == ""
    assert check_grammar(text.encode(), f"grammar/a.{form}") == []


BAD = {
    "no rule": ("gbnf", '"text"', "0 rules"),
    "too many rules": ("gbnf", 'a ::= "x"\n' * (MAX_RULES + 1), "rules"),
    "too many words": ("gbnf", "a ::= " + "a " * MAX_TOKENS, "more than"),
    "deep": ("gbnf", "a ::= " + "(" * (MAX_NESTING + 1) + ")" * (MAX_NESTING + 1), "nested"),
    "open": ("gbnf", 'a ::= ("x"', "not closed"),
    "closed twice": ("gbnf", 'a ::= "x")', "closes nothing"),
    "crossed": ("lark", 'a: ("x" ["y")]', "closes nothing"),
    "repeats": ("gbnf", 'a ::= "x"{1,99999}', "repeats"),
    "repeats beyond words": ("gbnf", 'a ::= "x"{' + "9" * 500 + "}", "repeats"),
    "long literal": ("gbnf", 'a ::= "' + "x" * (MAX_LITERAL + 1) + '"', "longer"),
    "long word": ("gbnf", "a ::= " + "x" * (MAX_LITERAL + 1), "longer"),
    "open literal": ("gbnf", 'a ::= "x\nb ::= "y"', "does not end"),
    "open class": ("ebnf", "a ::= [a-z", "does not end"),
    "unknown rule": ("gbnf", "a ::= b", "no rule has that name"),
    "rule without a name": ("gbnf", '::= "x"', "behind the name"),
    "text as a name": ("lark", '"x": "y"', "behind the name"),
    "import": ("lark", '%import common.WORD\na: "x"', "directive"),
    "special token by its number": ("lark", 'a: <[1]> "x"', "special token"),
    "regular expression": ("lark", "a: /(a+)+$/", "regular expression"),
}


@pytest.mark.parametrize("label", BAD)
def test_what_is_out_of_bounds_is_named(label: str):
    form, text, words = BAD[label]
    assert words in problem_of(text, form)


@pytest.mark.parametrize("data", [b"x" * (MAX_SIZE + 1), b"\xff", b"a ::= \x1b[2J", 'a ::= "\u202e"'.encode(), b'a ::= "x"\r\n'])
def test_text_that_is_too_large_or_not_printable_is_refused(data: bytes):
    assert [one.code for one in check_grammar(data, "grammar/a.gbnf")] == ["grammar_invalid"]


def test_a_problem_crosses_from_the_other_process():
    (problem,) = check_grammar(b"a ::= b", "grammar/a.gbnf")
    assert (problem.code, problem.severity, problem.where) == ("grammar_invalid", "refused", "grammar/a.gbnf")
    assert "no rule has that name" in problem.message


def test_another_form_is_said_to_be_unchecked():
    (problem,) = check_grammar(b"anything", "grammar/a.txt")
    assert (problem.code, problem.severity) == ("check_unavailable", "unchecked")


def test_validation_looks_at_the_grammar(tmp_path: Path):
    with ArchiveReader.open(build_expert(tmp_path)) as reader:
        manifest, members = reader.manifest, {entry.path: reader.read(entry.path) for entry in reader.files}
    body = b"root ::= missing"
    entry = FileEntry(path="grammar/a.gbnf", size=len(body), sha256=sha256_digest(body), role="grammar", media_type="text/plain")
    files = tuple(sorted((*manifest.files, entry), key=lambda one: one.path))
    changed = manifest.model_copy(update={"files": files, "grammar": Grammar(path=entry.path, kind="gbnf")})
    out = write_archive(tmp_path / "g.expert", Manifest.parse(changed.to_bytes()), {**members, entry.path: body})
    assert "grammar_invalid" in [one.code for one in validate(out)]


PROBES = {
    "time": "while True: pass",
    "memory": "import sys\nsys.stdout.buffer.write(bytes(1 << 30))",
    "output": "import sys\nsys.stdout.buffer.write(bytes(9999))",
    "error": "raise SystemExit(3)",
    "file": "import pathlib\npathlib.Path('WRITTEN').write_text('x')",
    "packages": "import pydantic",
}


@pytest.mark.parametrize("label", PROBES)
@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory and files are those of Linux")
def test_a_confined_process_is_ended_at_its_limits(tmp_path: Path, label: str):
    script = tmp_path / "probe.py"
    script.write_text(PROBES[label].replace("WRITTEN", str(tmp_path / "written")))
    with script.open("rb") as source, pytest.raises(ArchiveError) as caught:
        run_confined(script, source, Limits(seconds=1, output=100, memory=128 << 20))
    assert caught.value.code == "parser_stopped"
    assert not (tmp_path / "written").exists() or (tmp_path / "written").read_text() == ""
