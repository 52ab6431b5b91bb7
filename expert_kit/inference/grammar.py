"""Grammars that an answer is held to: where they come from, and the words of a prompt that they may ask for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Final

from expert_kit.archive.grammar import MAX_SIZE, text_problem
from expert_kit.archive.grammar_names import MAX_CHUNK, MAX_CHUNKS, MAX_WORD, MAX_WORDS, PromptNames
from expert_kit.errors import GrammarError, UsageError
from expert_kit.inference.prompts import Message
from expert_kit.names import Digest, sha256_digest

OF_EXPERT: Final = "expert"
"""Stands for the grammar that the chosen expert carries. No grammar is this word: rules have colons."""

_WORD: Final = re.compile(r"(?<!\w)[A-Za-z_][A-Za-z0-9_]*+(?!\w)")
_MARK: Final = re.compile(r"""(?<!\w)["`\[]?(?P<head>[A-Za-z_][A-Za-z0-9_]*+)["`\]]?[ \t]*\(|(?P<open>\()|(?P<close>\))|(?P<comma>,)""")
_FIRST: Final = re.compile(r"""\s*(?:["`\[](?P<quoted>[A-Za-z_][A-Za-z0-9_]*+)["`\]]|(?P<bare>[A-Za-z_][A-Za-z0-9_]*+)(?!\w))""")
_NOTE: Final = re.compile(r"\([^()\n]*\)")
"""In a line of items, what is said of one: ``keeper_id (references keepers)``."""
_LINE: Final = re.compile(
    r"(?m)^[ \t*-]*([A-Za-z_][A-Za-z0-9_]*+):[ \t]*([A-Za-z_][A-Za-z0-9_]*+(?:[ \t]*,[ \t]*[A-Za-z_][A-Za-z0-9_]*+)+)[ \t.;]*$"
)
_CHUNK: Final = re.compile(rf"\w{{1,{MAX_CHUNK}}}|\s{{1,{MAX_CHUNK}}}|[^\w\s]")
_NUMBER: Final = re.compile(
    rf"(?<![0-9])(?<![0-9]\.)(?:[0-9]{{1,3}}(?:,[0-9]{{3}})+|[0-9]{{1,{MAX_WORD}}})(?:\.[0-9]{{1,{MAX_WORD}}})?(?![0-9])"
)
_DOT: Final = re.compile(r"(?<![\w.])\.\Z")
_THOUSAND: Final = 3
"""Digits between commas."""
_LEAST_ITEMS: Final = 2
"""A list has two items; ``year (integer)`` is none."""


@dataclass(frozen=True)
class Grammar:
    """The text of a grammar in llguidance's Lark dialect."""

    origin: str
    """Who gave it: an expert's full name, the path of a file, or ``text``."""
    text: str

    @cached_property
    def digest(self) -> Digest:
        """Of the text."""
        return sha256_digest(self.text.encode())


@dataclass(frozen=True)
class UsedGrammar:
    """A grammar that was in force."""

    origin: str
    """See :class:`Grammar`."""
    digest: Digest
    """Of its text, without the words of the prompt."""


def read_grammar(given: str | Path) -> Grammar:
    """What a caller passed as ``grammar``: text, or the path of a file.

    Raises:
        UsageError: ``grammar_file``, it cannot be read. GrammarError: ``grammar_too_large``; ``grammar_invalid``, it is no text.
    """
    if isinstance(given, Path):
        origin = str(given)
        try:
            with given.open("rb") as file:
                data = file.read(MAX_SIZE + 1)
        except OSError as error:
            raise UsageError(f"cannot read the grammar {given}: {error.strerror}", hint="name a .lark file", code="grammar_file") from error
    else:
        origin, data = "text", given.encode("utf-8", "surrogatepass")
    return grammar_of(origin, data)


def grammar_of(origin: str, data: bytes) -> Grammar:
    """A grammar from the bytes of a file.

    Raises:
        GrammarError: ``grammar_too_large``, ``grammar_invalid``.
    """
    if len(data) > MAX_SIZE:
        raise GrammarError(f"the grammar of {origin} is larger than {MAX_SIZE} bytes", code="grammar_too_large")
    problem = text_problem(data)
    if problem:
        raise GrammarError(f"the grammar of {origin} {problem}", hint="write it as UTF-8 text, with line feeds alone at the ends of lines")
    return Grammar(origin, data.decode("utf-8"))


def prompt_names(messages: Sequence[Message]) -> PromptNames:
    """What the prompt gives to ``PROMPT_WORD`` and its like; all but the assistant's messages count, the newest first."""
    texts = [message["content"] for message in reversed(messages) if message["role"] != "assistant"]
    pairs = dict.fromkeys(pair for text in texts for pair in _pairs(text))
    # What is no text (a lone half of a pair) cannot be in an answer either.
    whole = "\n".join(texts).encode(errors="ignore").decode()
    chunks = tuple(match[0] for match in islice(_CHUNK.finditer(whole), MAX_CHUNKS))
    newest = texts[0].encode(errors="ignore").decode() if texts else ""
    return PromptNames(_words(texts), tuple(pairs)[:MAX_WORDS], chunks, _numbers(whole), newest)


def _numbers(text: str) -> tuple[str, ...]:
    """Each number once, as JSON writes it, with and without zeros at its end; at most ``MAX_WORDS``."""
    found: dict[str, None] = {}
    for match in _NUMBER.finditer(text):
        number = re.sub("^0+(?=[0-9])", "", match[0].replace(",", ""))
        found |= dict.fromkeys((number, re.sub(r"\.?0+$", "", number) if "." in number else number, *_other_readings(match)))
        if len(found) >= MAX_WORDS:
            break
    return tuple(found)[:MAX_WORDS]


def _other_readings(match: re.Match[str]) -> Iterator[str]:
    """``.5`` is a half as well as five; ``100,200`` may be two numbers."""
    if _DOT.search(match.string, max(0, match.start() - 2), match.start()):
        yield f"0.{match[0]}"
    first, *others = match[0].split(",")
    if others and len(first) == _THOUSAND:
        yield from (re.sub("^0+(?=[0-9])", "", part) for part in (first, *others))


def _words(texts: Sequence[str]) -> tuple[str, ...]:
    """Words that can be names in a language: ASCII letters, digits and underscores, a digit not first.

    Each word once, at most ``MAX_WORDS`` and none that is longer than ``MAX_WORD``.
    """
    found: dict[str, None] = {}
    for text in texts:
        for word in _WORD.findall(text):
            if len(word) <= MAX_WORD:
                found.setdefault(word)
            if len(found) == MAX_WORDS:
                return tuple(found)
    return tuple(found)


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """Heads and items of what looks like ``films(title TEXT, year)`` or is a line ``films: title, year``."""
    lists = list(_bracketed(text))
    lists += [(match[1], re.split(r"[ \t]*,[ \t]*", match[2])) for match in _LINE.finditer(_NOTE.sub("", text))]
    for head, items in lists:
        short = [item for item in items if len(item) <= MAX_WORD]
        if len(items) >= _LEAST_ITEMS and len(head) <= MAX_WORD:
            yield from ((head, item) for item in short)


def _bracketed(text: str) -> Iterator[tuple[str, list[str]]]:
    """The word before each bracket, and the first word of each part between commas that are in no inner bracket."""
    open_lists: list[tuple[str, list[str], int]] = []
    for mark in _MARK.finditer(text):
        if mark["head"] or mark["open"]:
            open_lists.append((mark["head"] or "", [], mark.end()))
        elif open_lists:
            head, items, start = open_lists.pop()
            first = _FIRST.match(text, start, mark.start())
            items += [first["quoted"] or first["bare"]] if first else []
            if mark["comma"]:
                open_lists.append((head, items, mark.end()))
            elif head:
                yield head, items
