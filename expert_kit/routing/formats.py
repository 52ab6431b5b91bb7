"""The tables behind the format signals: what a text contains, and what its last sentence asks for.

Every expression is linear in the text: repeats are bounded or cannot be entered twice for one character. A new format is
one row of :data:`CONTENT`, :data:`FENCE_TAGS`, :data:`EXTENSIONS` or :data:`ASKED`.
"""

from __future__ import annotations

import re
from typing import Final

_TAGS: Final = "br|hr|html|head|body|div|span|p|a|table|t[rdh]|ul|ol|li|h[1-6]|img|script|style|form|input|button|nav|section"
_CRON_FIELD: Final = r"(?:\*|\d{1,2}|SUN|MON|TUE|WED|THU|FRI|SAT|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)"
_CRON: Final = rf"{_CRON_FIELD}(?:[-/,]{_CRON_FIELD}){{0,12}}"
_CELLS: Final = r"[^,\s][^,\n]*,[^,\s][^,\n]*(?:,[^,\s][^,\n]*)+"
_MONTH: Final = (
    "Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?"
)
_TOOLS: Final = (
    "ls|grep|find|sed|awk|xargs|chmod|chown|tar|curl|wget|ssh|scp|rsync|docker|kubectl|git|pip3?|npm|apt|systemctl|ps|kill|cat|cp|mv|rm|"
    "mkdir|head|tail|sort|uniq|wc|du|df|ln|openssl|make|gcc"
)

CONTENT: Final[dict[str, re.Pattern[str]]] = {
    name: re.compile("|".join(f"(?:{part})" for part in parts), flags)
    for name, flags, parts in (
        (
            "sql",
            re.IGNORECASE,
            (
                r"\bselect\s{1,4}(?:distinct\s{1,4})?(?:\*|[\w.]{1,40}(?:\(|\s{0,4},))[^;]{0,200}?\bfrom\s",
                r"(?-i:\bSELECT\s[^;]{1,200}?\bFROM\s)",
                r"\binsert\s{1,8}into\s{1,8}\S{1,80}\s{0,8}(?:\(|values\b|select\b)",
                r"\b(?:create|alter|drop)\s{1,8}(?:table|view|index|trigger)\s{1,8}"
                r"(?:if\s|[\w.\"`]{1,80}\s{0,8}(?:\(|;|\n|add\b|as\b|on\b|$))",
                r"\bupdate\s{1,8}[\w.]{1,60}\s{1,8}set\s{1,8}[\w.]{1,60}\s{0,8}=",
                r"\bdelete\s{1,8}from\s{1,8}[\w.]{1,60}\s{1,8}where\b",
            ),
        ),
        ("json", 0, (r'[{,]\s{0,40}"[^"\n]{1,80}"\s{0,8}:\s{0,8}["\d{\[tfn-]', r'^\s{0,40}\[\s{0,8}(?:"[^"\n]{0,80}"|\d{1,20})\s{0,8},')),
        (
            "yaml",
            re.MULTILINE,
            (
                r"^---\n[A-Za-z_][\w.-]{0,60}:",
                r"^[ ]{0,40}(?:- )?[A-Za-z_][\w.-]{0,60}:\n[ ]{1,40}(?:- )?[A-Za-z_][\w.-]{0,60}:(?:[ \n]|\Z)",
                r"(?:^[a-z_][\w.-]{0,60}: \S[^\n]{0,200}\n){2}[a-z_][\w.-]{0,60}:(?:[ \n]|\Z)",
            ),
        ),
        ("toml", re.MULTILINE, (r"^\[{1,2}[\w.-]{1,60}\]{1,2}[ \t]{0,8}\n(?:[\w.-]{1,60})[ \t]{0,8}=",)),
        ("html", re.IGNORECASE, (rf"<(?:!doctype\s{{1,4}}html|(?:{_TAGS})(?:\s[^<>]{{0,200}})?/?>)", rf"</(?:{_TAGS})>")),
        ("xml", 0, (r"<\?xml\s", rf"<(?!(?i:{_TAGS})\b)([A-Za-z_][\w.:-]{{0,40}})(?:\s[^<>]{{0,120}})?>[^<]{{0,200}}</\1>")),
        ("css", 0, (r"[\w)\]*]\s{0,4}\{\s{0,20}[a-z-]{2,40}\s{0,2}:\s{0,4}[^;{}\"\n]{1,80};",)),
        (
            "python",
            re.MULTILINE,
            (
                r"\bdef\s{1,4}\w{1,60}\([^()\n]{0,200}\)\s{0,4}(?:->[^:\n]{1,60})?:",
                r"^(?:from [\w.]{1,80} )?import [\w.]{1,80}(?: as \w{1,60}|, \w{1,60}|$|;)",
                r"^>>> ",
                r"^[ ]{0,40}class\s{1,4}\w{1,60}(?:\([^()\n]{0,100}\))?:",
                r"^[ ]{0,40}(?:for|if|elif|while|with|except)\b[^:\n]{1,120}:[ ]{0,4}\n[ ]{2,40}\S",
                r"(?<!\w)(?:self\.\w|print\(|len\(|range\(|lambda \w{1,20}:)",
                r"\[[^\[\]\n]{1,60}\bfor \w{1,30} in\b",
            ),
        ),
        (
            "javascript",
            re.MULTILINE,
            (
                r"\b(?:const|let|var)\s{1,4}[\w$]{1,60}\s{0,4}(?:=[^=]|;)",
                r"\)\s{0,4}=>\s{0,4}[{(\w]|\b\w{1,30} => [{(\w]",
                r"\bfunction\s{0,4}[\w$]{0,60}\([^()\n]{0,200}\)\s{0,4}\{",
                r"\b(?:console\.log|document\.\w{1,40}|JSON\.(?:parse|stringify)|module\.exports)\b|===|\brequire\(['\"]",
            ),
        ),
        (
            "typescript",
            re.MULTILINE,
            (r"\w\??:[ ]?(?:string|number|boolean|unknown)\b(?:\[\])?[;,)=]", r"^[ ]{0,20}(?:export )?interface \w{1,60}\b[^{\n]{0,60}\{"),
        ),
        ("java", 0, (r"\b(?:public|private|protected)\s(?:static\s|final\s)?(?:class|void|int|String|boolean)\s", r"\bSystem\.out\.print")),
        ("c", 0, (r"#include\s{0,4}[<\"]", r"\bint\s{1,4}main\s{0,4}\(", r"\bstd::\w", r"\bprintf\(\"", r"\b(?:malloc|sizeof)\(")),
        (
            "rust",
            0,
            (
                r"\bfn\s{1,4}\w{1,60}\s{0,4}[<(]",
                r"\blet\s{1,4}mut\s",
                r"\bprintln!\(",
                r"\berror\[E\d{4}\]",
                r"\bimpl\b[^{\n]{1,60}\bfor\b[^{\n]{1,60}\{",
            ),
        ),
        ("go", re.MULTILINE, (r"^package \w{1,60}$", r"^func (?:\([^()\n]{1,60}\) )?\w{1,60}\(", r"\bfmt\.Print", r"\w :=\s")),
        ("php", 0, (r"<\?php\b", r"\$\w{1,40}->\w")),
        (
            "shell",
            re.MULTILINE,
            (
                r"^[ ]{0,8}\$ [a-z./]",
                r"\bsudo [a-z]",
                rf"(?<![\w-])(?:{_TOOLS})[ ](?:[a-z./~]{{1,40}}[ ])?--?[A-Za-z]",
                r"\b(?:pip3? install|npm (?:install|run)|apt(?:-get)? install|docker (?:run|build|exec|compose)|kubectl (?:get|logs)) \S",
                r"\bgit (?:add|clone|commit|push|pull|checkout|rebase|merge|reset|log) [-./\w]{0,40}(?:$|[./~-])",
                r"\S \| (?:grep|sort|wc|head|tail|awk|sed|xargs|uniq|less|jq)\b",
                r"\$\{\w{1,60}\}|\becho \"?\$\w",
            ),
        ),
        (
            "cron",
            re.IGNORECASE,
            (
                rf"(?<!\S)(?=[^\n]{{0,80}}\*)(?!\d+ \* \d+ \* \d+)(?:{_CRON}[ \t]{{1,8}}){{4}}{_CRON}(?!\S)",
                r"(?<!\S)@(?:hourly|daily|weekly|monthly|yearly|reboot)\b",
            ),
        ),
        (
            "dockerfile",
            re.MULTILINE,
            (r"^FROM [\w./:@-]{1,120}(?: AS \w{1,40})?\n(?:[^\n]{0,200}\n){0,4}?(?:RUN|COPY|CMD|WORKDIR|ENV|ADD|ENTRYPOINT) ",),
        ),
        (
            "stack_trace",
            re.MULTILINE,
            (
                r"Traceback \(most recent call last\)",
                r"^\s{1,20}at [\w.$<>]{1,200}[ (][^\n]{0,200}:\d{1,8}",
                r"\b[A-Z]\w{0,60}(?:Error|Exception): ",
                r"\berror\[E\d{4}\]|\bgoroutine \d{1,8} \[|^panic: |\bSegmentation fault\b|^Caused by: ",
                r"^ {2,4}File \"[^\"\n]{1,200}\", line \d",
            ),
        ),
        ("log", re.MULTILINE, (r"^\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[^\n]{0,60}?\b(?:ERROR|WARN(?:ING)?|INFO|DEBUG|FATAL)\b",)),
        ("diff", re.MULTILINE, (r"^diff --git ", r"^@@ -\d", r"^--- [^\n]{1,200}\n\+\+\+ ")),
        (
            "regex",
            0,
            (
                r"\\[dwsDWSbB](?:[+*?\\^$.\[\]()|{-]|\d?\b)",
                r"\[\^?[A-Za-z0-9]-[A-Za-z0-9][^\]\n]{0,40}\](?:[+*{]|\?)",
                r"\(\?(?:[:=!]|<[=!]|P<)",
            ),
        ),
        ("csv", re.MULTILINE, tuple(rf"^{_CELLS}\n{_CELLS}$".replace(",", mark) for mark in (",", ";"))),
        ("table", re.MULTILINE, (r"^\|[^\n]{1,400}\|[ ]{0,8}\n\|[ :|-]{3,400}\|",)),
        (
            "latex",
            0,
            (r"\\(?:begin|end|section|documentclass|usepackage)\{", r"\\(?:frac|dfrac|sqrt|int|sum|lim|infty|cdot|partial|mathbb|left)\b"),
        ),
        (
            "maths",
            0,
            (
                r"\bd\^?\d?[a-zA-Z]?\s?/\s?d[a-z]\b",
                r"[A-Za-z0-9)]\s?(?:\*\*|\^)\s?[\d(a-z-]",
                r"\b(?:(?:arc)?(?:sin|cos|tan|cot|sec|csc)h?|log|ln|exp|sqrt)\s?\(",
                r"\b[a-z]\([a-z]\)\s?=",
                r"\d\s?[+*=\u00d7\u00f7]\s?\d|\d [/\u2212-] \d|\b\d?[a-z](?: ?[+*] ?| [/-] )\d{1,20}\b|\b\d{1,20}\s?[+*/]\s?\d{0,4}[a-z]\b",
                r"[∫∑∏√∂∇≤≥≠≈π∞±∈∀∃⁰-⁹²³]",
                r"\\(?:frac|dfrac|sqrt|int|sum|lim|partial)\b",
            ),
        ),
        (
            "date",
            re.IGNORECASE,
            (
                r"\b\d{4}-\d{2}-\d{2}\b",
                r"(?<![\d.])\d{1,2}(?:\.\d{1,2}\.|/\d{1,2}/)(?:\d{4}|\d{2})(?![\d.])",
                rf"\b\d{{1,2}}(?:st|nd|rd|th)?(?: of)? (?:{_MONTH})\b",
                rf"\b(?:{_MONTH}) \d{{1,2}}(?:st|nd|rd|th)?\b",
            ),
        ),
        ("url", re.IGNORECASE, (r"\b(?:https?|ftp|s3|ssh)://[^\s<>\"]", r"\bwww\.\w")),
        ("email", 0, (r"(?<=[\w+-])@[A-Za-z0-9-]{1,63}\.[A-Za-z]",)),
    )
}
"""Name of a format -> what gives it away in a text."""

FENCE_TAGS: Final = {
    **{name: name for name in CONTENT},
    **{"py": "python", "js": "javascript", "jsx": "javascript", "ts": "typescript", "tsx": "typescript", "yml": "yaml", "sh": "shell"},
    **{"bash": "shell", "zsh": "shell", "console": "shell", "rs": "rust", "golang": "go", "cpp": "c", "c++": "c", "h": "c", "tex": "latex"},
    **{"sqlite": "sql", "postgresql": "sql", "mysql": "sql", "patch": "diff", "svg": "xml", "htm": "html", "kotlin": "java"},
}
"""Tag of a fenced block -> format."""

EXTENSIONS: Final = {
    **{"sql": "sql", "db": "sql", "sqlite": "sql", "json": "json", "jsonl": "json", "yaml": "yaml", "yml": "yaml", "toml": "toml"},
    **{"html": "html", "htm": "html", "xml": "xml", "svg": "xml", "css": "css", "py": "python", "ipynb": "python", "js": "javascript"},
    **{"jsx": "javascript", "ts": "typescript", "tsx": "typescript", "java": "java", "c": "c", "h": "c", "cpp": "c", "hpp": "c"},
    **{"rs": "rust", "go": "go", "php": "php", "sh": "shell", "bash": "shell", "csv": "csv", "tsv": "csv", "tex": "latex", "log": "log"},
    **{"patch": "diff", "diff": "diff", "crontab": "cron", "md": "markdown", "txt": "text", "pdf": "pdf"},
}
"""Extension of a file name -> format."""

FILE_NAME: Final = re.compile(rf"(?<=[\w)-])\.({'|'.join(EXTENSIONS)})(?![\w(])", re.IGNORECASE)
FENCE: Final = re.compile(r"^[ ]{0,8}```[ ]?([A-Za-z+]{1,20})", re.MULTILINE)
SHEBANG: Final = re.compile(r"\A#![^\n]{0,80}?\b(bash|zsh|sh|python|node|php)")

_WISH: Final = (
    r"\b(?:as|in|into|to|with|return|output|give(?: me)?|only|valid|print|write|format)"
    r"(?: (?:an?|the|only|valid|strict|plain|raw|one|single)){0,4}"
)
ASKED: Final[dict[str, re.Pattern[str]]] = {
    name: re.compile(rf"{_WISH} (?:{words})\b|\b(?:{alone})\b", re.IGNORECASE)
    for name, words, alone in (
        ("json", "json(?:l| object| array| list)?", "json (?:only|please|object|array|format)"),
        ("sql", r"(?:\w{1,12} )?(?:sql|sqlite)(?: query| statement)?|query", "(?:sql|sqlite) (?:query|statement|please)"),
        ("yaml", "ya?ml", "ya?ml (?:only|please|file|format)"),
        ("csv", "csv", "csv (?:only|please|file|format)|comma[- ]separated"),
        ("xml", "xml", "xml (?:only|please|file|format)"),
        ("html", "html", "html (?:only|please|page|table)"),
        ("table", "(?:markdown )?table", "markdown table|tabular form"),
        ("list", "(?:bulleted |numbered |bullet |ordered )?list|bullet points", "bullet points|numbered list"),
        ("diff", "(?:unified )?(?:diff|patch)", "unified diff"),
        ("regex", "reg(?:ular )?ex(?:p|pression)?", "regex|regexp|regular expression"),
        ("shell", "(?:shell|bash)(?: command| script| one-liner)?|one-liner", "(?:shell|bash) (?:command|script|one-liner)"),
        ("python", "python(?: code| function| script)?", "python (?:code|function|script|program)"),
        ("one_word", "(?:word|one word)", "one[- ]word answer|single word|yes or no|true or false"),
        ("number", "(?:number only|digits only)", "(?:just|only) (?:the|a) number|number only"),
        ("one_line", "(?:line|sentence|one sentence)", "one sentence|one line|single line"),
    )
}
"""Name of a format -> what asks for it."""

NAMES: Final = tuple(sorted({*CONTENT, *EXTENSIONS.values()}))
"""Every format that can be found."""
