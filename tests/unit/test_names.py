import pytest

from expert_kit.errors import ManifestError, UnknownNameError, UnsafePathError
from expert_kit.names import ExpertRef, check_member_path, parse_digest, parse_version, printable, sha256_digest, version_key


def test_reference_reads_back_what_it_writes():
    for text in ("expert-kit/sql", "expert-kit/sql@1.2.0", "a/0@0.0.1-rc.1+build.5"):
        assert str(ExpertRef.parse(text)) == text


def test_reference_knows_its_parts():
    ref = ExpertRef.parse("acme/sql-2@1.2.0")
    assert (ref.namespace, ref.name, ref.version, ref.full_name, ref.file_stem) == (
        "acme",
        "sql-2",
        "1.2.0",
        "acme/sql-2",
        "acme.sql-2-1.2.0",
    )


@pytest.mark.parametrize(
    "text", ["", "sql", "a/b/c", "A/b", "a/", "/b", "-a/b", "a/b c", "a/b\n", "../b", "a/..", "ä/b", "a/" + "b" * 64, "con/b", "a/nul"]
)
def test_bad_names_are_refused(text):
    with pytest.raises(UnknownNameError) as caught:
        ExpertRef.parse(text)
    assert caught.value.code == "name_invalid"
    assert caught.value.hint


@pytest.mark.parametrize(
    "version", ["", "1.0", "v1.0.0", "01.0.0", " 1.0.0", "1.0.0 ", "1.0.0-01", "1.0.0\n", "1.0.0-", "1" * 400 + ".0.0", "1.0.\u0966"]
)
def test_versions_that_are_not_semver_are_refused(version):
    with pytest.raises(UnknownNameError) as caught:
        ExpertRef.parse(f"a/b@{version}")
    assert caught.value.code == "version_invalid"


def test_versions_sort_as_semver_says():
    # The example of section 11 of semver.org, and two releases around it.
    order = [
        "0.9.9",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.10",
        "1.2.0",
    ]
    assert sorted(reversed(order), key=version_key) == order
    assert version_key("1.0.0+a") == version_key("1.0.0+b")
    assert parse_version("1.0.0-rc.1+x") == "1.0.0-rc.1+x"


def test_digest_has_one_spelling():
    # Test vector of FIPS 180-2, appendix B.1.
    digest = sha256_digest(b"abc")
    assert digest == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert parse_digest(digest) == digest
    for bad in (digest.upper(), digest[7:], digest + "0", digest + "\n", "sha512:" + "0" * 64):
        with pytest.raises(ManifestError) as caught:
            parse_digest(bad)
        assert caught.value.code == "digest_invalid"


def test_printable_lets_only_printable_characters_through():
    assert printable("plain text, ünïcode 漢字") == "plain text, ünïcode 漢字"
    assert printable("a\x1b[31m\n\t\u202e\x00\ud800") == "a\\u{1b}[31m\\u{a}\\u{9}\\u{202e}\\u{0}\\u{d800}"


@pytest.mark.parametrize("path", ["README.md", "a/b/c/d.json", "_x", "adapter_model.safetensors", "0/1-2.3"])
def test_plain_paths_are_safe(path):
    assert check_member_path(path) == path


UNSAFE = [
    *[r"/etc/x", r"../x", r"a/../b", r"a//b", r"a/", r"./a", r".hidden", r"C:\x", r"C:x", r"\\srv\x", r"a\..\x", r"é", r"a:b", r"a*"],
    *("con", "x/NUL.txt", "Com1.json", "a.", "a./b", "-rf", "a/b/c/d/e"),
]


@pytest.mark.parametrize("path", ["", "a b", "a\n", "a\x00", "a" * 201, *UNSAFE])
def test_unsafe_paths_are_refused(path):
    with pytest.raises(UnsafePathError):
        check_member_path(path)
