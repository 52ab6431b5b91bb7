"""What a prompt shows without a model: its language, the formats in it, and the format that it asks for.

Signals are inputs of rules, of the fitted fusion and of generation defaults. They never decide by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, NamedTuple

from expert_kit.routing.formats import ASKED, CONTENT, EXTENSIONS, FENCE, FENCE_TAGS, FILE_NAME, SHEBANG
from expert_kit.routing.language import MISSING_NOTE, UNKNOWN, Language, detect_language, has_detector

HEAD: Final = 16_000
TAIL: Final = 4_000
"""Of a longer text only its first ``HEAD`` and last ``TAIL`` characters are looked at."""

_LAST_SENTENCE: Final = 400
_SENTENCE_END: Final = re.compile(r"[.!?]\s|\n")
_EXCERPT: Final = 60
_SHELLS: Final = {"python": "python", "node": "javascript", "php": "php"}

FoundBy = Literal["content", "file name", "attachment", "fence", "shebang"]


class Finding(NamedTuple):
    """One format, and the first place that shows it."""

    format: str
    by: FoundBy
    excerpt: str
    """At most 60 characters of the prompt, as they stand there."""


@dataclass(frozen=True)
class Signals:
    """What was found; the same text and file names always give the same."""

    language: Language
    findings: tuple[Finding, ...]
    """Each format once, sorted by name."""
    asks_for: tuple[str, ...]
    """Formats that the last sentence asks for, sorted."""
    notes: tuple[str, ...] = ()
    """What could not be looked at, for a person."""

    @property
    def formats(self) -> tuple[str, ...]:
        """Names of the formats in the text, sorted."""
        return tuple(finding.format for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        return {
            "language": self.language._asdict(),
            "formats": [finding._asdict() for finding in self.findings],
            "asks_for": list(self.asks_for),
            "notes": list(asdict(self)["notes"]),
        }


def detect(text: str, file_names: Sequence[str] = ()) -> Signals:
    """The signals of any text: huge, empty, binary. Under a millisecond for a short one, bounded for a huge one.

    Args:
        text: the prompt.
        file_names: names of attachments; only their extensions count.
    """
    seen = text if len(text) <= HEAD + TAIL else f"{text[:HEAD]}\n{text[-TAIL:]}"
    found: dict[str, Finding] = {}
    for finding in _findings(seen, file_names):
        found.setdefault(finding.format, finding)
    sentence = _last_sentence(text)
    asked = tuple(sorted(name for name, pattern in ASKED.items() if pattern.search(sentence)))
    language = detect_language(text)
    unseen = language.code == UNKNOWN and not has_detector()
    return Signals(language, tuple(found[name] for name in sorted(found)), asked, (MISSING_NOTE,) if unseen else ())


def _findings(text: str, file_names: Sequence[str]) -> Iterator[Finding]:
    for name in file_names:
        kind = EXTENSIONS.get(name.rpartition(".")[2].lower())
        if kind:
            yield Finding(kind, "attachment", name[-_EXCERPT:])
    if shebang := SHEBANG.match(text):
        yield Finding(_SHELLS.get(shebang[1], "shell"), "shebang", shebang[0][:_EXCERPT])
    for fence in FENCE.finditer(text):
        if kind := FENCE_TAGS.get(fence[1].lower()):
            yield Finding(kind, "fence", fence[0][:_EXCERPT])
    for kind, pattern in CONTENT.items():
        if match := pattern.search(text):
            yield Finding(kind, "content", match[0][:_EXCERPT])
    for match in FILE_NAME.finditer(text):
        yield Finding(EXTENSIONS[match[1].lower()], "file name", text[max(0, match.start() - 20) : match.end()].split()[-1])


def _last_sentence(text: str) -> str:
    """The last sentence with words in it, at most its last 400 characters."""
    tail = text[-2 * _LAST_SENTENCE :].rstrip().rstrip(".!?")
    ends = [match.end() for match in _SENTENCE_END.finditer(tail)]
    return tail[ends[-1] if ends else 0 :][-_LAST_SENTENCE:]
