"""Checks of single members by their role."""

from __future__ import annotations

from expert_kit.archive.examples import check_examples
from expert_kit.archive.problems import Problem, Severity, refused

_PROGRAMS = {
    b"PK\x03\x04": "a ZIP file",
    b"PK\x05\x06": "a ZIP file",
    b"\x7fELF": "an ELF program",
    b"MZ": "a Windows program",
    b"#!": "a script",
    **{bytes((0x80, protocol)): "a pickle" for protocol in range(2, 6)},
}
_TEXT_ROLES = frozenset({"card", "license"})
_CHECKED_ROLES = frozenset({"weights", "config", "routing", *_TEXT_ROLES})


def check_member(path: str, role: str, data: bytes) -> list[Problem]:
    """Problems of a member that do not need the rest of the archive; weights and configuration have checks of their own."""
    # The length of a safetensors header can look like the start of a pickle; its own check is stricter.
    kinds = [kind for magic, kind in _PROGRAMS.items() if data.startswith(magic)] if role != "weights" else []
    problems = [refused("member_content_refused", path, f"begins like {kind}") for kind in kinds]
    if role == "routing":
        problems += check_examples(data, path)
    if role in _TEXT_ROLES and not _is_text(data):
        problems.append(refused("member_content_refused", path, "is not UTF-8 text"))
    if role not in _CHECKED_ROLES:
        problems.append(Problem("check_unavailable", Severity.UNCHECKED, path, f"this version does not check the role {role}"))
    return problems


def _is_text(data: bytes) -> bool:
    try:
        return "\x00" not in data.decode("utf-8")
    except UnicodeDecodeError:
        return False
