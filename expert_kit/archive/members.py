"""Checks of single members by their role."""

from __future__ import annotations

from collections.abc import Callable

from expert_kit.archive.examples import check_examples
from expert_kit.archive.grammar import check_grammar
from expert_kit.archive.probe import check_probe
from expert_kit.archive.problems import Problem, Severity, refused

_PROGRAMS = {
    b"PK\x03\x04": "a ZIP file",
    b"PK\x05\x06": "a ZIP file",
    b"\x7fELF": "an ELF program",
    b"MZ": "a Windows program",
    b"#!": "a script",
    **{bytes((0x80, protocol)): "a pickle" for protocol in range(2, 6)},
}


def check_member(path: str, role: str, data: bytes) -> list[Problem]:
    """Problems of a member that do not need the rest of the archive; weights and configuration have checks of their own."""
    # The length of a safetensors header can look like the start of a pickle; its own check is stricter.
    kinds = [kind for magic, kind in _PROGRAMS.items() if data.startswith(magic)] if role != "weights" else []
    problems = [refused("member_content_refused", path, f"begins like {kind}") for kind in kinds]
    if role in _CHECKS:
        problems += _CHECKS[role](data, path)
    elif role not in _CHECKED_ELSEWHERE:
        problems.append(Problem("check_unavailable", Severity.UNCHECKED, path, f"this version does not check the role {role}"))
    return problems


def _check_text(data: bytes, where: str) -> list[Problem]:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = "\x00"
    return [refused("member_content_refused", where, "is not UTF-8 text")] if "\x00" in text else []


_CHECKED_ELSEWHERE = frozenset({"weights", "config"})
_CHECKS: dict[str, Callable[[bytes, str], list[Problem]]] = {
    "routing": check_examples,
    "probe": check_probe,
    "grammar": check_grammar,
    "card": _check_text,
    "license": _check_text,
}
