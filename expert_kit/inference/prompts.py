"""What callers pass as a prompt and as options, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from expert_kit.errors import UsageError
from expert_kit.inference.sampling import BY_TASK, OPTION_NAMES, SamplingOptions

Message = Mapping[str, str]
Prompt = str | Sequence[Message]
"""Text of one user message, or a conversation: ``[{"role": "user", "content": "..."}, ...]``."""


def is_single(prompt: Any) -> bool:
    """Whether this is one prompt, not a list of them."""
    return isinstance(prompt, str) or (bool(prompt) and isinstance(prompt[0], Mapping))


def to_messages(prompt: Any) -> list[Message]:
    """A prompt as messages, each with a role and text.

    Raises:
        UsageError: ``prompt_invalid``.
    """
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    if not isinstance(messages, Sequence) or not messages or not all(_is_message(message) for message in messages):
        raise UsageError(
            "a prompt is text, or messages with 'role' and 'content' as text",
            hint='pass "text" or [{"role": "user", "content": "text"}]',
            code="prompt_invalid",
        )
    if not all(_is_unicode(message[key]) for message in messages for key in ("role", "content")):
        raise UsageError("the prompt is no valid Unicode text", hint="send it as UTF-8", code="prompt_invalid")
    return list(messages)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, as Python reads bytes that are not UTF-8
        return False
    return True


def _is_message(message: Any) -> bool:
    return isinstance(message, Mapping) and all(isinstance(message.get(key), str) for key in ("role", "content"))


def query_of(messages: Sequence[Message]) -> str:
    """What the router looks at: the last user message."""
    return next((message["content"] for message in reversed(messages) if message["role"] == "user"), "")


def to_options(given: dict[str, Any]) -> SamplingOptions:
    """The keyword arguments of a call as options.

    Raises:
        UsageError: ``option_unknown``, or one has another type or is out of range.
    """
    options = given.pop("options", None)
    options = SamplingOptions() if options is None else options
    if not isinstance(options, SamplingOptions):
        raise UsageError(f"options={options!r} is not SamplingOptions", hint="pass options=SamplingOptions(...)", code="option_type")
    unknown = sorted(given.keys() - OPTION_NAMES)
    if unknown:
        raise UsageError(f"unknown options: {', '.join(unknown)}", hint=f"known: {', '.join(sorted(OPTION_NAMES))}", code="option_unknown")
    if given.get("by_task") is True:
        given["by_task"] = tuple(name for name in BY_TASK if name not in given)
    return replace(options, **given)
