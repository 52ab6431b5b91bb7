"""Reads a ``.tar.gz`` once from front to back; run by ``legacy.py`` in a confined process.

It takes regular files, and folders as mere names. Everything that could mean something else is refused: links, devices,
sparse files, GNU extensions, numbers in base 256, and PAX keys other than times, owners and ``path``. Of what it reads it
writes one record per file to stdout: a line of JSON with name and size, then the bytes.

Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header".
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Callable
from typing import BinaryIO, NoReturn

from expert_kit.errors import UnsafePathError
from expert_kit.names import check_member_path

BLOCK = 512
MAX_FILES = 64
MAX_HEADERS = 512
MAX_PAX = 1 << 14
MAX_PADDING = 1 << 20
"""Zero bytes behind the last file."""
RATIO, FREE = 64, 1 << 23
"""Inflated bytes allowed for each byte of gzip, beyond the free ones. Weights have hardly more than one."""
_CHUNK = 1 << 16
_MAGICS = (b"ustar\x0000", b"ustar  \x00")
# offset and length of every numeric field but the check sum
_NUMBERS = {"mode": (100, 8), "uid": (108, 8), "gid": (116, 8), "mtime": (136, 12), "devmajor": (329, 8), "devminor": (337, 8)}
_IGNORED_KEYS = frozenset({"mtime", "atime", "ctime", "uid", "gid", "uname", "gname"})
_KINDS = {
    b"1": "a hard link", b"2": "a symbolic link", b"3": "a device", b"4": "a device", b"6": "a FIFO", b"L": "a GNU long name",
    b"K": "a GNU long link", b"S": "a GNU sparse file", b"g": "a global PAX header",
}  # fmt: skip


class RefusedError(Exception):
    """The first thing that is wrong: a code of ``archive`` and a message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Inflater:
    """The bytes in a gzip file, which must be one member and nothing more."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._file, self._most = file, most
        self._gzip = zlib.decompressobj(wbits=31)
        self._buffer = b""
        self.taken, self.made = 0, 0

    def read(self, size: int) -> bytes:
        """Exactly so many bytes; fewer only at the end."""
        pieces, missing = [], size
        while missing:
            if not self._buffer and not self._refill():
                break
            piece, self._buffer = self._buffer[:missing], self._buffer[missing:]
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def _refill(self) -> bool:
        while not self._buffer and not self._gzip.eof:
            data = self._gzip.unconsumed_tail or self._take()
            try:
                self._buffer = self._gzip.decompress(data, _CHUNK)
            except zlib.error as error:
                raise RefusedError("import_gzip", "the gzip stream is damaged") from error
            self.made += len(self._buffer)
            if self.made > self._most or self.made > FREE + RATIO * self.taken:
                raise RefusedError("import_too_large", f"it inflates to more than {self.made - len(self._buffer)} bytes")
        if self._gzip.eof and (self._gzip.unused_data or self._file.read(1)):
            raise RefusedError("import_gzip", "there are bytes behind the gzip stream")
        return bool(self._buffer)

    def _take(self) -> bytes:
        data = self._file.read(_CHUNK)
        if not data:
            raise RefusedError("import_gzip", "the gzip stream ends too early")
        self.taken += len(data)
        return data


class Reader:
    """The files of a tar stream, one after the other."""

    def __init__(self, read: Callable[[int], bytes], limits: dict[str, int], left_out: frozenset[str]) -> None:
        self._read, self._limits, self._left_out = read, limits, left_out
        self._seen: set[str] = set()
        self._path: str | None = None
        """Of a PAX header that waits for its file."""

    def run(self, out: BinaryIO) -> None:
        """Write a record for every file."""
        for _ in range(MAX_HEADERS):
            header = self._block()
            if not header.strip(b"\x00"):
                self._finish()
                return
            self._entry(header, out)
        _refuse("import_too_many", f"more than {MAX_HEADERS} headers")

    def _entry(self, header: bytes, out: BinaryIO) -> None:
        _check_header(header)
        kind, size = header[156:157], _number(header[124:136], "size")
        if kind == b"x":
            self._pax(size)
            return
        if kind not in (b"0", b"\x00", b"5"):
            _refuse("import_member_refused", f"it has {_KINDS.get(kind, f'an entry of the kind {kind!r}')}")
        if header[157:257].strip(b"\x00"):
            _refuse("import_tar", "a file has the name of a link")
        name = self._name(header, is_folder=kind == b"5")
        if kind == b"5":
            if size:
                _refuse("import_tar", "a folder has a body")
            return
        self._file(name, size, out)

    def _name(self, header: bytes, *, is_folder: bool) -> str:
        name, self._path = self._path or _header_name(header), None
        name = name.removesuffix("/") if is_folder else name
        if is_folder and name == ".":
            return name
        name = name.removeprefix("./")
        try:
            return check_member_path(name)
        except UnsafePathError as error:
            raise RefusedError(error.code, error.message) from error

    def _file(self, name: str, size: int, out: BinaryIO) -> None:
        folded, last = name.casefold(), name.rpartition("/")[2]
        if folded in self._seen:
            _refuse("import_duplicate", f"two files named {name!r}")
        self._seen.add(folded)
        if len(self._seen) > MAX_FILES:
            _refuse("import_too_many", f"more than {MAX_FILES} files")
        if last not in self._limits and last not in self._left_out:
            _refuse("import_member_refused", f"no file may be named {name!r}" + _pickle_hint(last))
        if size > self._limits.get(last, FREE):
            _refuse("import_too_large", f"{name} has {size} bytes, at most {self._limits.get(last, FREE)} are allowed")
        record = {"name": name, "size": size, "kept": last in self._limits}
        out.write(json.dumps(record).encode() + b"\n")
        self._body(size, out.write if record["kept"] else _drop)

    def _body(self, size: int, write: Callable[[bytes], object]) -> None:
        left = size
        while left:
            piece = self._exactly(min(left, _CHUNK))
            write(piece)
            left -= len(piece)
        self._exactly(-size % BLOCK)

    def _pax(self, size: int) -> None:
        if self._path is not None:
            _refuse("import_tar", "two PAX headers for one file")
        if size > MAX_PAX:
            _refuse("import_tar", f"a PAX header of {size} bytes, at most {MAX_PAX} are allowed")
        pieces: list[bytes] = []
        self._body(size, pieces.append)
        self._path = parse_pax(b"".join(pieces)).get("path", "")

    def _finish(self) -> None:
        if self._path is not None:
            _refuse("import_tar", "a PAX header without a file")
        padding = 0
        while piece := self._read(_CHUNK):
            padding += len(piece)
            if piece.strip(b"\x00") or padding > MAX_PADDING:
                _refuse("import_tar", "there are bytes behind the end of the archive")

    def _block(self) -> bytes:
        return self._exactly(BLOCK)

    def _exactly(self, size: int) -> bytes:
        data = self._read(size)
        if len(data) != size:
            _refuse("import_tar", "the archive ends too early")
        return data


def parse_pax(data: bytes) -> dict[str, str]:
    """Keys and values of a PAX header, each key once; only the keys that this reader knows."""
    found: dict[str, str] = {}
    while data:
        digits, space, _ = data[:8].partition(b" ")
        length = int(digits) if space and digits.isdigit() else 0
        record = data[len(digits) + 1 : length]
        if not len(digits) + 1 < length <= len(data) or not record.endswith(b"\n"):
            _refuse("import_tar", "a PAX header is damaged")
        key, equals, value = record[:-1].partition(b"=")
        name = key.decode("ascii", "backslashreplace")
        if not equals or name in found:
            _refuse("import_tar", "a PAX header is damaged")
        if name != "path" and name not in _IGNORED_KEYS:
            _refuse("import_member_refused", f"it has the PAX key {name[:60]!r}")
        found[name] = value.decode("utf-8", "backslashreplace")
        data = data[length:]
    return found


def _check_header(header: bytes) -> None:
    stored = _number(header[148:156], "check sum")
    if stored != sum(header[:148]) + sum(header[156:]) + 8 * ord(" "):
        _refuse("import_tar", "a header has a wrong check sum")
    if header[257:265] not in _MAGICS:
        _refuse("import_tar", "a header is not in the ustar format")
    if header[257:265] != _MAGICS[0] and header[345:].strip(b"\x00"):
        _refuse("import_member_refused", "it has a GNU extension")
    for label, (start, length) in _NUMBERS.items():
        _number(header[start : start + length], label)


def _number(field: bytes, label: str) -> int:
    digits = field.rstrip(b" \x00").lstrip(b" ")
    if digits.strip(b"01234567"):
        _refuse("import_tar", f"the {label} of a header is not an octal number")
    return int(digits or b"0", 8)


def _header_name(header: bytes) -> str:
    name, prefix = (header[start:end].partition(b"\x00")[0] for start, end in ((0, 100), (345, 500)))
    return (prefix + b"/" + name if prefix else name).decode("ascii", "backslashreplace")


def _pickle_hint(name: str) -> str:
    return "; weights must be safetensors, a pickle runs code" if name.endswith((".bin", ".pt", ".pth", ".pkl", ".ckpt")) else ""


def _drop(piece: bytes) -> None:
    """A file that is not wanted."""


def _refuse(code: str, message: str) -> NoReturn:
    raise RefusedError(code, message)


def main() -> None:
    """Stdin is the file, the one argument JSON; the last line on stdout is the problem, or null."""
    asked = json.loads(sys.argv[1])
    out = sys.stdout.buffer
    problem: dict[str, str] | None = None
    try:
        Reader(Inflater(sys.stdin.buffer, asked["most"]).read, asked["limits"], frozenset(asked["left_out"])).run(out)
    except RefusedError as error:
        problem = {"code": error.code, "message": str(error)}
    # Behind a body that may be cut short, so with a line end in front.
    out.write(b"\n" + json.dumps(problem).encode())
    out.flush()


if __name__ == "__main__":
    main()
