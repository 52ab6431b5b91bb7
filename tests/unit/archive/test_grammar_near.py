"""Runs of words with slips: what is near is inside, measured by a distance of its own."""

from __future__ import annotations

import importlib
import random
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expert_kit.archive.grammar_compile import LIMITS
from expert_kit.archive.grammar_near import MAX_NEAR, can_follow, has_words, near_rules

WORDS = st.text("abcé", min_size=1, max_size=7)


def follows(text: str, answer: str, meant: Mapping[str, Sequence[str]] = MappingProxyType({})) -> bool:
    """Whether an answer fulfils the rule for a text."""
    guidance = importlib.import_module("llguidance")
    tokenizer = guidance.LLTokenizer(guidance.TokenizerWrapper(Bytes()))
    grammar = guidance.LLMatcher.grammar_from_lark(f"start: near\n{near_rules('near', text, meant)}\n")
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
    if len(word) == 1:
        assert follows(word, other) is (other[0] == word and len(other) < 3)
    else:
        assert follows(word, other) is (distance(word, other) <= (1 if len(word) < 5 else 2))


@given(
    words=st.lists(WORDS, min_size=1, max_size=6),
    gaps=st.lists(st.sampled_from([" ", ", ", " - ", '"', ' "', "' ", "- ", " (", "\u2019 ", "\u2026 "]), min_size=6, max_size=6),
    data=st.data(),
)
@settings(max_examples=300, deadline=None)
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
        ("I said \u201chelo\u201d \u2014 privet, Приве\u2026", "I said \u201chello\u201d \u2014 privet, Привет\u2026"),
        ("My parents' house is beatiful", "My parents' house is beautiful"),
        ("He calld it 'magic' and left", "He called it 'magic' and left"),
        ("hello- there", "hello- there"),
        ("teh cat, i think, is a orange", "The cat, I think, is an orange"),
        ('Fix: "Helo," he said.', '"Hello," he said.'),
        ("tehre are $200 leftt", "There are $200 left"),
        ("all $200 leftt", "$200 left"),
        ("Dogs' tails wag, and the dog's tail is long.", "Dogs' tails wag, and the dog's tail is long."),
        ("Parents' evenig is on Monday, ask the parent's friends.", "Parents' evening is on Monday, ask the parent's friends."),
        ("well- I think it is well-known.", "well- I think it is well-known."),
        ("Workers' rights: a worker's right.", "Workers' rights: a worker's right."),
        ("Girls\u2019 shoes and a girl\u2019s hat.", "Girls\u2019 shoes and a girl\u2019s hat."),
        ("teh\x7f cat", "the\x7f cat"),
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
        ("the cat", "THE cat"),
        ("parents", "parents's"),
    ],
)
def test_what_it_may_not_be(text, answer):
    assert not follows(text, answer)


MEANT = {"aroudn": ("around",), "alot": ("lot", "a lot"), "Teh": ("the",), "TEH": ("the",), "cat": ()}


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("aroudn the cat", "around the cat"),
        ("aroudn the cat", "Around the cat"),
        ("aroudn the cat", "aroudn the cat"),
        ("aroudn teh cat", "around the cat"),
        ("alot of cats", "a lot of cats"),
        ("alot of cats", "A lot of cats"),
        ("Teh cat", "The cat"),
        ("Teh cat", "the cat"),
        ("TEH cat", "THE cat"),
    ],
)
def test_where_it_is_known_what_a_word_meant_it_may_be_that(text, answer):
    assert follows(text, answer, MEANT)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("aroudn the cat", "nearoudn the cat"),
        ("aroudn the cat", "aroud the cat"),
        ("aroudn the cat", "arou dn the cat"),
        ("alot of cats", "allot of cats"),
        ("alot of cats", "al-ot of cats"),
        ("the cat", "the cut"),
        ("TEH cat", "The cat"),
    ],
)
def test_and_nothing_else(text, answer):
    assert not follows(text, answer, MEANT)


def masks(text: str, answer: str) -> str:
    """What llguidance says when all tokens are asked for at each step, as drawing does."""
    guidance = importlib.import_module("llguidance")
    grammar = guidance.LLMatcher.grammar_from_lark(f"start: near\n{near_rules('near', text)}\n")
    tokenizer = guidance.LLTokenizer(guidance.TokenizerWrapper(Bytes()))
    matcher = guidance.LLMatcher(tokenizer, grammar, log_level=0, limits=guidance.LLParserLimits(**LIMITS))
    for byte in answer.encode():
        matcher.compute_bitmask()
        matcher.consume_token(byte)
    return str(matcher.get_error())


@pytest.mark.parametrize("length", [1, 2, 4, 5, 6, 8, 12, 24, 40])
def test_the_longest_texts_are_followed_within_the_limits_of_every_token(length):
    source = random.Random(length)
    words = ["".join(source.choices("abcdefghijklmnop", k=length)) for _ in range(72)]
    text = " ".join(words)[:MAX_NEAR]
    assert can_follow(text)
    assert masks(text, text[:200].rpartition(" ")[0]) == ""


@pytest.mark.parametrize(
    "part", ["no no no no no, go go go go, oh oh oh, ", "if it is to be, it is up to me, ", "1+1=2, 2+2=4, ", "word ", "a b "]
)
def test_what_is_said_again_and_again_is_followed_within_the_limits(part):
    text = max((part * n for n in range(1, 40) if can_follow(part * n)), key=len)
    assert masks(text, text[:200].rpartition(" ")[0]) == ""


def test_long_texts_and_marks_of_their_own_are_not_followed():
    assert not can_follow("a" * (MAX_NEAR + 1))
    assert not can_follow("a " * 73)
    assert not can_follow("I ate at the cafe\u0301.")
    assert not can_follow("मैं कल बाजार")
    assert not can_follow("日本の。")
    assert not can_follow("2 \u00d7 3")
    assert can_follow("日本 の café \u201cquoted\u201d \u2014 Ωμέγα, привет\u2026")


def test_signs_are_no_words():
    assert not has_words("... -- ?!")
    assert has_words("... a")
