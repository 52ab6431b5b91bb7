"""The asker: chooses words, conditions and phrasings for one question over one concrete schema.

Values in questions stand between ``OPEN`` and ``CLOSE`` marks until the whole question gets one quoting style.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import sql_phrasings as ph
from sql_schemas import Column, Instance, Table, connect, literal

OPEN, CLOSE = "\x01", "\x02"
NUMBER_WORDS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
GROUPS = [
    {"year", "date", "age", "birth"},
    {"length", "duration", "height"},
    {"price", "salary", "money"},
    {"size"},
    {"weight"},
    {"speed"},
    {"temp"},
]
SIZE_WORDS = {"area", "size", "population", "capacity", "hectares"}
NOT_PLURAL = {"mass", "gross", "GDP", "address", "funds"}


class Unfit(Exception):  # noqa: N818
    """This schema cannot carry this intent."""


@dataclass(frozen=True)
class Condition:
    """One WHERE condition: SQL, and its words either before or after the noun."""

    sql: str
    post: str
    pre: str = ""
    column: Column | None = None


@dataclass(frozen=True)
class Draft:
    """A question with marked values and its gold query."""

    question: str
    sql: str
    kind: str
    source: str
    where: str = ""


def spaced(sql: str) -> str:
    """``MAX( price )``: behind a space a name has the tokens that it has in the schema, so that it is copied and not spelled."""
    return re.sub(r"\b(AVG|SUM|MIN|MAX|COUNT)\((?![*\s]|DISTINCT)([^()]+)\)", r"\1( \2 )", sql)


def joined(words: Sequence[str], last: str = "and") -> str:
    """``a, b and c``."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + f" {last} " + words[-1]


def plural(words: str) -> str:
    """English plural of a column's words, roughly."""
    head, of, tail = words.partition(" of ")
    head, per, tail2 = (head, "", "") if of else words.partition(" per ")
    rest = of + tail + per + tail2
    last = head.split()[-1]
    if last.lower() in {"stock", "milk", "memory", "music"} or (last.endswith("s") and not last.endswith(("ss", "us"))):
        return head + rest
    if last.endswith(("ss", "us", "x", "ch", "sh")):
        return head + "es" + rest
    if last.endswith("y") and last[-2:-1] not in "aeiou":
        return head[:-1] + "ies" + rest
    return head + "s" + rest


def article(words: str) -> str:
    """``a`` or ``an``."""
    return "an" if words[:1].lower() in "aeio" else "a"


VERBS = [
    "have", "cost", "earn", "make", "last", "weigh", "lack", "go", "take", "run", "serve", "cover", "grow", "drive", "exceed",
    "contain", "feature", "mention", "boast", "count", "match", "range", "score", "measure", "sell", "retail", "get", "draw",
    "reach", "clock", "rise", "extend", "show", "offer", "belong", "stretch", "tower", "fall", "come", "average", "hold",
    "carry", "pay", "charge", "start", "begin", "end", "tip", "lie",
]  # fmt: skip


def _ing(verb: str) -> str:
    if verb in {"run", "get", "tip", "begin"}:
        return verb + verb[-1] + "ing"
    return "lying" if verb == "lie" else verb.removesuffix("e") + "ing"


AS_VERBS = {_ing(verb): verb for verb in VERBS} | {"with": "have", "without": "do not have"}
"""First words of modifiers after a noun, and what they become in a predicate."""
NEVER_VERBAL = (
    "whose ", "where ", "for ", "in whose ", "excluding ", "leaving ", "to be ", "not even", "of ", "(", "except ", "apart from ",
    "other than ", "minus ", "ignoring ", "age ", "min ", "max ", "minimum ", "maximum ", "no ",
)  # fmt: skip


def verbal(modifier: str, column: Column | None) -> str | None:
    """The modifier as a plural predicate, or None when it has no natural one."""
    for prefix in ("that ", "who ", "which "):
        if modifier.startswith(prefix):
            return modifier[len(prefix) :]
    bare = (*column.words, "number of ") if column else ()
    if modifier.startswith((*NEVER_VERBAL, *bare)):
        return None
    first, _, rest = modifier.partition(" ")
    if first == "not" and rest.partition(" ")[0] in AS_VERBS:
        verb, _, rest = rest.partition(" ")
        return f"do not {AS_VERBS[verb]} {rest}"
    if first in AS_VERBS:
        return f"{AS_VERBS[first]} {rest}"
    if column and column.participle and modifier.startswith(column.participle):
        return "were " + modifier
    return "are " + modifier


class Asker:
    """Draws one question for one instance. ``held`` selects the held-out phrasings."""

    def __init__(self, instance: Instance, rng: random.Random, *, held: bool) -> None:
        self.instance, self.rng, self.side = instance, rng, int(held)
        self.join = False
        self.table = instance.child
        if instance.parent and rng.random() < 0.3:
            self.table = instance.parent
        self.noun = rng.choice(self.table.plurals)

    # --- small helpers -------------------------------------------------------------------------------------------------------

    def pick(self, pair: tuple[list[str], list[str]]) -> str:
        """A modifier of the right split; a held-out frame goes with a trained modifier half of the time."""
        return self.rng.choice(pair[self.side if self.rng.random() < 0.5 else 0])

    def use_child(self, *, join: bool) -> None:
        """Ask about the child table, with or without its parent."""
        if self.instance.parent is None or self.instance.link is None:
            raise Unfit
        self.join, self.table = join, self.instance.child
        self.noun = self.rng.choice(self.table.plurals)

    @property
    def _shared(self) -> set[str]:
        names = [{t.pk.lower(), *(c.name.lower() for c in t.columns)} for t in self.instance.tables]
        return set.intersection(*names)

    @property
    def parent(self) -> Table:
        """The parent table."""
        if self.instance.parent is None:
            raise Unfit
        return self.instance.parent

    def q(self, column: Column | str, table: Table | None = None) -> str:
        """A column reference, qualified in joins where both tables have the name."""
        name = column if isinstance(column, str) else column.name
        return f"{(table or self.table).name}.{name}" if self.join and name.lower() in self._shared else name

    @property
    def source(self) -> str:
        """What stands after FROM."""
        if not self.join or self.instance.link is None:
            return self.table.name
        child, parent = self.instance.child, self.parent
        return f"{child.name} JOIN {parent.name} ON {child.name}.{self.instance.link.name} = {parent.name}.{parent.pk}"

    def word(self, column: Column, *, counted: bool = False) -> str:
        """Words for a column; ``counted`` keeps a bare plural ("3 seats")."""
        word = self.rng.choice(column.words) if self.rng.random() < 0.5 else column.words[0]
        first, last = word.split()[0], word.split()[-1]
        if (
            column.numeric
            and not counted
            and word not in NOT_PLURAL
            and (first.endswith("s") or last.endswith("s"))
            and not word.startswith("hours ")
        ):
            return "number of " + word
        return word

    def label(self, table: Table | None = None) -> Column:
        """The naming column, or Unfit."""
        column = (table or self.table).label
        if column is None:
            raise Unfit
        return column

    def values(self, column: Column, table: Table | None = None) -> list[object]:
        """Values of a column in the database, NULLs left out."""
        return [row[column.name] for row in self.instance.rows[(table or self.table).name] if row[column.name] is not None]

    def mark(self, value: object, column: Column) -> str:
        """A value as people write it, marked when it may be quoted."""
        if isinstance(value, str):
            return f"{OPEN}{value}{CLOSE}"
        text, chance = literal(value), self.rng.random()
        if column.flavor in {"price", "salary", "money"} and chance < 0.16:
            return self.rng.choice([f"${text}", f"{text} dollars", f"{text} euros", f"{text} EUR"])
        if column.unit and chance < 0.2:
            return f"{text} {column.unit}"
        if isinstance(value, int) and value >= 1000 and column.flavor not in {"year", "birth"} and chance > 0.92:
            return f"{value:,}"
        return text

    def unique_in_group(self, column: Column) -> bool:
        """True when words like "longest" can only mean this column."""
        group = next((g for g in GROUPS if column.flavor in g), {column.flavor})
        return sum(c.flavor in group for c in self.table.columns) == 1

    # --- conditions ----------------------------------------------------------------------------------------------------------

    def _template(self, column: Column, op: str) -> str:
        generic = ph.GENERIC.get(op, ph.GENERIC["cat="])[self.side]
        flavored = ph.FLAVOR_MODS.get(column.flavor, {}).get(op)
        options = [t for t in generic if not t.endswith("#") or column.flavor == "count"]
        if column.flavor == "count":
            counted = [t for t in options if t.endswith("#")]
            options = counted if counted and self.rng.random() < 0.6 else options
        special = column.flavor in {"date", "year", "birth"}
        if flavored and (special or self.unique_in_group(column)) and (special or self.rng.random() < 0.6):
            options = flavored[self.side]
            if not column.participle:
                options = [t for t in options if "{ed}" not in t]
        if not options:
            raise Unfit
        return self.rng.choice(options)

    def _render(self, template: str, column: Column, **values: str) -> str:
        counted = template.endswith("#")
        word = self.word(column, counted=counted)
        text = template.rstrip("#").format(W=word, a=article(word), ed=self.rng.choice(column.participle or ("dated",)), **values)
        if self.table.person and text.startswith("that ") and self.rng.random() < 0.7:
            text = "who " + text[5:]
        if not self.table.person and text.startswith("who "):
            text = "that " + text[4:]
        return text.replace("in their ", "in their " if self.table.person else "in its ")

    def _number_condition(self, column: Column, table: Table) -> Condition:
        values = sorted({v for v in self.values(column, table) if isinstance(v, int | float)})
        if len(values) < 4:
            raise Unfit
        op = self.rng.choice([">", ">", ">", "<", "<", "<", ">=", ">=", "<=", "<=", "between", "between", "="])
        if op == "=" and column.flavor not in {"year", "age", "count", "birth"}:
            op = ">"
        name = self.q(column, table)
        if op == "between":
            i = self.rng.randrange(len(values) - 2)
            low, high = values[i], values[self.rng.randrange(i + 1, min(len(values), i + 6))]
            text = self._render(self._template(column, op), column, v=literal(low), u=self.mark(high, column))
            return Condition(f"{name} BETWEEN {literal(low)} AND {literal(high)}", text, column=column)
        if self.rng.random() < 0.02:
            low, high = sorted(self.rng.sample(values[1:-1], 2))
            text = self._render(self._template(column, "outside"), column, v=literal(low), u=self.mark(high, column))
            return Condition(f"({name} < {literal(low)} OR {name} > {literal(high)})", text, column=column)
        value = self.rng.choice(values[1:-1])
        text = self._render(self._template(column, op), column, v=self.mark(value, column))
        if "{W} >" in text or (re.search(r"[<>=] [$]", text)):
            text = re.sub(r"[$]", "", text)
        return Condition(f"{name} {op} {literal(value)}", text, column=column)

    def _date_condition(self, column: Column, table: Table) -> Condition:
        values = sorted(str(v) for v in self.values(column, table))
        op = self.rng.choice([">", ">", "<", "<", ">=", "<=", "=", "year", "year", "year", "between"])
        name = self.q(column, table)
        if op == "year":
            year = self.rng.choice(values)[:4]
            text = self._render(self._template(column, op), column, y=year)
            return Condition(f"{name} BETWEEN '{year}-01-01' AND '{year}-12-31'", text, column=column)
        value = self.rng.choice(values[1:-1])
        if op == "between":
            low, high = sorted(self.rng.sample(values, 2))
            text = self._render(self._template(column, op), column, v=f"{OPEN}{low}{CLOSE}", u=f"{OPEN}{high}{CLOSE}")
            return Condition(f"{name} BETWEEN '{low}' AND '{high}'", text, column=column)
        if op in {">", "<"} and self.rng.random() < 0.3:
            year = int(value[:4])
            text = self._render(self._template(column, op), column, v=str(year))
            bound = f"{year}-12-31" if op == ">" else f"{year}-01-01"
            return Condition(f"{name} {op} '{bound}'", text, column=column)
        text = self._render(self._template(column, op), column, v=f"{OPEN}{value}{CLOSE}")
        return Condition(f"{name} {op} '{value}'", text, column=column)

    def _text_condition(self, column: Column, table: Table) -> Condition:
        values = sorted({str(v) for v in self.values(column, table)})
        name, roll = self.q(column, table), self.rng.random()
        value = self.rng.choice(values)
        if roll < 0.12:
            text = self._render(self._template(column, "cat!="), column, v=self.mark(value, column))
            return Condition(f"{name} != {literal(value)}", text, column=column)
        if roll < 0.28 and len(values) >= 3:
            some = self.rng.sample(values, 2 if len(values) < 5 or self.rng.random() < 0.65 else 3)
            marked = [self.mark(v, column) for v in some]
            if self.rng.random() < 0.18:
                text = self._render(
                    self._template(column, "not in"), column, list=joined(marked, "or"), nor=joined(marked, "nor"), all=", ".join(marked)
                )
                return Condition(f"{name} NOT IN ({', '.join(literal(v) for v in some)})", text, column=column)
            in_list = f"{name} IN ({', '.join(literal(v) for v in some)})"
            if column.mods and self.rng.random() < 0.4:
                return Condition(in_list, self.rng.choice(column.mods).format(v=joined(marked, "or")), column=column)
            text = self._render(self._template(column, "in"), column, list=joined(marked, "or"), all=", ".join(marked))
            return Condition(in_list, text, column=column)
        equal = f"{name} = {literal(value)}"
        if column.pre and roll < 0.62:
            return Condition(equal, "", pre=self.mark(value, column), column=column)
        if column.mods and roll < 0.85:
            return Condition(equal, self.rng.choice(column.mods).format(v=self.mark(value, column)), column=column)
        return Condition(equal, self._render(self._template(column, "cat="), column, v=self.mark(value, column)), column=column)

    def _like_condition(self, column: Column, table: Table) -> Condition:
        value = self.rng.choice([str(v) for v in self.values(column, table)])
        op = self.rng.choice(["starts", "contains", "contains", "ends", "without"])
        size = self.rng.choice([1, 1, 2, 3]) if op in {"starts", "ends"} else self.rng.choice([2, 3, 4])
        if op == "starts":
            piece, pattern = value[:size], value[:size] + "%"
        elif op == "ends":
            piece, pattern = value[-size:], "%" + value[-size:]
        else:
            words = value.split()
            if len(words) > 1 and self.rng.random() < 0.6:
                piece = self.rng.choice(words)
            else:
                start = self.rng.randrange(max(1, len(value) - size))
                piece = value[start : start + size]
            pattern = f"%{piece}%"
        if piece != piece.strip() or "_" in piece or "'" in piece or not piece:
            raise Unfit
        text = self._render(self._template(column, op), column, v=f"{OPEN}{piece}{CLOSE}")
        return Condition(f"{self.q(column, table)} {'NOT ' if op == 'without' else ''}LIKE {literal(pattern)}", text, column=column)

    def condition(self, table: Table | None = None, avoid: Sequence[Column | None] = ()) -> Condition:
        """One random condition on a table."""
        table = table or self.table
        usable = [c for c in table.columns if c not in avoid and c.flavor != "fk"]
        usable = [c for c in usable if c.flavor not in {"label", "person", "text"} or c.nullable or self.rng.random() < 0.45]
        if not usable:
            raise Unfit
        column = self.rng.choice(usable)
        name = self.q(column, table)
        if column.nullable and (column.flavor == "text" or self.rng.random() < 0.5):
            op = self.rng.choice(["null", "not null"])
            text = self._render(self._template(column, op), column)
            return Condition(f"{name} IS {op.upper()}", text, column=column)
        if column.flavor == "bool":
            value = self.rng.randrange(2)
            text = column.mods[1 - value]
            return Condition(f"{name} = {value}", "who" + text[4:] if table.person and text.startswith("that ") else text, column=column)
        if column.flavor == "date":
            return self._date_condition(column, table)
        if column.numeric:
            return self._number_condition(column, table)
        return self._like_condition(column, table) if column.flavor in {"label", "person", "text"} else self._text_condition(column, table)

    def parent_condition(self) -> Condition:
        """A condition on the parent of the asked rows: its name, or one of its columns."""
        parent, link = self.parent, self.instance.link
        if link is None:
            raise Unfit
        single = parent.singular
        if self.rng.random() < 0.55:
            label = self.label(parent)
            value = self.rng.choice(self.values(label, parent))
            used = {row[link.name] for row in self.instance.rows[self.instance.child.name]}
            names = [row[label.name] for row in self.instance.rows[parent.name] if row[parent.pk] in used]
            value = self.rng.choice(names)
            generic = [
                [f"of the {single} {{v}}", f"belonging to the {single} {{v}}", f"whose {single} is {{v}}"],
                [f"linked to {single} {{v}}", f"that go with the {single} {{v}}"],
            ]
            template = self.rng.choice(link.mods if self.rng.random() < 0.7 else generic[self.side])
            return Condition(f"{self.q(label, parent)} = {literal(value)}", template.format(v=self.mark(value, label)), column=label)
        saved, self.table = self.table, parent
        try:
            inner = self.condition(parent, avoid=[parent.label])
        finally:
            self.table = saved
        nouns = f"{inner.pre} {self.rng.choice(parent.plurals)}".strip()
        post = f" {inner.post}" if inner.post else ""
        lead = [["of", "from", "belonging to", "that belong to", "linked to"], ["that go with", "tied to", "connected to"]][self.side]
        templates = [m.split("{v}")[0].strip() for m in link.mods]
        natural = [
            m
            for m in templates
            if m
            in {"by", "of", "from", "in", "at", "for", "on", "made by", "written by", "directed by", "taught by", "owned by", "supplied by"}
        ]
        word = self.rng.choice(natural) if natural and self.rng.random() < 0.7 else self.rng.choice(lead)
        return Condition(inner.sql, f"{word} {nouns}{post}", column=inner.column)

    def _second(self, first: Condition) -> Condition:
        """A condition that narrows the first one down without emptying it, if one is found soon."""
        with closing(connect(self.instance)) as db:

            def matched(where: str) -> int:
                return int(db.execute(f"SELECT COUNT(*) FROM {self.source} WHERE {where}").fetchone()[0])

            for _ in range(8):
                second = self.condition(avoid=[first.column])
                both = matched(f"{first.sql} AND {second.sql}")
                if 0 < both < min(matched(first.sql), matched(second.sql)):
                    return second
        raise Unfit

    def conditions(self, chance: float, *, two: float = 0.35) -> tuple[str, str, str, str | None]:
        """Zero to two conditions.

        Returns:
            WHERE text (or empty), words before the noun, words after it (leading space), the predicate form or None.

        """
        found: list[Condition] = []
        if self.join:
            found.append(self.parent_condition())
            if self.rng.random() < 0.25:
                found.insert(self.rng.randrange(2), self.condition())
        elif self.rng.random() < chance:
            found.append(self.condition())
            if self.rng.random() < two:
                found.append(self._second(found[0]))
        if not found:
            return "", "", "", None
        glue, posts = " AND ", [c.post for c in found if c.post]
        if len(found) == 2 and not self.join and all(c.post for c in found) and self.rng.random() < 0.4:
            # OR is only clear when both sides are full clauses.
            if not all(c.post.startswith(("whose", "with ", "that", "who")) or (c.column and c.column.mods) for c in found):
                raise Unfit
            glue = " OR "
        if len(found) == 2 and all(c.pre for c in found):
            raise Unfit
        forms = [verbal(c.post, c.column) for c in found if c.post]
        predicate = glue.lower().join(f for f in forms if f) if forms and all(forms) else None
        connector = (
            " or "
            if glue == " OR "
            else self.rng.choice([" and ", " and ", " and also ", ", "] if len(posts) == 2 and self.side == 0 else [" and "])
        )
        if self.join and len(found) == 2:
            connector = " and "
        after = " " + connector.join(posts) if posts else ""
        return glue.join(c.sql for c in found), " ".join(c.pre for c in found if c.pre), after, predicate

    # --- frames --------------------------------------------------------------------------------------------------------------

    def fill(self, frames: ph.Frames, conds: tuple[str, str, str, str | None] = ("", "", "", None), **fields: str) -> str:
        """Choose a frame of the right split that fits, and fill it."""
        _, pre, after, predicate = conds
        fits = [f for f in frames[self.side] if "{V}" not in f or predicate]
        if not fits:
            raise Unfit
        frame = self.rng.choice(fits)
        label = self.table.label
        base = {
            "P": f"{pre} {self.noun}".strip(),
            "S": f"{pre} {self.table.singular}".strip(),
            "M": after,
            "V": predicate or "",
            "L": "name",
            "Ls": "names",
        }
        base["who"] = "Who" if self.table.person else "Which one"
        if label:
            word = self.rng.choice(label.words)
            base |= {"L": word, "Ls": plural(word)}
        if self.instance.parent and self.instance.parent.label:
            word = self.rng.choice(self.instance.parent.label.words)
            base |= {
                "PS": self.instance.parent.singular,
                "PP": self.rng.choice(self.instance.parent.plurals),
                "PL": word,
                "PLs": plural(word),
            }
        if self.table.person and "{hi}" in frame:
            frame = (
                frame.replace("What is the {hi}", "Who is the {hi}")
                .replace("What are the {n}", "Who are the {n}")
                .replace("Who or what", "Who")
                .replace("its {C}", "their {C}")
            )
        elif "Who or what" in frame:
            frame = frame.replace("Who or what", "What")
        return frame.format(**(base | fields))

    def columns(self, n: int | None = None) -> tuple[list[Column], str, str]:
        """Columns to select, and their words in the singular and the plural."""
        label = self.table.label
        others = [c for c in self.table.columns if c.flavor not in {"label", "person", "fk", "bool"}]
        n = n or self.rng.choice([1, 1, 1, 2, 2, 3])
        chosen: list[Column] = [label] if label and (n > 1 or self.rng.random() < 0.8) else []
        self.rng.shuffle(others)
        chosen += others[: n - len(chosen)]
        if not chosen:
            raise Unfit
        if self.rng.random() < 0.1:
            self.rng.shuffle(chosen)
        words = [self.word(c) for c in chosen]
        return (
            chosen,
            joined(words),
            joined([plural(w) if not w.startswith("number of") else w.replace("number", "numbers", 1) for w in words]),
        )

    def finish(self, kind: str, question: str, select: str, where: str = "", tail: str = "") -> Draft:
        """Put the query together."""
        if f"{select} = " in where or (f"{select} IS NULL" in where):
            raise Unfit
        question = question.replace("most number of", "most").replace("least number of", "fewest")
        question = re.sub(r"\ba (?=above-|over-|under-)", "an ", question)
        where = spaced(where)
        sql = f"SELECT {select} FROM {self.source}" + (f" WHERE {where}" if where else "") + (f" {tail}" if tail else "")
        return Draft(question, spaced(sql), ("join_" if self.join and not kind.startswith("join") else "") + kind, self.source, where)

    def superlative(self, column: Column, *, high: bool) -> str | None:
        """A word like "oldest" that can only mean this column, or None."""
        if not self.unique_in_group(column):
            return None
        if column.flavor in {"year", "date"} and column.participle:
            ed = self.rng.choice(column.participle)
            words = [f"most recently {ed}", f"last {ed}"] if high else [f"first {ed}", f"earliest {ed}"]
            if not self.table.person and column.flavor == "year":
                words += ["newest", "most recent"] if high else ["oldest"]
            return self.rng.choice(words)
        if column.flavor == "size" and not SIZE_WORDS & set(" ".join(column.words).split()):
            return None
        pair = ph.SUPERLATIVES.get(column.flavor)
        return self.rng.choice(pair[0 if high else 1]) if pair else None

    def number(self, *, group: str = "") -> Column:
        """A numeric column."""
        numbers = [c for c in self.table.numbers if c.flavor not in {"year", "birth"} or group == "any"]
        if not numbers:
            raise Unfit
        return self.rng.choice(numbers)

    def category(self) -> Column:
        """A column worth grouping by."""
        found = [c for c in self.table.of("cat") if not c.nullable]
        if not found:
            raise Unfit
        return self.rng.choice(found)
