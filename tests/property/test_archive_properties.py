"""Any archive reads back; any change of any byte, and any cut, is refused."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expert_kit.archive import ArchiveReader, check_adapter, parse_header, replace_meta, write_header
from expert_kit.archive.layout import Entry, layout, member_order, parse_directory, parse_end
from expert_kit.errors import ExpertKitError, UnsafePathError
from expert_kit.names import check_member_path
from tests.support.builders import build_expert, lora_weights, tiny_base, tiny_spec

COMPONENT = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,12}", fullmatch=True)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = build_expert(tmp_path_factory.mktemp("archive"))
    return replace_meta(path, path, {"META/signatures.jsonl": b'{"a":1}\n'}).read_bytes()


def read_all(data: bytes) -> None:
    with ArchiveReader.from_bytes(data) as reader:
        reader.check_bodies()


def test_the_untouched_twin_is_accepted(archive: bytes) -> None:
    read_all(archive)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_change_of_any_byte_is_refused(archive: bytes, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(archive) - 1))
    flip = data.draw(st.integers(1, 255))
    changed = bytearray(archive)
    changed[position] ^= flip
    with pytest.raises(ExpertKitError):
        read_all(bytes(changed))


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_cut_at_any_offset_is_refused(archive: bytes, data: st.DataObject) -> None:
    with pytest.raises(ExpertKitError):
        read_all(archive[: data.draw(st.integers(0, len(archive) - 1))])


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_bytes_put_in_or_taken_out_are_refused(archive: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(archive)))
    stop = data.draw(st.integers(start, min(len(archive), start + 100)))
    new = data.draw(st.binary(max_size=50))
    changed = archive[:start] + new + archive[stop:]
    if changed != archive:
        with pytest.raises(ExpertKitError):
            read_all(changed)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=400))
def test_any_bytes_give_a_typed_error(data: bytes) -> None:
    with pytest.raises(ExpertKitError):
        read_all(data)
    with pytest.raises(ExpertKitError):
        read_all(data + b"PK\x05\x06" + bytes(4) + b"\x01\x00\x01\x00" + len(data).to_bytes(4, "little") + bytes(6))


@settings(max_examples=100, deadline=None)
@given(
    names=st.lists(st.lists(COMPONENT, min_size=1, max_size=4).map("/".join), max_size=20),
    sizes=st.lists(st.integers(0, 1 << 20), min_size=21, max_size=21),
)
def test_the_directory_tells_the_whole_layout(names: list[str], sizes: list[int]) -> None:
    chosen = sorted({name for name in names if _is_safe(name)} | {"expert.json"}, key=member_order)
    entries = [Entry(name, size * 7, size) for name, size in zip(chosen, sizes, strict=False)]
    try:
        plan = layout(entries)
    except ExpertKitError:
        return  # clashing names
    count, size, offset = parse_end(plan.tail[-22:])
    assert (count, offset + size + 22) == (len(entries), plan.size)
    assert layout(parse_directory(plan.tail[:-22], count)) == plan
    assert all(body % (4096 if entry.name.endswith(".safetensors") else 64) == 0 for entry, body in zip(entries, plan.bodies, strict=True))


def _is_safe(name: str) -> bool:
    try:
        return bool(check_member_path(name))
    except UnsafePathError:
        return False


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=("C",)), min_size=1, max_size=30).filter(lambda name: name != "__metadata__"),
        st.tuples(st.sampled_from(["F32", "F16", "BF16"]), st.lists(st.integers(1, 5), min_size=1, max_size=2).map(tuple)),
        min_size=1,
        max_size=8,
    )
)
def test_any_header_that_we_write_is_read(tensors: dict[str, tuple[str, tuple[int, ...]]]) -> None:
    header = write_header(tensors)
    widths = {"F32": 4, "F16": 2, "BF16": 2}
    size = sum(widths[dtype] * shape[0] * (shape[1] if len(shape) == 2 else 1) for dtype, shape in tensors.values())
    assert {name: (info.dtype, info.shape) for name, info in parse_header(header + bytes(size)).items()} == tensors


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_change_of_any_header_byte_of_the_weights_is_refused(data: st.DataObject) -> None:
    weights = bytearray(lora_weights(tiny_spec()))
    header = 8 + int.from_bytes(weights[:8], "little")
    weights[data.draw(st.integers(0, header - 1))] ^= data.draw(st.integers(1, 255))
    assert any(problem.severity == "refused" for problem in check_adapter(tiny_spec(), bytes(weights), tiny_base()))


@settings(max_examples=20, deadline=None)
@given(meta=st.dictionaries(COMPONENT.map(lambda name: f"META/attestations/{name}.jsonl"), st.binary(max_size=300), max_size=5))
def test_members_under_meta_read_back(tmp_path_factory: pytest.TempPathFactory, archive: bytes, meta: dict[str, bytes]) -> None:
    if len({name.casefold() for name in meta}) != len(meta) or not all(_is_safe(name) for name in meta):
        return
    path: Path = tmp_path_factory.mktemp("meta") / "a.expert"
    path.write_bytes(archive)
    with ArchiveReader.open(replace_meta(path, path, meta)) as reader:
        assert reader.meta == meta
        reader.check_bodies()
