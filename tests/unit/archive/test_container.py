"""Writer and reader: one reading or none. Every hostile file here is sound but for the one thing under test."""

import io
import os
import struct
import zipfile  # noqa: TID251 - the stock tool, as a second reading of our own files
import zlib
from pathlib import Path

import pytest

from expert_kit.archive import ArchiveReader, replace_meta, write_archive, writer
from expert_kit.archive.layout import Entry, Layout, layout
from expert_kit.errors import ArchiveError, CapacityError, DigestMismatchError, ExpertKitError, UnsafePathError
from tests.support.builders import build_expert, tamper

LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return build_expert(tmp_path)


def code_of(data: bytes) -> str:
    with pytest.raises(ExpertKitError) as caught:
        ArchiveReader.from_bytes(data).check_bodies()
    return caught.value.code


def patched(data: bytes, offset: int, new: bytes) -> bytes:
    return data[:offset] + new + data[offset + len(new) :]


def frame(bodies: dict[str, bytes]) -> bytes:
    """The bytes that the layout gives for these members, whatever they hold."""
    plan = layout([Entry(name, zlib.crc32(body), len(body)) for name, body in bodies.items()])
    return b"".join(header + body for header, body in zip(plan.headers, bodies.values(), strict=True)) + plan.tail


def bodies_of(archive: Path) -> dict[str, bytes]:
    with ArchiveReader.open(archive) as reader:
        return {entry.name: reader.read(entry.name) for entry in reader.entries}


def test_same_input_gives_the_same_bytes(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert build_expert(tmp_path / "a").read_bytes() == build_expert(tmp_path / "b").read_bytes()


def test_stock_tools_can_read_it(archive):
    with zipfile.ZipFile(archive) as stock:  # the independent reading
        assert stock.testzip() is None
        assert {name: stock.read(name) for name in stock.namelist()} == bodies_of(archive)
        assert stock.namelist()[0] == "expert.json"
        assert all(info.external_attr == 0o100644 << 16 and info.compress_type == 0 for info in stock.infolist())


def test_bodies_are_aligned(archive):
    data = archive.read_bytes()
    for name, body in bodies_of(archive).items():
        assert data.index(body) % (4096 if name.endswith(".safetensors") else 64) == 0


def test_a_gap_too_small_for_padding_grows_by_one_step():
    for length in range(1, 70):
        plan = layout([Entry("expert.json", 0, 0), Entry("a" * length, 0, 1)])
        assert plan.bodies[1] % 64 == 0
        assert len(plan.headers[1]) - 30 - length not in (1, 2, 3)


def test_streaming_gives_the_same_bytes_as_reading(archive):
    with ArchiveReader.open(archive) as reader:
        for entry in reader.entries:
            sink = io.BytesIO()
            assert reader.stream(entry.name, sink) == entry.size
            assert sink.getvalue() == reader.read(entry.name)


def test_unknown_members_are_an_error(archive):
    with ArchiveReader.open(archive) as reader, pytest.raises(ArchiveError) as caught:
        reader.read("nothing")
    assert caught.value.code == "archive_no_member"


def test_signatures_come_last_and_keep_the_identity(archive, tmp_path):
    meta = {"META/signatures.jsonl": b"{}\n", "META/attestations/b.jsonl": b"b\n", "META/attestations/a.jsonl": b"a\n"}
    signed = replace_meta(archive, tmp_path / "signed.expert", meta)
    with ArchiveReader.open(archive) as before, ArchiveReader.open(signed) as after:
        assert before.signatures_bytes == b""
        assert after.signatures_bytes == b"{}\n"
        assert after.meta == meta
        assert after.manifest_bytes == before.manifest_bytes
        names = [entry.name for entry in after.entries]
        assert names[-3:] == ["META/attestations/a.jsonl", "META/attestations/b.jsonl", "META/signatures.jsonl"]
    end = archive.read_bytes().index(CENTRAL)
    assert signed.read_bytes()[:end] == archive.read_bytes()[:end]


def test_meta_can_be_replaced_in_place_and_taken_away(archive):
    original = archive.read_bytes()
    replace_meta(archive, archive, {"META/signatures.jsonl": b"{}\n"})
    assert archive.read_bytes() != original
    replace_meta(archive, archive, {})
    assert archive.read_bytes() == original


def test_replacing_meta_refuses_a_damaged_payload(archive, tmp_path):
    tamper(archive, "adapter_model.safetensors")
    with pytest.raises(DigestMismatchError):
        replace_meta(archive, tmp_path / "out.expert", {"META/signatures.jsonl": b"{}\n"})
    assert not (tmp_path / "out.expert").exists()


@pytest.mark.parametrize(
    "name", ["META/other.jsonl", "META/attestations/x.txt", "META/attestations/a/b.jsonl", "meta/signatures.jsonl", "x"]
)
def test_meta_takes_no_other_names(archive, tmp_path, name):
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ArchiveError) as caught:
        replace_meta(archive, tmp_path / "out.expert", {name: b""})
    assert caught.value.code == "archive_member_refused"
    assert sorted(tmp_path.iterdir()) == before


def test_writer_wants_exactly_the_members_of_the_manifest(archive, tmp_path):
    with ArchiveReader.open(archive) as reader:
        manifest = reader.manifest
    members = {name: body for name, body in bodies_of(archive).items() if name != "expert.json"}
    out = tmp_path / "out.expert"
    assert write_archive(out, manifest, members).read_bytes() == archive.read_bytes()
    out.unlink()
    with pytest.raises(ArchiveError) as caught:
        write_archive(out, manifest, {name: body for name, body in members.items() if name != "LICENSE"})
    assert caught.value.code == "archive_member_set"
    with pytest.raises(DigestMismatchError, match="LICENSE"):
        write_archive(out, manifest, members | {"LICENSE": b"Licence text\n"})
    assert not list(tmp_path.glob("*out*"))
    assert not list(tmp_path.glob(".*"))


def test_writer_copies_files(archive, tmp_path):
    with ArchiveReader.open(archive) as reader:
        manifest = reader.manifest
    members: dict[str, Path | bytes] = {}
    for number, (name, body) in enumerate(bodies_of(archive).items()):
        if name != "expert.json":
            members[name] = tmp_path / f"member-{number}"
            (tmp_path / f"member-{number}").write_bytes(body)
    assert write_archive(tmp_path / "out.expert", manifest, members).read_bytes() == archive.read_bytes()


def test_a_file_that_changes_while_it_is_packed_is_noticed(archive, tmp_path, monkeypatch):
    with ArchiveReader.open(archive) as reader:
        manifest = reader.manifest
    members: dict[str, Path | bytes] = {name: body for name, body in bodies_of(archive).items() if name != "expert.json"}
    members["README.md"] = tmp_path / "card.md"
    members["README.md"].write_bytes(bodies_of(archive)["README.md"])

    def changing_layout(entries: list[Entry]) -> Layout:
        (tmp_path / "card.md").write_bytes(b"# another card at last")
        return layout(entries)

    monkeypatch.setattr(writer, "layout", changing_layout)
    with pytest.raises(DigestMismatchError, match="README"):
        write_archive(tmp_path / "out.expert", manifest, members)
    assert not list(tmp_path.glob("*out*"))
    assert not list(tmp_path.glob(".*"))


def test_a_file_that_becomes_shorter_is_noticed(archive):
    with ArchiveReader.open(archive) as reader:
        os.truncate(archive, 100)
        with pytest.raises(ArchiveError) as caught:
            reader.read("README.md")
    assert caught.value.code == "archive_unreadable"


def test_a_file_of_4_gib_is_refused(tmp_path):
    path = tmp_path / "large.expert"
    path.touch()
    os.truncate(path, 1 << 32)  # sparse
    with pytest.raises(ArchiveError) as caught:
        ArchiveReader.open(path)
    assert caught.value.code == "archive_too_large"


def test_the_end_record_counts_too():
    with pytest.raises(ArchiveError) as caught:
        layout([Entry("expert.json", 0, (1 << 32) - 130)])
    assert caught.value.code == "archive_too_large"


def test_a_folder_that_is_missing_is_a_typed_error(archive, tmp_path):
    with pytest.raises(CapacityError):
        replace_meta(archive, tmp_path / "missing" / "out.expert", {})


def test_files_that_are_no_files_are_refused(archive, tmp_path):
    (tmp_path / "link.expert").symlink_to(archive)
    os.mkfifo(tmp_path / "fifo.expert")
    for name, code in (
        ("missing.expert", "archive_unreadable"),
        ("link.expert", "archive_unreadable"),
        ("fifo.expert", "archive_not_regular"),
        (".", "archive_not_regular"),
    ):
        with pytest.raises(ArchiveError) as caught:
            ArchiveReader.open(tmp_path / name)
        assert caught.value.code == code


@pytest.mark.parametrize("data", [b"", b"x" * 21, b"x" * 500, END + bytes(18), END + b"\xff" * 18, bytes(22)])
def test_other_bytes_are_refused(data):
    assert code_of(data).startswith("archive_")


def test_bytes_before_or_after_are_refused(archive):
    data = archive.read_bytes()
    assert code_of(b"#!/bin/sh\n" + data) == "archive_framing"
    assert code_of(data + b"\x00") == "archive_no_end_record"
    assert code_of(data + data) == "archive_framing"
    assert code_of(data + data[-22:]) == "archive_framing"
    assert code_of(data[:-2] + b"\x01\x00" + b"!") == "archive_no_end_record"  # comment


FIELDS = {  # offset in the local header, offset in the central header, new bytes
    "version": (4, 6, b"\x14\x00"),
    "encrypted": (6, 8, b"\x01\x00"),
    "patched data": (6, 8, b"\x20\x00"),
    "data descriptor": (6, 8, b"\x08\x00"),
    "utf-8 names": (6, 8, b"\x00\x08"),
    "deflate": (8, 10, b"\x08\x00"),
    "time": (10, 12, b"\x01\x00"),
    "date": (12, 14, b"\x22\x00"),
    "packed size": (18, 20, b"\x0a\x00\x00\x00"),
    "extra length": (28, 30, b"\xff\x00"),
}


@pytest.mark.parametrize("where", ["local", "central", "both"])
@pytest.mark.parametrize("field", FIELDS)
def test_every_header_field_has_one_value(archive, field, where):
    data = archive.read_bytes()
    local, central, new = FIELDS[field]
    if where != "central":
        data = patched(data, local, new)
    if where != "local":
        data = patched(data, data.index(CENTRAL) + central, new)
    assert code_of(data) in {"archive_framing", "archive_directory"}


@pytest.mark.parametrize(("offset", "new"), [(4, b"\x14\x00"), (32, b"\x01\x00"), (34, b"\x01\x00"), (36, b"\x01\x00")])
def test_comments_disks_and_systems_are_refused(archive, offset, new):
    data = archive.read_bytes()
    assert code_of(patched(data, data.index(CENTRAL) + offset, new)) in {"archive_framing", "archive_directory"}


@pytest.mark.parametrize("mode", [0o120777, 0o060644, 0o010644, 0o040755, 0o100755])
def test_links_devices_and_programs_are_refused(archive, mode):
    data = archive.read_bytes()
    assert code_of(patched(data, data.index(CENTRAL) + 38, struct.pack("<I", mode << 16))) == "archive_framing"


def test_padding_is_zero_and_has_one_id(archive):
    data = archive.read_bytes()
    start = 30 + len("expert.json")
    assert code_of(patched(data, start + 4, b"\x01")) == "archive_framing"
    assert code_of(patched(data, start, b"\x75\x70")) == "archive_framing"  # Unicode path


def test_local_and_central_name_must_agree(archive):
    data = archive.read_bytes()
    assert code_of(patched(data, data.index(LOCAL, 4) + 30, b"LICENCE")) == "archive_framing"
    assert code_of(patched(data, data.rindex(b"LICENSE"), b"LICENCE")) == "archive_framing"


def test_a_member_missing_from_the_directory_is_refused(archive):
    bodies = bodies_of(archive)
    data = archive.read_bytes()
    directory = data.index(CENTRAL)
    last = data.rindex(CENTRAL)
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, len(bodies) - 1, len(bodies) - 1, last - directory, directory, 0)
    assert code_of(data[:last] + end) == "archive_framing"


def test_two_directory_entries_over_one_body_are_refused(archive):
    data = archive.read_bytes()
    directory, count = data.index(CENTRAL), len(bodies_of(archive))
    first = data[directory : directory + 46 + len("expert.json")]
    central = data[directory:-22] + first
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, count + 1, count + 1, len(central), directory, 0)
    assert code_of(data[:directory] + central + end) == "archive_duplicate_member"


def test_a_count_beyond_the_limit_is_refused_before_reading(archive):
    data = archive.read_bytes()
    assert code_of(patched(data, len(data) - 22 + 8, struct.pack("<HH", 65535, 65535))) == "archive_too_many_members"


@pytest.mark.parametrize("name", ["../x", "/etc/x", "C:\\x", "a\\..\\x", "a/./b", "nul"])
def test_unsafe_names_are_refused_by_writer_and_reader(archive, name):
    with pytest.raises(UnsafePathError):
        layout([Entry("expert.json", 0, 0), Entry(name, 0, 0)])
    data = archive.read_bytes()
    directory = data.rindex(CENTRAL, 0, data.rindex(b"LICENSE"))
    central = data[directory : directory + 28] + struct.pack("<H", len(name)) + data[directory + 30 : directory + 46] + name.encode()
    changed = data[:directory] + central + data[directory + 46 + len("LICENSE") : -22]
    start = data.index(CENTRAL)
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 6, 6, len(changed) - start, start, 0)
    assert code_of(changed + end) == "archive_unsafe_path"


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (["expert.json", "b", "a"], "archive_member_order"),
        (["a", "expert.json"], "archive_member_order"),
        ([], "archive_member_order"),
        (["expert.json", "META/signatures.jsonl", "a"], "archive_member_order"),
        (["expert.json", "a", "a"], "archive_duplicate_member"),
        (["expert.json", "A", "a"], "archive_duplicate_member"),
        (["expert.json", "Expert.json"], "archive_duplicate_member"),
        (["expert.json", "a", "a/b"], "archive_duplicate_member"),
        (["expert.json", *(f"m{n:03}" for n in range(256))], "archive_too_many_members"),
    ],
)
def test_lists_that_the_writer_would_not_write_are_refused(names, code):
    with pytest.raises(ArchiveError) as caught:
        layout([Entry(name, 0, 0) for name in names])
    assert caught.value.code == code


def test_size_is_limited():
    with pytest.raises(ArchiveError) as caught:
        layout([Entry("expert.json", 0, 10), Entry("a.safetensors", 0, (1 << 32) - 1)])
    assert caught.value.code == "archive_too_large"


def test_crc_and_digest_are_both_checked(archive):
    bodies = bodies_of(archive)
    changed = bodies | {"README.md": bodies["README.md"][:-1] + b"!"}
    assert code_of(frame(changed)) == "archive_digest_mismatch"  # right CRC, wrong digest
    data = archive.read_bytes()
    crc = struct.pack("<I", zlib.crc32(bodies["README.md"]))
    assert data.count(crc) == 2
    assert code_of(data.replace(crc, b"\x00\x00\x00\x00")) == "archive_digest_mismatch"  # wrong CRC, right digest


def test_members_and_manifest_list_the_same_files(archive):
    bodies = bodies_of(archive)
    assert frame(bodies) == archive.read_bytes()  # the accepted twin
    without = {name: body for name, body in bodies.items() if name != "LICENSE"}
    assert code_of(frame(without)) == "archive_member_set"
    with_more = dict(sorted((bodies | {"NOTICE": b"x"}).items(), key=lambda item: (item[0] != "expert.json", item[0])))
    assert code_of(frame(with_more)) == "archive_member_set"
    assert code_of(frame(bodies | {"README.md": b"longer than before, much longer"})) == "archive_member_set"


def test_a_manifest_over_the_limit_is_not_read():
    assert code_of(frame({"expert.json": b" " * ((1 << 20) + 1)})) == "archive_too_large"


def test_a_directory_that_is_no_directory_is_refused(archive):
    data = archive.read_bytes()
    last = data.rindex(CENTRAL)
    assert code_of(patched(data, data.index(CENTRAL), b"PK\x01\x00")) == "archive_directory"
    assert code_of(patched(data, last + 28, struct.pack("<H", 60000))) == "archive_directory"
    assert code_of(patched(data, last + 46, b"\xc3\xa9")) == "archive_directory"
    end = bytearray(data[-22:])
    end[8] -= 1
    end[10] -= 1
    assert code_of(data[:-22] + bytes(end)) == "archive_directory"
