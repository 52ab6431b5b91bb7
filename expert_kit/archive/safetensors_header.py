"""The header of a safetensors file, taken only if our own writer would have written the same bytes.

The ``safetensors`` library accepts more than one spelling of the same tensors; it sees only files that passed here.
No torch and no numpy: the finite check works on the bit patterns.

Source: https://github.com/huggingface/safetensors, README section "Format" and ``safetensors/src/tensor.rs`` (``prepare``).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from expert_kit.errors import ArchiveError
from expert_kit.names import printable

MAX_HEADER_SIZE = 1 << 23
MAX_TENSORS = 1 << 16
ITEM_SIZE = {"F32": 4, "F16": 2, "BF16": 2}
_METADATA = {"format": "pt"}
# The library sorts by this, descending, then by name.
_DTYPE_ORDER = {"F16": 0, "BF16": 1, "F32": 2}
_ZERO, _ONE = b"\x00", b"\x01"
# Commas and opening brackets of one tensor in the header.
_MARKS = 8


@dataclass(frozen=True)
class TensorInfo:
    """One tensor; ``begin`` and ``end`` are byte offsets from the start of the file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def parse_header(data: bytes | bytearray | memoryview) -> dict[str, TensorInfo]:
    """Tensors of a whole file, in its order.

    Raises:
        ArchiveError: ``tensor_header``, the bytes are not the ones that our writer would have written for these tensors:
            other spelling, order, padding or metadata, a hole, an overlap, bytes left over, another dtype, no tensors.
    """
    buffer = memoryview(data).cast("B")
    return parse_head(buffer[: header_end(buffer[:8], len(buffer))], len(buffer))


def header_end(first: bytes | memoryview, size: int) -> int:
    """Where the header ends in a file of ``size`` bytes that begins with these eight.

    Raises:
        ArchiveError: ``tensor_header``.
    """
    length = int.from_bytes(first, "little")
    if len(first) < 8 or not 0 < length <= min(MAX_HEADER_SIZE, size - 8):
        raise _refuse("the header does not fit into the file")
    return 8 + length


def parse_head(head: bytes | memoryview, size: int) -> dict[str, TensorInfo]:
    """The same as :func:`parse_header` for the beginning of a file of ``size`` bytes, up to :func:`header_end`."""
    stored = bytes(head[8:])
    tensors = _tensors(_parse_json(stored), len(head))
    try:
        spelled = write_header({name: (info.dtype, info.shape) for name, info in tensors.items()})
    except UnicodeEncodeError as error:
        raise _refuse("a name is no text") from error
    if spelled[8:] != stored:
        raise _refuse("the header is not spelled as expert-kit and PEFT write it")
    # Spelling fixes the offsets: in order, without holes and overlaps. What is left is the end of the file.
    if max(info.end for info in tensors.values()) != size:
        raise _refuse("the tensors do not end where the file ends")
    return tensors


def write_header(tensors: Mapping[str, tuple[str, tuple[int, ...]]]) -> bytes:
    """Length and header of a file with these tensors (dtype and shape); their data follow in the order of the header."""
    header: dict[str, Any] = {"__metadata__": _METADATA}
    position = 0
    for name in sorted(tensors, key=lambda name: (-_DTYPE_ORDER[tensors[name][0]], name)):
        dtype, shape = tensors[name]
        end = position + math.prod(shape) * ITEM_SIZE[dtype]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [position, end]}
        position = end
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def is_finite(data: memoryview, dtype: str) -> bool:
    """Whether no value of this dtype in the bytes is infinite or NaN, that is, has all exponent bits set."""
    high = bytes(data[ITEM_SIZE[dtype] - 1 :: ITEM_SIZE[dtype]])
    if dtype == "F16":
        return not high.translate(_F16_EXPONENT).strip(_ZERO)
    # The exponent ends in the top bit of the second byte.
    low = bytes(data[ITEM_SIZE[dtype] - 2 :: ITEM_SIZE[dtype]]).translate(_TOP_BIT)
    return not int.from_bytes(high.translate(_LOW_SEVEN)) & int.from_bytes(low)


def is_zero(data: memoryview, dtype: str) -> bool:
    """Whether every value in the bytes is zero, of either sign."""
    size = ITEM_SIZE[dtype]
    high = bytes(data[size - 1 :: size]).replace(b"\x80", _ZERO)
    return not high.strip(_ZERO) and not any(bytes(data[offset::size]).strip(_ZERO) for offset in range(size - 1))


def _table(mask: int) -> bytes:
    return b"".join(_ONE if byte & mask == mask else _ZERO for byte in range(256))


_F16_EXPONENT, _LOW_SEVEN, _TOP_BIT = _table(0x7C), _table(0x7F), _table(0x80)


def _parse_json(stored: bytes) -> dict[str, Any]:
    # A few bytes of JSON become a hundred bytes of objects, so their number is limited before they are made.
    if sum(map(stored.count, (b",", b"[", b"{"))) > _MARKS * MAX_TENSORS:
        raise _refuse(f"more than {MAX_TENSORS} tensors")
    try:
        header = json.loads(stored.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _refuse("the header is not JSON") from error
    if not isinstance(header, dict) or header.pop("__metadata__", None) != _METADATA:
        raise _refuse('the header has no __metadata__ of exactly {"format":"pt"}')
    if not 0 < len(header) <= MAX_TENSORS:
        raise _refuse(f"{len(header)} tensors")
    return header


def _tensors(header: dict[str, Any], start: int) -> dict[str, TensorInfo]:
    tensors = {}
    for name, value in header.items():
        where = printable(name[:120])
        if not isinstance(value, dict) or list(value) != ["dtype", "shape", "data_offsets"]:
            raise _refuse(f"{where}: not dtype, shape and data_offsets")
        dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
        if not isinstance(dtype, str) or dtype not in ITEM_SIZE:
            raise _refuse(f"{where}: dtype {printable(str(dtype)[:20])} is not one of {', '.join(ITEM_SIZE)}")
        if not _sizes(shape) or not 1 <= len(shape) <= 2 or not _sizes(offsets) or len(offsets) != 2:
            raise _refuse(f"{where}: shape or offsets are not sizes")
        if offsets[1] - offsets[0] != math.prod(shape) * ITEM_SIZE[dtype] or not all(shape):
            raise _refuse(f"{where}: shape and offsets do not agree")
        tensors[name] = TensorInfo(dtype, tuple(shape), start + offsets[0], start + offsets[1])
    return tensors


def _sizes(value: object) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 1 << 32 for item in value)


def _refuse(message: str) -> ArchiveError:
    return ArchiveError(f"not the safetensors file of an adapter: {message}", hint="save the adapter again with PEFT", code="tensor_header")
