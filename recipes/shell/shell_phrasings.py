"""Ways of asking of the shell recipe: pairs of what training may say and what only validation and test say."""

from __future__ import annotations


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().split("\n"))


def words(*parts: str) -> tuple[str, ...]:
    """The words of the texts."""
    return tuple(" ".join(parts).split())


Pair = tuple[tuple[str, ...], tuple[str, ...]]

FRAMES: Pair = (
    _lines("""{Q}
        {Q}
        {q}
        {q}
        {Q}.
        how do I {q}?
        How do I {q}?
        how to {q}
        How can I {q}?
        How to {q} on Linux?
        command to {q}
        Command to {q}:
        linux command to {q}
        shell command: {q}
        Shell command to {q}
        What is the command to {q}?
        what command do I use to {q}
        Give me a shell command to {q}.
        Give me the command line to {q}.
        I want to {q}.
        i want to {q}
        I need to {q}
        I need a command to {q}.
        Please {q}.
        bash: {q}
        Bash command to {q}
        In the terminal, {q}.
        terminal: {q}
        Write a command line that will {q}.
        Task: {q}
        can you {q}?"""),
    _lines("""which command lets me {q}?
        In a shell, I would like to {q}
        what do I type to {q}
        Show me the one-liner to {q}.
        My goal: {q}.
        how would you {q} from the command line?
        help me {q}
        Is there a way to {q} in bash?
        I am trying to {q}
        What should I enter if I want to {q}?
        on the console: {q}
        need to {q}, which command?"""),
)

BARE: Pair = (
    ("{q}", "{q}", "{Q}", "{q}?", "{Q}?", "{Q}, please", "linux: {q}", "in the shell: {q}"),
    ("{q}, as a command", "on the console: {q}", "I have a question: {q}?", "{Q} - which command does that?"),
)
"""Frames of tasks that are no request, "how full are my disks"."""

VERBS: dict[str, Pair] = {
    "list": (("show", "display", "list"), ("enumerate", "itemize")),
    "display": (("show", "print", "display"), ("reveal", "output")),
    "show": (("display", "print", "show"), ("reveal", "present")),
    "print": (("show", "display", "print"), ("write out", "put on the screen")),
    "view": (("show", "see", "look at"), ("have a look at", "inspect")),
    "output": (("print", "show"), ("write out", "put on the screen")),
    "delete": (("remove", "erase", "delete"), ("get rid of", "wipe")),
    "remove": (("delete", "drop", "remove"), ("get rid of", "take away")),
    "create": (("make", "create", "add"), ("set up", "generate")),
    "download": (("fetch", "get", "download"), ("grab", "pull down")),
    "search for": (("look for", "find", "search for"), ("hunt for", "track down")),
    "search": (("look through", "search"), ("go through",)),
    "find": (("look for", "locate", "find"), ("track down", "hunt for")),
    "install": (("install", "add", "set up"), ("get hold of", "put in place")),
    "extract": (("unpack", "extract"), ("pull out", "get out")),
    "decompress": (("unpack", "uncompress", "decompress"), ("expand", "inflate")),
    "compress": (("pack", "compress"), ("squeeze", "make smaller")),
    "change": (("modify", "change", "set"), ("alter", "switch")),
    "start": (("launch", "start"), ("fire up", "get going")),
    "stop": (("halt", "stop", "end"), ("bring to a halt", "cease")),
    "run": (("execute", "run"), ("kick off", "invoke")),
    "execute": (("run", "execute"), ("kick off", "invoke")),
    "rename": (("change the name of", "rename"), ("give a new name to",)),
    "copy": (("duplicate", "copy"), ("make a copy of", "clone")),
    "move": (("move", "relocate"), ("shift", "transfer")),
    "count": (("count", "tell the number of"), ("tally", "work out the number of")),
    "get": (("get", "show", "find out"), ("obtain", "determine")),
    "connect to": (("log in to", "connect to"), ("open a session on", "get on")),
    "update": (("update", "refresh"), ("bring up to date",)),
    "upgrade": (("upgrade", "update"), ("bring up to date",)),
    "sort": (("sort", "order"), ("put in order", "arrange")),
    "open": (("open", "load"), ("bring up",)),
    "set": (("set", "define"), ("assign", "establish")),
    "convert": (("convert", "turn"), ("transform", "translate")),
    "enable": (("enable", "turn on", "activate"), ("switch on",)),
    "disable": (("disable", "turn off", "deactivate"), ("switch off",)),
    "kill": (("kill", "end", "terminate"), ("shoot down", "put an end to")),
    "terminate": (("terminate", "kill", "end"), ("put an end to",)),
    "add": (("add", "put"), ("append", "include")),
    "check": (("check", "test"), ("verify", "find out")),
    "replace": (("replace", "substitute"), ("swap", "exchange")),
    "compare": (("compare",), ("tell the difference between", "contrast")),
    "calculate": (("compute", "calculate"), ("work out",)),
    "push": (("push", "send"), ("upload",)),
    "restart": (("restart", "reboot"), ("start again",)),
}
"""Verb at the start of a task or of its second half -> what may stand for it."""

WORDS: dict[str, Pair] = {
    "directory": (("folder", "directory", "directory"), ("dir",)),
    "directories": (("folders", "directories"), ("dirs",)),
    "specific": (("given", "certain", "specific"), ("particular",)),
    "specified": (("given", "specified"), ("particular", "stated")),
    "recursively": (("including subfolders", "recursively"), ("with everything below it", "all the way down")),
    "verbosely": (("verbosely", "with details"), ("saying what happens",)),
    "human-readable": (("human-readable", "readable"), ("easy-to-read",)),
    "human-readable units": (("human-readable units", "readable units"), ("units that people can read",)),
    "using": (("using", "with"), ("by means of",)),
    "system": (("system", "machine"), ("computer", "box")),
    "currently": (("currently", "now"), ("at the moment",)),
    "permissions": (("permissions", "rights"), ("access rights",)),
    "contents": (("contents", "content"), ("insides",)),
    "information": (("information", "info"), ("facts", "particulars")),
    "available": (("available",), ("on offer", "that exist")),
    "file": (("file",), ("document",)),
    "files": (("files",), ("documents",)),
    "processes": (("processes", "tasks"), ("running programs",)),
    "lines": (("lines",), ("rows",)),
    "last": (("last",), ("final", "most recent")),
    "new": (("new",), ("fresh",)),
    "entire": (("entire", "whole"), ("complete",)),
    "without": (("without",), ("but not",)),
}
"""Other word of a task -> what may stand for it."""

TOOLS: Pair = (
    ("{q} with {t}", "{q} using {t}", "use {t} to {q}", "{q} ({t})", "{q}, with {t}"),
    ("{q} by way of {t}", "make {t} {q}", "{q}, tool: {t}", "let {t} {q}"),
)
"""How the program is named that shall do it."""

GIVEN: Pair = (
    ("{q}: {v}", "{q} ({v})", "{q}, for {v}", "{q}, {v}", "{q} with {v}"),
    ("{q}, namely {v}", "{q}. It is about {v}", "{q} - {v}"),
)
"""How a value is named that has no noun in the task."""
