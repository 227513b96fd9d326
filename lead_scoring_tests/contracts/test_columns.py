"""The registry of columns: contradictions are refused, and nothing known only after the outcome becomes a feature."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lead_scoring_assets.contracts.columns import LEAD_KEYS, OUTCOME_COLUMNS, Column, Registry
from lead_scoring_assets.errors import LeakageError


def column(**changes: Any) -> Column:
    return Column(**{"kind": "integer", "role": "feature", "why": "w", **changes})


REGISTRY = Registry(
    {
        "age": column(),
        "balance": column(kind="number"),
        "job": column(kind="category", categories=("a", "b")),
        "gender": column(kind="category", role="sensitive", why="fairness only"),
        "note": column(kind="text", role="context", why="for people"),
        "duration": column(role="forbidden", available="after_outcome", why="length of the call"),
    }
)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"available": "after_outcome"}, "cannot be a feature; set `role: forbidden`"),
        ({"kind": "text"}, "a text column cannot be a feature"),
        ({"kind": "timestamp"}, "a timestamp column cannot be a feature"),
        ({"kind": "category"}, "needs its list of `categories`"),
        ({"kind": "category", "categories": ("a", "a")}, "must be distinct"),
        ({"kind": "category", "categories": ("a", "")}, "must be distinct texts without outer blanks"),
        ({"kind": "category", "categories": ("a", " b")}, r"without outer blanks, found \['a', ' b'\]"),
        ({"categories": ("a",)}, "belong to category columns, not to a column of kind integer"),
        ({"kind": "category", "categories": ("a",), "minimum": 1}, "belong to integer and number columns only"),
        ({"minimum": 2, "maximum": 1}, "minimum 2 is above maximum 1"),
        ({"minimum": float("nan")}, "finite number"),
        ({"maximum": float("inf")}, "finite number"),
        ({"why": ""}, "at least 1 character"),
        ({"unit": "EUR"}, "Extra inputs are not permitted"),
    ],
)
def test_a_contradiction_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        column(**changes)


def test_a_column_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        REGISTRY.features["age"].role = "forbidden"  # type: ignore[misc]


def test_features_are_what_a_model_may_use_in_order() -> None:
    assert list(REGISTRY.features) == ["age", "balance", "job"]
    assert REGISTRY.numeric_features == ["age", "balance"]
    assert REGISTRY.category_features == ["job"]
    assert list(REGISTRY.lead_columns)[: len(LEAD_KEYS)] == list(LEAD_KEYS)
    REGISTRY.assert_no_leakage(REGISTRY.features, "training_set")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("duration", "duration (forbidden: length of the call)"),
        ("gender", "gender (sensitive: fairness only)"),
        ("note", "note (context: for people)"),
        ("lead_id", "lead_id (identifier: names the lead in every table)"),
        ("created_at", "created_at (context: event time: when the lead came to be)"),
        ("outcome", "outcome (forbidden: what became of the lead)"),
        ("outcome_at", "outcome_at (forbidden: event time of the outcome)"),
        ("y", "y (not in the registry)"),
        ("Age", "Age (not in the registry)"),
    ],
)
def test_a_leaking_column_is_refused_by_name(name: str, told: str) -> None:
    with pytest.raises(LeakageError) as refused:
        REGISTRY.assert_no_leakage(["age", name, "job"], "training_set")
    assert f"training_set may hold features only, found {told}." in str(refused.value)
    assert "lead_scoring.yaml" in str(refused.value)


@given(st.lists(st.sampled_from([*REGISTRY.lead_columns, *OUTCOME_COLUMNS, "y"]), max_size=6))
def test_exactly_the_offenders_are_named(names: list[str]) -> None:
    offenders = [name for name in names if name not in ("age", "balance", "job")]
    if not offenders:
        REGISTRY.assert_no_leakage(names, "here")
        return
    with pytest.raises(LeakageError) as refused:
        REGISTRY.assert_no_leakage(names, "here")
    told = str(refused.value).partition("found ")[2].partition(". Take")[0]
    assert [part.split(" ")[0] for part in told.split("; ")] == offenders


def test_nothing_of_an_outcome_is_known_at_creation_but_whose_it_is() -> None:
    assert {name for name, c in OUTCOME_COLUMNS.items() if c.available == "at_creation"} == {"lead_id"}
    assert not [name for name, c in OUTCOME_COLUMNS.items() if c.role == "feature"]
