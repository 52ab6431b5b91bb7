from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path

import pytest

from expert_kit.base_models import DEFAULT_BASE
from expert_kit.cli.chat import chat
from expert_kit.cli.generate import generate
from expert_kit.cli.options import read_choice, read_choices, read_passphrase
from expert_kit.cli.route import route
from expert_kit.errors import UsageError


def test_defaults_are_those_of_the_rooms():
    from expert_kit.inference import SamplingOptions

    for command in (generate, chat):
        defaults = {name: parameter.default for name, parameter in inspect.signature(command).parameters.items()}
        for field in fields(SamplingOptions):
            if field.name in defaults:
                assert (defaults[field.name] or field.default) == field.default, field.name
    assert {inspect.signature(command).parameters["base"].default for command in (generate, chat, route)} == {DEFAULT_BASE}


def test_every_sampling_option_can_be_given():
    from expert_kit.inference import SamplingOptions

    assert {field.name for field in fields(SamplingOptions)} <= set(inspect.signature(generate).parameters)


def test_a_choice_is_the_base_a_name_or_a_folder(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ns" / "adapter").mkdir(parents=True)
    assert read_choice("base") is None
    assert read_choice("auto") == "auto"
    assert read_choice("mix:ns/a@0.5+ns/b@0.5") == "mix:ns/a@0.5+ns/b@0.5"
    assert read_choice("ns/adapter") == "ns/adapter"
    assert read_choice("./gone") == Path("gone")
    assert read_choice(str(tmp_path / "gone")) == tmp_path / "gone"
    (tmp_path / "ns" / "adapter" / "adapter_config.json").touch()
    assert read_choice("ns/adapter") == Path("ns/adapter")


def test_several_experts_are_a_list_and_none_is_auto():
    assert read_choices(None) == "auto"
    assert read_choices(["base"]) is None
    assert read_choices(["ns/a", "ns/b"]) == ["ns/a", "ns/b"]


def test_an_empty_word_is_no_choice():
    for words in ([""], ["ns/a", ""]):
        with pytest.raises(UsageError, match="this word is empty"):
            read_choices(words)


@pytest.mark.parametrize("alone", ["auto", "base", "mix:ns/a@1+ns/b@1"])
def test_words_for_a_whole_choice_stand_alone(alone):
    with pytest.raises(UsageError, match="stands alone"):
        read_choices(["ns/a", alone])


def test_a_passphrase_is_the_first_line_of_its_file(tmp_path: Path):
    (tmp_path / "secret").write_text("open sesame\nmore\n")
    assert read_passphrase(tmp_path / "secret") == "open sesame"
    assert read_passphrase(None) is None
    with pytest.raises(UsageError, match="passphrase"):
        read_passphrase(tmp_path / "gone")
