"""Generation defaults by the kind of task: what an expert's manifest says, else what the prompt looks like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from expert_kit.inference.sampling import SamplingOptions
from expert_kit.routing import Signals, detect

Sampling = dict[str, float | int]

KINDS: Final[dict[str, Sampling]] = {
    "query": {"temperature": 0.0, "top_p": 1.0, "max_new_tokens": 192},
    "code": {"temperature": 0.0, "top_p": 1.0, "max_new_tokens": 384},
    "data": {"temperature": 0.0, "top_p": 1.0, "max_new_tokens": 256},
    "maths": {"temperature": 0.0, "top_p": 1.0, "max_new_tokens": 192},
    "short": {"temperature": 0.0, "top_p": 1.0, "max_new_tokens": 48},
    "writing": {"temperature": 0.8, "top_p": 0.95, "max_new_tokens": 384},
    "talk": {"temperature": 0.7, "top_p": 0.9, "max_new_tokens": 256},
}
"""Kind of task -> sampling options. Work with one right answer is greedy, so that it can be repeated."""

_ASKED: Final = {
    **dict.fromkeys(("sql", "regex", "shell"), "query"),
    **dict.fromkeys(("json", "yaml", "csv", "xml", "html", "table"), "data"),
    **dict.fromkeys(("python", "diff"), "code"),
    **dict.fromkeys(("one_word", "number", "one_line"), "short"),
}
_SHOWN: Final = {
    **dict.fromkeys(("sql", "cron", "regex"), "query"),
    **dict.fromkeys(("python", "javascript", "typescript", "java", "c", "rust", "go", "php", "shell", "dockerfile", "stack_trace"), "code"),
    **dict.fromkeys(("json", "yaml", "toml", "csv", "xml", "html", "table", "diff", "log"), "data"),
    **dict.fromkeys(("maths", "latex"), "maths"),
}
_WRITING: Final = (
    "write a poem",
    "write a story",
    "write a short story",
    "write a song",
    "write a letter",
    "write an essay",
    "tell me a story",
)
_MANIFEST: Final = {"temperature-percent": ("temperature", 0.01), "top-p-percent": ("top_p", 0.01), "max-new-tokens": ("max_new_tokens", 1)}
"""Integer parameter of a manifest's ``routing`` -> option, and the value of one unit."""


@dataclass(frozen=True)
class Defaults:
    """Options, and where they come from."""

    kind: str
    options: Sampling
    because: str


def task_kind(text: str, signals: Signals) -> tuple[str, str]:
    """The kind of task, a key of ``KINDS``, and what shows it. What is asked for counts more than what the prompt contains."""
    for name in signals.asks_for:
        if name in _ASKED:
            return _ASKED[name], f"it asks for {name}"
    for name in signals.formats:
        if name in _SHOWN:
            return _SHOWN[name], f"it contains {name}"
    lowered = text.casefold()
    found = next((phrase for phrase in _WRITING if phrase in lowered), None)
    return ("writing", f"it says {found!r}") if found else ("talk", "nothing special in it")


def defaults_for(text: str, signals: Signals, manifest: Mapping[str, int] | None = None) -> Defaults:
    """Sampling options for a prompt; a caller's own options go above them.

    Args:
        text: the prompt.
        signals: of the same prompt.
        manifest: the integer parameters of the one expert that answers: ``temperature-percent``, ``top-p-percent``,
            ``max-new-tokens``. Values out of range are taken to the nearest one that is allowed.
    """
    kind, because = task_kind(text, signals)
    options: dict[str, Any] = dict(KINDS[kind])
    given = {name: value for name, value in (manifest or {}).items() if name in _MANIFEST}
    for name, value in given.items():
        option, unit = _MANIFEST[name]
        options[option] = value if unit == 1 else round(value * unit, 4)
    options["temperature"] = 0.0 if options["temperature"] < 0.01 else min(options["temperature"], 2.0)
    options["top_p"] = min(max(options["top_p"], 0.01), 1.0)
    options["max_new_tokens"] = min(max(int(options["max_new_tokens"]), 1), 4_096)
    return Defaults(kind, options, because + (f"; the expert sets {', '.join(sorted(given))}" if given else ""))


def settle(options: SamplingOptions, text: str, manifest: Mapping[str, int], room: int) -> tuple[SamplingOptions, Defaults | None]:
    """Fill in what ``options.by_task`` names; the rest stays as it is.

    Args:
        options: of the caller.
        text: what the router looks at.
        manifest: see :func:`defaults_for`.
        room: tokens that the model's window leaves for an answer; no default goes beyond it.

    Returns:
        The options to use, and where they come from; ``None`` if nothing was to be filled in.
    """
    names = options.options_by_task
    if not names:
        return options, None
    found = defaults_for(text, detect(text), manifest)
    chosen: dict[str, Any] = {name: found.options[name] for name in names}
    if "max_new_tokens" in chosen:
        chosen["max_new_tokens"] = max(1, min(chosen["max_new_tokens"], room))
    return replace(options, **chosen), Defaults(found.kind, chosen, found.because)
