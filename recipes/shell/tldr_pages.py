"""Reads tldr-pages: a checkout of https://github.com/tldr-pages/tldr, or a file ``tldr-en.jsonl`` with the same examples.

A line of the file has ``command``, ``platform``, ``query`` (what to do) and ``code`` (the command line, placeholders in ``{{ }}``).
The pages are (c) the tldr-pages team and contributors, CC BY 4.0; no copy of them is in this project.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PLATFORMS = ("common", "linux")
LISTED = "tldr-en.jsonl"
_EXAMPLE = re.compile(r"^- (?P<query>.+?):?\s*\n\s*\n`(?P<code>.+)`\s*$", re.MULTILINE)
_TITLE = re.compile(r"^# (.+?)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """One example of a page, as it stands there."""

    page: str
    """The command of the page, such as ``git commit``."""
    query: str
    code: str


class MissingPagesError(Exception):
    """The folder is not given or holds no pages."""


def read_examples(folder: Path) -> list[Example]:
    """The examples of all English pages for Linux, in the order of the page names.

    Raises:
        MissingPagesError: there are none in the folder.
    """
    listed = folder / LISTED
    found = list(_of_file(listed) if listed.is_file() else _of_checkout(folder))
    if not found:
        raise MissingPagesError(f"{folder} holds neither {LISTED} nor pages/common/*.md")
    return sorted(dict.fromkeys(found), key=lambda example: example.page)


def _of_file(path: Path) -> Iterator[Example]:
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line:
            row = json.loads(line)
            if row["platform"] in PLATFORMS:
                yield Example(row["command"], row["query"], row["code"])


def _of_checkout(folder: Path) -> Iterator[Example]:
    for platform in PLATFORMS:
        for path in sorted((folder / "pages" / platform).glob("*.md")):
            text = path.read_text(encoding="utf-8")
            title = _TITLE.search(text)
            if title:
                yield from (Example(title[1], match["query"], match["code"]) for match in _EXAMPLE.finditer(text))
