from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from expert_kit.cli import main as front


def command(monkeypatch, error: BaseException) -> None:
    def fail(word: str = "", json: bool = False) -> None:
        raise error

    monkeypatch.setitem(front.COMMANDS, "fail", (fail, ""))


def test_a_bug_is_exit_1_and_shows_its_traceback_on_request_only(monkeypatch, capsys):
    command(monkeypatch, ZeroDivisionError("by zero"))
    assert front.main(["fail"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error[internal_error]: unexpected ZeroDivisionError: by zero\nnext: ")
    monkeypatch.setenv("EXPERT_KIT_DEBUG", "1")
    assert front.main(["fail", "--json"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert json.loads(err.splitlines()[-1])["error"]["code"] == "internal_error"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_output_that_cannot_be_written_is_no_bug_of_ours(monkeypatch, capsys):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert front.main(["--version"]) == 7
        monkeypatch.undo()
    assert capsys.readouterr().err.startswith("error[output_unwritable]: cannot write the output: No space left")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), EOFError()])
def test_an_interrupt_is_exit_130(monkeypatch, capsys, error):
    command(monkeypatch, error)
    assert front.main(["fail"]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_no_arguments_show_the_help_on_stderr(capsys):
    assert front.main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Commands:" in err


def test_a_mistyped_command_is_corrected(capsys):
    assert front.main(["instal"]) == 2
    assert "Did you mean 'install'" in capsys.readouterr().err


def test_json_behind_two_dashes_is_no_option(monkeypatch, capsys):
    command(monkeypatch, ZeroDivisionError("x"))
    front.main(["info", "--", "--json"])
    assert capsys.readouterr().err.startswith("error[name_invalid]")
