import json
import math
import struct

import pytest

from expert_kit.archive import is_finite, parse_header, write_header
from expert_kit.archive.safetensors_header import is_zero
from expert_kit.errors import ArchiveError
from tests.support.builders import tensor_file

SHAPES = {"b": (2, 3), "a": (4,)}
PACK = {"F32": "<f", "F16": "<e"}


def with_header(header: object, body: bytes, *, text: bytes | None = None) -> bytes:
    raw = json.dumps(header, separators=(",", ":")).encode() if text is None else text
    raw += b" " * (-len(raw) % 8) if text is None else b""
    return len(raw).to_bytes(8, "little") + raw + body


def good_header() -> dict[str, object]:
    return {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]},
        "b": {"dtype": "F32", "shape": [2, 3], "data_offsets": [16, 40]},
    }


def encode(values: list[float], dtype: str) -> memoryview:
    if dtype == "BF16":
        return memoryview(b"".join(struct.pack("<f", value)[2:] for value in values))
    return memoryview(b"".join(struct.pack(PACK[dtype], value) for value in values))


def test_tensors_are_found_where_they_are():
    data = tensor_file(SHAPES)
    tensors = parse_header(data)
    start = len(data) - 40
    assert [(name, info.dtype, info.shape, info.begin - start, info.end - start) for name, info in tensors.items()] == [
        ("a", "F32", (4,), 0, 16),
        ("b", "F32", (2, 3), 16, 40),
    ]
    assert parse_header(with_header(good_header(), bytes(40))) == parse_header(memoryview(bytearray(with_header(good_header(), bytes(40)))))


def test_larger_dtypes_come_first():
    header = write_header({"a": ("F16", (1,)), "b": ("F32", (1,)), "c": ("BF16", (1,))})
    assert list(json.loads(header[8:])) == ["__metadata__", "b", "c", "a"]


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h.pop("__metadata__"),
        lambda h: h.update(__metadata__={"format": "pt", "x": "y"}),
        lambda h: h.update(__metadata__={"format": "np"}),
        lambda h: (h.pop("a"), h.pop("b")),
        lambda h: h["a"].update(dtype="F64"),
        lambda h: h["a"].update(dtype="BOOL"),
        lambda h: h["a"].update(dtype=["F32"]),
        lambda h: h["a"].update(shape=[-4]),
        lambda h: h["a"].update(shape=[4.0]),
        lambda h: h["a"].update(shape=[True, 4]),
        lambda h: h["a"].update(shape=[]),
        lambda h: h["a"].update(shape=[1 << 40, 1 << 40]),
        lambda h: h["a"].update(shape=[0], data_offsets=[0, 0]),
        lambda h: h["a"].update(data_offsets=[0, 20]),
        lambda h: h["a"].update(data_offsets=[-4, 12]),
        lambda h: h["a"].update(data_offsets=[16, 32]),
        lambda h: h["b"].update(data_offsets=[0, 24]),
        lambda h: h["b"].update(data_offsets=[20, 44]),
        lambda h: h["a"].update(extra=1),
        lambda h: h.update(a=[1]),
        lambda h: h.update({"\u0007": h.pop("a")}),
    ],
)
def test_other_headers_are_refused(change):
    header = good_header()
    change(header)
    with pytest.raises(ArchiveError) as caught:
        parse_header(with_header(header, bytes(40)))
    assert caught.value.code == "tensor_header"


def test_other_spellings_are_refused():
    data = with_header(good_header(), bytes(40))
    text = data[8:-40]
    swapped = {key: good_header()[key] for key in ("__metadata__", "b", "a")}
    for spelling in (
        b" " * 8 + text,
        text + b" " * 8,
        text.replace(b'":{"dtype"', b'": {"dtype"', 1).rstrip() + b" " * 7,
        text.replace(b'"a"', b'"\\u0061"') + b" " * 3,
        text.replace(b"[4]", b"[04]"),
        text.replace(b'"dtype":"F32","shape":[4]', b'"shape":[4],"dtype":"F32"'),
        text.replace(b'"a":', b'"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"a":'),
        text.replace(b"a", b"\xff"),
        b"[" * 5000,
        b"null    ",
        json.dumps(swapped, separators=(",", ":")).encode(),
    ):
        with pytest.raises(ArchiveError) as caught:
            parse_header(with_header(None, bytes(40), text=spelling))
        assert caught.value.code == "tensor_header"


def test_the_file_ends_where_the_tensors_end():
    data = with_header(good_header(), bytes(40))
    for wrong in (data + b"\0", data[:-1], data[:20], data[:8], data[:4], b"", b"\xff" * 64, bytes(64), b"\x80\x04K\x01.", b"(lp0\n."):
        with pytest.raises(ArchiveError) as caught:
            parse_header(wrong)
        assert caught.value.code == "tensor_header"


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_values_that_are_not_finite_are_found(dtype, bad):
    largest = {"F32": 3.4e38, "F16": 65504.0, "BF16": 3.3e38}[dtype]
    fine = [0.0, -0.0, 1.0, -largest, largest, 1e-7, -2.5]
    assert is_finite(encode(fine, dtype), dtype)
    for position in range(len(fine) + 1):
        assert not is_finite(encode([*fine[:position], bad, *fine[position:]], dtype), dtype)


def test_bits_of_neighbours_do_not_mix():
    # 0x7f00 and 0x0080 are finite BF16; only together in one value would they be infinite.
    assert is_finite(memoryview(b"\x00\x7f\x80\x00"), "BF16")
    assert is_finite(memoryview(b"\x80\x00\x00\x7f"), "BF16")


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_zero_is_zero_of_either_sign(dtype):
    assert is_zero(encode([0.0, -0.0, 0.0], dtype), dtype)
    assert not is_zero(encode([0.0, 0.5, 0.0], dtype), dtype)
