from __future__ import annotations

import pytest

from expert_kit.names import ExpertRef
from expert_kit.registry import Registry
from expert_kit.registry.confusable import alike, mistakable
from expert_kit.signing import TrustStore
from tests.unit.registry.conftest import BASE, Publisher


@pytest.mark.parametrize(
    ("one", "other"),
    [("acme", "acrne"), ("sql", "sq1"), ("sql", "sqi"), ("tools", "t00ls"), ("expert-kit", "expertkit"), ("view", "vievv"), ("b5", "8s")],
)
def test_what_looks_alike_is_told_apart(one: str, other: str) -> None:
    assert alike(one, [other, one]) == [other]
    assert alike(other, [one]) == [one]


@pytest.mark.parametrize(("one", "other"), [("acme", "acne"), ("sql", "sqlite"), ("a", "b"), ("sql", "sql")])
def test_what_looks_different_is_not(one: str, other: str) -> None:
    assert alike(one, [other]) == []


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("acrne/sql", "acme/sql"),
        ("acrne/other", "acme/sql"),
        ("evil/sq1", "acme/sql"),
        ("evil/sql", None),  # anybody may have an expert of that name
        ("acme/sq1", None),  # its own publisher may call it so
        ("other/thing", None),
    ],
)
def test_only_other_publishers_are_mistaken(name: str, found: str | None) -> None:
    assert mistakable(ExpertRef.parse(name), [ExpertRef.parse("acme/sql")]) == found


def test_an_install_warns_once(trusting: Registry, publisher: Publisher, caplog: pytest.LogCaptureFixture) -> None:
    trusting.install(publisher.build(), bases=[BASE])
    TrustStore(trusting.trust_home).trust("acrne/*", publisher.key_id)
    other = trusting.install(publisher.build(name="acrne/sql"), bases=[BASE])
    assert "name_confusable" in other.warnings
    assert "acrne/sql is not acme/sql, which is installed" in caplog.text
    newer = trusting.install(publisher.build(name="acrne/sql", version="1.1.0"), bases=[BASE])
    assert "name_confusable" not in newer.warnings
