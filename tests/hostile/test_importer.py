"""What an importer gets from elsewhere: every file that could do harm is refused by code, and the honest ones are read."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import re
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from expert_kit.archive import ArchiveReader, config_of_spec, write_header
from expert_kit.archive.importer import Description, convert, folder_digest, legacy, read_material, ustar
from expert_kit.archive.importer.material import LEFT_OUT, LIMITS
from expert_kit.errors import ExpertKitError
from tests.hostile.watch import seconds_allowed
from tests.support.builders import lora_weights, tiny_base, tiny_spec

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
FILES = {CONFIG: config_of_spec(tiny_spec()), WEIGHTS: lora_weights(tiny_spec()), "README.md": b"# An adapter\n"}
DESCRIPTION = Description(name="me/tiny", version="0.1.0", license="MIT", summary="From elsewhere.")
END = bytes(1024)


def header(name: str | bytes, size: int = 0, kind: bytes = b"0", **fields: bytes) -> bytes:
    """One block with a right check sum; ``fields`` replace the bytes of a field."""
    raw = name.encode() if isinstance(name, str) else name
    values = {
        "name": (0, 100, raw), "mode": (100, 8, b"0000644\x00"), "uid": (108, 8, b"0000000\x00"), "gid": (116, 8, b"0000000\x00"),
        "length": (124, 12, f"{size:011o}".encode() + b"\x00"), "mtime": (136, 12, b"00000000000\x00"), "sum": (148, 8, b" " * 8),
        "kind": (156, 1, kind), "link": (157, 100, b""), "magic": (257, 8, b"ustar\x0000"), "devmajor": (329, 8, b""),
        "prefix": (345, 155, b""),
    }  # fmt: skip
    block = bytearray(512)
    for label, (start, length, value) in values.items():
        block[start : start + length] = fields.get(label, value).ljust(length, b"\x00")
    if "sum" not in fields:
        block[148:156] = f"{sum(block):06o}".encode() + b"\x00 "
    return bytes(block)


def entry(name: str | bytes, body: bytes = b"", kind: bytes = b"0", **fields: bytes) -> bytes:
    return header(name, len(body), kind, **fields) + body + bytes(-len(body) % 512)


def pax(**values: str) -> bytes:
    """An extended header; ``__`` stands for a dot in a key."""
    records = b""
    for key, value in values.items():
        line = f" {key.replace('__', '.')}={value}\n".encode()
        length = len(line) + len(str(len(line) + 2))
        records += str(length).encode() + line
    return entry("PaxHeader/x", records, b"x")


def package(*extra: bytes, files: dict[str, bytes] = FILES, folder: str = "") -> bytes:
    """A sound package with more entries in front."""
    return gzip.compress(b"".join([*extra, *(entry(folder + name, body) for name, body in files.items()), END]), mtime=0)


def run_code(work: Callable[[], object]) -> str:
    """The code of the refusal, which takes less than a second of this process and the one that it starts."""
    started, before = time.process_time(), os.times()
    with pytest.raises(ExpertKitError) as caught:
        work()
    after = os.times()
    children = after.children_user + after.children_system - before.children_user - before.children_system
    assert time.process_time() - started + children < seconds_allowed()
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 2_000
    return caught.value.code


def code_of(tmp_path: Path, data: bytes) -> str:
    """The code with which a package of these bytes is refused; no archive and nothing else is left behind."""
    source, out = tmp_path / "source.tar.gz", tmp_path / "out"
    source.write_bytes(data)
    out.mkdir()
    code = run_code(lambda: convert(source, out, DESCRIPTION, tiny_base()))
    assert sorted(path.name for path in tmp_path.rglob("*") if "home" not in path.parts) == ["out", "source.tar.gz"]
    return code


def refusal_here(data: bytes) -> str:
    """The code of the parser alone, in this process; empty if it takes the file."""
    reader = ustar.Reader(ustar.Inflater(io.BytesIO(data), 1 << 24).read, LIMITS, LEFT_OUT)
    try:
        reader.run(io.BytesIO())
    except ustar.RefusedError as error:
        return error.code
    return ""


ROWS: dict[str, tuple[Callable[[], bytes], str]] = {
    "4 symbolic link": (lambda: package(entry("README.md", kind=b"2", link=b"/etc/passwd"), files={}), "import_member_refused"),
    "4 hard link": (lambda: package(entry(CONFIG, kind=b"1", link=b"/etc/passwd")), "import_member_refused"),
    "4 character device": (lambda: package(entry("LICENSE", kind=b"3")), "import_member_refused"),
    "4 block device": (lambda: package(entry("LICENSE", kind=b"4")), "import_member_refused"),
    "4 FIFO": (lambda: package(entry("LICENSE", kind=b"6")), "import_member_refused"),
    "5 chain of links beyond PATH_MAX": (
        lambda: package(
            *(entry("d" * 90 + str(n), kind=b"2", link=b"d" * 90) for n in range(60)), entry("x/" * 40, kind=b"2", link=b"../" * 30)
        ),
        "import_member_refused",
    ),
    "17 negative size": (lambda: package(header(CONFIG, length=b"-0000000010\x00")), "import_tar"),
    "17 size in base 256": (lambda: package(header(CONFIG, length=b"\x80" + bytes(10) + b"\x10")), "import_tar"),
    "17 negative size in base 256": (lambda: package(header(CONFIG, length=b"\xff" * 12)), "import_tar"),
    "17 size beyond the file": (lambda: package(header(CONFIG, size=1 << 19), files={}), "import_tar"),
    "17 pathological number in a PAX header": (lambda: package(entry("x", b"9" * 16_000 + b" a=b\n", b"x")), "import_tar"),
    "17 PAX header of megabytes": (lambda: package(entry("x", b"1" * (1 << 20), b"x")), "import_tar"),
    "17 size in a PAX header": (lambda: package(pax(size="-5")), "import_member_refused"),
    "18 gzip bomb behind the end": (lambda: gzip.compress(END + bytes(32 << 20), 1, mtime=0), "import_tar"),
    "18 gzip bomb as weights": (lambda: gzip.compress(header(WEIGHTS, size=32 << 20) + bytes(32 << 20), 1, mtime=0), "import_too_large"),
    "18 gzip bomb that claims 8 GiB": (lambda: package(header(WEIGHTS, size=(1 << 33) - 1)), "import_too_large"),
}


@pytest.mark.parametrize("row", ROWS)
def test_the_attack_rows_of_the_importer_are_refused(tmp_path: Path, row: str):
    make, code = ROWS[row]
    assert code_of(tmp_path, make()) == code


SMALL: dict[str, tuple[bytes, str]] = {
    "path upwards": (package(entry("../" + CONFIG, b"{}")), "archive_unsafe_path"),
    "absolute path": (package(entry("/etc/" + CONFIG, b"{}")), "archive_unsafe_path"),
    "path upwards in a PAX header": (package(pax(path="a/../../" + CONFIG), entry("x", b"{}")), "archive_unsafe_path"),
    "path upwards in a prefix": (package(entry(CONFIG, b"{}", prefix=b"..")), "archive_unsafe_path"),
    "drive": (package(entry("C:\\" + CONFIG, b"{}")), "archive_unsafe_path"),
    "backslashes": (package(entry("a\\..\\" + CONFIG, b"{}")), "archive_unsafe_path"),
    "device name": (package(entry("aux/" + CONFIG, b"{}")), "archive_unsafe_path"),
    "name that is no ASCII": (package(entry("é.md", b"{}")), "archive_unsafe_path"),
    "folder upwards": (package(entry("../x/", kind=b"5")), "archive_unsafe_path"),
    "folder with a body": (package(entry("x/", b"body", kind=b"5")), "import_tar"),
    "file of another name": (package(entry("evil.py", b"import os")), "import_member_refused"),
    "pickle": (package(entry("adapter_model.bin", b"\x80\x04")), "import_member_refused"),
    "two files of a name": (package(entry("ADAPTER_CONFIG.json", b"{}")), "import_member_refused"),
    "two files of the very name": (package(entry(CONFIG, b"{}")), "import_duplicate"),
    "GNU long name": (package(entry("././@LongLink", b"a" * 300, b"L")), "import_member_refused"),
    "GNU long link": (package(entry("././@LongLink", b"a" * 300, b"K")), "import_member_refused"),
    "GNU sparse file": (package(entry(CONFIG, b"{}", b"S")), "import_member_refused"),
    "GNU sparse file by PAX": (package(pax(GNU__sparse__major="1"), entry("LICENSE", b"x")), "import_member_refused"),
    "GNU times": (package(entry("LICENSE", b"x", magic=b"ustar  \x00", prefix=b"00000000001")), "import_member_refused"),
    "PAX link path": (package(pax(linkpath="/etc/passwd"), entry("LICENSE", b"x")), "import_member_refused"),
    "PAX attribute": (package(pax(SCHILY__xattr__user="x"), entry("LICENSE", b"x")), "import_member_refused"),
    "global PAX header": (package(entry("g", b"11 path=a\n", b"g")), "import_member_refused"),
    "PAX header twice": (package(pax(mtime="1"), pax(mtime="1"), entry("LICENSE", b"x")), "import_tar"),
    "PAX key twice": (package(entry("x", b"11 mtime=1\n11 mtime=2\n", b"x"), entry("LICENSE", b"x")), "import_tar"),
    "PAX length 0": (package(entry("x", b"0 mtime=1\n", b"x"), entry("LICENSE", b"x")), "import_tar"),
    "PAX length beyond": (package(entry("x", b"99 mtime=1\n", b"x"), entry("LICENSE", b"x")), "import_tar"),
    "PAX record without a line end": (package(entry("x", b"10 mtime=1x", b"x"), entry("LICENSE", b"x")), "import_tar"),
    "PAX record without a value": (package(entry("x", b"9 mtimes\n", b"x"), entry("LICENSE", b"x")), "import_tar"),
    "PAX header without a file": (gzip.compress(pax(mtime="1") + END), "import_tar"),
    "contiguous file": (package(entry("LICENSE", b"x", b"7")), "import_member_refused"),
    "unknown kind": (package(entry("LICENSE", b"x", b"\x1b")), "import_member_refused"),
    "file with a link": (package(entry("LICENSE", b"x", link=b"y")), "import_tar"),
    "owner in base 256": (package(entry("LICENSE", b"x", uid=b"\x80" + bytes(7))), "import_tar"),
    "size with a space inside": (package(entry("LICENSE", b"", length=b"0000 000000\x00")), "import_tar"),
    "wrong check sum": (package(entry("LICENSE", b"x", sum=b"0000000\x00")), "import_tar"),
    "old format": (package(entry("LICENSE", b"x", magic=b"")), "import_tar"),
    "no end": (gzip.compress(entry("LICENSE", b"x")), "import_tar"),
    "half a header": (gzip.compress(header("LICENSE")[:300]), "import_tar"),
    "something behind the end": (gzip.compress(END + entry("LICENSE", b"x")), "import_tar"),
    "too many headers": (gzip.compress(b"".join(entry(f"d{n}/", kind=b"5") for n in range(600)) + END), "import_too_many"),
    "too many files": (gzip.compress(b"".join(entry(f"d{n}/LICENSE") for n in range(70)) + END), "import_too_many"),
    "configuration of megabytes": (package(header(CONFIG, size=2 << 20)), "import_too_large"),
    "two gzip members": (gzip.compress(END) + gzip.compress(END), "import_gzip"),
    "bytes behind gzip": (package() + b"x", "import_gzip"),
    "wrong gzip check sum": (package()[:-8] + bytes(8), "import_gzip"),
    "half a gzip file": (package()[:-20], "import_gzip"),
    "no gzip file": (b"PK\x03\x04" * 200, "import_gzip"),
    "nothing": (b"", "import_gzip"),
    "zlib instead": (zlib.compress(END), "import_gzip"),
}


@pytest.mark.parametrize("label", SMALL)
def test_everything_else_than_plain_files_of_known_names_is_refused(label: str):
    data, code = SMALL[label]
    assert refusal_here(data) == code


def test_every_code_of_the_parser_is_an_error_of_the_importer():
    codes = set(re.findall(r'"((?:import|archive)_[a-z_]+)"', Path(ustar.__file__).read_text()))
    assert codes | {"archive_unsafe_path"} == set(legacy._refusals("label", "what"))


def test_a_flip_of_any_bit_is_refused_or_changes_nothing_but_owners_and_times():
    plain = gzip.decompress(package())
    source = random.Random(0)
    for position in source.sample(range(512), 300):
        changed = bytearray(plain)
        changed[position] ^= 1 << source.randrange(8)
        assert refusal_here(gzip.compress(bytes(changed), 1)) != ""
    packed = package()
    for position in source.sample(range(10, len(packed)), 200):
        changed = bytearray(packed)
        changed[position] ^= 1 << source.randrange(8)
        assert refusal_here(bytes(changed)) != ""


def test_a_package_cut_anywhere_is_refused():
    packed = package()
    for length in random.Random(1).sample(range(len(packed)), 200):
        assert refusal_here(packed[:length]) == "import_gzip"


def test_random_bytes_in_a_sound_header_never_get_past_the_parser_as_another_error():
    source = random.Random(2)
    for _ in range(500):
        block = bytearray(header(CONFIG, size=10))
        for _ in range(source.randrange(1, 6)):
            block[source.randrange(148)] = source.randrange(256)
        block[148:156] = b" " * 8
        block[148:156] = f"{sum(block):06o}".encode() + b"\x00 "
        code = refusal_here(gzip.compress(bytes(block) + bytes(512) + END, 1))
        assert code in ("", "import_tar", "import_member_refused", "import_too_large", "archive_unsafe_path")


@pytest.mark.parametrize(
    "data",
    [
        package(),
        package(entry("my-adapter/", kind=b"5"), folder="my-adapter/"),
        package(entry("./", kind=b"5"), folder="./"),
        package(pax(mtime="1700000000.5", uid="99999999", path="LICENSE", uname="ü"), entry("cut-off", b"licence\n")),
        package(entry("tokenizer.json", b"{}"), entry("LICENSE", b"x", magic=b"ustar  \x00")),
        gzip.compress(gzip.decompress(package()) + bytes(9216)),
    ],
    ids=["plain", "in a folder", "with dots", "PAX times and path", "GNU magic", "padded"],
)
def test_honest_packages_are_read(tmp_path: Path, data: bytes):
    (tmp_path / "old.tar.gz").write_bytes(data)
    material = read_material(tmp_path / "old.tar.gz")
    assert FILES.items() <= material.files.items()
    assert material.kind == "tar.gz"


def test_what_claims_trust_is_left_out(tmp_path: Path):
    (tmp_path / "old.tar.gz").write_bytes(package(entry("manifest.json", b'{"trusted": true}')))
    material = read_material(tmp_path / "old.tar.gz")
    assert material.left_out == ("manifest.json",)
    done = convert(tmp_path / "old.tar.gz", tmp_path, DESCRIPTION, tiny_base())
    with ArchiveReader.open(done.archive) as reader:
        assert not reader.meta
        assert b"trusted" not in done.archive.read_bytes()


@pytest.mark.parametrize("extra", [{"other/" + CONFIG: b"{}"}, {}])
def test_not_exactly_one_adapter_is_refused(tmp_path: Path, extra: dict[str, bytes]):
    files = {**FILES, **extra} if extra else {CONFIG: FILES[CONFIG]}
    assert code_of(tmp_path, package(files=files)) == "import_incomplete"


@pytest.fixture
def peft(tmp_path: Path) -> Path:
    folder = tmp_path / "peft"
    folder.mkdir()
    for name, body in FILES.items():
        (folder / name).write_bytes(body)
    return folder


def test_a_folder_is_read_by_exact_names(peft: Path):
    (peft / "notes.txt").write_text("mine")
    (peft / "checkpoint-5").mkdir()
    (peft / "tokenizer.json").write_text("{}")
    material = read_material(peft)
    assert dict(material.files) == FILES
    assert (material.kind, material.digest) == ("peft-folder", folder_digest(FILES))
    assert material.left_out == ("tokenizer.json", "checkpoint-5", "notes.txt")


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS, "README.md"])
@pytest.mark.parametrize("kind", ["link", "dangling", "folder", "fifo"])
def test_a_link_device_or_folder_in_place_of_a_file_is_refused(peft: Path, tmp_path: Path, name: str, kind: str):
    (peft / name).rename(tmp_path / "moved")
    make = {
        "link": lambda: (peft / name).symlink_to(tmp_path / "moved"),
        "dangling": lambda: (peft / name).symlink_to("missing"),
        "folder": (peft / name).mkdir,
        "fifo": lambda: os.mkfifo(peft / name),
    }
    make[kind]()
    assert run_code(lambda: read_material(peft)) == "import_link"


def test_a_link_to_the_folder_is_not_followed(peft: Path, tmp_path: Path):
    (tmp_path / "link").symlink_to(peft)
    assert run_code(lambda: read_material(tmp_path / "link")) == "import_unreadable"


def test_a_pickle_in_a_folder_is_refused_with_a_hint(peft: Path):
    (peft / "adapter_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(ExpertKitError) as caught:
        read_material(peft)
    assert caught.value.code == "import_pickle"
    assert "safe_serialization=True" in caught.value.hint


def test_missing_and_oversized_files_are_refused(peft: Path, tmp_path: Path):
    (peft / CONFIG).write_bytes(b" " * (LIMITS[CONFIG] + 1))
    assert run_code(lambda: read_material(peft)) == "import_too_large"
    (peft / CONFIG).unlink()
    assert run_code(lambda: read_material(peft)) == "import_incomplete"
    assert run_code(lambda: read_material(tmp_path / "nowhere")) == "import_unreadable"
    assert run_code(lambda: read_material(tmp_path / "x.expert")) == "import_unknown"
    os.mkfifo(tmp_path / "fifo")
    assert run_code(lambda: read_material(tmp_path / "fifo")) == "import_unreadable"


def changed(peft: Path, **fields: object) -> Callable[[], object]:
    (peft / CONFIG).write_text(json.dumps(json.loads(FILES[CONFIG]) | fields))
    return lambda: convert(peft, peft.parent, DESCRIPTION, tiny_base())


@pytest.mark.parametrize(
    "fields",
    [
        {"auto_mapping": {"parent_library": "os"}},
        {"megatron_core": "os"},
        {"lora_alpha": 4.5},
        {"lora_alpha": 1e400},
        {"r": 2.5},
        {"alpha_pattern": {".*": 8}},
        {"alpha_pattern": {"q_proj": 0.5}},
        {"modules_to_save": ["model.norm"]},
        {"modules_to_save": "lm_head"},
        {"bias": "all"},
        {"peft_type": "LOHA"},
    ],
    ids=str,
)
def test_settings_that_are_not_supported_are_refused(peft: Path, fields: dict[str, object]):
    assert run_code(changed(peft, **fields)) == "adapter_config_refused"


@pytest.mark.parametrize(
    "fields",
    [
        {"target_modules": "(a+)+$" * 10},
        {"target_modules": ["nothing"], "exclude_modules": "((", "layers_to_transform": [5]},
        {"rank_pattern": {"(x+x+)+y": 9}},
        {"lora_alpha": 4.0, "lora_dropout": 0.05},
        {"alpha_pattern": {"k_proj": 99}},
    ],
    ids=str,
)
def test_patterns_and_selections_are_never_evaluated(peft: Path, fields: dict[str, object]):
    archive = changed(peft, **fields)().archive  # type: ignore[attr-defined]
    with ArchiveReader.open(archive) as reader:
        assert reader.manifest.adapter_spec(reader.manifest.bases[0]) == tiny_spec()
        assert reader.read(WEIGHTS) == FILES[WEIGHTS]


def test_tensors_for_other_modules_than_the_base_has_are_refused(peft: Path):
    (peft / WEIGHTS).write_bytes(lora_weights(tiny_spec(), (("model.layers.0.__import__.q_proj", 8, 8),)))
    assert run_code(changed(peft)) == "adapter_target_unknown"


def test_tensors_of_two_dtypes_are_refused(peft: Path):
    names = [f"base_model.model.model.layers.0.self_attn.q_proj.lora_{side}.weight" for side in "AB"]
    head = write_header({names[0]: ("F32", (2, 8)), names[1]: ("F16", (8, 2))})
    (peft / WEIGHTS).write_bytes(head + b"\1" * (2 * 8 * 4 + 8 * 2 * 2))
    assert run_code(changed(peft)) == "tensor_dtype"


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b'{"r": NaN}', b'{"r": 2, "r": 3}', b"[" * 100_000], ids=["empty", "list", "open", "NaN", "twice", "deep"]
)
def test_a_configuration_that_is_no_json_object_is_refused(peft: Path, data: bytes):
    (peft / CONFIG).write_bytes(data)
    assert run_code(lambda: convert(peft, peft.parent, DESCRIPTION, tiny_base())) == "adapter_config_refused"


@pytest.mark.parametrize(
    "data", [b"\x80\x04\x95", b"cos\nsystem\n(S'true'\ntR.", b"PK\x03\x04", b"", FILES[WEIGHTS][:-1], FILES[WEIGHTS] + b"x"]
)
def test_weights_that_are_no_safetensors_file_are_refused(peft: Path, data: bytes):
    (peft / WEIGHTS).write_bytes(data)
    assert run_code(changed(peft)) == "tensor_header"


def test_values_that_are_not_finite_are_refused(peft: Path):
    (peft / WEIGHTS).write_bytes(FILES[WEIGHTS][:-4] + b"\x00\x00\xc0\x7f")
    assert run_code(changed(peft)) == "tensor_not_finite"
