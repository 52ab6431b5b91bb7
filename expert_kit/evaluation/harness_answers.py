"""Answers to the three kinds of requests of lm-evaluation-harness, from the engine; the harness itself is not needed.

The tokens that are scored are those that the harness's own model class makes of the same texts, without chat template
(``TemplateLM._encode_pair`` and ``HFLM.tok_encode`` of lm-evaluation-harness). Answers that are written are asked for as everywhere
in the engine: the context is the user's turn of the chat template.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from expert_kit.errors import UsageError
from expert_kit.evaluation.run import Report
from expert_kit.inference import Continuation, ContinuationScore, ExpertEngine, Experts, parse_selection

DEFAULT_ANSWER_TOKENS: Final = 256
"""Where a task names no limit; as in the harness's own model class."""
_LENGTH_NAMES: Final = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
_SAME_NAMES: Final = ("top_k", "top_p", "min_p", "repetition_penalty", "no_repeat_ngram_size")
_WITHOUT_EFFECT: Final = {"num_beams": 1, "num_return_sequences": 1, "use_cache": True}
"""Arguments of transformers that tasks write although this is what happens anyway."""


class EngineAnswers:
    """The answers of one choice of experts."""

    def __init__(
        self,
        engine: ExpertEngine,
        experts: Experts = None,
        *,
        batch_size: int = 16,
        max_length: int | None = None,
        seed: int = 1234,
        report: Report | None = None,
    ) -> None:
        """Take who answers.

        Args:
            engine: runs everything.
            experts: as for ``engine.generate``. With ``auto`` the router is asked about each context, and about each text of which
                the perplexity is measured; where a context is empty the base is alone.
            batch_size: requests that the engine gets at once.
            max_length: tokens that the model sees together; its window if not given. Longer contexts lose their beginning.
            seed: of sampled answers.
            report: progress callback.
        """
        self._engine, self._experts = engine, experts
        self._tokenizer: Any = engine.base.tokenizer
        self._batch_size, self._seed, self._report = batch_size, seed, report
        self._max_length = max_length or engine.window
        self._asks_router = parse_selection(experts).auto

    def loglikelihoods(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, bool]]:
        """For each context and continuation the log-probability, and whether greedy decoding would write the continuation."""
        scores = self._scores([self._row(*pair) for pair in pairs], [context for context, _ in pairs])
        return [(score.logprob, score.is_likeliest) for score in scores]

    def rolling_loglikelihoods(self, texts: Sequence[str]) -> list[float]:
        """Log-probability of each whole text; one that is longer than the model's window is read in windows that follow each other."""
        rows: list[Continuation] = []
        owners: list[int] = []
        for at, text in enumerate(texts):
            pieces = list(windows(self._encode(text), self._first_token, self._max_length))
            rows += pieces
            owners += [at] * len(pieces)
        totals = [0.0] * len(texts)
        for at, score in zip(owners, self._scores(rows, [texts[at] for at in owners]), strict=True):
            totals[at] += score.logprob
        return totals

    def written(self, asked: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
        """The answer to each context under its task's ``generation_kwargs``.

        Raises:
            UsageError: ``lm_eval_option``; errors of ``engine.generate``.
        """
        options = [sampling_options(arguments) for _, arguments in asked]
        # Requests of one task have one set of options and stand together.
        answers: list[str] = []
        for _, group in groupby(range(len(asked)), key=lambda at: options[at]):
            for batch in _slices(list(group), self._batch_size):
                chosen = options[batch[0]]
                seeded = chosen | ({"seed": self._seed + batch[0]} if chosen["temperature"] else {})
                found = self._engine.generate([asked[at][0] for at in batch], [self._experts] * len(batch), **seeded)
                answers += [one.text for one in found]
                self._tell(len(answers), len(asked))
        return answers

    def _row(self, context: str, continuation: str) -> Continuation:
        # Spaces belong to the word behind them.
        bare = context.rstrip()
        text = context[len(bare) :] + continuation
        if not context:
            ids = self._encode(text, plain=True)
            # A text that begins with the first token as it is needs no other one.
            given, ids = (ids[:1], ids[1:]) if ids[:1] == [self._first_token] else ([self._first_token], ids)
        else:
            given = self._encode(bare)
            ids = self._encode(bare + text)[len(given) :]
            given = given or [self._first_token]
        return Continuation(given[-max(1, self._max_length + 1 - len(ids)) :], ids)

    def _encode(self, text: str, *, plain: bool = False) -> list[int]:
        """Ids as the tokenizer makes them by itself; ``plain``: without what it puts around a text."""
        begins = text.startswith(self._tokenizer.decode([self._first_token]))
        return list(self._tokenizer.encode(text, **({"add_special_tokens": False} if plain or begins else {})))

    @property
    def _first_token(self) -> int:
        """What stands before a text of which the first token counts, too."""
        first = self._tokenizer.bos_token_id
        return int(self._tokenizer.eos_token_id if first is None else first)

    def _scores(self, rows: Sequence[Continuation], contexts: Sequence[str]) -> list[ContinuationScore]:
        queries = contexts if self._asks_router else [""] * len(rows)
        order = sorted(range(len(rows)), key=lambda at: (queries[at], -len(rows[at].read)))
        found: dict[int, ContinuationScore] = {}
        for query, group in groupby(order, key=lambda at: queries[at]):
            for batch in _slices(list(group), self._batch_size):
                scores = self._engine.continuations([rows[at] for at in batch], self._experts, query=query)
                found.update(zip(batch, scores, strict=True))
                self._tell(len(found), len(rows))
        return [found[at] for at in range(len(rows))]

    def _tell(self, done: int, total: int) -> None:
        if self._report:
            self._report(done, total)


def windows(ids: Sequence[int], first: int, most: int) -> Iterator[Continuation]:
    """Rows in which each of ``ids`` is scored once, behind as much of the text as the ``most`` tokens of a window hold.

    Source: ``get_rolling_token_windows`` of lm-evaluation-harness, with one token of context at least.
    """
    for start in range(0, len(ids), most):
        end = min(start + most, len(ids))
        yield Continuation(ids[end - most - 1 : start] if start else [first], ids[start:end])


def sampling_options(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A task's ``generation_kwargs`` as arguments of ``engine.generate``.

    Raises:
        UsageError: ``lm_eval_option``, one that would be ignored.
    """
    until = arguments.get("until") or []
    lengths = [arguments[name] for name in _LENGTH_NAMES if arguments.get(name) is not None]
    sampled = arguments.get("do_sample")
    temperature = 0.0 if sampled is False else float(arguments.get("temperature", 1.0 if sampled else 0.0))
    known = {"until", "do_sample", "temperature", *_LENGTH_NAMES, *_SAME_NAMES}
    unknown = sorted(name for name in arguments.keys() - known if arguments[name] != _WITHOUT_EFFECT.get(name))
    if unknown:
        message = f"the task wants answers with {', '.join(unknown)}, which the engine does not have"
        raise UsageError(message, hint="take it out of the task's generation_kwargs", code="lm_eval_option")
    return {
        "stop": tuple(text for text in ([until] if isinstance(until, str) else until) if text),
        "max_new_tokens": int(lengths[0]) if lengths else DEFAULT_ANSWER_TOKENS,
        "temperature": temperature,
        **({name: arguments[name] for name in _SAME_NAMES if name in arguments} if temperature else {}),
    }


def _slices(order: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(order), size):
        yield order[start : start + size]
