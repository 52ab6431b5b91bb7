"""The placeholders of tldr-pages as slots: their kinds, the nouns that name them in a task, and values to put in.

A command line is a list of literal pieces and slots. A slot shows as ``{{file}}`` where a prompt gives no value.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

KINDS: tuple[tuple[str, str], ...] = (
    (r"(?:path/to/)?director(?:y|ies)\d? .*\.\.\.", "directories"),
    (r"package(?:_name)?1 .*\.\.\.", "packages"),
    (r"(?:path/to/)?(?:source|input_)?file(?:_or_directory)?\d .*", "files"),
    (r".*(?:file_or_directory|file_or_folder)\d?", "file"),
    (r".*\.tar\[.*", "file.tar.gz"),
    (
        r".*?\.(?P<ending>tar\.gz|tar\.xz|tar|zip|gz|bz2|xz|txt|csv|json|md5|sha256|py|c|pdf|mp3|mp4|jpg|png|deb|sql|patch|sh|iso|gpg|log)"
        r"(?:\[.*)?",
        "file.{ending}",
    ),
    (r".*(?:directory|folder)\d?|path/to|path/to/repository", "directory"),
    (r"/dev/.*|device", "device"),
    (r"path/to/shell", "shell"),
    (r"path/to/.*|(?:.*_)?file(?:name)?\d?", "file"),
    (r"(?:package|dependency|formula|crate|formula\|cask|program)(?:_name)?", "package"),
    (r"(?:remote_|owner_)?user(?:name)?", "user"),
    (r"group(?:_name)?", "group"),
    (r"(?:remote_)?host(?:name)?|example\.com|domain|server", "host"),
    (r"ip_address|\d+\.\d+\.\d+\.\d+", "address"),
    (r"https?://.*|.*url|remote_repository_location", "url"),
    (r"pid|process_id", "pid"),
    (r"process(?:_name)?", "process"),
    (r"(?:local_|remote_)?port", "port"),
    (r"(?:new_|target_|source_|feature_)?branch(?:_name)?", "branch"),
    (r"commit(?:_hash|-ish)?|0c01a9", "commit"),
    (r"remote(?:_name)?|origin", "remote"),
    (r"(?:search_)?(?:pattern|string|regex)|keyword|exact_string", "pattern"),
    (r"container(?:_name)?", "container"),
    (r"image(?:_name)?|name:tag|image:tag", "image"),
    (r"unit|service(?:_name)?", "service"),
    (r"count|n|number|number_of_.*", "count"),
    (r"seconds", "seconds"),
    (r"(?:commit_)?message", "message"),
    (r"tag(?:_name)?", "tag"),
)
_KINDS = tuple((re.compile(pattern), kind) for pattern, kind in KINDS)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NOUNS: dict[str, str] = {
    "file": "(?:text |input |local |regular )?files?|(?:archive|script|binary|executable)(?: files?)?",
    "files": "files|directories",
    "directories": "directories|folders",
    "packages": "packages",
    "shell": "shell",
    "directory": "director(?:y|ies)|folder",
    "package": "packages?|formula|dependency|program|library|software",
    "user": "user|account|username|owner",
    "group": "group",
    "host": "(?:remote )?(?:host|server|domain|machine)|website|address|hostname",
    "address": "(?:IP )?address|(?:remote )?host",
    "url": "URL|web page|website|repository|remote repository|webpage",
    "pid": "process|program|PID",
    "process": "process(?:es)?|program|name",
    "port": "port",
    "branch": "(?:local |remote |new )?branch",
    "commit": "(?:specific )?(?:Git )?commit",
    "remote": "remote",
    "pattern": "pattern|string|regex|keyword|text|word",
    "container": "(?:Docker )?container",
    "image": "(?:Docker )?image",
    "service": "service|unit",
    "device": "device|partition|disk|drive|filesystem",
    "tag": "tag",
    "message": "message",
}
_DETERMINER = "(?:(?:a|an|the|any|this|given|specific|specified|single|particular|certain|existing|named|one) )+"

VALUES: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "file": (
        _words(
            "notes.txt report.txt data.csv todo.md main.py config.yml access.log letter.txt app.log results.csv script.sh "
            "readme.md names.txt server.log users.csv run.sh index.html draft.txt numbers.txt input.txt /etc/hosts "
            "~/notes.txt src/main.c docs/guide.md"
        ),
        _words("diary.txt prices.csv error.log budget.txt setup.sh story.md settings.ini ~/list.txt logs/today.log"),
    ),
    "files": (
        [
            "a.txt b.txt",
            "one.log two.log",
            "notes.txt todo.txt",
            "main.py test.py",
            "jan.csv feb.csv",
            "x.md y.md",
            "photo1.jpg photo2.jpg",
        ],
        ["left.txt right.txt", "mon.log tue.log", "old.csv new.csv"],
    ),
    "directories": (("src tests", "a b c", "photos/2023 photos/2024", "docs images"), ("drafts old", "in out")),
    "packages": (("vim curl", "git htop tree", "requests flask"), ("jq redis", "emacs ffmpeg")),
    "shell": (("/bin/bash", "/bin/zsh", "/bin/sh"), ("/usr/bin/fish", "/bin/dash")),
    "directory": (
        _words(
            "src build photos /var/log ~/Downloads backup docs projects /tmp /etc data music ~/work public old_files /srv/www images tests"
        ),
        _words("videos ~/Pictures reports /opt/app archive drafts"),
    ),
    "package": (
        _words("vim curl htop nginx git tree firefox python3 gimp tmux wget nodejs requests flask numpy"),
        _words("ffmpeg redis jq emacs pandas"),
    ),
    "user": (_words("alice bob carol deploy admin maria peter guest tom"), _words("dave nina oscar backup")),
    "group": (_words("staff developers www-data docker sudo users"), _words("editors audio team")),
    "host": (
        _words("example.com server1 web01 192.168.1.10 db.example.org myhost host.local gateway"),
        _words("files.example.net mail01 10.0.0.7"),
    ),
    "address": (_words("192.168.1.20 10.0.0.5 8.8.8.8 172.16.0.3 1.1.1.1"), _words("192.168.0.44 10.1.2.3")),
    "url": (
        _words("https://example.com https://example.org/file.zip https://example.com/data.json https://git.example.com/team/app.git"),
        _words("https://example.net/setup.tar.gz https://code.example.org/tool.git"),
    ),
    "pid": (_words("1234 4321 987 20311 555 8080"), _words("6789 3141 777")),
    "process": (_words("firefox nginx python java chrome mysqld node sshd"), _words("postgres gimp redis")),
    "port": (_words("8080 22 443 3000 5432 2222"), _words("9000 8443 3306")),
    "branch": (_words("main develop feature-login bugfix release-2 experiment"), _words("hotfix-7 redesign staging")),
    "commit": (_words("a1b2c3d 9f8e7d6 0c01a9f deadbee 77aa12c"), _words("5e4d3c2 b0b1b2b")),
    "remote": (_words("origin upstream fork backup"), _words("mirror github")),
    "pattern": (
        _words("error TODO warning hello main import 404 timeout failed user"),
        _words("password debug secret fatal"),
    ),
    "container": (_words("web db my_app redis1 proxy worker"), _words("cache api nginx1")),
    "image": (_words("ubuntu nginx python my_image alpine redis postgres"), _words("debian node busybox")),
    "service": (_words("nginx sshd cron docker postgresql apache2 bluetooth"), _words("mysql redis cups")),
    "device": (_words("/dev/sda1 /dev/sdb /dev/sdb1 /dev/nvme0n1p1"), _words("/dev/sdc1 /dev/sdd")),
    "count": (_words("3 5 10 20 50 2 15 30 100"), _words("7 12 25 40")),
    "seconds": (_words("1 2 5 10 30 60"), _words("3 15 45")),
    "message": (["fix typo", "add tests", "update readme", "first commit", "clean up"], ["fix login bug", "remove old code"]),
    "tag": (_words("v1.0 v2.3.1 release-1 latest stable"), _words("v0.9 v4.2.0")),
}
"""Kind -> what training may say, what only validation and test say."""
_STEMS = (_words("backup notes report data photos project site music old"), _words("archive export draft team"))
EXAMPLES = frozenset(_words("firefox gcc ls foo bash ssh sh git lsblk sda gbk jkmn abcd x d unstage jobs"))
"""Words in placeholders that are what may stand there, not its name."""
_PLACEHOLDER = re.compile(r"\{\{((?:[^{}]|\{[^{}]*\})*)\}\}")
_OPTION_PAIR = re.compile(r"\[(-[^|\]\s]+|[\w-]+)\|([^|\]]+)\]")


@dataclass(frozen=True)
class Slot:
    """Where a value goes; ``kind`` may end in a file ending, ``file.zip``."""

    kind: str

    @property
    def shown(self) -> str:
        """The placeholder of a command line without a value."""
        return "{{" + self.kind + "}}"

    def values(self, *, held: bool) -> Sequence[str]:
        """What may be put in; none if only the placeholder fits."""
        kind, _, ending = self.kind.partition(".")
        if ending:
            return [f"{stem}.{ending}" for stem in _STEMS[held]]
        return VALUES.get(kind, ((), ()))[held]

    def noun(self) -> re.Pattern[str] | None:
        """Matches the words of a task that stand for the value."""
        if self.kind == "count":
            return re.compile(r"\b(?P<noun>n|count|num|few)\b")
        noun = NOUNS.get(self.kind.partition(".")[0])
        return re.compile(rf"\b{_DETERMINER}(?P<noun>{noun})\b(?!')", re.IGNORECASE) if noun else None


Piece = str | Slot


def pieces(code: str) -> tuple[Piece, ...] | None:
    """A command line of tldr-pages cut at its placeholders; options in their short form. None if a choice is left open in it."""
    found: list[Piece] = []
    at = 0
    for match in _PLACEHOLDER.finditer(code):
        found.append(code[at : match.start()])
        piece = _piece(match[1])
        if piece is None:
            return None
        found.append(piece)
        at = match.end()
    found.append(code[at:])
    joined: list[Piece] = []
    for piece in found:
        if isinstance(piece, str) and joined and isinstance(joined[-1], str):
            joined[-1] += piece
        elif piece != "":
            joined.append(piece)
    return tuple(joined)


def option_pairs(code: str) -> dict[str, str]:
    """Long option -> short option, of the placeholders like ``[-a|--all]``."""
    inside = (_OPTION_PAIR.fullmatch(text) for text in _PLACEHOLDER.findall(code))
    pairs = ((match[1], match[2]) for match in inside if match)
    return {long.rstrip("="): short for short, long in pairs if re.fullmatch(r"-\w", short) and re.fullmatch(r"--[\w-]+=?", long)}


def _piece(text: str) -> Piece | None:
    pair = _OPTION_PAIR.fullmatch(text)
    if pair:  # the short form of an option, the full name of a subcommand
        return pair[1] if pair[1].startswith("-") else pair[2]
    for pattern, kind in _KINDS:
        match = pattern.fullmatch(text)
        if match:
            return Slot(kind.format(**match.groupdict()))
    if "|" in text or "..." in text:
        return None
    # A lower-case name stands for something; all else is an example that can be run: '*.txt', 644, Hello World.
    return Slot(text) if text not in EXAMPLES and re.fullmatch(r"[a-z]+(?:[_ -][a-z]+)*_?\d?", text) and len(text) <= 20 else text
