from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest

from expert_kit.cli.output import counted, emit_table, set_up_streams, show_error, terminal_safe, write_whole, writing
from expert_kit.errors import CapacityError, RecipeError


def test_an_error_names_its_code_and_the_next_step(capsys):
    show_error(RecipeError("first\nsecond", hint="look there"), as_json=False)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error[recipe_invalid]: first\n  second\nnext: look there\n"


def test_an_error_cannot_steer_the_terminal(capsys):
    show_error(RecipeError("evil \x1b[2J \u202e name", hint="mend \x1b[2J it"), as_json=False)
    assert capsys.readouterr().err == "error[recipe_invalid]: evil \\u{1b}[2J \\u{202e} name\nnext: mend \\u{1b}[2J it\n"


def test_an_error_as_json_is_one_object_on_stderr(capsys):
    show_error(RecipeError("bad", hint="fix", code="recipe_unreadable"), as_json=True, param="recipe")
    out, err = capsys.readouterr()
    assert out == ""
    expected = {"code": "recipe_unreadable", "message": "bad", "type": "RecipeError", "param": "recipe", "next": "fix"}
    assert json.loads(err) == {"error": expected}


@pytest.mark.parametrize(("value", "shown"), [("1", True), ("0", False), ("", False)])
def test_only_the_debug_variable_shows_a_traceback(capsys, monkeypatch, value, shown):
    monkeypatch.setenv("EXPERT_KIT_DEBUG", value)
    try:
        raise RecipeError("bad")
    except RecipeError as error:
        show_error(error, as_json=False)
    assert ("Traceback" in capsys.readouterr().err) is shown


def test_text_of_a_model_keeps_its_lines_and_scripts_but_not_its_controls():
    assert terminal_safe("a\n\tb é 日本 👩‍💻 c") == "a\n\tb é 日本 👩‍💻 c"
    assert terminal_safe("\x1b]0;x\x07\r\u202e\x9b") == "\\u{1b}]0;x\\u{7}\\u{d}\\u{202e}\\u{9b}"


def test_a_table_aligns_and_escapes(capsys):
    emit_table(("A", "B"), [("long cell", "x"), ("y", "\x1b[31m")])
    assert capsys.readouterr().out == "A          B\nlong cell  x\ny          \\u{1b}[31m\n"


def test_warnings_of_the_rooms_reach_stderr_once(capsys):
    set_up_streams()
    set_up_streams()
    logging.getLogger("expert_kit.some.room").warning("watch %s", "out\x1b")
    logging.getLogger("expert_kit.some.room").info("not this")
    assert capsys.readouterr().err == "warning: watch out\\u{1b}\n"


def test_a_file_is_written_whole(tmp_path: Path):
    path = tmp_path / "new" / "report.json"
    write_whole(path, "old")
    write_whole(path, "new")
    assert path.read_text() == "new"
    assert os.listdir(path.parent) == ["report.json"]


def test_a_file_that_cannot_be_written_is_a_typed_error_and_leaves_nothing(tmp_path: Path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(CapacityError, match="cannot write"):
        write_whole(tmp_path / "taken", "text")
    assert os.listdir(tmp_path) == ["taken"] or sorted(os.listdir(tmp_path)) == ["home", "taken"]


def test_things_are_counted_in_their_number() -> None:
    assert [counted(number, "finding") for number in (0, 1, 2)] == ["0 findings", "1 finding", "2 findings"]


def test_what_cannot_be_written_is_named_and_other_errors_pass(tmp_path: Path):
    with pytest.raises(CapacityError) as caught, writing(tmp_path / "a\x1bb.png"):
        raise PermissionError(13, "Permission denied")
    assert (caught.value.code, "\x1b" in caught.value.message) == ("output_unwritable", False)
    assert caught.value.message.endswith("b.png: Permission denied")
    with pytest.raises(ValueError, match="no file"), writing(tmp_path):
        raise ValueError("no file")
