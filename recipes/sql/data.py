"""Make the text-to-SQL data: questions over small SQLite schemas, each with its gold query.

    python recipes/sql/data.py --out recipes/sql/data --seed 0

Writes train.jsonl, further.jsonl (for further.yaml), validation.jsonl and test.jsonl. Training, validation and test share no schema, no
table, no value list and no question phrasing. Every gold query has been run on a small database and gives a result that depends on the
question.
"""

from __future__ import annotations

import random
import re
import sqlite3
from pathlib import Path

import sql_phrasings as ph
from sql_asker import CLOSE, OPEN, Draft, Unfit
from sql_queries import ask
from sql_schemas import Column, Entry, Instance, Table, connect, instantiate, literal, load_pool, plain_ddl, setup_script, sql_type

from expert_kit.recipe_data import run_data_script

POOLS = Path(__file__).resolve().parent / "pools"
SIZES = {"train": 20000, "further": 5600, "validation": 200, "test": 400}
GROUP = 4
"""Training questions in a row over one schema, which a batch then computes once."""
MAX_PROMPT = 620
"""Longest prompt in characters; longer ones are drawn again, because tokens are training time."""


def _twin(instance: Instance) -> sqlite3.Connection:
    """The same rows in reverse order and without keys: a query that breaks ties by chance gives something else here."""
    connection = sqlite3.connect(":memory:")
    for table in instance.tables:
        rows = list(reversed(instance.rows[table.name]))
        types = {c.name: sql_type(c) for c in table.columns}
        connection.execute(_twin_ddl(table.name, list(rows[0]), types))
        for row in rows:
            connection.execute(f"INSERT INTO {table.name} VALUES ({', '.join(literal(v) for v in row.values())})")
    return connection


def _twin_ddl(name: str, columns: list[str], types: dict[str, str]) -> str:
    return f"CREATE TABLE {name} (" + ", ".join(f"{c} {types.get(c, 'INTEGER')}" for c in columns) + ")"


def _rounded(rows: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    return [tuple(round(v, 6) if isinstance(v, float) else v for v in row) for row in rows]


def worthwhile(instance: Instance, draft: Draft) -> bool:
    """True when the gold query has a stable result that its conditions change."""
    with connect(instance) as db, _twin(instance) as twin:
        rows = _rounded(db.execute(draft.sql).fetchall())
        other = _rounded(twin.execute(draft.sql).fetchall())
        ordered = "ORDER BY" in draft.sql
        if not rows or all(v is None for v in rows[0]) or rows == [(0,)]:
            return False
        if (rows != other) if ordered else (sorted(map(repr, rows)) != sorted(map(repr, other))):
            return False
        if draft.where:
            matched = db.execute(f"SELECT COUNT(*) FROM {draft.source} WHERE {draft.where}").fetchone()[0]
            total = db.execute(f"SELECT COUNT(*) FROM {draft.source}").fetchone()[0]
            least = 2 if re.search("ORDER BY|GROUP BY|AVG\\(|SUM\\(|MIN\\(|MAX\\(|DISTINCT", draft.sql.replace(draft.where, "")) else 1
            if not least <= matched < total:
                return False
            if re.search(" OR | AND ", draft.where) and "BETWEEN" not in draft.where and not re.search(r"\([^)]* OR ", draft.where):
                glue = " OR " if " OR " in draft.where else " AND "
                for part in draft.where.split(glue):
                    alone = db.execute(f"SELECT COUNT(*) FROM {draft.source} WHERE {part}").fetchone()[0]
                    if alone == matched:
                        return False
        if "HAVING" in draft.sql:
            groups = db.execute(draft.sql.split(" HAVING ")[0]).fetchall()
            if len(groups) == len(rows):
                return False
        limit = re.search(r"LIMIT (\d+)$", draft.sql)
        if limit and int(limit[1]) > 1 and len(rows) < int(limit[1]):
            return False
        if "GROUP BY" in draft.sql and len(db.execute(re.split(" HAVING | ORDER BY ", draft.sql)[0]).fetchall()) < 2:
            return False
        # With every parent used, INNER and LEFT JOIN mean the same, and the question is clear about parents without rows.
        if instance.parent and instance.link and draft.kind.startswith("join_") and "GROUP BY" in draft.sql:
            used = {row[instance.link.name] for row in instance.rows[instance.child.name]}
            if len(used) < len(instance.rows[instance.parent.name]) and not draft.where:
                return False
    return True


# --- prompts ---------------------------------------------------------------------------------------------------------------------


def wording(text: str, rng: random.Random) -> str:
    """Quote the marked values in one style, and vary capitals and the mark at the end."""
    quote = rng.choice(["", "", "", "", "'", '"'])
    text = re.sub(r"\s+", " ", text).strip()
    if text[0] != OPEN:
        text = text[0].upper() + text[1:]
        if rng.random() < 0.2:
            text = (text[0].lower() + text[1:]).rstrip("?.") if rng.random() < 0.7 else text.rstrip("?.")
    if f"{CLOSE}'s" in text:
        quote = ""
    return text.replace(OPEN, quote).replace(CLOSE, quote)


def _shown_type(column: Column, rng: random.Random, names: dict[str, str]) -> str:
    if column.flavor == "date":
        return names["date"]
    if sql_type(column) == "REAL":
        return names["real"]
    return names["text"] if sql_type(column) == "TEXT" else names["int"]


def _create(table: Table, instance: Instance, rng: random.Random, style: dict[str, str]) -> str:
    lower = style["case"] == "lower"
    columns = []
    if table.pk:
        columns.append(f"{table.pk} {style['int']}" + style["pk"])
    for column in table.columns:
        text = f"{column.name} {style['int'] if column.flavor in {'fk', 'bool'} else _shown_type(column, rng, style)}"
        if column.flavor == "fk" and instance.parent and style["ref"] == "inline":
            text += f" REFERENCES {instance.parent.name}({instance.parent.pk})"
        columns.append(text)
    if table is instance.child and instance.parent and instance.link and style["ref"] == "end":
        columns.append(f"FOREIGN KEY ({instance.link.name}) REFERENCES {instance.parent.name}({instance.parent.pk})")
    body = "(\n" + ",\n".join("  " + c for c in columns) + "\n)" if style["lines"] == "multi" else "(" + ", ".join(columns) + ")"
    text = f"CREATE TABLE {table.name} {body}{style['end']}"
    if lower:
        text = re.sub(
            r"\b(CREATE TABLE|PRIMARY KEY|REFERENCES|FOREIGN KEY|TEXT|INTEGER|INT|REAL|VARCHAR|DATE|FLOAT|DECIMAL|NUMERIC)\b",
            lambda m: m[0].lower(),
            text,
        )
    return text


def ddl(instance: Instance, rng: random.Random) -> str:
    """The schema as it stands in the prompt: CREATE TABLE in many layouts, sometimes a compact listing."""
    tables = instance.tables
    tables = tables[::-1] if rng.random() < 0.6 else tables
    layout = rng.random()
    if layout < 0.12:
        return "\n".join(f"{t.name}({', '.join([*([t.pk] if t.pk else []), *(c.name for c in t.columns)])})" for t in tables)
    if layout < 0.16:
        return "\n".join(f"{t.name}: {', '.join([*([t.pk] if t.pk else []), *(c.name for c in t.columns)])}" for t in tables)
    style = {
        "case": "lower" if rng.random() < 0.2 else "upper",
        "int": rng.choice(["INTEGER", "INTEGER", "INT"]),
        "text": rng.choice(["TEXT", "TEXT", "TEXT", "VARCHAR(50)", "VARCHAR"]),
        "real": rng.choice(["REAL", "REAL", "FLOAT", "NUMERIC"]),
        "date": rng.choice(["DATE", "TEXT"]),
        "pk": rng.choice([" PRIMARY KEY", " PRIMARY KEY", ""]),
        "ref": rng.choice(["none", "none", "inline", "inline", "end"]),
        "lines": rng.choice(["one", "one", "one", "multi"]),
        "end": rng.choice([";", ";", ""]),
    }
    return "\n".join(_create(t, instance, rng, style) for t in tables)


def prompt_of(instance: Instance, question: str, wrapper: str, schema: str) -> str:
    """Schema and question in one of many layouts."""
    text = wrapper
    if instance.parent:
        text = (
            text.replace("Given the table\n", "Given the tables\n")
            .replace("this table:", "these tables:")
            .replace("Table: {d}", "Tables:\n{d}")
        )
    if wrapper.startswith("{q} Use") and question[-1] not in ".?":
        question += "."
    return text.replace("{d}", schema).replace("{q}", question)


# --- splits ----------------------------------------------------------------------------------------------------------------------


def draw(entry: Entry, rng: random.Random, *, held: bool) -> tuple[Instance, list[tuple[Draft, str]]]:
    """A fresh variant of a pool entry, and some questions over it in one layout, with their prompts: for training up to ``GROUP``."""
    instance = instantiate(entry, rng, augment=not held)
    wrapper, schema = rng.choice(ph.frames("WRAPPERS")[1] if held and rng.random() < 0.5 else ph.frames("WRAPPERS")[0]), ddl(instance, rng)
    found: list[tuple[Draft, str]] = []
    for _ in range(8 if held else 3 * GROUP):
        try:
            draft = ask(instance, rng, held=held)
        except Unfit:
            continue
        if any(draft.sql == other.sql for other, _ in found) or not worthwhile(instance, draft):
            continue
        prompt = prompt_of(instance, wording(draft.question, rng), wrapper, schema)
        if len(prompt) <= MAX_PROMPT:
            found.append((draft, prompt))
        if len(found) == (1 if held else GROUP):
            break
    return instance, found


def split_rows(split: str, size: int, seed: int) -> list[dict[str, str]]:
    """All rows of one split; deterministic for a seed."""
    rng = random.Random(f"sql/{split}/{seed}")
    held = split in {"validation", "test"}
    pool = load_pool(POOLS / f"{split if held else 'train'}.txt")
    rows: list[dict[str, str]] = []
    seen: set[str] = set()
    turn = 0
    while len(rows) < size:
        entry = pool[turn % len(pool)]
        turn += 1
        instance, found = draw(entry, rng, held=held)
        for draft, prompt in found:
            key = re.sub(r"\W+", " ", draft.question + " " + draft.sql).lower()
            if prompt in seen or key in seen or len(rows) == size:
                continue
            seen |= {prompt, key}
            row = {"id": f"sql-{split}-{len(rows):05d}", "prompt": prompt, "completion": draft.sql, "kind": draft.kind}
            if held:
                row |= {
                    "question": draft.question.replace(OPEN, "").replace(CLOSE, ""),
                    "schema": plain_ddl(instance),
                    "setup": setup_script(instance),
                    "source": entry.key,
                }
            rows.append(row)
    return rows


if __name__ == "__main__":
    run_data_script(__doc__, SIZES, split_rows)
