"""The registry told: every column once, in words that hold; and a JSON Schema that says what the contract says."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from lead_scoring_assets.contracts.aggregates import Aggregate
from lead_scoring_assets.contracts.columns import ENTITIES, RAW_TABLES, Column, Registry
from lead_scoring_assets.contracts.describe import FEATURE_TABLE, SCHEMA_DRAFT, describe, json_schema
from lead_scoring_assets.contracts.validation import LINE, validate
from lead_scoring_assets.features.plan import KEYS, feature_columns
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.settings import Home

SHIPPED = Home(Path(__file__).resolve().parents[2]).settings.registry
ROLES_OF_NO_FEATURE = ("sensitive", "context", "forbidden")

LIMIT = 2**53 - 1
TEXTS = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=6)
LIMITS = st.none() | st.integers(-1000, 1000) | st.floats(-1e6, 1e6, allow_nan=False)


@st.composite
def columns(draw: st.DrawFn) -> Column:
    kind = draw(st.sampled_from(["integer", "number", "category"]))
    said: dict[str, Any] = {"kind": kind, "role": "feature", "why": draw(TEXTS), "required": draw(st.booleans())}
    if kind == "category":
        said["categories"] = tuple(draw(st.lists(TEXTS, min_size=1, max_size=4, unique=True)))
    else:
        low, high = draw(LIMITS), draw(LIMITS)
        if low is not None and high is not None and low > high:
            low, high = high, low
        said |= {"minimum": low, "maximum": high}
    if draw(st.booleans()):
        said["role"] = draw(st.sampled_from(ROLES_OF_NO_FEATURE))
    return Column(**said)


AGGREGATES = st.sampled_from(
    [
        Aggregate(measure="count", of=("visit", "call"), days=7, why="interest"),
        Aggregate(measure="distinct", column="detail", days=30, maximum=12345678, why="breadth"),
        Aggregate(measure="sum", of=("call",), days=90, why="patience"),
        Aggregate(measure="points", points={"visit": 1, "call": 2.5}, days=30, maximum=100, why="score"),
        Aggregate(measure="days_since_first", days=365, why="age"),
        Aggregate(measure="days_since_last", of=("call",), days=365, why="recency"),
    ]
)
REGISTRIES = st.builds(
    lambda lead, computed: Registry(lead, ("visit", "call"), {f"agg {k}": a for k, a in enumerate(computed)}),
    st.dictionaries(TEXTS.map(lambda name: f"c {name}"), columns(), max_size=5),
    st.lists(AGGREGATES, max_size=3),
)


def as_text(value: object) -> str | None:
    """A JSON value as a file holds it."""
    return None if value is None else value if isinstance(value, str) else repr(value)


def values_of(column: Column) -> st.SearchStrategy[Any]:
    if column.categories:
        return st.none() | st.sampled_from(column.categories) | TEXTS
    edges = [limit for limit in (column.minimum, column.maximum) if limit is not None]
    near = st.sampled_from([value for edge in edges for value in (edge, edge - 1, edge + 1)]) if edges else st.none()
    numbers = st.integers(-LIMIT, LIMIT) | st.floats(allow_nan=False, allow_infinity=False, width=32)
    # A word in a column of numbers; a digit would be a number in a file, where all is text.
    words = st.sampled_from(["many", "x", "nan", "1,5"]) | st.booleans()
    return st.none() | near | st.integers(-1100, 1100) | numbers | words


@given(st.data(), REGISTRIES)
def test_the_schema_accepts_and_refuses_what_the_contract_does(data: st.DataObject, registry: Registry) -> None:
    lead = {name: data.draw(values_of(column), label=name) for name, column in registry.lead_features.items()}
    texts = {name: pa.array([as_text(value)], pa.string()) for name, value in lead.items()}
    checked = validate(pa.table({LINE: [1], **texts}), registry.lead_features)
    schema = json_schema(registry)
    Draft202012Validator.check_schema(schema)
    faults = sorted(error.message for error in Draft202012Validator(schema).iter_errors(lead))
    assert (not faults) == (checked.accepted.num_rows == 1), (faults, checked.reasons.to_pylist())


@given(REGISTRIES)
def test_every_column_is_told_once_and_in_order(registry: Registry) -> None:
    told = [(row.table, row.column) for row in describe(registry)]
    expected = [(RAW_TABLES[entity], name) for entity in ENTITIES for name in registry.columns(entity)]
    assert told == expected + [(FEATURE_TABLE, name) for name in registry.features]


@given(REGISTRIES)
def test_one_registry_names_the_features_of_training_scoring_drift_and_requests(registry: Registry) -> None:
    names = list(registry.features)
    assert list(json_schema(registry)["properties"]) == names
    assert [row.column for row in describe(registry) if row.table == FEATURE_TABLE] == names
    assert feature_columns(registry) == [*KEYS, *names]
    assert sorted(Encoder.from_registry(registry).columns) == sorted(names)
    # What drift is measured on: monitoring passes these two lists.
    assert sorted(registry.numeric_features + registry.category_features) == sorted(names)
    registry.assert_no_leakage(json_schema(registry)["properties"], "a request")


@given(REGISTRIES)
def test_nothing_but_features_can_be_sent(registry: Registry) -> None:
    checker = Draft202012Validator(json_schema(registry))
    for entity in ENTITIES:
        for name in registry.columns(entity):
            if name not in registry.features:
                assert name not in checker.schema["properties"]
                told = [error.message for error in checker.iter_errors({name: None})]
                assert any("Additional properties are not allowed" in message for message in told)


def test_the_shipped_schema_takes_a_real_lead_and_names_each_fault() -> None:
    lead = {
        "age": 58, "job": "management", "marital": "married", "education": "tertiary", "default": "no", "balance": 2143,
        "housing": "yes", "loan": "no", "contact": "unknown", "campaign": 1, "pdays": -1, "previous": 0,
        "poutcome": "unknown",
    }  # fmt: skip
    schema = json_schema(SHIPPED)
    assert schema["$schema"] == SCHEMA_DRAFT == Draft202012Validator.META_SCHEMA["$id"]
    assert json.loads(json.dumps(schema)) == schema
    checker = Draft202012Validator(schema)
    assert checker.is_valid(lead)
    for change in ({"age": 14}, {"age": None}, {"age": "58"}, {"age": 58.5}, {"job": "Management"}, {"duration": 261}):
        faults = list(checker.iter_errors({**lead, **change}))
        assert len(faults) == 1, (change, faults)
    assert not checker.is_valid({name: value for name, value in lead.items() if name != "age"})


def test_an_optional_column_may_be_null_or_left_out_and_a_computed_one_too() -> None:
    registry = Registry(
        {"plan": Column(kind="category", role="feature", required=False, categories=("a", "b"), why="plan")},
        ("visit",),
        {"visits": Aggregate(measure="count", days=7, maximum=9, why="interest")},
    )
    schema = json_schema(registry)
    checker = Draft202012Validator(schema)
    assert schema["required"] == []
    for lead in ({}, {"plan": None}, {"plan": "a", "visits": 9}, {"visits": None}):
        assert checker.is_valid(lead), lead
    for lead in ({"plan": "c"}, {"plan": ""}, {"visits": 10}, {"visits": -1}):
        assert not checker.is_valid(lead), lead


@pytest.mark.parametrize(
    ("column", "allowed"),
    [
        (Column(kind="integer", role="feature", why="w", minimum=-1, maximum=12345678), "-1 to 12345678"),
        (Column(kind="number", role="feature", why="w", minimum=0.1), "at least 0.1"),
        (Column(kind="number", role="feature", why="w", maximum=1e300), "at most 1e+300"),
        (Column(kind="integer", role="feature", why="w", minimum=-1, missing=(-1, 999)), "at least -1; -1, 999 means not there"),
        (Column(kind="category", role="feature", why="w", categories=("no", "yes")), "no, yes"),
        (Column(kind="text", role="context", why="w"), ""),
    ],
)  # fmt: skip
def test_what_is_allowed_is_told_with_every_digit(column: Column, allowed: str) -> None:
    told = {row.column: row for row in describe(Registry({"x": column})) if row.table == "raw_leads"}
    assert told["x"].allowed == allowed


@pytest.mark.parametrize(
    ("aggregate", "allowed"),
    [
        ({"measure": "count"}, "how many of: any activity; in the 30 days before"),
        ({"measure": "count", "of": ("visit", "call")}, "how many of: visit, call; in the 30 days before"),
        ({"measure": "distinct", "column": "rep"}, "different values of rep in: any activity; in the 30 days before"),
        ({"measure": "sum", "of": ("call",)}, "sum of value over: call; in the 30 days before"),
        (
            {"measure": "points", "points": {"visit": 1, "call": 2.5}, "maximum": 100},
            "points: visit 1, call 2.5; in the 30 days before; at most 100",
        ),
        (
            {"measure": "days_since_last", "of": ("call",)},
            "days since the last of: call; empty without any; in the 30 days before",
        ),
    ],
)
def test_a_computed_feature_is_told_by_its_measure(aggregate: dict[str, Any], allowed: str) -> None:
    registry = Registry({}, ("visit", "call"), {"x": Aggregate(days=30, why="interest", **aggregate)})
    row = next(row for row in describe(registry) if row.table == FEATURE_TABLE)
    assert (row.allowed, row.available, row.required, row.why) == (allowed, "at scoring", False, "interest")


def test_what_leaks_says_so() -> None:
    told = {(row.table, row.column): row for row in describe(SHIPPED)}
    duration = told["raw_leads", "duration"]
    assert (duration.role, duration.available) == ("forbidden", "after outcome")
    assert duration.why == SHIPPED.lead_columns["duration"].why
    assert told["raw_outcomes", "outcome"].allowed == "converted, disqualified, lost, no_response, open"
