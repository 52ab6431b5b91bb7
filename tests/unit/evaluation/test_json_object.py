from __future__ import annotations

import json
import time

import pytest

from expert_kit.errors import DataError
from expert_kit.evaluation import task
from expert_kit.evaluation.json_object import check

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "price": {"type": "number"},
        "count": {"type": "integer"},
        "new": {"type": "boolean"},
        "size": {"enum": ["S", "M", "L"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "note": {"type": ["string", "null"]},
    },
    "required": ["name", "price", "count", "new", "size", "tags"],
    "additionalProperties": False,
}
GOLD = {"name": "Oak lamp", "price": 12.5, "count": 3, "new": True, "size": "M", "tags": ["red", "wood"], "note": None}
ROW = {"id": "j", "prompt": "...", "completion": json.dumps(GOLD), "schema": SCHEMA}


def answer(**changes):
    return json.dumps({key: value for key, value in {**GOLD, **changes}.items() if value is not ...})


@pytest.mark.parametrize(
    "text",
    [
        answer(),
        json.dumps(GOLD, indent=2),
        json.dumps(dict(reversed(GOLD.items()))),
        answer().replace("12.5", "12.50"),
        answer(count=3.0),
        answer(note=...),
        answer(name="oak lamp"),
        answer(name="The  Oak lamp."),
        f"```json\n{answer()}\n```",
        f"Here is the JSON you asked for:\n\n{answer()}\n\nAll values are from the text {{see above}}.",
        f"The schema is {json.dumps(SCHEMA)}. So the answer is {answer()}",
    ],
)
def test_the_right_object_is_accepted_however_it_is_written(text):
    verdict = check(text, ROW)
    assert verdict.ok, verdict
    assert verdict.reason == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no JSON object"),
        ("Oak lamp, 12.50", "no JSON object"),
        (answer().replace('"', "'"), "no JSON object"),
        (answer()[:-1], "no JSON object"),
        (answer().replace("12.5", "NaN"), "no JSON object"),
        (answer()[:-1] + ', "count": 3}', "no JSON object"),
        (answer(count="3"), "not valid against the schema: count"),
        (answer(price=None), "not valid against the schema: price"),
        (answer(new=1), "not valid against the schema: new"),
        (answer(size="m"), "not valid against the schema: size"),
        (answer(name=...), "not valid against the schema: 'name' is a required property"),
        (answer(colour="red"), "not valid against the schema: Additional properties"),
        (answer(tags="red, wood"), "not valid against the schema: tags"),
        (answer(name="Oak lamps"), "another value than in the text: name"),
        (answer(name="OAK LAMP"), "another value than in the text: name"),
        (answer(name=""), "another value than in the text: name"),
        (answer(price=12.05), "another value than in the text: price"),
        (answer(count=4), "another value than in the text: count"),
        (answer(new=False), "another value than in the text: new"),
        (answer(size="L"), "another value than in the text: size"),
        (answer(tags=["wood", "red"]), "another value than in the text: tags"),
        (answer(tags=["red"]), "another value than in the text: tags"),
        (answer(note="None"), "another value than in the text: note"),
        (f"{answer()} or rather {answer(count=4)}", "another value than in the text: count"),
    ],
)
def test_everything_else_is_wrong_and_the_reason_says_why(text, reason):
    verdict = check(text, ROW)
    assert not verdict.ok
    assert reason in verdict.reason


def test_the_order_of_a_set_does_not_count():
    schema = {"type": "object", "properties": {"tags": {"type": "array", "uniqueItems": True}}}
    row = {"completion": '{"tags": ["red", "wood"]}', "schema": schema}
    assert check('{"tags": ["wood", "red"]}', row).ok
    assert not check('{"tags": ["wood", "wood", "red"]}', row).ok


def test_inner_objects_are_compared_too():
    schema = {"type": "object", "properties": {"at": {"type": "object", "properties": {"lat": {"type": "number"}}}}}
    row = {"completion": '{"at": {"lat": 1}}', "schema": schema}
    assert check('{"at": {"lat": 1.0, "lon": null}}', row).ok
    assert not check('{"at": {"lat": true}}', row).ok
    assert not check('{"at": {"lat": 2}}', row).ok


def test_a_truth_value_is_neither_a_number_nor_a_text():
    row = {"completion": '{"a": true}', "schema": {"type": "object"}}
    assert check('{"a": true}', row).ok
    assert not any(check(text, row).ok for text in ('{"a": 1}', '{"a": "True"}', '{"a": "true"}'))


def test_a_date_format_is_checked():
    row = {"completion": '{"day": "2024-02-29"}', "schema": {"type": "object", "properties": {"day": {"type": "string", "format": "date"}}}}
    assert check('{"day": "2024-02-29"}', row).ok
    assert "not valid" in check('{"day": "2023-02-29"}', row).reason


def test_the_schema_may_be_given_as_text():
    assert check(answer(), {**ROW, "schema": json.dumps(SCHEMA)}).ok


@pytest.mark.parametrize("schema", [None, 5, "{", {"type": "objekt"}, {"required": "name"}, {"$ref": "https://example.org/other.json"}])
def test_a_row_with_an_unusable_schema_is_refused(schema):
    with pytest.raises(DataError, match="row j: "):
        check(answer(), {**ROW, "schema": schema})


@pytest.mark.parametrize("gold", [None, "", "name: Oak lamp", "[1, 2]", "{} {}"])
def test_a_row_without_a_gold_object_is_refused(gold):
    with pytest.raises(DataError, match="row j: 'completion' must be one JSON object"):
        check(answer(), {**ROW, "completion": gold})


@pytest.mark.parametrize("text", ["{" * 8_000, '{"a":' * 1_600, '{"a": ' + "9" * 7_000 + "}", "[" * 8_000])
def test_hostile_answers_are_wrong_and_cheap(text):
    start = time.process_time()
    assert not check(text, ROW).ok
    assert time.process_time() - start < 1.0


@pytest.mark.parametrize("depth", [500, 700, 900, 950])
@pytest.mark.parametrize("schema", [{"type": "object"}, {"type": "object", "additionalProperties": {"$ref": "#"}}])
def test_an_answer_that_is_nested_too_deeply_for_what_looks_at_it_is_wrong(depth, schema):
    row = {"completion": '{"a": 1}', "schema": schema}
    for text in ('{"a":' * depth + "1" + "}" * depth, '{"a":' + "[" * depth + "]" * depth + "}"):
        assert not check(text, row).ok
    deep = check('{"a":' * depth + "1" + "}" * depth, row)
    assert (deep.got, deep.reason) == ('{"a":' * 60, "nested too deeply")


def test_recipes_find_the_check_by_its_name():
    assert task("json_object") is check
