"""Schema pools: read the plain-text pools and turn a pool entry into one concrete schema with rows.

Pool format, one block per schema, blocks separated by blank lines:

    table singular [plural/other plural] [person]
     column flavor; =words/other words; ^participle; @modifier with {v}; pre; ?; unit kg : values

The second table of a block is the parent of the first one; the ``fk`` column of the first table points to it.
"""

from __future__ import annotations

import random
import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

NUMERIC = {"price", "money", "salary", "age", "year", "birth", "weight", "height", "length"} | {
    "duration",
    "size",
    "distance",
    "speed",
    "score",
    "count",
    "rate",
    "temp",
}
SYNONYM_COLUMNS = {
    "name": ["full_name", "title", "label"],
    "title": ["name", "caption"],
    "price": ["cost", "unit_price", "list_price"],
    "age": ["age_years", "years_old"],
    "salary": ["wage", "pay", "annual_salary", "income"],
    "city": ["town", "location", "place"],
    "country": ["nation", "land"],
    "category": ["type", "kind", "section"],
    "genre": ["style", "kind", "category"],
    "rating": ["score", "stars", "avg_rating"],
    "quantity": ["qty", "amount", "units"],
    "weight": ["mass", "weight_kg"],
    "height": ["tallness", "height_cm"],
    "area": ["surface", "area_m2"],
    "population": ["inhabitants", "pop"],
    "budget": ["funds", "yearly_budget"],
    "email": ["mail", "email_address"],
    "status": ["state", "condition"],
    "amount": ["sum_paid", "amt", "payment"],
    "duration": ["length_min", "dur"],
    "capacity": ["max_load", "cap"],
    "stock": ["in_stock", "inventory"],
    "revenue": ["turnover", "income"],
    "year": ["yr", "in_year"],
}


@dataclass(frozen=True)
class Column:
    """One column: its SQL name and how people speak about it."""

    name: str
    flavor: str
    words: tuple[str, ...]
    participle: tuple[str, ...] = ()
    mods: tuple[str, ...] = ()
    pre: bool = False
    nullable: bool = False
    unit: str = ""
    values: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    decimals: int = 0

    @property
    def numeric(self) -> bool:
        """True for columns whose literals carry no quotes."""
        return self.flavor in NUMERIC


@dataclass(frozen=True)
class Table:
    """One table with its noun; ``columns`` excludes the primary key ``pk``."""

    name: str
    singular: str
    plurals: tuple[str, ...]
    person: bool
    columns: tuple[Column, ...]
    pk: str = "id"

    @property
    def label(self) -> Column | None:
        """The column that names a row, if there is one."""
        return next((c for c in self.columns if c.flavor in {"label", "person"}), None)

    def of(self, *flavors: str) -> list[Column]:
        """Columns of the given flavors."""
        return [c for c in self.columns if c.flavor in flavors]

    @property
    def numbers(self) -> list[Column]:
        """Columns that can be added, averaged and compared."""
        return [c for c in self.columns if c.numeric]


@dataclass
class Instance:
    """A concrete schema: tables as shown, and the rows of a small database."""

    key: str
    child: Table
    parent: Table | None
    link: Column | None
    rows: dict[str, list[dict[str, object]]] = field(default_factory=dict)

    @property
    def tables(self) -> list[Table]:
        """Child first, then the parent if there is one."""
        return [self.child] + ([self.parent] if self.parent else [])


@dataclass(frozen=True)
class Entry:
    """A pool entry as written, before augmentation."""

    key: str
    tables: tuple[Table, ...]


def natural(name: str) -> str:
    """``release_year`` -> ``release year``."""
    return name.replace("_", " ")


def _column(line: str, variables: dict[str, tuple[str, ...]]) -> Column:
    head, _, raw_values = line.partition(" : ")
    name_flavor, *options = [part.strip() for part in head.split(";")]
    name, flavor = name_flavor.split()
    words: tuple[str, ...] = (natural(name),)
    participle: tuple[str, ...] = ()
    mods: tuple[str, ...] = ()
    pre = nullable = False
    unit = ""
    for option in options:
        if option.startswith("="):
            words = tuple(option[1:].split("/"))
        elif option.startswith("^"):
            participle = tuple(option[1:].split("/"))
        elif option.startswith("@"):
            mods = tuple(option[1:].split("/"))
        elif option == "pre":
            pre = True
        elif option == "?":
            nullable = True
        elif option.startswith("unit "):
            unit = option[5:]
        else:
            msg = f"unknown option {option!r} in {line!r}"
            raise ValueError(msg)
    raw_values = raw_values.strip()
    column = Column(name, flavor, words, participle, mods, pre, nullable, unit)
    if flavor in NUMERIC or flavor == "date":
        low, high = raw_values.split("..")
        decimals = max(len(bound.partition(".")[2]) for bound in (low, high))
        return replace(column, low=float(low), high=float(high), decimals=decimals)
    values = variables.get(raw_values) or tuple(v.strip() for v in raw_values.split(",") if v.strip())
    return replace(column, values=values)


def load_pool(path: Path) -> list[Entry]:
    """Read one pool file."""
    variables: dict[str, tuple[str, ...]] = {}
    entries: list[Entry] = []
    for block in re.split(r"\n\s*\n", path.read_text(encoding="utf-8")):
        tables: list[Table] = []
        for line in block.splitlines():
            if line.startswith("#") or not line.strip():
                continue
            if line.startswith("$"):
                name, _, values = line.partition(" = ")
                variables[name] = tuple(v.strip() for v in values.split(","))
            elif line.startswith(" "):
                last = tables[-1]
                tables[-1] = replace(last, columns=(*last.columns, _column(line.strip(), variables)))
            else:
                words = line.split()
                person = words[-1] == "person"
                words = words[:-1] if person else words
                plurals = tuple(natural(w) for w in words[2].split("/")) if len(words) > 2 else (natural(words[0]),)
                tables.append(Table(words[0], natural(words[1]), plurals, person, ()))
        if tables:
            entries.append(Entry(f"{path.stem}/{'+'.join(t.name for t in tables)}/{len(entries)}", tuple(tables)))
    return entries


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


SYLLABLES = re.findall("..", "babebodadedofafigagokakikolalelomamimonanenopaperarerirosasesotatetovavevivozazo")
ENDINGS = ["n", "r", "l", "x", "s", "", "", "m", "rt", "nd", "lin", "ton", "via", "dor"]


def invented(rng: random.Random) -> str:
    """A made-up name, so that values are copied from the question and not recalled."""
    return ("".join(rng.choice(SYLLABLES) for _ in range(rng.choice([2, 2, 3]))) + rng.choice(ENDINGS)).capitalize()


def _word_lists(path: Path) -> tuple[list[str], list[str]]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    nouns, adjectives = "\n".join(lines).split("\n\n")
    return nouns.split(), adjectives.split()


NOUNS, ADJECTIVES = _word_lists(Path(__file__).resolve().parent / "pools" / "words.txt")


def _titled(rng: random.Random) -> str:
    """A name of plain words, as things have: ``Silver Anchor``."""
    return natural(any_noun(rng)).title()


def _named_person(rng: random.Random) -> str:
    return f"{invented(rng)} {invented(rng)}"


PREFIXES = [
    "main",
    "base",
    "home",
    "list",
    "local",
    "net",
    "total",
    "first",
    "last",
    "std",
    "reg",
    "avg",
    "max",
    "yearly",
    "daily",
    "public",
    "final",
    "planned",
    "usual",
    "known",
]
SUFFIXES = ["value", "info", "level", "code", "no", "group", "class", "mark", "total", "unit", "tag", "key", "entry", "index", "ref"]


def coined(rng: random.Random) -> str:
    """A made-up noun; whoever meets it as a column's name can only copy it."""
    return invented(rng).lower()


def any_noun(rng: random.Random) -> str:
    """An English noun that has nothing to do with the table, sometimes with a word before it, or a made-up one."""
    roll = rng.random()
    if roll < 0.15:
        return coined(rng)
    before = f"{rng.choice(ADJECTIVES)}_" if roll < 0.45 else f"{rng.choice(NOUNS)}_" if roll < 0.6 else ""
    return before + rng.choice(NOUNS)


def _renamed(column: Column, table: Table, rng: random.Random) -> Column:
    """Another name for the same column: a model that has only seen ``name`` and ``price`` guesses names instead of reading them."""
    roll, single = rng.random(), table.singular.replace(" ", "_")
    if column.flavor in {"label", "person"}:
        if roll < 0.15:
            name = any_noun(rng)
            return replace(column, name=name, words=(natural(name),))
        if roll < 0.5:
            name = rng.choice([f"{single}_{column.name}", f"{single}_name", f"{single}_title", f"{rng.choice(NOUNS)}_name", coined(rng)])
            return replace(column, name=name, words=(natural(name), *column.words[: rng.randrange(2)]))
        return column
    if roll < 0.25:
        name = any_noun(rng)
        plain = {"cat": "cat", "text": "text"}.get(column.flavor, "score" if column.decimals else "count")
        if plain == "count" and rng.random() < 0.5:
            name += "s"
        words = (natural(name),)
        if "_" in name and rng.random() < 0.2:
            words = (name.rpartition("_")[2],)
        return replace(column, name=name, words=words, flavor=plain, mods=(), pre=False, participle=(), unit="")
    if roll < 0.4:
        before, after = rng.choice([*PREFIXES, *ADJECTIVES]), rng.choice(SUFFIXES)
        pattern = rng.choice([f"{before}_{column.name}", f"{column.name}_{after}", f"{single}_{column.name}"])
        return replace(column, name=pattern, words=(natural(pattern), *column.words[: rng.randrange(2)]))
    return column


def _augment_column(column: Column, table: Table, rng: random.Random, camel: bool) -> Column:
    if column.flavor not in {"fk", "bool", "date", "year", "birth"}:
        column = _renamed(column, table, rng)
    name, words, values = column.name, column.words, column.values
    if name in SYNONYM_COLUMNS and rng.random() < 0.25 and column.flavor != "fk":
        name = "full_name" if column.flavor == "person" else rng.choice(SYNONYM_COLUMNS[name])
        words = (natural(name), *words) if rng.random() < 0.6 and not re.search(r"_|^(qty|amt|dur|cap|pop|yr)$", name) else words
    if column.flavor in {"label", "cat", "person"} and values and rng.random() < 0.35:
        make = _named_person if column.flavor == "person" else rng.choice([invented, _titled])
        values = tuple(dict.fromkeys(make(rng) for _ in range(5 if column.flavor == "cat" else 14)))
    if column.flavor == "label" and len(values) < 14:
        values = (*values, *dict.fromkeys(invented(rng) for _ in range(14 - len(values))))
    if column.flavor == "cat" and values and values[0].islower() and rng.random() < 0.15:
        values = tuple(v.capitalize() for v in values)
    low, high = column.low, column.high
    if column.flavor not in {"year", "birth", "date"} and high > 100 and rng.random() < 0.2:
        factor = rng.choice([0.5, 2, 3])
        low, high = float(int(low * factor)), float(int(high * factor))
    return replace(column, name=_camel(name) if camel else name, words=words, values=values, low=low, high=high)


def _augment_table(table: Table, rng: random.Random, style: str, camel: bool, *, vary: bool) -> Table:
    name = table.name
    single = table.singular.replace(" ", "_")
    if style == "singular" and single not in {"order", "transaction", "match", "index", "group", "table", "case"}:
        name = single
    elif style == "camel":
        name = "".join(p.capitalize() for p in (name if rng.random() < 0.5 else single).split("_"))
        if name.lower() in {"order", "transaction", "match", "index", "group", "table", "case"}:
            name = table.name.capitalize()
    elif style == "prefix":
        name = rng.choice(["tbl_", "t_", "app_", "my_", "all_"]) + name
    elif style == "noun" and len(table.plurals) > 1:
        name = rng.choice(table.plurals).replace(" ", "_")
    if vary:
        columns = tuple(_augment_column(c, table, rng, camel) for c in table.columns)
    else:
        columns = tuple(replace(c, name=_camel(c.name)) if camel else c for c in table.columns)
    if len({c.name.lower() for c in columns}) < len(columns):
        columns = table.columns
    return replace(table, name=name, columns=columns)


def _about_something_else(table: Table, rng: random.Random) -> Table:
    """The same table about some other thing."""
    name = any_noun(rng)
    noun = natural(name)
    return replace(table, name=name + "s", singular=noun, plurals=(noun + "s",), person=False)


def _subset(table: Table, rng: random.Random, keep: int, must: Sequence[Column] = ()) -> Table:
    label = table.label
    required = [c for c in table.columns if c in must or c is label]
    others = [c for c in table.columns if c not in required]
    rng.shuffle(others)
    others = others[: max(1, keep - len(required))]
    chosen = [c for c in table.columns if c in required or c in others]
    if rng.random() < 0.3:
        rng.shuffle(chosen)
    return replace(table, columns=tuple(chosen))


def instantiate(entry: Entry, rng: random.Random, augment: bool) -> Instance:
    """One concrete schema from a pool entry: subset of columns, names, and rows."""
    tables = [_about_something_else(table, rng) if augment and rng.random() < 0.25 else table for table in entry.tables]
    two = len(tables) == 2 and rng.random() < (0.6 if augment else 0.4)
    camel = rng.random() < (0.12 if augment else 0.08)
    styles = (
        ["plain"] * 10 + ["singular"] * 3 + ["camel"] * 2 + ["prefix", "noun", "noun"] if augment else ["plain"] * 7 + ["singular", "camel"]
    )
    style = rng.choice(styles)
    if not two and len(tables) == 2 and rng.random() < 0.4:
        tables = [tables[1]]
    child = tables[0]
    links = child.of("fk")
    if not two:
        child = replace(child, columns=tuple(c for c in child.columns if c.flavor != "fk"))
        child = _subset(child, rng, rng.choice([3, 4, 4, 5, 5, 6]))
        parent = None
    else:
        child = _subset(child, rng, rng.choice([3, 3, 4, 4, 5]), must=links)
        parent = _subset(tables[1], rng, rng.choice([2, 3, 3, 4]))
    pk_style = rng.choice(["id"] * 8 + ["{}_id"] * 2 + (["ID"] if augment else []))
    if not two and pk_style == "id" and rng.random() < 0.3 and any(c.flavor in {"label", "person"} for c in child.columns):
        pk_style = ""
    finished: list[Table] = []
    for table in [child, parent]:
        if table is not None:
            pk = pk_style.format(table.singular.replace(" ", "_"))
            finished.append(replace(_augment_table(table, rng, style, camel, vary=augment), pk=_camel(pk) if camel else pk))
    child = finished[0]
    parent = finished[1] if two else None
    if parent and any(c.name.lower() == child.pk.lower() for c in child.columns):
        child = replace(child, pk="id")
    link = child.of("fk")[0] if two else None
    instance = Instance(entry.key, child, parent, link)
    fill(instance, rng)
    return instance


def _step(span: float) -> int:
    for limit, step in ((500000, 10000), (50000, 1000), (9000, 100), (2500, 50), (600, 10), (150, 5)):
        if span > limit:
            return step
    return 1


def _numbers(column: Column, n: int, rng: random.Random) -> list[object]:
    span = column.high - column.low
    if column.decimals:
        scale = 10**column.decimals
        cells = range(round(span * scale) + 1)
        picked = rng.sample(cells, n) if len(cells) >= n else [rng.choice(cells) for _ in range(n)]
        return [round(column.low + k / scale, column.decimals) for k in picked]
    step = 1 if column.flavor in {"year", "birth", "age"} or rng.random() < 0.35 else _step(span)
    choices = range(int(column.low) // step * step + (step if column.low % step else 0), int(column.high) + 1, step)
    if len(choices) < n:
        choices = range(int(column.low), int(column.high) + 1)
    if len(choices) >= n:
        return list(rng.sample(choices, n))
    return [rng.choice(choices) for _ in range(n)]


def _values(column: Column, n: int, rng: random.Random) -> list[object]:
    if column.flavor == "bool":
        flags = [0, 1] * (n // 2) + [1] * (n % 2)
        rng.shuffle(flags)
        return list(flags)
    if column.flavor == "date":
        years = range(int(column.low), int(column.high) + 1)
        dates: dict[str, None] = {}
        while len(dates) < n:
            dates[f"{rng.choice(years)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"] = None
        values: list[object] = list(dates)
        rng.shuffle(values)
    elif column.numeric:
        values = _numbers(column, n, rng)
    elif column.flavor in {"label", "person"}:
        values = list(rng.sample(column.values, n))
    else:
        few = rng.sample(column.values, min(len(column.values), rng.choice([3, 4, 4, 5])))
        values = [rng.choice(few[: 1 + i % len(few)]) if rng.random() < 0.5 else rng.choice(few) for i in range(n)]
    if column.nullable and column.flavor not in {"label", "person"}:
        for i in rng.sample(range(n), max(2, n // 4)):
            values[i] = None
    return values


def _fill_table(table: Table, n: int, rng: random.Random, link: Column | None, parents: int) -> list[dict[str, object]]:
    columns: dict[str, list[object]] = {table.pk: list(range(1, n + 1))} if table.pk else {}
    for column in table.columns:
        if column is link:
            # Skewed, and the last parent or two stay without children unless a query asks for all (see data.py).
            used = max(2, parents - rng.choice([0, 0, 1, 2]))
            order = rng.sample(range(1, parents + 1), used)
            cells: list[object] = [*order, *(order[min(int(rng.expovariate(0.7)), used - 1)] for _ in range(n))]
            columns[column.name] = cells[:n]
            rng.shuffle(columns[column.name])
        else:
            columns[column.name] = _values(column, n, rng)
    return [{name: cells[i] for name, cells in columns.items()} for i in range(n)]


def _capacity(table: Table) -> int:
    return min([len(c.values) for c in table.columns if c.flavor in {"label", "person"}] or [14])


def fill(instance: Instance, rng: random.Random) -> None:
    """Fill ``instance.rows`` with a small database."""
    parents = 0
    if instance.parent:
        parents = min(rng.randint(5, 7), _capacity(instance.parent))
        instance.rows[instance.parent.name] = _fill_table(instance.parent, parents, rng, None, 0)
    n = min(rng.randint(10, 14), _capacity(instance.child))
    instance.rows[instance.child.name] = _fill_table(instance.child, n, rng, instance.link, parents)


def literal(value: object) -> str:
    """A value as an SQLite literal."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return f"{value:g}" if isinstance(value, float) and value == int(value) else str(value)


def sql_type(column: Column) -> str:
    """Plain SQLite type."""
    if column.flavor in {"fk", "bool"} or (column.numeric and not column.decimals):
        return "INTEGER"
    return "REAL" if column.numeric else "TEXT"


def plain_ddl(instance: Instance) -> str:
    """CREATE TABLE statements used to build the database, whatever the prompt's layout is."""
    out = []
    for table in reversed(instance.tables):
        columns = ", ".join(
            [*([f"{table.pk} INTEGER PRIMARY KEY"] if table.pk else []), *(f"{c.name} {sql_type(c)}" for c in table.columns)]
        )
        out.append(f"CREATE TABLE {table.name} ({columns});")
    return "\n".join(out)


def setup_script(instance: Instance) -> str:
    """INSERT statements for all rows."""
    out = []
    for table in reversed(instance.tables):
        rows = ", ".join("(" + ", ".join(literal(v) for v in row.values()) + ")" for row in instance.rows[table.name])
        out.append(f"INSERT INTO {table.name} VALUES {rows};")
    return "\n".join(out)


def connect(instance: Instance) -> sqlite3.Connection:
    """An in-memory database with the rows of ``instance``."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(plain_ddl(instance) + setup_script(instance))
    return connection
