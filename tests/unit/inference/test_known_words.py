"""What a mistyped word may have meant, by a vocabulary."""

from __future__ import annotations

from expert_kit.inference.known_words import KnownWords

COMMON = (
    "a",
    "the",
    "lot",
    "slot",
    "around",
    "near",
    "screen",
    "screw",
    "form",
    "from",
    "again",
    "don",
    "out",
    "an",
    "about",
    "Berlin",
    "study",
    "studies",
)
VOCABULARY = {
    **{f"\u0120{word}": at for at, word in enumerate(COMMON)},
    "'t": 90,
    "'s": 91,
    "aroudn": 92,
    "\u0120x1": 93,
    "\u2581harbour": 94,
}
KNOWN = KnownWords(VOCABULARY)


def meant(text: str) -> dict[str, tuple[str, ...]]:
    return dict(KNOWN.meant(text))


def test_an_unknown_word_meant_known_ones_that_are_near() -> None:
    assert meant("aroudn srceen") == {"aroudn": ("around",), "srceen": ("screen",)}
    assert meant("srcew")["srcew"] == ("screw",)
    assert meant("fom")["fom"] == ("form", "from")


def test_a_word_that_is_farther_than_another_one_was_not_meant() -> None:
    assert meant("scrwen")["scrwen"] == ("screen",)
    assert meant("anout")["anout"] == ("about", "an out", "an-out")


def test_words_that_sound_like_a_mistyped_one_are_near_however_they_are_written() -> None:
    assert meant("studys")["studys"] == ("study", "studies", "study's")


def test_letters_beyond_ascii_are_known_only_where_the_vocabulary_writes_them_as_they_are() -> None:
    pairs = KnownWords({"\u0120garc\u00c3\u0143a": 0, "\u0120garcia": 1})
    whole = KnownWords({"\u2581garc\u00eda": 0, "\u2581garcia": 1})
    assert pairs.known == {"garcia"}
    assert whole.known == {"garcia", "garc\u00eda"}


def test_tokens_that_begin_no_word_are_no_words() -> None:
    assert meant("arouds") == {"arouds": ("around",)}
    assert "x1" not in meant("x2")


def test_words_of_sentencepiece_are_known_too() -> None:
    assert meant("habrour") == {"habrour": ("harbour",)}


def test_a_known_word_may_be_another_one_a_slip_away_and_nothing_farther() -> None:
    assert meant("form")["form"] == ("from",)
    assert meant("screen")["screen"] == ()


def test_what_is_far_from_all_that_is_known_is_left_out() -> None:
    assert meant("xylophone qqqqq") == {}


def test_words_with_signs_or_digits_and_single_letters_are_left_out() -> None:
    assert meant("scre'en scre-en screen5 a") == {}


def test_two_known_words_may_have_been_meant_and_one_with_an_apostrophe() -> None:
    assert meant("alot")["alot"] == ("lot", "slot", "a lot", "a-lot")
    assert meant("dont")["dont"] == ("don", "don't")


def test_capitals_make_no_difference() -> None:
    assert meant("SRCEEN Srceen berlni") == {"SRCEEN": ("screen",), "Srceen": ("screen",), "berlni": ("berlin",)}


def test_a_vocabulary_of_another_kind_knows_no_words() -> None:
    assert KnownWords({"screen": 1, "##ing": 2}).meant("srceen screen") == ()
