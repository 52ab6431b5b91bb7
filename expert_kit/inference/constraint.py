"""Holds answers to a grammar: llguidance says which tokens may come next, the sampler picks among those.

A row without a grammar costs nothing. A row with one asks first whether the likeliest token may come; all tokens are looked at
only if not, or where a token is drawn.

Source: guidance-ai/llguidance; the mask is applied behind the mix of experts and knows nothing of it.
"""

from __future__ import annotations

import importlib
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import numpy as np
import torch

from expert_kit.adapters import BaseModel
from expert_kit.archive.grammar import compile_problem
from expert_kit.archive.grammar_compile import LIMITS
from expert_kit.archive.grammar_names import PROMPT_WORD, cannot_follow, lacks_words, uses_known_words, uses_prompt_words, with_names
from expert_kit.archive.grammar_near import MAX_NEAR
from expert_kit.errors import ArchiveError, GrammarError
from expert_kit.inference.grammar import OF_EXPERT, Grammar, UsedGrammar, prompt_names, read_grammar
from expert_kit.inference.known_words import KnownWords
from expert_kit.inference.prompts import Message
from expert_kit.inference.sampling import GrammarOption
from expert_kit.names import printable

_KEPT: Final = 64
"""Compiled grammars; one with the words of a prompt is one for each set of words."""
_CHANCES: Final = 2
"""Checks that may take too long before a grammar counts as too large."""


class Constraint:
    """Where one answer stands in its grammar. Not for several threads."""

    def __init__(self, matcher: Any, *, may_give_up: bool = False) -> None:
        """A new answer's.

        Args:
            matcher: llguidance's, at its beginning.
            may_give_up: where the grammar cannot be followed any further, the answer goes on without it instead of failing.
        """
        self._matcher, self._may_give_up = matcher, may_give_up
        self.given_up = ""
        """Why the answer is not held any more; empty if it is."""

    def allows(self, token: int) -> bool:
        """Whether this token may come next; an end token may where the grammar is fulfilled."""
        return bool(self.given_up) or bool(self._matcher.validate_tokens([token]) == 1)

    def allowed(self, size: int) -> torch.Tensor:
        """For every token whether it may come next: (size,) bool.

        Raises:
            GrammarError: ``grammar_too_large``, following it takes more than a grammar may; ``grammar_stuck``, no token may.
        """
        if not self.given_up:
            bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
            allowed = np.zeros(size, dtype=np.bool_)
            known = np.unpackbits(bits, bitorder="little")[:size]
            allowed[: len(known)] = known
            self._check()
            if allowed.any():
                return torch.from_numpy(allowed)
            self._give_up(GrammarError("the grammar allows no token of this base here", code="grammar_stuck"))
        return torch.ones(size, dtype=torch.bool)

    def take(self, token: int) -> None:
        """Go on by an allowed token that is no end token.

        Raises:
            GrammarError: see :meth:`allowed`.
        """
        if not self.given_up:
            self._matcher.consume_token(token)
            self._check()

    @property
    def is_complete(self) -> bool:
        """Whether the answer fulfils the grammar and nothing more can come."""
        return not self.given_up and bool(self._matcher.is_stopped() and self._matcher.is_accepting())

    def _check(self) -> None:
        if self._matcher.is_error():
            self._give_up(_too_large(_first_line(self._matcher.get_error())))

    def _give_up(self, error: GrammarError) -> None:
        if not self._may_give_up:
            raise error
        self.given_up = error.message


@dataclass(frozen=True)
class Hold:
    """What holds an answer, if anything does."""

    constraint: Constraint | None = None
    used: UsedGrammar | None = None
    warnings: tuple[str, ...] = ()

    @property
    def in_force(self) -> UsedGrammar | None:
        """The grammar that the whole answer fulfils, as far as it goes."""
        return None if self.constraint is not None and self.constraint.given_up else self.used

    @property
    def said(self) -> tuple[str, ...]:
        """The warnings, and why an answer was not held to its end."""
        if self.in_force == self.used or self.constraint is None or self.used is None:
            return self.warnings
        return (*self.warnings, f"the grammar of {self.used.origin} was given up within the answer: {self.constraint.given_up}")


FREE: Final = Hold()


class GrammarCompiler:
    """Compiles grammars for one base model. Safe under threads."""

    def __init__(self, base: BaseModel, end_tokens: Iterable[int]) -> None:
        self._base, self._end_tokens = base, sorted(end_tokens)
        self._vocabulary: Any = None
        self._words: KnownWords | None = None
        self._compiled: OrderedDict[str, Any] = OrderedDict()
        self._lock, self._words_lock = threading.Lock(), threading.Lock()

    def hold(self, wanted: GrammarOption, carried: Grammar | None, messages: Sequence[Message]) -> Hold:
        """What holds the answer to a prompt.

        Args:
            wanted: the caller's option. A grammar that the caller gives holds every answer.
            carried: the grammar of the expert that leads the answer. Where it cannot be applied, none is, and a warning says so.
            messages: the prompt.

        Raises:
            GrammarError: the caller's own grammar cannot be applied; see :meth:`constraint`.
        """
        if wanted is None or (wanted == OF_EXPERT and carried is None):
            return FREE
        if wanted != OF_EXPERT:
            given = read_grammar(wanted)
            return Hold(self.constraint(given, messages), UsedGrammar(given.origin, given.digest))
        assert carried is not None
        try:
            held = self.constraint(carried, messages, may_give_up=True)
        except GrammarError as error:
            return Hold(warnings=(f"no grammar is in force: {error.message}" + (f"; {error.hint}" if error.hint else ""),))
        return Hold(held, UsedGrammar(carried.origin, carried.digest))

    def constraint(self, grammar: Grammar, messages: Sequence[Message], *, may_give_up: bool = False) -> Constraint:
        """A new answer's constraint; ``may_give_up`` as for :class:`Constraint`.

        Raises:
            GrammarError: ``grammar_unavailable``, the library does not know the base's tokenizer;
                ``grammar_invalid``; ``grammar_too_large``; ``grammar_no_words``, it wants words of a prompt that has none;
                ``grammar_prompt_not_followed``, it follows a shorter one.
        """
        _check(grammar)
        text = self._completed(grammar, messages)
        with self._lock:
            if text not in self._compiled:
                self._compiled[text] = self._compile(grammar, text)
            self._compiled.move_to_end(text)
            while len(self._compiled) > _KEPT:
                self._compiled.popitem(last=False)
            return Constraint(self._compiled[text].deep_copy(), may_give_up=may_give_up)

    def _completed(self, grammar: Grammar, messages: Sequence[Message]) -> str:
        """The grammar's text with what the prompt gives to it."""
        if not uses_prompt_words(grammar.text):
            return grammar.text
        names = prompt_names(messages)
        if lacks_words(grammar.text, names):
            raise GrammarError(f"the grammar of {grammar.origin} wants words of the prompt, which has none", code="grammar_no_words")
        if cannot_follow(grammar.text, names):
            raise GrammarError(
                f"the grammar of {grammar.origin} cannot follow this prompt: it is long, or has letters or signs that it cannot tell apart",
                hint=f"ask with {MAX_NEAR} characters or less",
                code="grammar_prompt_not_followed",
            )
        if uses_known_words(grammar.text):
            names = replace(names, meant=self._known_words().meant(names.newest))
        return with_names(grammar.text, names)

    def _known_words(self) -> KnownWords:
        with self._words_lock:
            if self._words is None:
                self._words = KnownWords(self._base.tokenizer.get_vocab())
            return self._words

    def _compile(self, grammar: Grammar, text: str) -> Any:
        guidance = importlib.import_module("llguidance")
        matcher = guidance.LLMatcher(
            self._tokens(), guidance.LLMatcher.grammar_from_lark(text), log_level=0, limits=guidance.LLParserLimits(**LIMITS)
        )
        if matcher.is_error():
            raise _invalid(grammar, matcher.get_error())
        return matcher

    def _tokens(self) -> Any:
        if self._vocabulary is None:
            tokenizer = self._base.tokenizer
            size = max(len(tokenizer), self._base.model.config.get_text_config().vocab_size)
            make = importlib.import_module("llguidance.hf").from_tokenizer
            try:
                self._vocabulary = make(tokenizer, n_vocab=size, eos_token=self._end_tokens)
            except ValueError as error:
                raise GrammarError(
                    f"grammars cannot be applied with the tokenizer of this base: {_first_line(str(error))}", code="grammar_unavailable"
                ) from error
        return self._vocabulary


def _check(grammar: Grammar) -> None:
    """In a process of its own: what crashes or never ends does so there."""
    if _stopped.get(grammar.text, 0) >= _CHANCES:
        raise _too_large(grammar.origin)
    try:
        problem = _problem(grammar.text)
    except ArchiveError as error:
        if len(_stopped) >= _KEPT:
            _stopped.clear()
        _stopped[grammar.text] = _stopped.get(grammar.text, 0) + 1
        raise _too_large(grammar.origin) from error
    except OSError as error:
        raise GrammarError(
            f"the grammar of {grammar.origin} could not be checked: {error.strerror}",
            hint="is there memory and room for temporary files left? try again",
            code="grammar_unavailable",
        ) from error
    if problem:
        raise _invalid(grammar, problem)


_problem = lru_cache(maxsize=_KEPT)(compile_problem)
_stopped: dict[str, int] = {}
"""Grammar -> how often its check took too long, which a busy machine may be the reason of."""


def _too_large(what: str) -> GrammarError:
    return GrammarError(
        f"the grammar takes more time or memory than one may: {what}", hint="write it with fewer choices", code="grammar_too_large"
    )


def _invalid(grammar: Grammar, problem: str) -> GrammarError:
    hint = f"see llguidance's page on its Lark syntax; {PROMPT_WORD} stands for the words of the prompt"
    return GrammarError(f"the grammar of {grammar.origin}: {_first_line(problem)}", hint=hint)


def _first_line(text: str) -> str:
    return printable(text.partition("\n")[0][:200])
