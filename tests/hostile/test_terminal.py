"""Text of a package, of a registry or of a command line that would steer a terminal: no command lets it out as it is."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from expert_kit.cli.main import COMMANDS, main
from expert_kit.registry import Registry
from expert_kit.signing import TrustStore, attest, key_id, load_private_key, new_key
from tests.hostile.forge import Parts, frame
from tests.support.builders import build_expert, tiny_base
from tests.support.encoders import FakeEncoder

# An escape, an OSC title, a bidi override and isolate, zero-width characters, C1, line breaks of every kind, DEL.
IN_A_NAME = "x\x1b[2J\x1b]0;t\x07\u202e\u2066\u200b\u200d\ufeff\x9b2J\x85\rFORGED: a\nFORGED: b\n\tFORGED\x0b\x0cFORGED\x7f\u2028FORGED"
POISON = IN_A_NAME + "\x00\ud800"
NAME = "acme/sql"
SECOND_LINE = "What is asked?\nFORGED: c\n\tFORGED"

Run = Callable[..., int]


def assert_harmless(text: str) -> None:
    """Nothing but printable characters and the line breaks that we made."""
    assert {char for char in text if not char.isprintable()} <= {"\n"}
    assert not [line for line in text.split("\n") if line.lstrip().startswith("FORGED")]


@pytest.fixture
def memory() -> int:
    """Commands import libraries that are larger than what a case may take."""
    return 1 << 30


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a home, in which every text of a row that can hold anything does, and with hostile archives."""
    folder = tmp_path_factory.mktemp("terminal")
    home, index = folder / "home", folder / "index"
    for path in (home / "bases" / "tiny", index, folder / IN_A_NAME):
        path.mkdir(parents=True)
    (home / "bases" / "tiny" / "base.json").write_text(tiny_base().to_json())
    private = load_private_key(new_key(home / "keys", "release").private_path, None)
    TrustStore(home).trust("acme/*", key_id(private.public_key()))
    registry = Registry(home / "registry", trust_home=home)
    parts = Parts.of(build_expert(folder, name=NAME, examples=json.dumps({"text": SECOND_LINE, "split": "fit"}).encode()))
    for version in ("1.0.0", "1.1.0"):
        parts.value["version"] = version
        parts.bodies["README.md"] = POISON.encode("utf-8", "replace").replace(b"\0", b"")
        parts.seal()
        parts.resign(private)
        said = attest(_identity(parts), "label", "import", {"source": IN_A_NAME}, private)
        parts.meta["META/attestations/import.jsonl"] = said + b"\n"
        (index / f"{version}.expert").write_bytes(frame(parts.members()))
        registry.install(index / f"{version}.expert", bases=[tiny_base()])
    _hostile_archives(parts, folder / IN_A_NAME)
    _poison_rows(registry.root / "registry.sqlite")
    return folder


def _identity(parts: Parts) -> str:
    from expert_kit.names import sha256_digest

    return sha256_digest(parts.manifest)


def _hostile_archives(parts: Parts, folder: Path) -> None:
    """Each has the text in another field, unsigned; all have it in their file names."""
    fields = [("summary", POISON), ("license", IN_A_NAME), ("tags", [IN_A_NAME]), ("publisher", IN_A_NAME), ("name", f"acme/{IN_A_NAME}")]
    fields += [("version", f"1.0.0-{IN_A_NAME}"), ("capabilities", [IN_A_NAME]), ("requires", {"experts": {IN_A_NAME: IN_A_NAME}})]
    fields += [("schema", IN_A_NAME), (IN_A_NAME, IN_A_NAME)]
    for number, (field, value) in enumerate(fields):
        bad = parts.copy()
        bad.value[field] = value
        bad.raw_manifest = json.dumps(bad.value, ensure_ascii=number % 2 == 0).encode("utf-8", "surrogatepass")
        (folder / f"{IN_A_NAME}-{number}.expert").write_bytes(frame(bad.members()))
    bad = parts.copy()
    bad.add(IN_A_NAME, b"x", "license")
    (folder / f"{IN_A_NAME}-member.expert").write_bytes(frame(bad.members()))
    (folder / f"{IN_A_NAME}-examples.expert").write_bytes(_with_body(parts, "routing/examples.jsonl", json.dumps({IN_A_NAME: POISON})))
    (folder / f"{IN_A_NAME}-config.expert").write_bytes(_with_body(parts, "adapter_config.json", json.dumps({IN_A_NAME: POISON})))
    (folder / f"{IN_A_NAME}-noise.expert").write_bytes(POISON.encode("utf-8", "replace"))


def _with_body(parts: Parts, path: str, text: str) -> bytes:
    bad = parts.copy()
    bad.bodies[path] = text.encode()
    bad.seal()
    bad.lines = b""
    return frame(bad.members())


def _poison_rows(database: Path) -> None:
    """As an older expert-kit that checked less, or another program, might have left them."""
    listed, mapped = json.dumps([POISON.replace("\ud800", "")] * 2), json.dumps({IN_A_NAME: IN_A_NAME, "expert-kit": IN_A_NAME})
    both = {"requires": json.loads(mapped), "conflicts": json.loads(mapped)}
    relations = json.dumps({**both, "capabilities": [IN_A_NAME], "bases": [IN_A_NAME]})
    connection = sqlite3.connect(database)
    with connection:
        for column in ("publisher", "summary", "license", "installed_at", "trust", "base_match"):
            connection.execute(f"UPDATE expert SET {column} = ? WHERE version = '1.0.0'", (IN_A_NAME,))
        for column, value in (("tags", listed), ("warnings", listed), ("signers", listed), ("relations", relations)):
            connection.execute(f"UPDATE expert SET {column} = ? WHERE version = '1.0.0'", (value,))
        connection.execute("UPDATE expert SET base = json_set(base, '$.id', ?, '$.hf_repo', ?)", (IN_A_NAME, IN_A_NAME))
        connection.execute("INSERT INTO yank VALUES ('acme', 'sql', '1.1.0', ?, ?)", (IN_A_NAME, IN_A_NAME))
        connection.execute("UPDATE history SET cause = ?, since = ?", (IN_A_NAME, IN_A_NAME))
        connection.execute("UPDATE file SET role = role || ? WHERE role = 'card'", (IN_A_NAME,))
    connection.close()


@pytest.fixture
def run(poisoned: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line as at a terminal, and checks all that it writes."""
    shutil.copytree(poisoned / "home", home)
    shutil.copytree(poisoned / "index", tmp_path / "index")
    shutil.copytree(poisoned / IN_A_NAME, tmp_path / IN_A_NAME)
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> int:
        if words[0] == "route":
            monkeypatch.setattr("expert_kit.inference.routes.default_encoder", FakeEncoder)
        capsys.readouterr()
        monkeypatch.setattr("sys.stdin", io.StringIO(""))
        monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
        code = main(words)
        out, err = capsys.readouterr()
        assert_harmless(out)
        assert_harmless(err)
        assert out + err
        assert "error[internal_error]" not in err, err
        return code

    return call


NO_ONE = f"acme/{IN_A_NAME}"
SHOWN: list[tuple[int, tuple[str, ...]]] = [
    (0, ("list", "--all")),
    (0, ("list", "--all", "--quiet")),
    (0, ("list", "--all", "--json")),
    (0, ("list", "--base", POISON, "--tag", POISON)),
    (0, ("search", "FORGED", "--all")),
    (0, ("search", "sql", "--all", "--json")),
    (0, ("search", POISON)),
    (6, ("dataset", "check", IN_A_NAME)),
    (6, ("dataset", "stats", IN_A_NAME)),
    (2, ("recipe", "new", "acme/x", "--license", "MIT", "--data", POISON)),
    (0, ("info", NAME)),
    (0, ("info", f"{NAME}@1.0.0")),
    (0, ("info", f"{NAME}@1.0.0", "--json")),
    (6, ("info", NO_ONE)),
    (0, ("verify", "--all")),
    (0, ("verify", "--all", "--json")),
    (6, ("verify", NO_ONE)),
    (9, ("doctor",)),
    (9, ("doctor", "--json")),
    (0, ("doctor", "--repair")),
    (0, ("gc", "--dry-run")),
    (0, ("route", SECOND_LINE, "--explain", "--base", IN_A_NAME)),
    (0, ("route", POISON, "--explain")),
    (0, ("route", SECOND_LINE, "--json")),
    (6, ("uninstall", NO_ONE, "--yes")),
    (0, ("uninstall", f"{NAME}@1.0.0", "--yes")),
    (6, ("rollback", NO_ONE)),
    (9, ("rollback", NAME)),
    (6, ("use", NO_ONE)),
    (2, ("use", NAME)),
    (0, ("use", f"{NAME}@1.0.0", "--force")),
    (6, ("update", NO_ONE, "--index", "index")),
    (4, ("update", NAME, "--index", IN_A_NAME)),
    (0, ("lock", "--out", f"{IN_A_NAME}.lock")),
    (9, ("install", "--frozen", "--lock", IN_A_NAME)),
    (0, ("export", f"{NAME}@1.1.0", f"out{IN_A_NAME}")),
    (4, ("install", f"{IN_A_NAME}.expert")),
    (6, ("install", NO_ONE, "--index", "index")),
    (9, ("install", f"{NAME}@9", "--index", IN_A_NAME)),
    (9, ("install", NAME, "--index", f"no{IN_A_NAME}")),
    (0, ("yank", f"{NAME}@1.0.0", "--reason", POISON)),
    (4, ("revoke", f"{NAME}@1.0.0", "--key", "release", "--reason", IN_A_NAME)),
    (4, ("validate", f"{IN_A_NAME}.expert")),
    (0, ("validate", "index/1.0.0.expert")),
    (4, ("sign", f"{IN_A_NAME}.expert", "--key", "release")),
    (4, ("sign", "index/1.0.0.expert", "--key", IN_A_NAME)),
    (0, ("sign", "index/1.0.0.expert", "--key", "release", "--out", f"{IN_A_NAME}.expert")),
    (0, ("sign", "index/1.0.0.expert", "--key", "release", "--detached", "--out", f"{IN_A_NAME}.sig")),
    (2, ("attest", "index/1.0.0.expert", "--type", "import", "--predicate", IN_A_NAME, "--key", "release")),
    (4, ("keys", "new", IN_A_NAME)),
    (4, ("keys", "trust", IN_A_NAME, "--scope", IN_A_NAME)),
    (0, ("keys", "list", "--trusted")),
    (6, ("trust", "show", NO_ONE)),
    (2, ("trust", "update", IN_A_NAME)),
    (0, ("trust", "list")),
    (6, ("package", IN_A_NAME)),
    (2, ("convert", IN_A_NAME, "--name", IN_A_NAME, "--version", IN_A_NAME, "--base", IN_A_NAME)),
    (2, ("merge", IN_A_NAME, "--out", IN_A_NAME)),
    (6, ("router", "eval", IN_A_NAME)),
    (0, ("gaps",)),
    (6, ("gaps", "--recipe", IN_A_NAME, "--out", IN_A_NAME)),
    (2, ("oms", "verify", f"no{IN_A_NAME}", "--signature", IN_A_NAME)),
    (5, ("base", "info", IN_A_NAME)),
    (5, ("base", "pull", IN_A_NAME)),
    (0, ("base", "list")),
    (2, (IN_A_NAME,)),
    (2, ("list", IN_A_NAME)),
    (2, ("list", f"--{IN_A_NAME}")),
    (2, ("list", "--limit", IN_A_NAME)),
]


@pytest.mark.parametrize(("code", "words"), SHOWN, ids=[" ".join(word if word.isascii() else "?" for word in words) for _, words in SHOWN])
def test_no_command_lets_control_characters_out(run: Run, code: int, words: tuple[str, ...]) -> None:
    assert run(*words) == code


def test_every_command_that_shows_packages_is_in_the_table() -> None:
    heavy = {"generate", "chat", "train", "eval"}
    assert {words[0] for _, words in SHOWN} >= set(COMMANDS) - heavy


def test_hostile_archives_are_refused_in_harmless_words(run: Run, tmp_path: Path) -> None:
    archives = sorted((tmp_path / IN_A_NAME).glob("*.expert"))
    assert len(archives) == 14
    for archive in archives:
        assert run("validate", str(archive)) == 4
        assert run("validate", str(archive), "--json") == 4
        assert run("install", str(archive), "--unsafe-allow-unsigned") in (4, 5, 6, 9)


def test_a_traceback_is_harmless_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPERT_KIT_DEBUG", "1")
    assert run("info", NO_ONE) == 6
