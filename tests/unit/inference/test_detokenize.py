from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from expert_kit.inference.detokenize import TextStream


@given(text=st.text(max_size=30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_pieces_join_to_the_text_and_characters_are_whole(tiny_folder, text):
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    stream = TextStream(tokenizer)
    pieces = [stream.push(token) for token in tokenizer(text, add_special_tokens=False)["input_ids"]]
    assert "".join(pieces) + stream.flush() == stream.text
    assert stream.text == text


def test_a_character_of_four_bytes_comes_at_once(tiny_folder):
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    stream = TextStream(tokenizer)
    pieces = [stream.push(token) for token in tokenizer("a🦊b", add_special_tokens=False)["input_ids"]]
    assert [piece for piece in pieces if piece] == ["a", "🦊", "b"]


def test_what_may_begin_a_stop_text_is_held_back(tiny_folder):
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    stream = TextStream(tokenizer, ["STOP"])
    pieces = [stream.push(token) for token in tokenizer("go STay STOP here", add_special_tokens=False)["input_ids"][:13]]
    assert "".join(pieces) == "go STay "
    assert stream.stopped
    assert stream.flush() == ""
    assert stream.text == "go STay "
