from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "registry.md").read_text(encoding="utf-8")


def codes(module: str, pattern: str) -> set[str]:
    return set(re.findall(pattern, (ROOT / "expert_kit" / "registry" / module).read_text(encoding="utf-8")))


def test_every_finding_of_doctor_is_in_the_docs():
    found = codes("doctor.py", r'Finding\(\s*"([a-z_]+)"') | codes("dependents.py", r'"(expert_[a-z_]+)"')
    found |= {"blob_missing", "blob_damaged", "trust_lost", "revocations_lost"} | codes("trust_findings.py", r'Finding\(\s*"([a-z_]+)"')
    assert len(found) > 15
    assert [code for code in sorted(found) if f"`{code}`" not in PAGE] == []


def test_every_reason_for_a_refused_set_is_in_the_docs():
    found = set().union(*(codes(module, r'"(resolution_[a-z_]+)"') for module in ("explain.py", "resolve.py", "wishes.py")))
    assert len(found) == 6
    assert [code for code in sorted(found) if f"`{code}`" not in PAGE] == []


def test_every_warning_of_an_install_and_every_event_of_the_log_is_in_the_docs():
    from expert_kit.cli.installing import WARNINGS

    assert [code for code in WARNINGS if f"`{code}`" not in PAGE] == []
    trust = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "expert_kit" / "signing").glob("*.py")]
    events = {event for source in sources for event in re.findall(r'events\.append\(\s*[a-z.()]+,\s*"([a-z_]+)"', source)}
    assert len(events) == 8
    assert [event for event in sorted(events) if f"`{event}`" not in trust] == []
