"""Messages -> token ids, the same way in training and at inference."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_MARK = "\ue000{}\ue001"
_MARKS = re.compile("\ue000([0-9]+)\ue001")


def chat_ids(tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> list[int]:
    """Ids of a conversation under the tokenizer's chat template, up to where the answer starts.

    Only the template writes control tokens. The text of a control token inside a message stays text, so a message cannot
    end its own turn or forge another one. Without a template the messages are joined by line breaks.
    """
    if not tokenizer.chat_template:
        return plain_ids(tokenizer, "\n".join(message["content"] for message in messages))
    if not any(_control_tokens(tokenizer, message["content"]) for message in messages):
        return list(tokenizer.apply_chat_template([*messages], add_generation_prompt=True, tokenize=True, return_dict=True)["input_ids"])
    marked = [{**message, "content": _MARK.format(at)} for at, message in enumerate(messages)]
    rendered = tokenizer.apply_chat_template(marked, add_generation_prompt=True, tokenize=False)
    ids: list[int] = []
    for at, part in enumerate(_MARKS.split(rendered)):
        ids += plain_ids(tokenizer, messages[int(part)]["content"]) if at % 2 else _encode(tokenizer, part)
    return ids


def answer_ids(tokenizer: Any, text: str) -> list[int]:
    """Ids of an answer, the end token behind it."""
    return [*plain_ids(tokenizer, text), tokenizer.eos_token_id]


def plain_ids(tokenizer: Any, text: str) -> list[int]:
    """Ids of a text in which nothing is a control token: such a word is cut in two before it is tokenised."""
    ids: list[int] = []
    for piece in _pieces(text, _control_tokens(tokenizer, text)):
        ids += _encode(tokenizer, piece)
    return ids


def _encode(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _control_tokens(tokenizer: Any, text: str) -> list[str]:
    """The tokenizer's added tokens that stand in the text, longest first."""
    added = {token.content for token in tokenizer.added_tokens_decoder.values()}
    return sorted((word for word in added if word and word in text), key=len, reverse=True)


def _pieces(text: str, words: Sequence[str]) -> list[str]:
    if not words:
        return [text]
    cut: list[str] = [""]
    for part in re.split(f"({'|'.join(map(re.escape, words))})", text):
        if part in words:
            middle = max(1, len(part) // 2)
            cut[-1] += part[:middle]
            cut.append(part[middle:])
        else:
            cut[-1] += part
    return [piece for piece in cut if piece]
