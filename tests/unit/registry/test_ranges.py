from __future__ import annotations

import pytest

from expert_kit.errors import UnknownNameError
from expert_kit.registry.ranges import VersionRange, in_range

# From the documentation and the test fixtures of github.com/npm/node-semver.
INSIDE = [
    ("^1.2.3", "1.8.1"), ("^0.1.2", "0.1.9"), ("^0.0.1", "0.0.1"), ("^0", "0.9.0"), ("^0.0", "0.0.7"), ("^1.2", "1.4.2"),
    ("^1.2.x", "1.4.2"), ("~1.2.3", "1.2.9"), ("~1", "1.9.0"), ("~1.2", "1.2.0"), ("1.x", "1.5.0"), ("1.2.*", "1.2.3"), ("1", "1.2.3"),
    ("1.2", "1.2.9"), ("*", "1.2.3"), ("x", "0.0.0"), (">=*", "0.2.4"), (">1", "2.0.0"), (">1.2", "1.3.0"), ("<=1", "1.9.9"),
    ("<1.2", "1.1.9"), ("<=2.x", "2.1.9"), (">= 1.0.0", "1.0.1"), ("1.0.0 - 2.0.0", "1.2.3"), ("1.2 - 2", "2.9.0"), ("^1 || ^3", "3.0.1"),
    ("^1||^3", "1.0.0"), (">=1.0.0 <2", "1.9.0"), ("^1.2.3-beta.4", "1.2.3-beta.5"), ("~1.2.1 >=1.2.3", "1.2.3"),
    ("1.0.0", "1.0.0+build"), ("1.0.0+build", "1.0.0+build"), ("=1.0.0-rc.1", "1.0.0-rc.1"), (">1.0.0-rc.1 <=1.0.0", "1.0.0-rc.2"),
    (">=1.0.0-0", "1.0.0-rc.1"),
]  # fmt: skip
OUTSIDE = [
    ("^1.2.3", "2.0.0"), ("^1.2.3", "1.2.2"), ("^0.1.2", "0.2.0"), ("^0.0.1", "0.0.2"), ("~1.2.3", "1.3.0"), ("1.x", "2.0.0"),
    (">1", "1.9.9"), (">1.2", "1.2.8"), ("<1.2", "1.2.0"), ("<=1", "2.0.0"), ("1.2 - 2", "3.0.0"), ("1.0.0+build", "1.0.0"),
    ("1.0.0+a", "1.0.0+b"), ("*", "1.0.0-rc.1"), ("^1.0.0", "1.1.0-rc.1"), ("^1.2.3-beta", "1.2.4-beta"), ("1.0.0-rc.1", "1.0.0"),
    ("<1.0.0-rc.2", "1.0.0-rc.3"), ("^1.0.0", "2.0.0-rc.1"), ("^1 || ^3", "2.0.0"),
]  # fmt: skip
INVALID = [
    "", " ", "||", "^1 ||", "===1", "~>1.2", "~*", "<*", "1.x.3", "x.1.2", "1.2.3.4", "01.0.0", "v1", "1.2.3-", "1.2.3-01", "1.2.3-a..b",
    "1 - 2 - 3", ">=>=1 - 2", "^1.2 - 2", "1.2-rc.1", "1-2", "^", "latest", "1." + "9" * 130, "1.0.0\n",
]  # fmt: skip


@pytest.mark.parametrize(("text", "version"), INSIDE)
def test_versions_inside_a_range(text, version):
    assert in_range(version, text)


@pytest.mark.parametrize(("text", "version"), OUTSIDE)
def test_versions_outside_a_range(text, version):
    assert not in_range(version, text)


@pytest.mark.parametrize("text", INVALID)
def test_anything_else_is_no_range(text):
    with pytest.raises(UnknownNameError) as caught:
        VersionRange.parse(text)
    assert caught.value.code == "range_invalid"


@pytest.mark.parametrize(
    ("text", "version", "inside"),
    [
        ("*", "1.0.0-rc.1", True),
        ("^1", "1.5.0-rc.1", True),
        ("^1", "2.0.0-rc.1", False),
        (">=1.0.0", "1.0.0-rc.1", False),
        ("1.x", "1.0.0-a", True),
        ("1.0.0", "1.0.0-a", False),
    ],
)
def test_pre_releases_on_request_are_those_between_the_bounds(text, version, inside):
    assert in_range(version, text, pre=True) is inside


@pytest.mark.parametrize(
    ("text", "exact"), [("1.0.0", "1.0.0"), ("=1.0.0-rc.1+b", "1.0.0-rc.1+b"), ("1.0", None), ("1.0.0 || 2.0.0", None), ("*", None)]
)
def test_an_exact_range_names_its_version(text, exact):
    assert VersionRange.parse(text).exact == exact
