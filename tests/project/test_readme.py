"""Every command of the README runs, as written or with the stated change where it would take long."""

import re
import shlex

import pytest

from tests.support.shipped import ROOT, must_here

pytestmark = pytest.mark.slow

README = (ROOT / "README.md").read_text(encoding="utf-8")
# What a test adds so that a command is quick, or answers a prompt.
ADDED = {
    "generate": "--max-new-tokens 8",
    "recipe new": "--out {tmp}/support",
    # Enough for an adapter that does something, which packing asks for.
    "train recipes/support": "--output {tmp}/support-run --set max_steps=8 --set learning_rate=2.0e-3 --set eval_strategy=no --allow-worse",
    "train": "--set max_steps=1 --set logging_steps=1 --set eval_strategy=no --no-eval --output {tmp}/run",
    "eval": "--limit 1 --no-general-text",
    "lock": "--out {tmp}/expert.lock",
    "install --frozen": "--lock {tmp}/expert.lock",
    "convert": "--out {tmp}/converted",
    # The base is there already, nothing was updated, and the commands after it want the expert: their own tests run them.
    "base pull": None,
    "rollback": None,
    "use": None,
    "uninstall": None,
}


def commands() -> list[str]:
    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", README, re.DOTALL))
    inline = "\n".join(re.findall(r"`(expert-kit [^`]+)`", README))
    found = [
        line.split("#")[0].strip() for line in f"{blocks}\n{inline}".splitlines() if "expert-kit" in line and "EXPERT_KIT_HOME" not in line
    ]
    return list(dict.fromkeys(found))


def test_the_readme_names_the_commands_that_matter():
    words = " ".join(commands())
    for command in ("base pull", "list", "info", "route", "generate", "chat", "train", "package", "sign", "validate", "install", "keys new",
                    "keys trust", "eval", "update", "lock", "search", "gc", "doctor", "convert", "merge", "recipe new"):  # fmt: skip
        assert f"expert-kit {command}" in words


def test_each_command_of_the_readme_runs(own_shipped_home, tmp_path):
    archives = sorted((own_shipped_home / "archives").glob("*.expert"))
    fingerprint = must_here("keys", "list", "--json", home=own_shipped_home)
    key_id = re.search(r"sha256:[0-9a-f]{64}", fingerprint).group()
    places = {
        "FINGERPRINT": key_id,
        "acme.sql-1.0.0.expert": next(path for path in archives if "sql" in path.name),
        "acme/sql": "expert-kit/sql",
        "FILE": archives[0],
        " me": " tester",
    }
    places |= {"DIR": archives[0].parent, "peft/": f"{ROOT}/experts/calculus/adapter", "out merged": f"out {tmp_path}/merged"}
    table = "question,answer\n" + "".join(f"what is ticket {n} about?,printer {n} is out of paper\n" for n in range(30))
    (tmp_path / "tickets.csv").write_text(table)
    places |= {"tickets.csv": tmp_path / "tickets.csv", "recipes/support": tmp_path / "support", "dist": tmp_path / "dist"}
    for line in commands():
        added = next((change for name, change in ADDED.items() if line.rpartition("| ")[2].startswith(f"expert-kit {name}")), "")
        text = line
        for name, value in places.items():
            text = re.sub(rf"{re.escape(name)}(?!\w)", str(value), text)
        stdin, _, text = text.rpartition("|") if "|" in text else ("/quit", "", text)
        words = shlex.split(text)[1:]
        if words[:2] in (["keys", "new"],):
            words[2] = "another"
        if words[0] == "install" and "sql" in line:
            must_here("uninstall", "expert-kit/sql", "-y", home=own_shipped_home)
        if words[0] == "package":
            words += ["--out", str(tmp_path / "again.expert")]
        if added is None:
            continue
        must_here(
            *words, *shlex.split(added.format(tmp=tmp_path)), home=own_shipped_home, stdin=stdin.removeprefix("echo").strip(' "') + "\n"
        )


def test_the_python_of_the_readme_runs(own_shipped_home, capsys):
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL).group(1)
    exec(compile(code, "README.md", "exec"), {})
    assert "expert-kit/calculus" in capsys.readouterr().out
