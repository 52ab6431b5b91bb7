"""A manifest has one spelling, and any other is refused."""

import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expert_kit.errors import ExpertKitError, ManifestError
from expert_kit.manifest import AdapterBlock, BaseEntry, EvalResult, FileEntry, Manifest
from expert_kit.names import Digest, ExpertRef, printable, version_key
from tests.support.builders import tiny_base

PART = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)
SLUG = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,20}", fullmatch=True)
DOTTED = st.from_regex(r"[A-Za-z0-9_]{1,8}(\.[A-Za-z0-9_]{1,8}){0,3}", fullmatch=True)
NUMBER = st.integers(0, 10**6)
VERSION = st.builds(lambda a, b, c, pre: f"{a}.{b}.{c}{pre}", NUMBER, NUMBER, NUMBER, st.sampled_from(["", "-rc.1", "-alpha", "+build.7"]))
DIGEST = st.binary(min_size=32, max_size=32).map(lambda raw: Digest("sha256:" + raw.hex()))
SUMMARY = (
    st.text(min_size=1, max_size=80).map(lambda text: unicodedata.normalize("NFC", text)).filter(lambda text: text.isprintable() and text)
)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    weights = FileEntry(
        path="adapter_model.safetensors", size=draw(st.integers(0, 2**32 - 1)), sha256=draw(DIGEST), role="weights",
        media_type="application/vnd.safetensors",
    )  # fmt: skip
    block: dict[str, Any] = {
        "peft_type": "LORA", "r": draw(st.integers(1, 512)), "lora_alpha": draw(st.integers(1, 1 << 20)),
        "target_modules": tuple(sorted(draw(st.sets(DOTTED, min_size=1, max_size=6)))),
        "rank_pattern": draw(st.dictionaries(DOTTED, st.integers(1, 512), max_size=4)),
        "alpha_pattern": draw(st.dictionaries(DOTTED, st.integers(1, 100), max_size=4)),
        "use_rslora": draw(st.sampled_from([0, 1])), "use_dora": draw(st.sampled_from([0, 1])),
        "dtype": draw(st.sampled_from(["F32", "F16", "BF16"])),
    }  # fmt: skip
    result = st.builds(
        EvalResult, suite=SLUG, metric=SLUG, n=st.integers(1, 10**6), value_ppm=st.integers(-(10**6), 10**6), base_ppm=st.none() | NUMBER
    )
    namespace = f"{draw(PART)}a"
    return Manifest(
        schema="expert/1", name=f"{namespace}/{draw(PART)}a", version=draw(VERSION), publisher=namespace, license="Apache-2.0 OR MIT",
        summary=draw(SUMMARY), tags=tuple(sorted(draw(st.sets(SLUG, max_size=5)))), files=(weights,),
        bases=(BaseEntry.of(tiny_base().fingerprint),), adapter=AdapterBlock(**block),
        eval=draw(st.none() | st.lists(result, min_size=1, max_size=3).map(tuple)),
        capabilities=draw(st.none() | st.sets(SLUG, min_size=1, max_size=3).map(lambda names: tuple(sorted(names)))),
    )  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(manifests())
def test_manifests_read_back(manifest: Manifest) -> None:
    read = Manifest.parse(manifest.to_bytes())
    assert read == manifest
    assert read.identity == manifest.identity


@settings(max_examples=200, deadline=None)
@given(manifests(), st.data())
def test_a_changed_manifest_is_refused_or_another_expert(manifest: Manifest, data: st.DataObject) -> None:
    changed = bytearray(manifest.to_bytes())
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        other = Manifest.parse(bytes(changed))
    except ManifestError:
        return
    assert other.to_bytes() == bytes(changed)
    assert other.identity != manifest.identity


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | st.text(alphabet='[]{}":,\\0123456789.eE-+ntrfu ', max_size=100).map(str.encode))
def test_any_bytes_give_a_typed_error(data: bytes) -> None:
    with pytest.raises(ManifestError):
        Manifest.parse(data)


@given(st.builds(ExpertRef, PART.map(lambda part: part + "x9"), PART.map(lambda part: part + "x9"), st.none() | VERSION))
def test_references_read_back(ref: ExpertRef) -> None:
    assert ExpertRef.parse(str(ref)) == ref


@given(st.text(max_size=60))
def test_any_text_is_a_reference_or_a_typed_error(text: str) -> None:
    try:
        ref = ExpertRef.parse(text)
    except ExpertKitError:
        return
    assert str(ref) == text


@given(VERSION, VERSION)
def test_versions_are_totally_ordered(left: str, right: str) -> None:
    first, second = version_key(left), version_key(right)
    assert (first < second) + (first > second) + (first == second) == 1


@given(st.text())
def test_printable_text_is_printable_and_stays(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text)
