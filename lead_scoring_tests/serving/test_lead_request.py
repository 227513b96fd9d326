"""A lead from outside: taken exactly when the registry's JSON Schema takes it, and read as the feature plan reads it."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from lead_scoring_assets.contracts.columns import Column, Registry
from lead_scoring_assets.features.plan import build_features
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.serving.lead_request import LeadReader
from lead_scoring_assets.serving.refusals import Refused

REGISTRY = Registry(
    {
        "age": Column(kind="integer", role="feature", why="w", minimum=0, maximum=120, missing=(-1.0, 99.0)),
        "big": Column(kind="integer", role="feature", required=False, why="w"),
        "rate": Column(kind="number", role="feature", required=False, why="w", minimum=-0.5),
        "job": Column(kind="category", role="feature", why="w", categories=("clerk", "n/a"), missing=("n/a",)),
        "odd name!": Column(kind="category", role="feature", required=False, why="w", categories=("Zoë", "ok")),
        "secret": Column(kind="text", role="forbidden", why="w", required=False),
    }
)
READER = LeadReader(REGISTRY)
SCHEMA = Draft202012Validator(READER.schema)
GOOD: dict[str, Any] = {"lead_id": "l", "age": 40, "big": 7, "rate": 0.25, "job": "clerk", "odd name!": "Zoë"}
ODD = st.one_of(
    st.none(), st.booleans(), st.text(max_size=3), st.integers(-200, 200), st.integers(), st.just([]), st.just({}),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([3.0, 3.5, 1e9 + 0.5, 2.0**53, 2**53 - 1, -0.5, 1e300, "clerk", "n/a"]),
)  # fmt: skip


def taken(body: object) -> bool:
    try:
        READER.read(json.dumps(body).encode())
    except Refused as refused:
        return not (refused.status == 422 and refused.error == "validation" and refused.details)
    return True


@given(st.fixed_dictionaries({}, optional={name: ODD | st.just(value) for name, value in GOOD.items()}))
def test_a_lead_is_taken_exactly_when_the_schema_takes_it(body: dict[str, Any]) -> None:
    assert taken(body) == SCHEMA.is_valid(body)


@given(st.sampled_from(sorted(GOOD)), ODD)
def test_so_is_one_with_a_single_odd_value(name: str, value: object) -> None:
    body = {**GOOD, name: value}
    assert taken(body) == SCHEMA.is_valid(body)


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"x"', b"{", b"\xff\xfe", b"{" * 5_000, b'{"lead_id": NaN}'])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(Refused):
        READER.read(body)


@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
@pytest.mark.parametrize("name", ["age", "big", "rate"])
def test_what_is_no_finite_number_is_refused(name: str, value: bytes) -> None:
    body = json.dumps({**GOOD, name: "@"}).encode().replace(b'"@"', value)
    with pytest.raises(Refused) as refused:
        READER.read(body)
    assert [detail["field"] for detail in refused.value.details] == [name]


def test_a_leads_order_of_fields_is_irrelevant_and_names_are_the_registrys() -> None:
    read = READER.read(json.dumps(dict(reversed(GOOD.items()))).encode())
    assert list(read.features) == list(REGISTRY.features)
    assert read == READER.read_object(GOOD)


def test_extra_names_are_refused_by_name_also_very_long_ones() -> None:
    with pytest.raises(Refused) as refused:
        READER.read(json.dumps({**GOOD, "secret": "x", "x" * 1_000: 1}).encode())
    assert [len(detail["field"]) for detail in refused.value.details] == [len("secret"), 100]


@pytest.mark.parametrize("age", [40, -1, 99, 99.0])
@pytest.mark.parametrize("job", ["clerk", "n/a"])
def test_what_means_not_there_is_read_as_the_feature_plan_reads_it(age: float, job: str) -> None:
    """Below the minimum stands only what the contract would refuse in a file as well."""
    body = {**GOOD, "age": age, "job": job}
    if age < 0:
        assert not taken(body)
        return
    raw = pa.table(
        {
            "period": ["p"], "lead_id": ["l"], "version": [1],
            "created_at": pa.array([0], pa.timestamp("us", "UTC")), "known_at": pa.array([0], pa.timestamp("us", "UTC")),
            **{name: [int(v) if name in ("age", "big") else v] for name, v in body.items() if name != "lead_id"},
        }
    )  # fmt: skip
    planned = build_features(raw, REGISTRY)
    encoder = Encoder.from_registry(REGISTRY)
    found = encoder.encode_rows([READER.read_object(body).features])
    assert np.array_equal(found, encoder.encode_batch(planned.to_batches()[0]), equal_nan=True)


def test_a_feature_called_rep_is_a_feature() -> None:
    registry = Registry({"rep": Column(kind="number", role="feature", why="w")})
    read = LeadReader(registry).read(b'{"lead_id": "l", "rep": 2.5}')
    assert (read.rep, read.features) == (None, {"rep": 2.5})
