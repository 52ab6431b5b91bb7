"""Runs of words with slips: what is near is inside, measured by a distance of its own."""

from __future__ import annotations

import importlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expert_kit.archive.grammar_compile import LIMITS
from expert_kit.archive.grammar_near import MAX_NEAR, has_words, near_rules

WORDS = st.text("abcé", min_size=1, max_size=7)


def follows(text: str, answer: str) -> bool:
    """Whether an answer fulfils the rule for a text."""
    guidance = importlib.import_module("llguidance")
    tokenizer = guidance.LLTokenizer(guidance.TokenizerWrapper(Bytes()))
    grammar = guidance.LLMatcher.grammar_from_lark(f"start: near\n{near_rules('near', text)}\n")
    matcher = guidance.LLMatcher(tokenizer, grammar, log_level=0, limits=guidance.LLParserLimits(**LIMITS))
    assert not matcher.is_error(), matcher.get_error()
    data = answer.encode()
    taken = matcher.try_consume_tokens(list(data))
    assert not matcher.is_error(), matcher.get_error()
    return bool(taken == len(data) and matcher.is_accepting())


class Bytes:
    eos_token_id, bos_token_id = 256, None
    tokens = (*(bytes((value,)) for value in range(256)), b"<end>")
    special_token_ids = (256,)

    def __call__(self, text: bytes | str) -> list[int]:
        return list(text.encode() if isinstance(text, str) else text)


def distance(first: str, second: str) -> int:
    """Letters added, left out, changed, or swapped with their neighbour, where no place is changed twice."""
    rows = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i in range(len(first) + 1):
        for j in range(len(second) + 1):
            ways = (
                [i + j]
                if not i or not j
                else [rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (first[i - 1] != second[j - 1])]
            )
            if i > 1 and j > 1 and first[i - 1] == second[j - 2] and first[i - 2] == second[j - 1]:
                ways.append(rows[i - 2][j - 2] + 1)
            rows[i][j] = min(ways)
    return rows[-1][-1]


@given(word=WORDS, other=WORDS)
@settings(max_examples=400, deadline=None)
def test_a_word_may_become_what_is_as_near_as_its_length_allows(word, other):
    allowed = 0 if len(word) < 2 else 1 if len(word) < 5 else 2
    assert follows(word, other) is (distance(word, other) <= allowed)


@given(
    words=st.lists(WORDS, min_size=1, max_size=6),
    gaps=st.lists(st.sampled_from([" ", ", ", " - ", '"', ' "']), min_size=6, max_size=6),
    data=st.data(),
)
@settings(max_examples=150, deadline=None)
def test_every_run_of_words_can_be_copied(words, gaps, data):
    first = data.draw(st.integers(0, len(words) - 1))
    last = data.draw(st.integers(first, len(words) - 1))
    text = "".join(word + gap for word, gap in zip(words, gaps, strict=False))
    run = "".join(word + (gap if at < last else "") for at, (word, gap) in enumerate(zip(words, gaps, strict=False)) if first <= at <= last)
    assert follows(text, run)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("fix: She has alot of horses.", "She has a lot of horses."),
        ("i can not come, in fact", "i cannot come, infact"),
        ("dont do that wellknown thing", "don't do that well-known thing"),
        ('Correct "teh cat." please', "the cat."),
        ("The cta sat.\nFix the first line", "The cat sat."),
        ("pay 50 dolars to B12", "pay 50 dollars to B12"),
        ("naïv café", "naïve café"),
    ],
)
def test_what_a_correction_may_be(text, answer):
    assert follows(text, answer)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The cat sat.\nFix the first line", "The cat sat.\nFix"),
        ("The cat sat", "The cars sat"),
        ("The cat sat", "The  cat"),
        ("The cat is here", "The here"),
        ("The cat sat", " The cat"),
        ("The cat sat", "The cat "),
        ("pay 50 dollars", "pay 60 dollars"),
        ("a b", "a c"),
        ("word", ""),
    ],
)
def test_what_it_may_not_be(text, answer):
    assert not follows(text, answer)


@pytest.mark.parametrize("length", [1, 2, 4, 5, 6, 8, 12, 24, 40])
def test_the_longest_texts_are_followed_within_the_limits_of_every_token(length):
    source = importlib.import_module("random").Random(length)
    words = ["".join(source.choices("abcdefghijklmnop", k=length)) for _ in range(MAX_NEAR)]
    text = " ".join(words)[:MAX_NEAR]
    assert follows(text, text[:300].rpartition(" ")[0])


def test_signs_are_no_words():
    assert not has_words("... -- ?!")
    assert has_words("... a")
