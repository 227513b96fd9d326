"""Buckets and priorities: exact borders, ties, several periods, nobody."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.errors import ScoringError
from lead_scoring_assets.predictions.buckets import LOWEST_BUCKET
from lead_scoring_assets.predictions.scoring import SCHEMA, bucket_of, score_leads
from lead_scoring_assets.settings import Home

LIMITS = Home(Path(__file__).resolve().parents[2]).settings.scoring.buckets
CREATED = datetime(2024, 1, 1, tzinfo=UTC)


def features(lead_ids: list[str], periods: list[str] | None = None) -> pd.DataFrame:
    """As they are read from the lakehouse."""
    n = len(lead_ids)
    kinds = pa.schema(
        [(name, pa.string()) for name in ("period", "lead_id")]
        + [(name, pa.timestamp("us", tz="UTC")) for name in ("created_at", "known_at")]
        + [("age", pa.float64())]
    )
    columns = {
        "period": periods or ["2024-01"] * n,
        "lead_id": lead_ids,
        "created_at": [CREATED + timedelta(hours=i) for i in range(n)],
        "known_at": [CREATED + timedelta(days=1, hours=i) for i in range(n)],
        "age": [40.0] * n,
    }
    return pa.table(columns, schema=kinds).to_pandas()


def score(lead_ids: list[str], probabilities: list[float], periods: list[str] | None = None) -> list[dict[str, object]]:
    rows = score_leads(features(lead_ids, periods), np.array(probabilities), 3, LIMITS)
    assert rows.schema == SCHEMA
    found: list[dict[str, object]] = rows.to_pylist()
    return found


# Buckets.


def test_the_shipped_buckets() -> None:
    assert dict(LIMITS) == {"Hot": 0.8, "Warm": 0.5, "Cool": 0.3}


@pytest.mark.parametrize(
    ("probability", "bucket"),
    [
        (1.0, "Hot"),
        (0.8, "Hot"),
        (np.nextafter(0.8, 0), "Warm"),
        (0.5, "Warm"),
        (np.nextafter(0.5, 0), "Cool"),
        (0.3, "Cool"),
        (np.nextafter(0.3, 0), "Cold"),
        (0.0, "Cold"),
        (np.nan, "Cold"),  # nobody is called first because of a number that is none
    ],
)
def test_a_limit_belongs_to_its_bucket(probability: float, bucket: str) -> None:
    assert bucket_of(np.array([probability]), LIMITS) == [bucket]


@given(st.lists(st.floats(0, 1)), st.lists(st.floats(0.01, 0.99), min_size=1, max_size=5, unique=True))
def test_buckets_against_a_loop(probabilities: list[float], limits: list[float]) -> None:
    named = {f"bucket {i}": limit for i, limit in enumerate(sorted(limits, reverse=True))}
    expected = [next((name for name, limit in named.items() if p >= limit), LOWEST_BUCKET) for p in probabilities]
    assert bucket_of(np.array(probabilities), named) == expected


def test_no_scores_no_buckets() -> None:
    assert bucket_of(np.empty(0), LIMITS) == []


# Priorities.


def test_the_best_lead_is_first() -> None:
    rows = score(["a", "b", "c", "d"], [0.31, 0.9, 0.1, 0.5])
    assert [(row["priority"], row["lead_id"], row["bucket"]) for row in rows] == [
        (1, "b", "Hot"),
        (2, "d", "Warm"),
        (3, "a", "Cool"),
        (4, "c", "Cold"),
    ]


def test_equal_probabilities_go_by_lead_id() -> None:
    rows = score(["c", "a", "lead-10", "lead-9", "b"], [0.5, 0.5, 0.5, 0.5, 0.6])
    assert [row["lead_id"] for row in rows] == ["b", "a", "c", "lead-10", "lead-9"]
    assert [row["priority"] for row in rows] == [1, 2, 3, 4, 5]


def test_every_period_has_its_own_first() -> None:
    rows = score(["a", "b", "c", "d"], [0.1, 0.2, 0.9, 0.8], ["2024-02", "2024-01", "2024-02", "2024-01"])
    assert [(row["period"], row["priority"], row["lead_id"]) for row in rows] == [
        ("2024-01", 1, "d"),
        ("2024-01", 2, "b"),
        ("2024-02", 1, "c"),
        ("2024-02", 2, "a"),
    ]


def test_each_lead_keeps_its_own_values() -> None:
    """Also when the index of the features is not 0, 1, 2: rows are matched by place."""
    leads = features(["a", "b", "c"])
    leads.index = pd.Index([7, 7, 0])
    rows = score_leads(leads, np.array([0.2, 0.9, 0.4]), 3, LIMITS).to_pylist()
    assert {row["lead_id"]: row["probability"] for row in rows} == {"a": 0.2, "b": 0.9, "c": 0.4}
    assert rows[0] == {
        "period": "2024-01",
        "lead_id": "b",
        "created_at": CREATED + timedelta(hours=1),
        "scored_at": CREATED + timedelta(days=1, hours=1),
        "model_version": 3,
        "probability": 0.9,
        "bucket": "Hot",
        "priority": 1,
    }


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.integers(0, 2**32))
def test_the_order_of_leads_is_irrelevant(tenths: list[int], seed: int) -> None:
    lead_ids = [f"lead-{i}" for i in range(len(tenths))]
    probabilities = [k / 4 for k in tenths]
    order = np.random.default_rng(seed).permutation(len(tenths))
    leads, p = features(lead_ids), np.array(probabilities)
    rows = score_leads(leads, p, 3, LIMITS)
    assert score_leads(leads.iloc[order], p[order], 3, LIMITS).equals(rows)
    assert rows["priority"].to_pylist() == list(range(1, len(tenths) + 1))
    assert rows["lead_id"].to_pylist() == sorted(
        lead_ids, key=lambda lead: (-probabilities[lead_ids.index(lead)], lead)
    )
    assert rows["probability"].to_pylist() == sorted(probabilities, reverse=True)


def test_nobody_to_score() -> None:
    rows = score_leads(features([]), np.empty(0), 3, LIMITS)
    assert rows.num_rows == 0
    assert rows.schema == SCHEMA


def test_a_score_for_each_lead_or_none_at_all() -> None:
    with pytest.raises(ValueError, match="length"):
        score_leads(features(["a", "b"]), np.array([0.5]), 3, LIMITS)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, -1e-9, 1 + 1e-9])
def test_what_is_no_probability_is_refused_with_the_lead_and_the_model(wrong: float) -> None:
    with pytest.raises(ScoringError, match=r"model v3 gave 1 of 3 leads what is no probability.*found b \("):
        score(["a", "b", "c"], [0.5, wrong, 0.5])
