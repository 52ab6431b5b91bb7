"""The words of a condition after one noun, as a verb, and as a verb of many."""

from __future__ import annotations

import re

_VERBS = {
    "are": "is", "exceed": "exceeds", "start": "starts", "end": "ends", "contain": "contains", "have": "has", "read": "reads",
    "consist": "consists", "occur": "occurs",
}  # fmt: skip
_ONE = {
    "in them": "in it", "palindromes": "a palindrome", "letters or digits": "a letter or a digit", "is vowels": "is a vowel",
    "is digits": "is a digit", "is letters": "is a letter", "is spaces": "is a space", "is capital letters": "is a capital letter",
    "is small letters": "is a small letter", "is multiples": "is a multiple",
}  # fmt: skip
_DIVIDES = re.compile(r"that \S+ divides")
_OPENINGS = (
    ("starting with", "start", " with"),
    ("ending with", "end", " with"),
    ("beginning with", "begin", " with"),
    ("containing", "contain", ""),
    ("with", "have", ""),
    ("whose last digit is", "have", " the last digit"),
    ("whose end is", "end", " with"),
    ("of", "are", " of"),
    ("made of", "are", " made of"),
)
"""How a phrase opens, the verb for that and what comes after the verb."""


def singular(phrase: str) -> str:
    """The phrase after one noun: "that is even"."""
    match = re.match(r"that (\w+)", phrase)
    if match and match[1] in _VERBS:
        phrase = f"that {_VERBS[match[1]]}{phrase[match.end() :]}"
    for many, one in _ONE.items():
        phrase = re.sub(rf"\b{many}\b", one, phrase)
    return phrase


def clause(phrase: str) -> str:
    """The phrase as a verb: "is even"."""
    one = singular(phrase)
    if _DIVIDES.match(one):
        return f"is one {one}"
    if one.startswith("that "):
        return one.removeprefix("that ")
    for opening, verb, rest in _OPENINGS:
        if one.startswith(opening + " "):
            return _VERBS.get(verb, verb + "s") + rest + one[len(opening) :]
    return f"is {one}"


def plural_clause(phrase: str) -> str:
    """The phrase as a verb of many: "are even"."""
    if _DIVIDES.match(phrase):
        return f"are ones {phrase}"
    if phrase.startswith("that "):
        return phrase.removeprefix("that ")
    for opening, verb, rest in _OPENINGS:
        if phrase.startswith(opening + " "):
            return verb + rest + phrase[len(opening) :]
    return f"are {phrase}"
